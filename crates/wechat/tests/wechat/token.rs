//! The access token: fetched once, shared, replaced when WeChat says so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use xingfuma_wechat::{AccessToken, Client, ClientConfig, Error, MemoryTokens, TokenStore};

use crate::stage::{SECRET, Stage, client_config};

/// A call that needs a token and changes nothing.
async fn call(client: &Client) -> Result<(), Error> {
    match client.phone("never-minted").await {
        Err(Error::BadCode) => Ok(()),
        other => other.map(|_| ()),
    }
}

#[tokio::test]
async fn callers_at_once_share_one_fetch() {
    let stage = Stage::new().await;
    let client = Arc::new(Client::in_memory(client_config(&stage.sandbox.base_url())).unwrap());
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    assert!(calls.join_all().await.into_iter().all(|called| called == Ok(())));
    assert_eq!(stage.sandbox.token_requests(), 1);
}

#[tokio::test]
async fn clients_with_one_store_share_one_token() {
    let stage = Stage::new().await;
    let store = Arc::new(MemoryTokens::default());
    for _ in 0..3 {
        let client = Client::new(client_config(&stage.sandbox.base_url()), store.clone()).unwrap();
        call(&client).await.unwrap();
    }
    assert_eq!(stage.sandbox.token_requests(), 1);
    assert!(store.get().await.unwrap().expose().len() >= 512);
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_the_call_repeated() {
    let stage = Stage::new().await;
    call(&stage.client).await.unwrap();
    stage.wait(7200);
    call(&stage.client).await.unwrap();
    assert_eq!(stage.sandbox.token_requests(), 2);
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all_callers() {
    let stage = Stage::new().await;
    call(&stage.client).await.unwrap();
    stage.sandbox.revoke_tokens();
    let (one, two, three) = tokio::join!(call(&stage.client), call(&stage.client), call(&stage.client));
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
    assert_eq!(stage.sandbox.token_requests(), 2);
}

#[tokio::test]
async fn a_malformed_token_in_the_store_is_replaced() {
    let stage = Stage::new().await;
    let store = Arc::new(MemoryTokens::default());
    store.put(&AccessToken::new("half a token"), Duration::from_secs(3600)).await;
    let client = Client::new(client_config(&stage.sandbox.base_url()), store).unwrap();
    call(&client).await.unwrap();
    assert_eq!(stage.sandbox.token_requests(), 1);
}

#[tokio::test]
async fn a_token_that_stays_dead_is_fetched_once_and_no_more() {
    let stage = Stage::with(|config| config.token_life_seconds = 0).await;
    let refused = call(&stage.client).await;
    assert!(matches!(refused, Err(Error::Api { errcode: 42001, .. })), "{refused:?}");
    assert_eq!(stage.sandbox.token_requests(), 2);
}

#[tokio::test]
async fn near_its_end_a_new_token_is_given_and_the_old_one_works_on() {
    let stage = Stage::new().await;
    let old = stage.token().await;
    assert_eq!(stage.token().await, old);
    stage.wait(6901);
    let new = stage.token().await;
    assert_ne!(new, old);
    let errcode = async |token: &str| {
        let path = format!("/wxa/business/getuserphonenumber?access_token={token}");
        stage.post(&path, &json!({"code": "c"})).await["errcode"].clone()
    };
    assert_eq!((errcode(&old).await, errcode(&new).await), (json!(40029), json!(40029)));
    stage.wait(299);
    assert_eq!((errcode(&old).await, errcode(&new).await), (json!(42001), json!(40029)));
    assert_eq!((errcode("").await, errcode("short").await), (json!(41001), json!(40014)));
    assert_eq!(errcode(&"x".repeat(600)).await, json!(40001));
}

#[tokio::test]
async fn an_address_off_the_list_is_told() {
    let stage = Stage::new().await;
    stage.sandbox.allow_address(false);
    assert_eq!(call(&stage.client).await, Err(Error::AddressNotAllowed));
    stage.sandbox.allow_address(true);
    call(&stage.client).await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_repeated_to_anybody() {
    let stage = Stage::new().await;
    let wrong = "fedcba9876543210fedcba9876543210".to_owned();
    let config = ClientConfig { secret: wrong.clone(), ..client_config(&stage.sandbox.base_url()) };
    let refused = call(&Client::in_memory(config).unwrap()).await.unwrap_err();
    assert!(matches!(refused, Error::Api { errcode: 40125, .. }), "{refused:?}");
    let shown = format!("{refused} {refused:?}");
    assert!(!shown.contains(&wrong) && !shown.contains(SECRET), "{shown}");
}
