//! What a scan leads to in a browser: the sign of a grid, the badge of a volunteer.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;
use xingfuma_app::{App, AppError};

use crate::FindAddress;
use crate::page::{STYLE, answer, notice};

#[derive(Template)]
#[template(path = "sign.html")]
struct SignPage<'a> {
    style: &'a str,
    grid: &'a str,
    path: &'a str,
    code: &'a str,
    hotline: &'a str,
    services: &'a [&'a str],
}

/// The page behind the code on a plate.
#[get("/q/{code}")]
async fn sign(
    app: web::Data<App>,
    find: web::Data<FindAddress>,
    request: HttpRequest,
    code: web::Path<String>,
) -> HttpResponse {
    let directory = app.directory();
    let hotline = directory.hotline.as_str();
    if app.count_lookup(find(&request)).await.is_err() {
        return too_often(hotline);
    }
    let found = code.parse().ok().and_then(|code| directory.sign(&code).map(|sign| (code, sign)));
    let Some((code, sign)) = found else {
        let text = "这不是本县的标识牌。牌子上的码可能被人贴过，请不要付款，也不要填写身份证号和密码。";
        return notice(StatusCode::NOT_FOUND, "没有这个码", text, hotline);
    };
    let (Some(area), true) = (directory.area(sign.area), sign.active) else {
        return notice(StatusCode::GONE, "这块标识牌已停用", "需要帮助请拨打热线。", hotline);
    };
    let services: Vec<&str> = directory.categories().iter().map(|category| category.name.as_str()).collect();
    let page = SignPage {
        style: STYLE,
        grid: &area.name,
        path: &directory.path(sign.area).join(" · "),
        code: &code.to_string(),
        hotline,
        services: &services,
    };
    answer(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "badge.html")]
struct BadgePage<'a> {
    style: &'a str,
    valid: bool,
    number: &'a str,
    surname: &'a str,
    team: &'a str,
    standing: &'a str,
    /// Drawn stars; empty where there are none, or he does not want them here.
    stars: &'a str,
    hotline: &'a str,
}

/// The page behind the code on a badge: whether its bearer is a volunteer in good standing.
#[get("/b/{number}")]
async fn badge(
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
    let (asked, of) = (app.get_ref().clone(), number.into_inner());
    let (number, row) = match app.run(async move { asked.badge(&of).await }).await {
        Ok(found) => found,
        Err(AppError::NotFound) => {
            let text = "没有发过这个号码的服务证。请不要让持证人进门，并拨打热线核实。";
            return notice(StatusCode::NOT_FOUND, "没有这张服务证", text, hotline);
        }
        Err(error) => {
            tracing::warn!(%error, "a badge was not looked up");
            return notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "暂时查不到",
                "请稍后再试，或拨打热线核实。",
                hotline,
            );
        }
    };
    let valid = row.badge_status == "active" && row.volunteer_status == "active";
    let standing = standing(&row.badge_status, &row.volunteer_status);
    let page = BadgePage {
        style: STYLE,
        valid,
        number: &number,
        surname: &row.surname,
        team: &row.team,
        standing,
        stars: &"★".repeat(usize::try_from(row.stars.unwrap_or(0)).unwrap_or(0)),
        hotline,
    };
    answer(StatusCode::OK, &page)
}

/// What a badge's page says, in words.
fn standing(of_badge: &str, of_volunteer: &str) -> &'static str {
    match (of_badge, of_volunteer) {
        ("active", "active") => "在册志愿者",
        ("active", _) => "持证人目前不在岗",
        ("lost", _) => "此证已挂失，请勿相信持证人",
        _ => "此证已作废，请勿相信持证人",
    }
}

pub(crate) fn too_often(hotline: &str) -> HttpResponse {
    notice(StatusCode::TOO_MANY_REQUESTS, "查询太频繁", "请过几分钟再试。", hotline)
}
