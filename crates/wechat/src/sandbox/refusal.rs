//! Refusals, worded as WeChat words them.

/// A refusal: HTTP status 200 with a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) errcode: i64,
    pub(super) errmsg: String,
}

macro_rules! refusals {
    ($($name:ident = $errcode:literal, $errmsg:literal;)*) => {
        impl Refusal {
            $(pub(super) fn $name() -> Self {
                Self { errcode: $errcode, errmsg: $errmsg.to_owned() }
            })*
        }
    };
}

refusals! {
    bad_token = 40001, "invalid credential, access_token is invalid or not latest";
    bad_grant_type = 40002, "invalid grant_type";
    bad_openid = 40003, "invalid openid";
    bad_appid = 40013, "invalid appid";
    malformed_token = 40014, "invalid access_token";
    bad_code = 40029, "invalid code";
    bad_template = 40037, "invalid template_id";
    unknown_path = 40066, "invalid url";
    bad_argument = 40097, "invalid args";
    bad_secret = 40125, "invalid appsecret";
    bad_scene = 40129, "invalid scene";
    used_code = 40163, "code been used";
    address_not_allowed = 40164, "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist";
    scene_length = 40169, "invalid length for scene, or the data is not json string";
    high_risk_user = 40226, "code blocked";
    bad_page = 41030, "invalid page";
    missing_token = 41001, "access_token missing";
    expired_token = 42001, "access_token expired";
    get_required = 43001, "require GET method";
    post_required = 43002, "require POST method";
    no_consent = 43101, "user refuse to accept the msg";
    concurrent = 43108, "concurrent calls to send to the same user are limited";
    text_too_long = 45002, "content size out of limit";
    too_often = 45011, "api minute-quota reach limit, must slower, retry next minute";
    not_json = 47001, "data format error";
    not_recently_here = 61010, "code is expired";
}

impl Refusal {
    /// 47003, naming the field and its fault.
    pub(super) fn bad_field(key: &str, fault: &str) -> Self {
        Self { errcode: 47003, errmsg: format!("argument invalid! data.{key}.value {fault}") }
    }
}
