//! 爱心超市 over HTTP, on both sizes: donate, reserve, fetch with a one-time code, call off; what is refused and how;
//! many at once; and a month that adds up, with a ledger behind it that is in order.

use std::thread::scope;

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

/// Seconds of a day.
const DAY: i64 = 86_400;

struct People {
    first: Client,
    second: Client,
    keeper: Client,
    village: Client,
    township: Client,
    foreign: Client,
    admin: Client,
    auditor: Client,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> People {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        let volunteers = accounts.all("volunteer");
        People {
            first: at(volunteers[0], 0),
            second: at(volunteers[1], 1),
            keeper: at(volunteers[2], 1),
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            admin: at(accounts.one("county_admin"), 0),
            auditor: at(accounts.one("auditor"), 1),
        }
    }
}

/// A shop with goods.
struct Shop {
    id: String,
    rice: String,
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn id_of(person: &Client) -> String {
    text(&person.get("/me").expect(200), "id")
}

fn put(by: &Client, path: &str, body: &Value) -> xingfuma_tests::client::Answer {
    by.send("PUT", path, &[], body.to_string().as_bytes()).expect("an answer")
}

/// So many seconds ago by the server's clock.
fn ago(person: &Client, seconds: i64) -> String {
    let probe = person.get("/me");
    let date = probe.header("date").expect("every answer has a date");
    let now = chrono::DateTime::parse_from_rfc2822(date).expect("a date");
    (now - chrono::TimeDelta::seconds(seconds)).to_rfc3339()
}

/// Points for somebody, as two people give them: 20 to 50 at once.
fn earn(people: &People, person: &Client, points: i64) {
    let claim = json!({ "ruleCode": "B06", "happenedAt": ago(person, DAY), "evidence": "救起落水儿童" });
    let claim = text(&person.post("/score/claims", &claim).expect(201), "id");
    let grant = json!({ "grant": true, "points": points, "reason": "属实" });
    people.township.post(&format!("/score/claims/{claim}/decide"), &grant).expect(200);
}

/// Assessment, spendable, reserved.
fn balances(person: &Client) -> (i64, i64, i64) {
    let book = person.get("/me/passbook").expect(200);
    let of = |member: &str| book[member].as_i64().expect("points");
    (of("assessment"), of("spendable"), of("reserved"))
}

fn stock(person: &Client, goods: &str) -> i64 {
    let all = person.get("/shop/goods?limit=100").expect(200);
    let found = all["items"].as_array().expect("items").iter().find(|item| item["id"] == goods);
    found.expect("the goods")["stock"].as_i64().expect("a number")
}

fn wanted(goods: &str, quantity: i64) -> Value {
    json!({ "goodsId": goods, "quantity": quantity })
}

fn hand_over(by: &Client, code: &str) -> xingfuma_tests::client::Answer {
    by.post("/shop/redemptions/hand-over", &json!({ "code": code }))
}

/// Checks the one field that is wrong.
#[track_caller]
fn field(answer: &xingfuma_tests::client::Answer, field: &str, code: &str) {
    assert_eq!(answer.problem(422), "invalid_fields", "{}", answer.text());
    assert_eq!(answer.json()["errors"], json!([{ "field": field, "code": code }]));
}

#[test]
fn the_shop_alone() {
    let demo = Demo::start();
    let people = People::log_in(&[demo.base().to_owned()], demo.accounts());
    let expire = |id: &str| {
        let id = id.replace('-', "");
        let _ = demo.sql(&format!(
            "UPDATE shop_redemption SET expires_at = '2026-01-01T00:00:00+00:00' WHERE id = X'{id}'"
        ));
    };
    story(&people, demo.accounts(), expire);
    let told = demo.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
}

#[test]
fn the_shop_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let people = People::log_in(&fleet.bases(), fleet.accounts());
    let expire = |id: &str| {
        let _ =
            fleet.sql(&format!("UPDATE shop_redemption SET expires_at = '2026-01-01Z' WHERE id = '{id}'"));
    };
    story(&people, fleet.accounts(), expire);
    // Writes the day's root outside the database, if the servers have taken it already.
    let told = fleet.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = fleet.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
}

