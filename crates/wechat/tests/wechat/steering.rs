//! Steering the sandbox over HTTP, as a mini-program stand-in or a browser test does.

use serde_json::json;
use xingfuma_wechat::{CheckScene, Error, Suggest};

use crate::stage::{ONCE, START, Stage, fields};

#[tokio::test]
async fn codes_are_minted_over_http() {
    let stage = Stage::new().await;
    let minted = stage.post("/sandbox/codes", &json!({"openid": "o-chosen"})).await;
    assert_eq!((&minted["kind"], &minted["openid"]), (&json!("logIn"), &json!("o-chosen")));
    let identity = stage.client.log_in(minted["code"].as_str().unwrap()).await.unwrap();
    assert_eq!(identity.openid, "o-chosen");
    let anybody = stage.post("/sandbox/codes", &json!({})).await;
    let identity = stage.client.log_in(anybody["code"].as_str().unwrap()).await.unwrap();
    assert_eq!(anybody["openid"], identity.openid);
    let minted = stage.post("/sandbox/codes", &json!({"phone": "13912345678"})).await;
    assert_eq!(minted["kind"], "phone");
    assert_eq!(stage.client.phone(minted["code"].as_str().unwrap()).await.unwrap(), "13912345678");
}

#[tokio::test]
async fn consents_and_messages_go_over_http() {
    let stage = Stage::new().await;
    let consent = |count| json!({"openid": "o-1", "templateId": ONCE, "count": count});
    assert_eq!(stage.post("/sandbox/consents", &consent(json!(null))).await, json!({"left": 1}));
    assert_eq!(stage.post("/sandbox/consents", &consent(json!(2))).await, json!({"left": 3}));
    stage.client.send_message("o-1", ONCE, None, &fields(&[("thing1", "好")])).await.unwrap();
    assert_eq!(stage.post("/sandbox/consents", &consent(json!(0))).await, json!({"left": 0}));
    let sent = json!({"openid": "o-1", "templateId": ONCE, "page": null, "data": {"thing1": "好"},
        "miniprogramState": "formal", "sentAt": START, "messageId": 1});
    assert_eq!(stage.get("/sandbox/messages").await, json!({"items": [sent]}));
}

#[tokio::test]
async fn whims_of_wechat_are_set_over_http() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.post("/sandbox/high-risk", &json!({"openid": openid, "highRisk": true})).await;
    let code = stage.sandbox.mint_code(Some(&openid)).code;
    assert_eq!(stage.client.log_in(&code).await, Err(Error::HighRiskUser));
    stage.post("/sandbox/marks", &json!({"word": "赌", "suggest": "risky", "label": 20006})).await;
    let verdict = stage.client.check_text(&openid, CheckScene::Forum, "赌").await.unwrap();
    assert_eq!(verdict.suggest, Suggest::Risky);
    stage.post("/sandbox/addresses", &json!({"allowed": false})).await;
    stage.post("/sandbox/tokens/revoke", &json!({})).await;
    let refused = stage.client.check_text(&openid, CheckScene::Forum, "好").await;
    assert_eq!(refused, Err(Error::AddressNotAllowed));
}

#[tokio::test]
async fn what_is_not_there_or_not_json_is_refused_as_wechat_does() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/nowhere").await["errcode"], 40066);
    assert_eq!(stage.post("/sandbox/nowhere", &json!({})).await["errcode"], 40066);
    assert_eq!(stage.get("/cgi-bin/stable_token").await["errcode"], 43002);
    assert_eq!(stage.post("/cgi-bin/stable_token", &json!("text")).await["errcode"], 47001);
    assert_eq!(stage.post("/sandbox/consents", &json!({})).await["errcode"], 47001);
    let rid = stage.get("/nowhere").await["errmsg"].as_str().unwrap().to_owned();
    assert!(rid.starts_with("invalid url rid: ") && rid.len() == 17 + 26, "{rid}");
}
