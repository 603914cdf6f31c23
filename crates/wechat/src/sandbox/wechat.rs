//! The calls that WeChat answers.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::checks::Advice;
use super::messages::SentMessage;
use super::pusher::Push;
use super::refusal::Refusal;
use super::server::{Answer, Asked};
use super::world::World;
use super::{config::SandboxConfig, picture};
use crate::{BadScene, CHECKED_TEXT_CHARS, CODE_WIDTH_PX, Scene};

type Answered = Result<Answer, Refusal>;

pub(super) async fn answer(world: &Arc<World>, asked: &Asked) -> Answered {
    match asked.path.as_str() {
        "/sns/jscode2session" => log_in(world, asked),
        "/cgi-bin/stable_token" => token(world, asked),
        "/wxa/business/getuserphonenumber" => phone(world, asked),
        "/wxa/getwxacodeunlimit" => code_image(world, asked),
        "/cgi-bin/message/subscribe/send" => send_message(world, asked).await,
        "/wxa/msg_sec_check" => check_text(world, asked),
        "/wxa/media_check_async" => check_picture(world, asked),
        _ => Err(Refusal::unknown_path()),
    }
}

fn log_in(world: &World, asked: &Asked) -> Answered {
    asked.must_be_get()?;
    let given = |name| asked.query(name).unwrap_or_default();
    check_account(&world.config, given("appid"), given("secret"))?;
    if given("grant_type") != "authorization_code" {
        return Err(Refusal::bad_grant_type());
    }
    let session = world.desk().log_in(given("js_code"))?;
    let mut answer = json!({"session_key": session.session_key, "openid": session.openid});
    if world.config.with_unionid {
        answer["unionid"] = unionid_of(&session.openid).into();
    }
    Ok(Answer::Json(answer))
}

/// The same user has the same one for ever.
fn unionid_of(openid: &str) -> String {
    let hash = Sha1::digest(openid);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("o6_{}", &digits[..25])
}

fn token(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        grant_type: String,
        #[serde(default)]
        appid: String,
        #[serde(default)]
        secret: String,
        #[serde(default)]
        force_refresh: bool,
    }
    asked.must_be_post()?;
    let body: Body = asked.json()?;
    if body.grant_type != "client_credential" {
        return Err(Refusal::bad_grant_type());
    }
    check_account(&world.config, &body.appid, &body.secret)?;
    let (token, expires_in) = world.desk().give_token(body.force_refresh)?;
    Ok(Answer::Json(json!({"access_token": token, "expires_in": expires_in})))
}

fn phone(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        code: String,
    }
    let body: Body = admitted(world, asked)?;
    let mut desk = world.desk();
    let number = desk.phone(&body.code)?;
    let watermark = json!({"timestamp": desk.now, "appid": world.config.appid});
    let info = json!({"phoneNumber": number, "purePhoneNumber": number, "countryCode": "86", "watermark": watermark});
    Ok(Answer::Json(json!({"errcode": 0, "errmsg": "ok", "phone_info": info})))
}

fn code_image(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    #[serde(default)]
    struct Body {
        scene: String,
        page: Option<String>,
        check_path: bool,
        env_version: String,
        width: u32,
    }
    impl Default for Body {
        fn default() -> Self {
            let env_version = "release".to_owned();
            Self { scene: String::new(), page: None, check_path: true, env_version, width: 430 }
        }
    }
    let body: Body = admitted(world, asked)?;
    let scene = Scene::new(body.scene).map_err(|fault| match fault {
        BadScene::Length => Refusal::scene_length(),
        BadScene::Character => Refusal::bad_scene(),
    })?;
    let page = body.page.unwrap_or_default();
    // Whatever `check_path` says, a leading slash or a query is refused: the query is what the scene is for.
    if page.starts_with('/') || page.contains('?') || (body.check_path && !is_published(&world.config, &page))
    {
        return Err(Refusal::bad_page());
    }
    let known_edition = ["release", "trial", "develop"].contains(&body.env_version.as_str());
    if !known_edition || !CODE_WIDTH_PX.contains(&body.width) {
        return Err(Refusal::bad_argument());
    }
    Ok(Answer::Png(picture::png(scene.as_str(), body.width)))
}

