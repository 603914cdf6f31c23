//! Log-in and phone.

use serde_json::json;
use xingfuma_wechat::Error;

use crate::stage::{APPID, SECRET, START, Stage};

#[tokio::test]
async fn a_code_answers_its_user_once() {
    let stage = Stage::new().await;
    let minted = stage.sandbox.mint_code(None);
    let identity = stage.client.log_in(&minted.code).await.unwrap();
    assert_eq!(identity.openid, minted.openid);
    assert_eq!((minted.openid.len(), identity.unionid.clone()), (28, None));
    assert!(!format!("{identity:?}").contains(&minted.openid));
    assert_eq!(stage.client.log_in(&minted.code).await, Err(Error::UsedCode));
    let again = stage.sandbox.mint_code(Some(&minted.openid));
    assert_eq!(stage.client.log_in(&again.code).await, Ok(identity));
}

#[tokio::test]
async fn a_bound_account_answers_a_unionid_too() {
    let stage = Stage::with(|config| config.with_unionid = true).await;
    let first = stage.sandbox.mint_code(None);
    let again = stage.sandbox.mint_code(Some(&first.openid));
    let unionid = stage.client.log_in(&first.code).await.unwrap().unionid;
    assert!(unionid.is_some());
    assert_eq!(stage.client.log_in(&again.code).await.unwrap().unionid, unionid);
}

#[tokio::test]
async fn unknown_and_old_codes_are_bad() {
    let stage = Stage::new().await;
    assert_eq!(stage.client.log_in("never-minted").await, Err(Error::BadCode));
    assert_eq!(stage.client.log_in("").await, Err(Error::BadCode));
    let (young, old) = (stage.sandbox.mint_code(None), stage.sandbox.mint_code(None));
    stage.wait(299);
    assert!(stage.client.log_in(&young.code).await.is_ok());
    stage.wait(1);
    assert_eq!(stage.client.log_in(&old.code).await, Err(Error::BadCode));
}

#[tokio::test]
async fn a_high_risk_user_is_refused_until_he_is_none() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.set_high_risk(&openid, true);
    let code = stage.sandbox.mint_code(Some(&openid)).code;
    assert_eq!(stage.client.log_in(&code).await, Err(Error::HighRiskUser));
    stage.sandbox.set_high_risk(&openid, false);
    let code = stage.sandbox.mint_code(Some(&openid)).code;
    assert!(stage.client.log_in(&code).await.is_ok());
}

#[tokio::test]
async fn a_user_who_logs_in_too_often_waits_a_minute() {
    let stage = Stage::with(|config| config.log_ins_per_minute = 2).await;
    let openid = stage.somebody().await;
    let log_in = || async {
        let code = stage.sandbox.mint_code(Some(&openid)).code;
        stage.client.log_in(&code).await.map(|identity| identity.openid)
    };
    assert_eq!(log_in().await, Ok(openid.clone()));
    assert_eq!(log_in().await, Err(Error::TooOften));
    stage.somebody().await;
    stage.wait(60);
    assert_eq!(log_in().await, Ok(openid.clone()));
}

#[tokio::test]
async fn demo_codes_work_again_and_again() {
    let stage = Stage::with(|config| config.log_ins_per_minute = 2).await;
    for _ in 0..5 {
        stage.wait(10);
        assert_eq!(stage.client.log_in("demo-resident").await.unwrap().openid, "o-demo-resident");
        assert_eq!(stage.client.phone("demo-resident").await.unwrap(), "13800138000");
    }
    assert_eq!(stage.client.phone("demo-leader").await, Err(Error::BadCode));
}

#[tokio::test]
async fn a_phone_code_answers_its_number_once() {
    let stage = Stage::new().await;
    let code = stage.sandbox.mint_phone_code("13912345678");
    assert_eq!(stage.client.phone(&code).await.unwrap(), "13912345678");
    assert_eq!(stage.client.phone(&code).await, Err(Error::BadCode));
    let old = stage.sandbox.mint_phone_code("13912345678");
    stage.wait(300);
    assert_eq!(stage.client.phone(&old).await, Err(Error::BadCode));
}

#[tokio::test]
async fn the_two_kinds_of_codes_do_not_stand_for_each_other() {
    let stage = Stage::new().await;
    let (log_in, phone) = (stage.sandbox.mint_code(None).code, stage.sandbox.mint_phone_code("13912345678"));
    assert_eq!(stage.client.log_in(&phone).await, Err(Error::BadCode));
    assert_eq!(stage.client.phone(&log_in).await, Err(Error::BadCode));
    assert!(stage.client.log_in(&log_in).await.is_ok());
    assert!(stage.client.phone(&phone).await.is_ok());
}

#[tokio::test]
async fn the_answers_look_as_the_documentation_says() {
    let stage = Stage::new().await;
    let code = stage.sandbox.mint_code(None).code;
    let query = format!("appid={APPID}&secret={SECRET}&js_code={code}&grant_type=authorization_code");
    let answer = stage.get(&format!("/sns/jscode2session?{query}")).await;
    assert_eq!(answer["session_key"].as_str().unwrap().len(), 24);
    assert!(answer.get("errcode").is_none());

    let (code, token) = (stage.sandbox.mint_phone_code("13912345678"), stage.token().await);
    let path = format!("/wxa/business/getuserphonenumber?access_token={token}");
    let expected = json!({"errcode": 0, "errmsg": "ok", "phone_info": {
        "phoneNumber": "13912345678",
        "purePhoneNumber": "13912345678",
        "countryCode": "86",
        "watermark": {"timestamp": START, "appid": APPID},
    }});
    assert_eq!(stage.post(&path, &json!({"code": code})).await, expected);
}

#[tokio::test]
async fn a_wrong_account_or_grant_type_is_refused() {
    let stage = Stage::new().await;
    let errcode =
        async |query: &str| stage.get(&format!("/sns/jscode2session?{query}")).await["errcode"].clone();
    assert_eq!(errcode("appid=wx0&secret=x&js_code=c&grant_type=authorization_code").await, 40013);
    let wrong_secret = format!("appid={APPID}&secret=x&js_code=c&grant_type=authorization_code");
    assert_eq!(errcode(&wrong_secret).await, 40125);
    assert_eq!(errcode(&format!("appid={APPID}&secret={SECRET}&js_code=c&grant_type=password")).await, 40002);
    let posted = stage.post("/sns/jscode2session", &json!({})).await;
    assert_eq!(posted["errcode"], 43001);
}
