//! The page by which anybody can check a certificate: `/c/{number}`, with `?code=` of its holder for the whole name.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;
use xingfuma_app::certificate::CertificateChecked;
use xingfuma_app::{App, AppError};
use xingfuma_domain::certificate::Standing;
use xingfuma_domain::scoring::china_date;

use crate::FindAddress;
use crate::page::{STYLE, answer, notice};
use crate::scan::too_often;

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage<'a> {
    style: &'a str,
    valid: bool,
    word: &'a str,
    number: &'a str,
    name: &'a str,
    badge: &'a str,
    span: &'a str,
    hours: &'a str,
    services: &'a [String],
    issuer: &'a str,
    handler: &'a str,
    date: &'a str,
    hotline: &'a str,
}

/// The holder's code, if the address carries one.
fn code_in(request: &HttpRequest) -> Option<String> {
    let pairs = request.query_string().split('&').find_map(|pair| pair.strip_prefix("code="));
    pairs.map(str::to_owned)
}

/// What a certificate's standing means to whoever was shown it.
fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Valid => "证明有效",
        Standing::Superseded => "出具后记录有更正，请以重新开具的证明为准",
        Standing::Revoked => "此证明已撤销",
        Standing::Broken => "此证明的内容与签发时不一致，请勿采信",
    }
}

fn in_hours(minutes: i64) -> String {
    format!("{} 小时 {} 分", minutes / 60, minutes % 60)
}

/// The page behind the code on a certificate.
#[get("/c/{number}")]
async fn check(
    app: web::Data<App>,
    find: web::Data<FindAddress>,
    request: HttpRequest,
    number: web::Path<String>,
) -> HttpResponse {
    let directory = app.directory();
    let hotline = directory.hotline.as_str();
    if app.count_lookup(find(&request)).await.is_err() {
        return too_often(hotline);
    }
    let (asked, number, code) = (app.get_ref().clone(), number.into_inner(), code_in(&request));
    let found = app.run(async move { asked.check_certificate(&number, code.as_deref()).await }).await;
    match found {
        Ok(checked) => page(&checked, hotline),
        Err(AppError::NotFound) => {
            let text = "没有出具过这个编号的证明。请核对编号，或拨打热线核实。";
            notice(StatusCode::NOT_FOUND, "没有这份证明", text, hotline)
        }
        Err(error) => {
            tracing::warn!(%error, "a certificate was not looked up");
            let text = "请稍后再试，或拨打热线核实。";
            notice(StatusCode::SERVICE_UNAVAILABLE, "暂时查不到", text, hotline)
        }
    }
}

fn page(checked: &CertificateChecked, hotline: &str) -> HttpResponse {
    let content = &checked.content;
    let services: Vec<String> = checked
        .subtotals
        .iter()
        .map(|sum| format!("{}　{} 次　{}", sum.name, sum.times, in_hours(sum.minutes)))
        .collect();
    let page = CertificatePage {
        style: STYLE,
        valid: checked.standing == Standing::Valid,
        word: words(checked.standing),
        number: &content.number,
        name: &checked.name,
        badge: &content.badge,
        span: &format!("{} 至 {}", content.from, content.to),
        hours: &in_hours(content.minutes),
        services: &services,
        issuer: &content.issuer,
        handler: &checked.handler,
        date: &china_date(content.issued_at).to_string(),
        hotline,
    };
    answer(StatusCode::OK, &page)
}