async fn send_message(world: &Arc<World>, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        touser: String,
        #[serde(default)]
        template_id: String,
        page: Option<String>,
        #[serde(default)]
        data: Map<String, Value>,
        #[serde(default)]
        miniprogram_state: String,
    }
    let body: Body = admitted(world, asked)?;
    check_openid(&body.touser)?;
    let page = body.page.as_deref().unwrap_or_default();
    let path = page.split_once('?').map_or(page, |(path, _)| path);
    if !is_published(&world.config, path) {
        return Err(Refusal::bad_page());
    }
    let data = world.desk().begin_message(&body.touser, &body.template_id, &body.data)?;
    // From here on the turn is given back however this ends, even if the caller goes away.
    let _turn = Turn { world, openid: &body.touser };
    tokio::time::sleep(world.config.send_takes).await;
    let message = SentMessage {
        openid: body.touser.clone(),
        template_id: body.template_id,
        page: body.page,
        data,
        miniprogram_state: body.miniprogram_state,
        sent_at: 0,
        message_id: 0,
    };
    let message_id = world.desk().deliver(message)?;
    Ok(Answer::Json(json!({"errcode": 0, "errmsg": "ok", "msgid": message_id})))
}

struct Turn<'a> {
    world: &'a World,
    openid: &'a str,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.world.desk().end_message(self.openid);
    }
}

fn check_text(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        content: String,
        version: u8,
        scene: u8,
        openid: String,
    }
    let body: Body = admitted(world, asked)?;
    if body.version != 2 || !(1..=4).contains(&body.scene) || body.content.is_empty() {
        return Err(Refusal::bad_argument());
    }
    if body.content.chars().count() > CHECKED_TEXT_CHARS {
        return Err(Refusal::text_too_long());
    }
    check_openid(&body.openid)?;
    let (advice, trace_id) = world.desk().check(&body.openid, &body.content)?;
    let result = result(advice);
    Ok(Answer::Json(json!({"errcode": 0, "errmsg": "ok", "result": result, "trace_id": trace_id})))
}

fn check_picture(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        media_url: String,
        media_type: u8,
        version: u8,
        scene: u8,
        openid: String,
    }
    let body: Body = admitted(world, asked)?;
    let is_address = body.media_url.starts_with("http://") || body.media_url.starts_with("https://");
    if body.version != 2 || body.media_type != 2 || !(1..=4).contains(&body.scene) || !is_address {
        return Err(Refusal::bad_argument());
    }
    check_openid(&body.openid)?;
    let mut desk = world.desk();
    let (advice, trace_id) = desk.check(&body.openid, &body.media_url)?;
    let push = Push {
        openid: body.openid,
        created_at: desk.now,
        event: media_checked(&world.config.appid, &trace_id, advice),
        random: desk.random_bytes(),
        nonce: desk.nonce(),
    };
    drop(desk);
    world.push(push);
    Ok(Answer::Json(json!({"errcode": 0, "errmsg": "ok", "trace_id": trace_id})))
}

fn media_checked(appid: &str, trace_id: &str, advice: Advice) -> Map<String, Value> {
    let result = result(advice);
    let mut detail = result.clone();
    detail["strategy"] = "content_model".into();
    detail["errcode"] = 0.into();
    let event = [
        ("Event", "wxa_media_check".into()),
        ("appid", appid.into()),
        ("trace_id", trace_id.into()),
        ("version", 2.into()),
        ("detail", json!([detail])),
        ("errcode", 0.into()),
        ("errmsg", "ok".into()),
        ("result", result),
    ];
    event.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn result(advice: Advice) -> Value {
    json!({"suggest": advice.suggest.as_word(), "label": advice.label})
}

/// The body of a call that needs a token, once method and token are right.
fn admitted<T: DeserializeOwned>(world: &World, asked: &Asked) -> Result<T, Refusal> {
    asked.must_be_post()?;
    world.desk().check_token(asked.query("access_token"))?;
    asked.json()
}

fn check_account(config: &SandboxConfig, appid: &str, secret: &str) -> Result<(), Refusal> {
    if appid != config.appid {
        Err(Refusal::bad_appid())
    } else if secret != config.secret {
        Err(Refusal::bad_secret())
    } else {
        Ok(())
    }
}

/// The sandbox cannot tell a foreign openid from one it gave before it was restarted, so only none at all is wrong.
fn check_openid(openid: &str) -> Result<(), Refusal> {
    if openid.is_empty() { Err(Refusal::bad_openid()) } else { Ok(()) }
}

/// No page means the home page, which is always there.
fn is_published(config: &SandboxConfig, page: &str) -> bool {
    page.is_empty() || config.pages.is_empty() || config.pages.contains(page)
}
