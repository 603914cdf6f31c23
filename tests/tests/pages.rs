//! What a sign and a badge lead to in a browser.

use std::sync::LazyLock;

use xingfuma_tests::{
    client::{Answer, Client},
    program::Demo,
};

static DEMO: LazyLock<Demo> = LazyLock::new(Demo::start);

fn page(path: &str) -> Answer {
    Client::anonymous(DEMO.base()).get_outside(path).expect("an answer")
}

/// A page is whole in one answer: it may load, send and frame nothing, and holds no script and no field.
#[track_caller]
fn is_harmless(page: &Answer) {
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let text = page.text();
    for word in ["<script", "<input", "<form", "<img", "src=", "http:", "https:"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_sign_shows_its_grid_and_the_hotline() {
    let sign = DEMO.accounts().sign();
    let told = Client::anonymous(DEMO.base()).get(&format!("/signs/{sign}")).expect(200);
    let (grid, hotline) = (told["grid"]["name"].as_str().unwrap(), told["hotline"].as_str().unwrap());
    for code in [sign.to_owned(), sign.to_lowercase()] {
        let page = page(&format!("/q/{code}"));
        assert_eq!(page.status, 200);
        is_harmless(&page);
        let text = page.text();
        assert!(text.contains(&format!("<h1>{grid}</h1>")), "{text}");
        assert!(text.contains(&format!("href=\"tel:{hotline}\"")), "{text}");
        for category in told["categories"].as_array().unwrap() {
            assert!(text.contains(category["name"].as_str().unwrap()), "{category} in {text}");
        }
    }
}

#[test]
fn a_foreign_code_warns() {
    for code in ["XXXXXXXX", "%3Cscript%3E", "%00", "%F0%9F%92%A9"] {
        let page = page(&format!("/q/{code}"));
        assert_eq!(page.status, 404, "{code}");
        is_harmless(&page);
        assert!(page.text().contains("不要付款"), "{}", page.text());
    }
}

#[test]
fn a_badge_says_whether_its_bearer_is_a_volunteer() {
    let volunteers = DEMO.accounts().all("volunteer");
    let badge = |number: usize| {
        let me = Client::log_in(DEMO.base(), volunteers[number]).get("/me").expect(200);
        me["badge"].as_str().expect("a badge").to_owned()
    };
    let (good, lost) = (badge(0), badge(1));
    let page_of_good = page(&format!("/b/{good}"));
    assert_eq!(page_of_good.status, 200);
    is_harmless(&page_of_good);
    assert!(page_of_good.text().contains("在册志愿者"), "{}", page_of_good.text());
    let name = &volunteers[0].name;
    assert!(!page_of_good.text().contains(name.as_str()), "only the surname is shown");

    let _ = DEMO.sql(&format!("UPDATE badge SET status = 'lost' WHERE number = '{lost}'"));
    let page_of_lost = page(&format!("/b/{lost}"));
    assert_eq!(page_of_lost.status, 200);
    assert!(page_of_lost.text().contains("已挂失"), "{}", page_of_lost.text());
    assert!(!page_of_lost.text().contains("在册志愿者"));

    let nobody = page("/b/000000");
    assert_eq!(nobody.status, 404);
    assert!(nobody.text().contains("没有这张服务证"), "{}", nobody.text());
}

#[test]
fn the_contract_is_found_with_and_without_the_stroke_behind_it() {
    let led = page("/docs");
    assert_eq!((led.status, led.header("location")), (307, Some("/docs/")));
    let contract = page("/docs/");
    assert_eq!(contract.status, 200);
    assert!(contract.text().contains("swagger-ui"), "{}", contract.text());
}
