//! Tokens that are none, over HTTP: each is told to log in, in the same words, and nothing breaks.

use serde_json::{Value, json};
use xingfuma_app::{clock::Ids, keys::KeyTexts};
use xingfuma_tests::{
    client::{Client, LogIn},
    program::Fleet,
};

#[test]
fn what_is_no_access_token_is_refused_in_the_same_words() {
    let fleet = Fleet::start(1, 0);
    let base = &fleet.bases()[0];
    let account = fleet.accounts().one("resident");
    let LogIn::WeChat { code } = &account.log_in else { panic!("residents come from WeChat") };
    let anonymous = Client::anonymous(base);
    let session = anonymous.post_with("/auth/wechat", &[], &json!({ "code": code })).expect(200);
    let text = |name: &str| session[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (text("accessToken"), text("refreshToken"));
    let good = anonymous.with_token(&access);
    good.get("/me").expect(200);

    let refused = |token: &str| -> Value {
        let answer = anonymous.with_token(token).get("/me");
        assert_eq!(answer.problem(401), "unauthenticated", "{token}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let mut problem = answer.json();
        problem["requestId"] = Value::Null;
        problem
    };
    let words = refused("nonsense");
    assert_eq!(refused(&refresh), words, "a refresh token opens nothing");
    let parts: Vec<&str> = access.split('.').collect();
    assert_eq!(refused(&format!("{}.{}.", parts[0], parts[1])), words, "no signature");
    assert_eq!(refused(&access[..access.len() - 2]), words, "a shorter signature");
    let as_refresh = anonymous.post_with("/auth/refresh", &[], &json!({ "refreshToken": access }));
    assert_eq!(as_refresh.problem(401), "unauthenticated", "an access token refreshes nothing");

    let other = KeyTexts::generate(&Ids::from_system()).token;
    let rekeyed = fleet.start_server("rekeyed", &[("XINGFUMA_KEYS__TOKEN".to_owned(), other)]);
    let there = good.at(rekeyed.base()).get("/me");
    assert_eq!(there.problem(401), "unauthenticated", "signed under the key before");
    let afresh = Client::log_in(rekeyed.base(), account);
    afresh.get("/me").expect(200);
    assert_eq!(
        afresh.at(base).get("/me").problem(401),
        "unauthenticated",
        "signed under a key that is not ours"
    );

    good.get("/me").expect(200);
    assert_eq!(good.post("/auth/logout", &json!({})).status, 204);
    assert_eq!(refused(&access), words, "the session was ended");
    let over = anonymous.post_with("/auth/refresh", &[], &json!({ "refreshToken": refresh }));
    assert_eq!(over.problem(401), "unauthenticated");
}
