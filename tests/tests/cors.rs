//! Pages of other origins: none by default, and exactly those that are named.

use xingfuma_tests::{
    client::{Answer, Client},
    program::{Demo, Fleet},
};

const DESK: &str = "https://desk.example.gov.cn";

fn ask(base: &str, method: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    Client::anonymous(base).send(method, "/showcase", &headers, b"").expect("an answer")
}

#[test]
fn nobody_is_allowed_by_default() {
    let demo = Demo::start();
    for method in ["GET", "OPTIONS"] {
        let answer = ask(demo.base(), method, DESK);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(answer.status != 204, "{}", answer.status);
    }
}

#[test]
fn the_named_origins_are_allowed_and_no_other() {
    let fleet = Fleet::start_with(1, 0, &[("XINGFUMA_CORS__ORIGINS", "[\"https://desk.example.gov.cn\"]")]);
    let base = &fleet.bases()[0];
    let before = ask(base, "OPTIONS", DESK);
    assert_eq!(before.status, 204);
    assert_eq!(before.header("access-control-allow-origin"), Some(DESK));
    assert!(before.header("access-control-allow-headers").is_some_and(|all| all.contains("idempotency-key")));
    assert_eq!(before.header("access-control-allow-credentials"), None);
    let answer = ask(base, "GET", DESK);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(DESK)));
    assert!(answer.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin")));
    for other in [
        "https://evil.example",
        "https://desk.example.gov.cn.evil.example",
        "null",
        "http://desk.example.gov.cn",
    ] {
        assert_eq!(ask(base, "GET", other).header("access-control-allow-origin"), None, "{other}");
        let before = ask(base, "OPTIONS", other);
        assert_eq!(before.header("access-control-allow-origin"), None, "{other}");
        assert!(before.status >= 400, "{other}: {}", before.status);
    }
    let refused = fleet.run(&["serve"], &[("XINGFUMA_CORS__ORIGINS".to_owned(), "[\"*\"]".to_owned())]);
    assert!(!refused.success && refused.complained.contains("is no origin"), "{refused:?}");
}