fn story(people: &People, accounts: &Accounts, expire: impl Fn(&str)) {
    let shop = opened(people, accounts);
    goods_and_donations(people, &shop);
    bought(people, &shop);
    refused(people, accounts, &shop, &expire);
    one_balance_at_once(people, &shop);
    one_code_at_once(people, &shop);
    the_last_pieces(people, &shop);
    adds_up(people, &shop);
}

fn opened(people: &People, accounts: &Accounts) -> Shop {
    let village = &accounts.grid()[..12];
    let open = json!({ "areaCode": village, "name": "大寨爱心超市" });
    for stranger in [&people.first, &people.foreign, &people.auditor] {
        assert_eq!(stranger.post("/shop/shops", &open).problem(403), "forbidden");
    }
    let id = text(&people.village.post("/shop/shops", &open).expect(201), "id");
    assert_eq!(people.township.post("/shop/shops", &open).problem(409), "shop_exists");
    let micro_grid = json!({ "areaCode": format!("{}001", accounts.grid()), "name": "太小" });
    field(&people.village.post("/shop/shops", &micro_grid), "areaCode", "unknown");
    let offer = json!({ "shopId": id, "name": "大米 5kg", "price": 3 });
    // Who opens a shop does not keep it, and nobody keeps it until somebody is named.
    for stranger in [&people.village, &people.keeper, &people.admin] {
        assert_eq!(stranger.post("/shop/goods", &offer).problem(403), "forbidden");
    }
    let path = format!("/shop/shops/{id}/keepers");
    let keepers = json!({ "personIds": [id_of(&people.keeper)] });
    assert_eq!(put(&people.foreign, &path, &keepers).problem(403), "forbidden");
    field(&put(&people.village, &path, &json!({ "personIds": [uuid::Uuid::nil()] })), "personIds", "unknown");
    put(&people.village, &path, &keepers).expect(200);
    let rice = text(&people.keeper.post("/shop/goods", &offer).expect(201), "id");
    // Dismissed at once, and back.
    put(&people.village, &path, &json!({ "personIds": [] })).expect(200);
    assert_eq!(people.keeper.post("/shop/goods", &offer).problem(403), "forbidden");
    put(&people.village, &path, &keepers).expect(200);
    Shop { id, rice }
}

fn goods_and_donations(people: &People, shop: &Shop) {
    let keeper = &people.keeper;
    let offer = |price: Value| {
        keeper.post("/shop/goods", &json!({ "shopId": shop.id, "name": "食用油", "price": price }))
    };
    for price in [0, -1, 1_000_001, i64::MAX, i64::MIN] {
        field(&offer(json!(price)), "price", "out_of_range");
    }
    for price in [json!(9_223_372_036_854_775_808_u64), json!(1.5), json!("3")] {
        assert_eq!(offer(price).problem(400), "malformed_json");
    }
    let donate = |quantity: i64, donor: &str, person: bool| {
        let body =
            json!({ "goodsId": shop.rice, "quantity": quantity, "donor": donor, "donorIsPerson": person });
        keeper.post("/shop/donations", &body)
    };
    for quantity in [0, -5, 1_000_001, i64::MAX, i64::MIN] {
        field(&donate(quantity, "村委会", false), "quantity", "out_of_range");
    }
    assert_eq!(donate(40, "县供销社", false).expect(201)["stock"], 40);
    assert_eq!(donate(10, "王秀英", true).expect(201)["stock"], 50);
    assert_eq!(donate(1_000_000, "县供销社", false).problem(409), "stock_out_of_range");
    let given = json!({ "goodsId": shop.rice, "quantity": 1, "donor": "某某", "donorIsPerson": true });
    assert_eq!(people.village.post("/shop/donations", &given).problem(403), "forbidden");
    let cash =
        json!({ "goodsId": shop.rice, "quantity": 1, "donor": "某某", "donorIsPerson": true, "yuan": 5 });
    assert_eq!(keeper.post("/shop/donations", &cash).problem(400), "malformed_json");
    let donors = |reader: &Client| -> Vec<String> {
        let book = reader.get(&format!("/shop/donations?shopId={}", shop.id)).expect(200);
        book["items"].as_array().expect("items").iter().map(|line| text(line, "donor")).collect()
    };
    assert_eq!(donors(&people.second), ["王**", "县**"], "whoever reads the book in the shop");
    for reader in [keeper, &people.village] {
        assert_eq!(donors(reader), ["王秀英", "县供销社"], "whoever keeps it, or watches over it");
    }
    let count = format!("/shop/goods/{}/count", shop.rice);
    let counted = |change: i64| keeper.post(&count, &json!({ "change": change, "reason": "盘点" }));
    assert_eq!(counted(-51).problem(409), "stock_out_of_range");
    assert_eq!(counted(-1).expect(200)["stock"], 49);
    assert_eq!(counted(1).expect(200)["stock"], 50);
    for change in [0, i64::MIN, i64::MAX] {
        field(&counted(change), "change", "out_of_range");
    }
    let offered = json!({ "name": "大米 5kg", "price": 4, "active": true });
    let path = format!("/shop/goods/{}", shop.rice);
    assert_eq!(put(keeper, &path, &offered).expect(200)["price"], 4);
    assert_eq!(put(&people.first, &path, &offered).problem(403), "forbidden");
}

