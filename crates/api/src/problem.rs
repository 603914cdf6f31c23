//! Problems (RFC 9457): one table from what went wrong to status, code and words.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;
use xingfuma_app::{AppError, FieldFault};
use xingfuma_domain::order::Refusal;
use xingfuma_store::StoreError;

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// The field's name.
    field: String,
    /// A stable code.
    code: String,
}

/// A problem as it is sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemBody {
    /// Names the kind of problem.
    #[schema(example = "urn:xingfuma:problem:order_taken")]
    r#type: String,
    /// What it is, in words.
    #[schema(example = "已被他人接单")]
    title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// A stable code.
    #[schema(example = "order_taken")]
    code: String,
    /// What is wrong, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// Names this request in the logs.
    request_id: String,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    errors: Vec<FieldFault>,
    retry_after: Option<u64>,
    allow: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str) -> Problem {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Problem { status, code, detail: None, errors: Vec::new(), retry_after: None, allow: None }
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    /// The answer, in the caller's language.
    pub(crate) fn response(&self, request_id: &str, english: bool) -> HttpResponse {
        let body = ProblemBody {
            r#type: format!("urn:xingfuma:problem:{}", self.code),
            title: title(self.code, english).to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            errors: self
                .errors
                .iter()
                .map(|fault| FieldProblem {
                    field: fault.field.clone().into_owned(),
                    code: fault.code.to_owned(),
                })
                .collect(),
            request_id: request_id.to_owned(),
        };
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/problem+json").insert_header(("cache-control", "no-store"));
        if let Some(seconds) = self.retry_after {
            response.insert_header(("retry-after", seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            response.insert_header(("allow", methods.as_str()));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            response.force_close();
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("www-authenticate", "Bearer"));
        }
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.status.as_u16(), self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The outermost middleware writes the body, because it knows the request's id and language.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Problem {
        match error {
            AppError::Unauthenticated => Problem::new(401, "unauthenticated"),
            AppError::LogInRefused(code) => Problem::new(401, code),
            AppError::NotFound => Problem::new(404, "not_found"),
            AppError::Gone(what) => Problem::new(410, if what == "sign" { "sign_revoked" } else { "gone" }),
            AppError::Forbidden => Problem::new(403, "forbidden"),
            AppError::NotAllowed(code) => Problem::new(403, code),
            AppError::Invalid(errors) => Problem { errors, ..Problem::new(422, "invalid_fields") },
            AppError::Malformed(fault) => {
                Problem::new(400, "malformed_multipart").with_detail(fault.to_string())
            }
            AppError::UnsupportedMedia => Problem::new(415, "unsupported_media"),
            AppError::TooLarge => Problem::new(413, "payload_too_large"),
            AppError::Unusable(code) => Problem::new(422, code),
            AppError::Refused(refusal) => of_refusal(&refusal),
            AppError::Conflict(code) => Problem::new(409, code),
            AppError::Stale => Problem::new(412, "stale_version"),
            AppError::KeyReused => Problem::new(422, "idempotency_key_reused"),
            AppError::TooMany { retry_after } => {
                Problem { retry_after: Some(retry_after), ..Problem::new(429, "too_many_requests") }
            }
            AppError::Unavailable(what) => {
                Problem { retry_after: Some(2), ..Problem::new(503, "unavailable").with_detail(what) }
            }
            AppError::Store(StoreError::Overdrawn) => Problem::new(409, "insufficient_points"),
            AppError::Store(StoreError::Stock) => Problem::new(409, "out_of_stock"),
            AppError::Store(StoreError::Overflow) => Problem::new(409, "amount_too_large"),
            AppError::Store(StoreError::MediaTaken) => Problem {
                errors: vec![FieldFault { field: "mediaIds".into(), code: "media_attached" }],
                ..Problem::new(422, "invalid_fields")
            },
            AppError::Store(error) => {
                tracing::warn!(%error, "the database did not do what was asked");
                Problem { retry_after: Some(2), ..Problem::new(503, "unavailable") }
            }
            AppError::Unsealable(_) | AppError::Internal(_) => {
                tracing::error!(%error, "a bug");
                Problem::new(500, "internal")
            }
        }
    }
}

fn of_refusal(refusal: &Refusal) -> Problem {
    let stands = |status: &xingfuma_domain::order::Status| format!("status: {}", status.as_str());
    match refusal {
        Refusal::Illegal { status, .. } => Problem::new(409, "illegal_move").with_detail(stands(status)),
        Refusal::Taken { status } => Problem::new(409, "order_taken").with_detail(stands(status)),
        Refusal::NotYours => Problem::new(403, "forbidden"),
        Refusal::OwnOrder => Problem::new(409, "own_order"),
        Refusal::AlreadyDeclined => Problem::new(409, "already_declined"),
        Refusal::ReasonRequired => Problem {
            errors: vec![FieldFault { field: "reason".into(), code: "required" }],
            ..Problem::new(422, "invalid_fields")
        },
        Refusal::ArrivalRequired => Problem::new(409, "arrival_required"),
        Refusal::TooLate { .. } => Problem::new(409, "too_late"),
        Refusal::ReopenedTooOften => Problem::new(409, "reopened_too_often"),
        Refusal::TooSoon { retry_at } => Problem {
            retry_after: Some(1_800),
            ..Problem::new(429, "too_many_requests").with_detail(retry_at.to_rfc3339())
        },
        Refusal::TopLevel => Problem::new(409, "top_level"),
        Refusal::Full { at_most } => Problem::new(409, "open_orders_full").with_detail(at_most.to_string()),
        Refusal::LeadsOthers => Problem::new(409, "leads_others"),
        Refusal::CannotLead { status } => Problem::new(409, "cannot_lead").with_detail(stands(status)),
        Refusal::HelpsAnother => Problem::new(409, "helps_another"),
        Refusal::HelpersAtWork { open } => Problem::new(409, "helpers_at_work").with_detail(open.to_string()),
        Refusal::AlreadyHelps => Problem::new(409, "already_helps"),
        Refusal::TooManyHelpers => Problem::new(409, "too_many_helpers"),
        Refusal::NotExtendable => Problem::new(409, "not_extendable"),
        Refusal::AlreadyExtended => Problem::new(409, "already_extended"),
        Refusal::NothingToRevisit => Problem::new(409, "nothing_to_revisit"),
        Refusal::AlreadyWhistled => Problem::new(409, "already_whistled"),
        Refusal::WhistleAnswered => Problem::new(409, "whistle_answered"),
        Refusal::CheckInRequired => Problem::new(409, "check_in_required"),
        Refusal::NothingConcluded => Problem::new(409, "nothing_concluded"),
        Refusal::NotAReport => Problem::new(409, "not_a_report"),
        Refusal::CorrectionSettled => Problem::new(409, "correction_settled"),
        Refusal::CorrectionOpen => Problem::new(409, "correction_open"),
        Refusal::OutOfRange { field } => Problem {
            errors: vec![FieldFault { field: (*field).into(), code: "out_of_range" }],
            ..Problem::new(422, "invalid_fields")
        },
    }
}

/// The words of a code: Chinese, and English for those who ask for it.
fn title(code: &str, english: bool) -> &'static str {
    let (chinese, other) = match code {
        "unauthenticated" => ("请先登录", "Log in first"),
        "bad_code" => ("登录凭证无效，请重新打开小程序", "The log-in code is wrong or used"),
        "phone_code_refused" => ("手机号凭证无效，请重新授权", "The code for the phone is wrong or used"),
        "second_factor_required" => ("请先启用动态验证码", "Set up the second factor first"),
        "method_not_allowed" => ("不支持该请求方法", "There is no such method here"),
        "high_risk_user" => ("微信提示该账号存在风险", "WeChat calls this user risky"),
        "bad_credentials" => ("用户名或密码不正确", "Wrong user name or password"),
        "not_found" => ("没有找到", "Not found"),
        "sign_revoked" => ("该标识牌已停用", "This sign is no longer in force"),
        "gone" => ("已不存在", "Gone"),
        "forbidden" => ("没有权限", "Not allowed"),
        "invalid_fields" => ("有内容填写不正确", "Some fields are not as they should be"),
        "illegal_move" => ("当前状态下不能这样操作", "Not possible in this state"),
        "order_taken" => ("已被他人接单", "Somebody else has taken it"),
        "own_order" => ("不能承接自己下的单", "Nobody serves his own order"),
        "already_declined" => ("您已经退过此单", "You have declined it already"),
        "arrival_required" => ("请先确认到达", "Arrive first"),
        "too_late" => ("已超过期限", "The time for this is over"),
        "reopened_too_often" => ("返工次数已达上限", "Reopened as often as possible"),
        "top_level" => ("已在县一级", "It is at the county already"),
        "stale_version" => ("内容已被他人更新，请刷新", "Somebody else has changed it; read it again"),
        "idempotency_key_required" => ("缺少 Idempotency-Key", "Idempotency-Key is required"),
        "idempotency_key_invalid" => ("Idempotency-Key 不正确", "Idempotency-Key is not as it should be"),
        "idempotency_key_reused" => {
            ("同一个 Idempotency-Key 用于不同内容", "The key was used for another body")
        }
        "too_many_requests" => ("操作太频繁，请稍后再试", "Too often; try again later"),
        "unavailable" => ("服务暂时不可用，请稍后再试", "Out of reach for a moment; try again"),
        "malformed_json" => ("请求内容不是正确的 JSON", "The body is not the JSON that is expected here"),
        "malformed_request" => ("请求格式不正确", "The request is malformed"),
        "request_timeout" => ("请求超时，请重试", "The request took too long"),
        "payload_too_large" => ("请求内容过大", "The body is too large"),
        "badge_active" => ("已有在用号牌，请先注销", "There is a badge in force; revoke it first"),
        "totp_required" => ("请输入动态验证码", "The code of the second factor is missing"),
        "totp_wrong" => ("动态验证码不正确或已使用", "The code is wrong or was used"),
        "totp_active" => ("已启用动态验证码", "A second factor is in force already"),
        "guardian_consent_missing" => ("未满14周岁，需监护人同意", "Under 14 a guardian has to agree"),
        "consent_missing" => ("还缺少当事人的同意", "A consent is missing"),
        "post_exists" => ("该服务单已有晒单", "The order has a post already"),
        "post_not_pending" => ("该晒单不在待审状态", "The post does not wait any more"),
        "post_not_published" => ("该晒单没有发布", "The post is not published"),
        "already_featured" => ("已是精选", "Featured already"),
        "already_answered" => ("该积分记录已冲正", "The entry was answered already"),
        "not_reversible" => ("该积分记录不能冲正", "The entry cannot be reversed"),
        "open_orders" => ("还有未办结的服务单", "Orders are under way; end them first"),
        "own_decision" => ("不能审定与本人有关的事项", "Nobody decides a matter of his own"),
        "activity_begun" => ("活动已开始", "The activity has begun"),
        "activity_not_begun" => ("活动尚未开始", "The activity has not begun"),
        "activity_over" => ("活动已结束", "The activity is over"),
        "activity_not_over" => ("活动尚未结束", "The activity is not over"),
        "activity_full" => ("活动名额已满", "There is no room left"),
        "not_joined" => ("未报到", "You have not joined"),
        "already_joined" => ("已报到", "You have joined already"),
        "already_checked_in" => ("已签到", "You have checked in already"),
        "was_not_there" => ("未签到，不能反馈", "Only who checked in can give feedback"),
        "already_fed_back" => ("已反馈", "You have given your feedback already"),
        "on_patrol" => ("已有进行中的走访巡查", "You are on a patrol already"),
        "patrol_ended" => ("走访巡查已结束", "The patrol is over"),
        "hold_not_pending" => ("该积分已复核", "These points were reviewed already"),
        "order_not_ended" => (
            "服务单返工中，办结后方可放行",
            "The order was reopened and runs again; its points wait for its end",
        ),
        "claim_not_pending" => ("该申报已审定", "The claim is decided already"),
        "rule_not_in_force" => ("该规则当时未生效", "The rule was not in force then"),
        "not_appealable" => ("该记录不是扣分，不能申诉", "This entry is no deduction"),
        "appeal_too_late" => ("已超过申诉期限（7天）", "The seven days for an appeal are over"),
        "already_appealed" => ("该扣分已申诉过", "There was an appeal against it already"),
        "appeal_not_pending" => ("该申诉已有结论", "The appeal is decided already"),
        "insufficient_points" => ("可用积分不足", "Not enough points"),
        "amount_too_large" => ("数额过大", "The amount is too large"),
        "phone_taken" => ("该手机号已被他人绑定", "Somebody else has this phone"),
        "open_orders_full" => ("手上的服务单已满，请先办结", "As many open orders as one may hold"),
        "too_many_leaves" => ("请假条数已达上限", "Too many leaves ahead"),
        "leads_others" => ("已有其他单并入本单", "Other orders follow this one"),
        "cannot_lead" => ("不能并入该单", "The other order cannot lead"),
        "helps_another" => ("本单是协助单，请在主办单上操作", "It helps another order; do it there"),
        "helpers_at_work" => ("还有协助队伍未办结", "Teams that help are still at work"),
        "already_helps" => ("该服务队已在承办或协助本单", "The team has it, or helps already"),
        "too_many_helpers" => ("协助队伍已达上限", "As many teams as can help one order"),
        "hazard_answered" => ("该隐患已答复", "The hazard was answered already"),
        "transfer_open" => ("该志愿者的转办正在进行", "His work is being handed on already"),
        "not_decided" => ("尚未派单，暂无派单依据", "Nothing has been decided about it yet"),
        "not_suspended" => ("该志愿者未被停用", "The volunteer is not suspended"),
        "not_extendable" => ("该类服务单不能延期", "No extension for this urgency"),
        "already_extended" => ("只能延期一次", "Extended already"),
        "nothing_to_revisit" => ("没有待办的回访", "No revisit is owed"),
        "already_whistled" => ("该部门已被吹哨，尚未办结", "The department was called and has no result yet"),
        "whistle_answered" => ("该吹哨已处理", "The call was answered in this way before"),
        "check_in_required" => ("请先报到", "Check in first"),
        "nothing_concluded" => ("该部门尚无处理结果", "There is no result yet"),
        "not_a_report" => ("只有问题上报单可以限期整改", "Corrective notices are for reports"),
        "correction_settled" => ("该整改已复查通过", "The notice is settled"),
        "correction_open" => ("还有整改未复查", "A corrective notice waits for its re-inspection"),
        "period_not_over" => ("该月尚未结束", "The month is not over"),
        "period_closed" => ("该期已关闭，不能重复", "The period is closed already"),
        "period_not_next" => ("请按月份顺序办理", "Periods are closed and sealed one after the other"),
        "period_not_frozen" => ("该期名单尚未生成", "There is no list yet"),
        "claims_waiting" => ("还有申报未审定", "Claims wait for a decision"),
        "notice_runs" => ("公示期未满", "The public notice is not over"),
        "notice_over" => ("公示已结束", "The public notice is over"),
        "already_objected" => ("您已对该条提出过异议", "You have objected to this line before"),
        "objection_not_pending" => ("该异议已有结论", "The objection is decided already"),
        "round_runs" => ("该区域已有星级公示在进行", "A round of this area is shown already"),
        "nobody_rises" => ("没有可评定的人员", "Nobody has reached more stars than he has"),
        "round_conferred" => ("该批星级已评定", "The round was conferred already"),
        "training_voided" => ("该培训记录已作废", "The training was taken back already"),
        "certificate_not_requested" => ("该证明不在待办状态", "The certificate does not wait any more"),
        "certificate_not_issued" => ("该证明未开具或已失效", "The certificate is not in force"),
        "nothing_served" => ("该时段没有服务记录", "Nothing was served in this time"),
        "badge_missing" => ("没有在用的志愿者号牌", "There is no badge in force"),
        "name_missing" => ("没有登记姓名", "No name is known"),
        "shop_exists" => ("该区域已有爱心超市", "The area has a shop already"),
        "out_of_stock" => ("库存不足", "Not enough in stock"),
        "stock_out_of_range" => {
            ("库存不能小于零或超过上限", "The stock would fall below zero or grow too large")
        }
        "code_used" => ("该兑换码已使用", "The code was used already"),
        "code_expired" => ("该兑换码已过期", "The code has expired"),
        "code_voided" => ("该兑换已取消", "The redemption was called off"),
        "code_foreign" => ("该兑换码属于其他爱心超市", "The code belongs to another shop"),
        "redemption_ended" => ("该兑换已结束", "The redemption has ended already"),
        "malformed_multipart" => {
            ("上传格式不正确，每次只能上传一个文件", "Not exactly one file, as multipart/form-data")
        }
        "unsupported_media" => ("只支持 JPEG、PNG、WebP 图片", "Only JPEG, PNG and WebP are taken"),
        "upload_too_slow" => ("上传超时，请重试", "The upload was too slow; try again"),
        "photo_risky" => ("照片未通过安全检测，不能发布", "A photo is not to be shown"),
        "photo_unchecked" => {
            ("照片还在检测中，请稍后再审", "A photo is still being looked at; try again later")
        }
        "photo_required" => ("该类服务单办结需上传照片", "This category is completed with photos"),
        "busy" => ("操作繁忙，请重试", "Busy; try again"),
        _ => ("出错了，请稍后再试", "Something went wrong"),
    };
    if english { other } else { chinese }
}

/// The answer for every other path of a process that only tells how it is.
pub(crate) async fn nothing_else() -> Result<HttpResponse, Problem> {
    Err(Problem::new(404, "not_found"))
}

/// The answer for a path that is none, or that does not know the method.
pub(crate) async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(match crate::shapes::methods_of(request.path()) {
        Some(methods) => Problem { allow: Some(methods), ..Problem::new(405, "method_not_allowed") },
        None => Problem::new(404, "not_found"),
    })
}
