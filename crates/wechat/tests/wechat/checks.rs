//! Checks of texts and pictures, and the result that is pushed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use xingfuma_wechat::push::{Event, EventKind, PushError, PushGate};
use xingfuma_wechat::sandbox::PushTarget;
use xingfuma_wechat::{CheckScene, Error, Suggest};

use crate::stage::{APPID, START, Stage, any_port};

const TOKEN: &str = "push-token";
const TEXT: &str = "/wxa/msg_sec_check";
const PICTURE: &str = "/wxa/media_check_async";

fn key() -> String {
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".to_owned()
}

#[tokio::test]
async fn marked_words_decide_the_advice() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    stage.sandbox.mark("加微信", Suggest::Review, 10001);
    stage.sandbox.mark("赌", Suggest::Risky, 20006);
    let check = async |text: &str| {
        let verdict = stage.client.check_text(&openid, CheckScene::Forum, text).await.unwrap();
        assert_eq!(verdict.trace_id.len(), 26);
        (verdict.suggest, verdict.label)
    };
    assert_eq!(check("水管漏水").await, (Suggest::Pass, 100));
    assert_eq!(check("加微信").await, (Suggest::Review, 10001));
    assert_eq!(check("加微信来赌").await, (Suggest::Risky, 20006));
}

#[tokio::test]
async fn who_was_not_here_within_two_hours_is_not_checked_for() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    let url = "https://example.org/1.jpg";
    let caller = stage.client.check_text("o-never-here", CheckScene::Comment, "好").await;
    assert_eq!(caller, Err(Error::NotRecentlyHere));
    stage.wait(7200);
    assert!(stage.client.check_text(&openid, CheckScene::Comment, "好").await.is_ok());
    stage.wait(1);
    let late = stage.client.check_text(&openid, CheckScene::Comment, "好").await;
    assert_eq!(late, Err(Error::NotRecentlyHere));
    let late = stage.client.check_picture(&openid, CheckScene::Comment, url).await;
    assert_eq!(late, Err(Error::NotRecentlyHere));
    let code = stage.sandbox.mint_code(Some(&openid)).code;
    stage.client.log_in(&code).await.unwrap();
    assert!(stage.client.check_picture(&openid, CheckScene::Comment, url).await.is_ok());
}

#[tokio::test]
async fn an_empty_or_endless_text_is_refused_before_it_is_sent() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    for text in [String::new(), "字".repeat(2501)] {
        let refused = stage.client.check_text(&openid, CheckScene::Profile, &text).await;
        assert!(matches!(refused, Err(Error::BadField { .. })), "{refused:?}");
    }
    assert_eq!(stage.sandbox.token_requests(), 0);
    assert!(stage.client.check_text(&openid, CheckScene::Profile, &"字".repeat(2500)).await.is_ok());
}

#[tokio::test]
async fn the_sandbox_keeps_the_rules_of_checks() {
    let stage = Stage::new().await;
    let openid = stage.somebody().await;
    let text = |version, scene, content: &str| json!({"content": content, "version": version, "scene": scene, "openid": openid});
    assert_eq!(stage.errcode(TEXT, &text(2, 1, "好")).await, 0);
    assert_eq!(stage.errcode(TEXT, &text(1, 1, "好")).await, 40097);
    assert_eq!(stage.errcode(TEXT, &text(2, 5, "好")).await, 40097);
    assert_eq!(stage.errcode(TEXT, &text(2, 1, &"字".repeat(2501))).await, 45002);
    let picture = |kind, url: &str| json!({"media_url": url, "media_type": kind, "version": 2, "scene": 1, "openid": openid});
    assert_eq!(stage.errcode(PICTURE, &picture(2, "https://example.org/1.jpg")).await, 0);
    assert_eq!(stage.errcode(PICTURE, &picture(1, "https://example.org/1.jpg")).await, 40097);
    assert_eq!(stage.errcode(PICTURE, &picture(2, "file:///1.jpg")).await, 40097);
}