fn bought(people: &People, shop: &Shop) {
    let first = &people.first;
    earn(people, first, 50);
    let before = balances(first);
    let key = fresh_key();
    let buy = || first.post_with("/shop/redemptions", &[(IDEMPOTENCY_KEY, &key)], &wanted(&shop.rice, 2));
    let reserved = buy().expect(201);
    let again = buy();
    assert_eq!((again.expect(201), again.header("idempotent-replayed")), (reserved.clone(), Some("true")));
    assert_eq!((&reserved["points"], &reserved["status"]), (&json!(8), &json!("reserved")));
    assert_eq!(
        balances(first),
        (before.0, before.1 - 8, before.2 + 8),
        "assessment does not fall by spending"
    );
    assert_eq!(stock(first, &shop.rice), 48);
    // A new price does not touch what is reserved.
    put(
        &people.keeper,
        &format!("/shop/goods/{}", shop.rice),
        &json!({ "name": "大米 5kg", "price": 3, "active": true }),
    )
    .expect(200);
    let path = format!("/shop/redemptions/{}", text(&reserved, "id"));
    let code = text(&reserved, "code");
    assert_eq!(first.get(&path).expect(200)["code"], code.as_str(), "its owner can be shown it again");
    for reader in [&people.keeper, &people.village, &people.admin, &people.auditor] {
        assert!(reader.get(&path).expect(200).get("code").is_none(), "the code is the person's");
    }
    for stranger in [&people.second, &people.foreign] {
        assert_eq!(stranger.get(&path).problem(404), "not_found");
    }
    assert_eq!(hand_over(&people.village, &code).problem(403), "forbidden");
    let typed = format!("{}-{}", &code[..4].to_lowercase(), &code[4..]);
    let done = hand_over(&people.keeper, &typed).expect(200);
    assert_eq!((&done["status"], done.get("code")), (&json!("handed_over"), None));
    assert_eq!(balances(first), (before.0, before.1 - 8, before.2));
    assert_eq!(hand_over(&people.keeper, &code).problem(409), "code_used");
    // The passbook shows it, and why it is this number; it is not reversed behind the shop's back.
    let book = first.get("/me/passbook").expect(200);
    let line = &book["entries"][0];
    assert_eq!(
        (&line["cause"], &line["points"], &line["spendable"]),
        (&json!("spend"), &json!(0), &json!(-8))
    );
    let entry = text(line, "id");
    let why = first.get(&format!("/score/entries/{entry}/why")).expect(200);
    assert_eq!(
        (&why["recomputed"], &why["agrees"], why.get("rule")),
        (&json!(-8), &json!(true), None),
        "{why}"
    );
    let reverse = people.admin.post(&format!("/score/entries/{entry}/reverse"), &json!({ "reason": "误" }));
    assert_eq!(reverse.problem(409), "not_reversible");
    let appeal = first.post("/score/appeals", &json!({ "entryId": entry, "reason": "误" }));
    assert_eq!(appeal.problem(409), "not_appealable");
    // Called off, points and goods are there again, once.
    let reserved = first.post("/shop/redemptions", &wanted(&shop.rice, 1)).expect(201);
    let void = format!("/shop/redemptions/{}/void", text(&reserved, "id"));
    let reason = json!({ "reason": "不要了" });
    assert_eq!(people.village.post(&void, &reason).problem(403), "forbidden");
    assert_eq!(people.second.post(&void, &reason).problem(404), "not_found");
    assert_eq!(first.post(&void, &reason).expect(200)["status"], "voided");
    assert_eq!(first.post(&void, &reason).problem(409), "redemption_ended");
    assert_eq!(hand_over(&people.keeper, &text(&reserved, "code")).problem(409), "code_voided");
    assert_eq!((balances(first), stock(first, &shop.rice)), ((before.0, before.1 - 8, before.2), 48));
}

