//! The calls that steer the sandbox: what a user does in his telephone, and what WeChat decides about him.

use serde::Deserialize;
use serde_json::json;

use super::refusal::Refusal;
use super::server::{Answer, Asked};
use super::world::World;
use crate::Suggest;

type Answered = Result<Answer, Refusal>;

/// Answers the call at `path` below `/sandbox/`.
pub(super) fn answer(world: &World, path: &str, asked: &Asked) -> Answered {
    if path == "messages" {
        asked.must_be_get()?;
        return Ok(Answer::Json(json!({"items": world.desk().messages()})));
    }
    asked.must_be_post()?;
    match path {
        "codes" => mint(world, asked),
        "consents" => consent(world, asked),
        "high-risk" => high_risk(world, asked),
        "marks" => mark(world, asked),
        "tokens/revoke" => {
            world.desk().revoke_tokens();
            done()
        }
        "addresses" => address(world, asked),
        _ => Err(Refusal::unknown_path()),
    }
}

fn mint(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        openid: Option<String>,
        phone: Option<String>,
    }
    let body: Body = asked.json()?;
    if let Some(phone) = body.phone {
        let code = world.desk().mint_phone_code(&phone);
        return Ok(Answer::Json(json!({"code": code, "kind": "phone"})));
    }
    let minted = world.desk().mint_log_in_code(body.openid.as_deref());
    Ok(Answer::Json(json!({"code": minted.code, "kind": "logIn", "openid": minted.openid})))
}

fn consent(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        openid: String,
        template_id: String,
        count: Option<u32>,
    }
    let body: Body = asked.json()?;
    let mut desk = world.desk();
    match body.count.unwrap_or(1) {
        0 => desk.withdraw_consent(&body.openid, &body.template_id),
        count => desk.grant_consent(&body.openid, &body.template_id, count),
    }
    Ok(Answer::Json(json!({"left": desk.consents_left(&body.openid, &body.template_id)})))
}

fn high_risk(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        openid: String,
        high_risk: bool,
    }
    let body: Body = asked.json()?;
    world.desk().set_high_risk(&body.openid, body.high_risk);
    done()
}

fn mark(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        word: String,
        suggest: String,
        label: i64,
    }
    let body: Body = asked.json()?;
    world.desk().mark(&body.word, Suggest::from_word(&body.suggest), body.label);
    done()
}

fn address(world: &World, asked: &Asked) -> Answered {
    #[derive(Deserialize)]
    struct Body {
        allowed: bool,
    }
    let body: Body = asked.json()?;
    world.desk().allow_address(body.allowed);
    done()
}

fn done() -> Answered {
    Ok(Answer::Json(json!({})))
}