/// What the receiver of pushes was called with.
struct Delivery {
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Delivery {
    fn query(&self, name: &str) -> &str {
        &self.query.iter().find(|(key, _)| key == name).unwrap().1
    }
}

/// A receiver that answers with these statuses in turn and 200 after them; gives its address and the deliveries.
async fn receiver(statuses: &[StatusCode]) -> (String, mpsc::UnboundedReceiver<Delivery>) {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let url = format!("http://{}/api/v1/wechat/push", listener.local_addr().unwrap());
    let (deliveries, received) = mpsc::unbounded_channel();
    let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<VecDeque<_>>()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (deliveries, statuses) = (deliveries.clone(), statuses.clone());
            let take = hyper::service::service_fn(move |request: Request<Incoming>| {
                let (deliveries, statuses) = (deliveries.clone(), statuses.clone());
                async move {
                    let query = request.uri().query().unwrap_or_default().to_owned();
                    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    deliveries.send(Delivery { query, body }).ok();
                    let mut answer = Response::new(Full::new(Bytes::from("success")));
                    *answer.status_mut() = statuses.lock().unwrap().pop_front().unwrap_or(StatusCode::OK);
                    Ok::<_, Infallible>(answer)
                }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(async move {
                hyper::server::conn::http1::Builder::new().serve_connection(io, take).await
            });
        }
    });
    (url, received)
}

async fn next(received: &mut mpsc::UnboundedReceiver<Delivery>) -> Delivery {
    tokio::time::timeout(Duration::from_secs(10), received.recv()).await.expect("a push came").unwrap()
}

fn opened(delivery: &Delivery) -> Event {
    let gate = PushGate::new(TOKEN, &key(), APPID).unwrap();
    let (timestamp, nonce) = (delivery.query("timestamp"), delivery.query("nonce"));
    gate.verify(delivery.query("signature"), timestamp, nonce).unwrap();
    assert_eq!(delivery.query("encrypt_type"), "aes");
    let message = gate.open(delivery.query("msg_signature"), timestamp, nonce, &delivery.body).unwrap();
    Event::parse(&message).unwrap()
}

#[tokio::test]
async fn the_result_of_a_picture_check_is_pushed_in_safe_mode() {
    let (url, mut received) = receiver(&[]).await;
    let target = PushTarget { url, token: TOKEN.into(), encoding_aes_key: key() };
    let stage = Stage::with(|config| config.push = Some(target)).await;
    let openid = stage.somebody().await;
    stage.sandbox.mark("bad.jpg", Suggest::Risky, 20002);
    let check = async |url| stage.client.check_picture(&openid, CheckScene::Forum, url).await.unwrap();

    let trace_id = check("https://example.org/good.jpg").await;
    let event = opened(&next(&mut received).await);
    assert_eq!(event.kind, EventKind::MediaChecked { trace_id, suggest: Suggest::Pass, label: 100 });
    assert_eq!((event.openid.as_str(), event.created_at_seconds), (openid.as_str(), START));

    let trace_id = check("https://example.org/bad.jpg").await;
    let second = opened(&next(&mut received).await);
    assert_eq!(second.kind, EventKind::MediaChecked { trace_id, suggest: Suggest::Risky, label: 20002 });
    assert_ne!(second.delivery_key, event.delivery_key);
}

#[tokio::test]
async fn a_push_that_is_not_taken_comes_again_as_the_same_delivery() {
    let unwell = StatusCode::SERVICE_UNAVAILABLE;
    let (url, mut received) = receiver(&[unwell, unwell]).await;
    let stage = Stage::new().await;
    stage.sandbox.push_to(&PushTarget { url, token: TOKEN.into(), encoding_aes_key: key() }).unwrap();
    let openid = stage.somebody().await;
    stage.client.check_picture(&openid, CheckScene::Forum, "https://example.org/1.jpg").await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(opened(&next(&mut received).await).delivery_key);
    }
    assert!(keys[0] == keys[1] && keys[1] == keys[2], "{keys:?}");
    stage.sandbox.shut_down().await;
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn an_unusable_push_target_is_refused() {
    let stage = Stage::new().await;
    for (url, token, key) in
        [("nowhere", TOKEN, key()), ("http://localhost:1", "", key()), ("http://a", TOKEN, "k".into())]
    {
        let target = PushTarget { url: url.into(), token: token.into(), encoding_aes_key: key };
        assert_eq!(stage.sandbox.push_to(&target), Err(PushError::BadKeys), "{url}");
    }
}