fn refused(people: &People, accounts: &Accounts, shop: &Shop, expire: &impl Fn(&str)) {
    let (first, second) = (&people.first, &people.second);
    field(&hand_over(&people.keeper, "不是码"), "code", "code_invalid");
    field(&hand_over(&people.keeper, "00000000"), "code", "code_unknown");
    for quantity in [0, -1, 101, i64::MAX, i64::MIN] {
        field(&first.post("/shop/redemptions", &wanted(&shop.rice, quantity)), "quantity", "out_of_range");
    }
    let nothing = uuid::Uuid::nil().to_string();
    field(&first.post("/shop/redemptions", &wanted(&nothing, 1)), "goodsId", "unknown");
    assert_eq!(second.post("/shop/redemptions", &wanted(&shop.rice, 1)).problem(409), "insufficient_points");
    assert_eq!(first.post("/shop/redemptions", &wanted(&shop.rice, 100)).problem(409), "out_of_stock");
    // Out of time: refused by the clock before the sweep has come, and given back by the sweep.
    let reserved = first.post("/shop/redemptions", &wanted(&shop.rice, 1)).expect(201);
    let (id, code) = (text(&reserved, "id"), text(&reserved, "code"));
    let before = balances(first);
    expire(&id);
    assert_eq!(hand_over(&people.keeper, &code).problem(409), "code_expired");
    let begun = std::time::Instant::now();
    while first.get(&format!("/shop/redemptions/{id}")).expect(200)["status"] != "expired" {
        assert!(begun.elapsed().as_secs() < 60, "the sweep gives it back");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(hand_over(&people.keeper, &code).problem(409), "code_expired");
    assert_eq!(balances(first), (before.0, before.1 + 3, before.2 - 3));
    // The keeper of another shop, and the keeper himself.
    let township = &accounts.grid()[..9];
    let other = json!({ "areaCode": foreign_area(&people.foreign), "name": "别处" });
    let other = text(&people.foreign.post("/shop/shops", &other).expect(201), "id");
    let keepers = json!({ "personIds": [id_of(&people.second)] });
    put(&people.foreign, &format!("/shop/shops/{other}/keepers"), &keepers).expect(200);
    assert!(!foreign_area(&people.foreign).starts_with(township));
    let reserved = first.post("/shop/redemptions", &wanted(&shop.rice, 1)).expect(201);
    assert_eq!(hand_over(second, &text(&reserved, "code")).problem(409), "code_foreign");
    hand_over(&people.keeper, &text(&reserved, "code")).expect(200);
    earn(people, &people.keeper, 20);
    let own = people.keeper.post("/shop/redemptions", &wanted(&shop.rice, 1)).expect(201);
    assert_eq!(hand_over(&people.keeper, &text(&own, "code")).problem(403), "own_decision");
    people
        .keeper
        .post(&format!("/shop/redemptions/{}/void", text(&own, "id")), &json!({ "reason": "退" }))
        .expect(200);
    // Off the shelf.
    let off = |active: bool| json!({ "name": "大米 5kg", "price": 3, "active": active });
    let path = format!("/shop/goods/{}", shop.rice);
    put(&people.keeper, &path, &off(false)).expect(200);
    field(&first.post("/shop/redemptions", &wanted(&shop.rice, 1)), "goodsId", "unknown");
    put(&people.keeper, &path, &off(true)).expect(200);
}

fn foreign_area(foreign: &Client) -> String {
    text(&foreign.get("/me").expect(200)["roles"][0], "areaCode")
}

/// 32 clients spend one balance: as many succeed as it covers.
fn one_balance_at_once(people: &People, shop: &Shop) {
    let person = &people.second;
    earn(people, person, 20);
    let before = balances(person);
    let statuses: Vec<u16> = scope(|threads| {
        let all: Vec<_> = (0..32)
            .map(|_| threads.spawn(|| person.post("/shop/redemptions", &wanted(&shop.rice, 1)).status))
            .collect();
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let succeeded = i64::try_from(statuses.iter().filter(|status| **status == 201).count()).expect("a count");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    assert_eq!(succeeded, before.1 / 3, "{statuses:?}");
    assert_eq!(balances(person), (before.0, before.1 - 3 * succeeded, before.2 + 3 * succeeded));
    assert!(balances(person).1 >= 0);
}

/// A code shown at several desks at once, while its owner calls it off: one thing happens to it.
fn one_code_at_once(people: &People, shop: &Shop) {
    for _ in 0..5 {
        let before = (balances(&people.first), stock(&people.first, &shop.rice));
        let reserved = people.first.post("/shop/redemptions", &wanted(&shop.rice, 1)).expect(201);
        let (id, code) = (text(&reserved, "id"), text(&reserved, "code"));
        let void = format!("/shop/redemptions/{id}/void");
        let statuses: Vec<u16> = scope(|threads| {
            let desks = (0..4).map(|_| threads.spawn(|| hand_over(&people.keeper, &code).status));
            let mut all: Vec<_> = desks.collect();
            all.push(threads.spawn(|| people.first.post(&void, &json!({ "reason": "不要了" })).status));
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        let handed =
            people.first.get(&format!("/shop/redemptions/{id}")).expect(200)["status"] == "handed_over";
        let paid = if handed { 3 } else { 0 };
        let ((assessment, spendable, waiting), pieces) = before;
        let after = (balances(&people.first), stock(&people.first, &shop.rice));
        assert_eq!(after, ((assessment, spendable - paid, waiting), pieces - i64::from(handed)));
    }
}

/// More want the last pieces than there are.
fn the_last_pieces(people: &People, shop: &Shop) {
    let soap = json!({ "shopId": shop.id, "name": "肥皂", "price": 1 });
    let soap = text(&people.keeper.post("/shop/goods", &soap).expect(201), "id");
    let given = json!({ "goodsId": soap, "quantity": 4, "donor": "村委会", "donorIsPerson": false });
    people.keeper.post("/shop/donations", &given).expect(201);
    let clients = [&people.first, &people.keeper];
    let answers: Vec<(u16, String)> = scope(|threads| {
        let soap = &soap;
        let all: Vec<_> = (0..16)
            .map(|n| {
                let client = clients[n % 2];
                threads.spawn(move || {
                    let answer = client.post("/shop/redemptions", &wanted(soap, 1));
                    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 4, "{answers:?}");
    let lost = answers.iter().filter(|(status, _)| *status != 201);
    assert!(
        lost.clone().all(|(status, code)| (*status, code.as_str()) == (409, "out_of_stock")),
        "{answers:?}"
    );
    assert_eq!(stock(&people.first, &soap), 0);
}

fn adds_up(people: &People, shop: &Shop) {
    let today = ago(&people.first, 0);
    let today = chrono::DateTime::parse_from_rfc3339(&today).expect("a time");
    let month = (today + chrono::TimeDelta::hours(8)).format("%Y-%m");
    let path = format!("/shop/shops/{}/reconciliation?month={month}", shop.id);
    for stranger in [&people.first, &people.foreign] {
        assert_eq!(stranger.get(&path).problem(403), "forbidden");
    }
    for reader in [&people.keeper, &people.village, &people.township, &people.admin, &people.auditor] {
        let book = reader.get(&path).expect(200);
        assert_eq!(book["agrees"], true, "{book}");
        assert_eq!(book["points"], book["pointsByLedger"], "{book}");
        assert!(book["handedOver"].as_i64().expect("a count") >= 2, "{book}");
        let rice = book["goods"]
            .as_array()
            .expect("goods")
            .iter()
            .find(|goods| goods["goodsId"] == shop.rice.as_str());
        let rice = rice.expect("rice");
        assert_eq!(
            (&rice["opening"], &rice["donated"], &rice["counted"]),
            (&json!(0), &json!(50), &json!(0))
        );
        assert_eq!(rice["closing"], rice["stock"], "{book}");
    }
    let nothing = format!("/shop/shops/{}/reconciliation?month={month}", uuid::Uuid::nil());
    assert_eq!(people.admin.get(&nothing).problem(404), "not_found");
    let bad = format!("/shop/shops/{}/reconciliation?month=2026-13", shop.id);
    assert_eq!(people.admin.get(&bad).problem(400), "malformed_request");
}
