//! Messages: consents, fields, one at a time.

use std::time::Duration;

use serde_json::json;
use xingfuma_wechat::sandbox::SentMessage;
use xingfuma_wechat::{Client, ClientConfig, Edition, Error, Fields};

use crate::stage::{LONG_TERM, ONCE, START, Stage, client_config, fields};

const PATH: &str = "/cgi-bin/message/subscribe/send";

#[tokio::test]
async fn one_consent_is_one_message() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    let words = fields(&[("thing1", "水管漏水"), ("date2", "2026年11月21日 15:01")]);
    let page = Some("pages/order/index?id=1");
    let send = || stage.client.send_message(&openid, ONCE, page, &words);
    assert_eq!(send().await, Err(Error::NoConsent));
    stage.sandbox.grant_consent(&openid, ONCE, 2);
    assert_eq!(send().await, Ok(Some(1)));
    assert_eq!(send().await, Ok(Some(2)));
    assert_eq!(send().await, Err(Error::NoConsent));
    let sent = stage.sandbox.messages();
    let expected = SentMessage {
        openid: openid.clone(),
        template_id: ONCE.into(),
        page: page.map(str::to_owned),
        data: words.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        miniprogram_state: "formal".into(),
        sent_at: START,
        message_id: 1,
    };
    assert_eq!(sent.len(), 2);
    assert!(sent[0] == expected);
}

#[tokio::test]
async fn consents_belong_to_a_user_and_a_template() {
    let stage = Stage::new().await;
    let (agreed, other) = (stage.somebody().await, stage.somebody().await);
    stage.sandbox.grant_consent(&agreed, ONCE, 1);
    let words = fields(&[("thing1", "好")]);
    assert_eq!(stage.client.send_message(&other, ONCE, None, &words).await, Err(Error::NoConsent));
    assert_eq!(stage.client.send_message(&agreed, LONG_TERM, None, &words).await, Err(Error::NoConsent));
    stage.sandbox.withdraw_consent(&agreed, ONCE);
    assert_eq!(stage.client.send_message(&agreed, ONCE, None, &words).await, Err(Error::NoConsent));
}

#[tokio::test]
async fn a_long_term_consent_is_never_used_up() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, LONG_TERM, 1);
    for id in 1..=5 {
        let sent =
            stage.client.send_message(&openid, LONG_TERM, None, &fields(&[("phrase1", "已派单")])).await;
        assert_eq!(sent, Ok(Some(id)));
    }
    assert_eq!(stage.sandbox.consents_left(&openid, LONG_TERM), 1);
}

#[tokio::test]
async fn a_bad_field_is_named_and_costs_no_consent() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, ONCE, 1);
    let missing = stage.client.send_message(&openid, ONCE, None, &Fields::new()).await.unwrap_err();
    let Error::BadField { detail } = missing else { panic!("{missing:?}") };
    assert!(detail.contains("data.thing1.value is empty"), "{detail}");

    let long = "字".repeat(21);
    for (key, value, named) in [
        ("thing1", "", "data.thing1.value is empty"),
        ("thing1", long.as_str(), "data.thing1.value is too long"),
        ("thing1", "一\n二", "data.thing1.value is invalid"),
        ("character_string2", "单号", "data.character_string2.value is invalid"),
        ("colour3", "红", "data.colour3.value is not of a known kind"),
    ] {
        let mut data = json!({"thing1": {"value": "好"}});
        data[key] = json!({"value": value});
        let body = json!({"touser": openid, "template_id": ONCE, "data": data});
        let answer = stage.post(&format!("{PATH}?access_token={}", stage.token().await), &body).await;
        assert_eq!(answer["errcode"], 47003, "{key} {value}");
        assert!(answer["errmsg"].as_str().unwrap().contains(named), "{answer}");
    }
    assert_eq!(stage.sandbox.consents_left(&openid, ONCE), 1);
}

#[tokio::test]
async fn unknown_templates_pages_and_nobody_are_refused() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, ONCE, 1);
    let words = fields(&[("thing1", "好")]);
    assert_eq!(stage.client.send_message(&openid, "none", None, &words).await, Err(Error::BadTemplate));
    let page = Some("pages/none/index");
    assert_eq!(stage.client.send_message(&openid, ONCE, page, &words).await, Err(Error::BadPage));
    let nobody = stage.client.send_message("", ONCE, None, &words).await;
    assert!(matches!(nobody, Err(Error::Api { errcode: 40003, .. })), "{nobody:?}");
}

#[tokio::test]
async fn two_processes_that_send_to_one_user_at_once_collide() {
    let stage = Stage::with(|config| config.send_takes = Duration::from_secs(1)).await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, ONCE, 3);
    let other = Client::in_memory(client_config(&stage.sandbox.base_url())).unwrap();
    let words = fields(&[("thing1", "好")]);
    let (one, two) = tokio::join!(
        stage.client.send_message(&openid, ONCE, None, &words),
        other.send_message(&openid, ONCE, None, &words),
    );
    let (sent, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!((sent, refused), (Ok(Some(1)), Err(Error::Concurrent)));
    assert_eq!(stage.sandbox.consents_left(&openid, ONCE), 2);
    assert_eq!(stage.client.send_message(&openid, ONCE, None, &words).await, Ok(Some(2)));
}

#[tokio::test]
async fn one_client_sends_to_one_user_in_turn() {
    let stage = Stage::with(|config| config.send_takes = Duration::from_millis(100)).await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, ONCE, 3);
    let words = fields(&[("thing1", "好")]);
    let send = || stage.client.send_message(&openid, ONCE, None, &words);
    let (one, two, three) = tokio::join!(send(), send(), send());
    assert!(one.is_ok() && two.is_ok() && three.is_ok(), "{one:?} {two:?} {three:?}");
    assert_eq!(stage.sandbox.messages().len(), 3);
}

#[tokio::test]
async fn a_sender_that_goes_away_gives_the_turn_back() {
    let stage = Stage::with(|config| config.send_takes = Duration::from_millis(300)).await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, ONCE, 1);
    let timeout = Duration::from_millis(200);
    let config = ClientConfig { timeout, ..client_config(&stage.sandbox.base_url()) };
    let hasty = Client::in_memory(config).unwrap();
    let words = fields(&[("thing1", "好")]);
    assert!(matches!(hasty.send_message(&openid, ONCE, None, &words).await, Err(Error::Transport(_))));
    // The server notices the closed connection a little later.
    let patient = async {
        while stage.client.send_message(&openid, ONCE, None, &words).await == Err(Error::Concurrent) {}
    };
    tokio::time::timeout(Duration::from_secs(5), patient).await.expect("the turn was given back");
}

#[tokio::test]
async fn each_edition_says_its_name() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.grant_consent(&openid, LONG_TERM, 1);
    for edition in [Edition::Release, Edition::Trial, Edition::Develop] {
        let config = ClientConfig { edition, ..client_config(&stage.sandbox.base_url()) };
        let client = Client::in_memory(config).unwrap();
        client.send_message(&openid, LONG_TERM, None, &fields(&[("number1", "1")])).await.unwrap();
    }
    let states: Vec<String> =
        stage.sandbox.messages().into_iter().map(|sent| sent.miniprogram_state).collect();
    assert_eq!(states, ["formal", "trial", "developer"]);
}
