//! What becomes of a photo: made anew, attached once, seen by whom it concerns, shown while its post is.

use std::{
    fs,
    path::Path,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use image::{GenericImageView, ImageFormat};
use serde_json::{Value, json};
use xingfuma_tests::client::{Answer, Client, IDEMPOTENCY_KEY, fresh_key};

use crate::Place;
use crate::files::{SECRET, encoded, jpeg, scene, telltale_jpeg, telltale_png, telltale_webp};

const WITHIN: Duration = Duration::from_secs(20);

struct People {
    resident: Client,
    stranger: Client,
    worker: Client,
    teammate: Client,
    leader: Client,
    village: Client,
    township: Client,
    foreign: Client,
    operator: Client,
    admin: Client,
    auditor: Client,
    anonymous: Client,
}

impl People {
    fn of(place: &Place<'_>) -> People {
        let accounts = place.accounts;
        let log_in = |account| Client::log_in(&place.base, account);
        People {
            resident: log_in(accounts.all("resident")[0]),
            stranger: log_in(accounts.all("resident")[1]),
            worker: log_in(accounts.all("volunteer")[0]),
            teammate: log_in(accounts.all("volunteer")[1]),
            leader: log_in(accounts.one("grid_leader")),
            village: log_in(accounts.village_dispatcher()),
            township: log_in(accounts.township_dispatcher()),
            foreign: log_in(accounts.foreign_dispatcher()),
            operator: log_in(accounts.one("operator")),
            admin: log_in(accounts.one("county_admin")),
            auditor: log_in(accounts.one("auditor")),
            anonymous: Client::anonymous(&place.base),
        }
    }
}

pub(crate) fn all(place: &Place<'_>) {
    let people = People::of(place);
    only_pixels(place, &people);
    from_an_upload_to_the_showcase(place, &people);
    only_ones_own_and_once(place, &people);
    whoever_is_faster(place, &people);
    the_same_photo_again(place, &people);
    where_the_category_asks(place, &people);
}

fn upload(client: &Client, file: &[u8]) -> String {
    text(&client.upload(file).expect(201), "id")
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn order_with(place: &Place<'_>, media: &[&str]) -> Value {
    json!({ "signCode": place.accounts.sign(), "categoryCode": "errand", "description": "代取快递", "mediaIds": media })
}

fn place_with(place: &Place<'_>, resident: &Client, media: &[&str]) -> String {
    text(&resident.post("/orders", &order_with(place, media)).expect(201), "id")
}

fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < WITHIN, "not in time: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn accept(people: &People, order: &str) {
    wait_until("dispatched", || {
        people.resident.get(&format!("/orders/{order}")).expect(200)["status"] == "dispatched"
    });
    people.worker.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
}

fn fault(answer: &Answer) -> String {
    assert_eq!(answer.problem(422), "invalid_fields");
    let first = &answer.json()["errors"][0];
    assert_eq!(first["field"], "mediaIds", "{first}");
    text(first, "code")
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let entries =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(
            |path| if path.is_dir() { files_below(&path) } else { fs::read(&path).into_iter().collect() },
        )
        .collect()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// Exif, XMP, comments, texts are in none of what is served or kept; the picture stands upright.
fn only_pixels(place: &Place<'_>, people: &People) {
    let before = files_below(&place.shelf).len();
    for (name, file) in [("JPEG", telltale_jpeg(20)), ("PNG", telltale_png(20)), ("WebP", telltale_webp(20))]
    {
        assert!(holds(&file, SECRET.as_bytes()), "{name} holds it when it is sent");
        let made = people.resident.upload(&file).expect(201);
        assert_eq!((&made["width"], &made["height"]), (&json!(480), &json!(640)), "{name} was turned");
        let shown = people.resident.get(&format!("/media/{}", text(&made, "id")));
        assert_eq!(shown.status, 200, "{}", shown.text());
        let header = |name: &str| shown.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "image/jpeg");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
        assert_eq!(header("cache-control"), "private, no-cache");
        assert_eq!(
            shown.bytes.len(),
            usize::try_from(made["bytes"].as_u64().expect("a size")).expect("small")
        );
        for hidden in [SECRET.as_bytes(), b"Exif", b"xmpmeta", b"ICC_PROFILE", b"http://"] {
            assert!(!holds(&shown.bytes, hidden), "{name}: {}", String::from_utf8_lossy(hidden));
        }
        let picture =
            image::load_from_memory_with_format(&shown.bytes, ImageFormat::Jpeg).expect("a picture");
        assert_eq!(picture.dimensions(), (480, 640), "{name}");
    }
    let kept = files_below(&place.shelf);
    assert_eq!(kept.len(), before + 3);
    for file in kept {
        assert!(!holds(&file, SECRET.as_bytes()), "it lies on the disk");
        assert!(!file.starts_with(&[0xff, 0xd8]), "what lies there is sealed");
    }
    // A large one is made smaller.
    let large = encoded(scene(21, 3_000, 1_500), ImageFormat::Jpeg);
    let made = people.resident.upload(&large).expect(201);
    assert_eq!((&made["width"], &made["height"]), (&json!(1920), &json!(960)));
}

fn statuses<const N: usize>(path: &str, people: [&Client; N]) -> [u16; N] {
    people.map(|client| client.get(path).status)
}

fn from_an_upload_to_the_showcase(place: &Place<'_>, people: &People) {
    let photo = upload(&people.resident, &jpeg(30));
    let path = format!("/media/{photo}");
    let everybody = || {
        let People { resident, stranger, worker, teammate, leader, .. } = people;
        let People { village, township, foreign, operator, admin, auditor, anonymous, .. } = people;
        [
            resident, stranger, worker, teammate, leader, village, township, foreign, operator, admin,
            auditor, anonymous,
        ]
    };
    let only_his = [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 401];
    assert_eq!(statuses(&path, everybody()), only_his, "not attached");
    let order = place_with(place, &people.resident, &[&photo]);
    accept(people, &order);
    let of_the_order = [200, 404, 200, 404, 200, 200, 200, 404, 404, 200, 200, 401];
    assert_eq!(statuses(&path, everybody()), of_the_order, "attached, and accepted");
    let list = format!("/orders/{order}/media");
    assert_eq!(statuses(&list, everybody()), of_the_order, "the list is for the same");
    // "Not yours" and "not there" are the same answer.
    let bare = |answer: Answer| {
        let mut problem = answer.json();
        problem["requestId"] = Value::Null;
        problem
    };
    let nothing = "/media/01900000-0000-7000-8000-000000000000";
    assert_eq!(bare(people.stranger.get(&path)), bare(people.stranger.get(nothing)));

    let done = upload(&people.worker, &jpeg(31));
    let complete = json!({ "summary": "已送到", "minutes": 20, "mediaIds": [done] });
    people.worker.post(&format!("/orders/{order}/complete"), &complete).expect(200);
    assert_eq!(people.resident.get(&format!("/media/{done}")).status, 200, "the resident sees what was done");
    assert_eq!(people.teammate.get(&format!("/media/{done}")).status, 404);
    people
        .resident
        .post(&format!("/orders/{order}/rate"), &json!({ "stars": 5, "solved": true }))
        .expect(200);

    let shown = upload(&people.resident, &telltale_jpeg(32));
    let show = json!({ "text": "谢谢", "mediaIds": [shown], "consent": true });
    let post = people.resident.post(&format!("/orders/{order}/show"), &show).expect(201);
    assert_eq!(post["mediaIds"], json!([shown]), "{post}");
    let post = text(&post, "id");
    let list = people.village.get(&list).expect(200)["items"].clone();
    let purposes: Vec<&Value> = list.as_array().expect("items").iter().map(|item| &item["purpose"]).collect();
    assert_eq!(purposes, ["placed", "completed", "shown"], "{list}");
    published(people, &order, &post, &shown);
}

/// The post's photo: looked at, published, seen by everybody, and gone.
fn published(people: &People, order: &str, post: &str, photo: &str) {
    // The resident logged in by WeChat just now, so it looks, and calls back.
    wait_until("WeChat has said what it found", || {
        let list = people.village.get(&format!("/orders/{order}/media")).expect(200);
        list["items"][2]["check"] == "passed"
    });
    people.worker.post(&format!("/showcase/{post}/consent"), &json!({})).expect(200);
    let first = || {
        let items = people.anonymous.get("/showcase").expect(200)["items"].clone();
        items.as_array().expect("items").iter().find(|item| item["id"] == post).cloned()
    };
    assert_eq!(first(), None, "not published yet");
    people.village.post(&format!("/showcase/{post}/approve"), &json!({})).expect(200);
    let item = first().expect("it is published");
    assert_eq!(item["photos"][0]["width"], 480, "{item}");
    let url = text(&item["photos"][0], "url");
    let link = url.split_once("/api/v1").expect("below the API").1.to_owned();
    let seen = people.anonymous.get(&link);
    assert_eq!((seen.status, seen.header("content-type")), (200, Some("image/jpeg")));
    assert!(!holds(&seen.bytes, SECRET.as_bytes()));
    assert_eq!(people.anonymous.get(&format!("/media/{photo}")).status, 401, "only by the link");
    forged(people, &link, photo);
    people.resident.post(&format!("/showcase/{post}/withdraw"), &json!({})).expect(200);
    assert_eq!(people.anonymous.get(&link).problem(404), "not_found", "at once");
    assert_eq!(people.resident.get(&format!("/media/{photo}")).status, 200, "it is still his");
}

fn forged(people: &People, link: &str, photo: &str) {
    let own = upload(&people.stranger, &jpeg(33));
    let until: i64 =
        link.split("until=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).expect("until");
    let signature = link.split("signature=").nth(1).expect("a signature");
    for bad in [
        link.replace(photo, &own),
        link.replace("showcase", "check"),
        link.replace("showcase", "everything"),
        link.replace(&until.to_string(), &(until + 1).to_string()),
        link.replace(&until.to_string(), &i64::MAX.to_string()),
        link.replace(signature, &"A".repeat(43)),
        link.replace(signature, &signature[..42]),
        link.replace(signature, "%00"),
    ] {
        assert_eq!(people.anonymous.get(&bad).problem(404), "not_found", "{bad}");
        assert_eq!(people.village.get(&bad).status, 404, "a log-in makes no bad link good");
    }
    let unsigned = format!("/media/{photo}?for=showcase&until={until}");
    assert_eq!(people.anonymous.get(&unsigned).problem(400), "malformed_request");
}

fn only_ones_own_and_once(place: &Place<'_>, people: &People) {
    let order = |media: &[&str]| people.resident.post("/orders", &order_with(place, media));
    let (foreign, own) = (upload(&people.stranger, &jpeg(40)), upload(&people.resident, &jpeg(41)));
    assert_eq!(fault(&order(&[&foreign])), "media_unknown");
    assert_eq!(fault(&order(&["01900000-0000-7000-8000-000000000000"])), "media_unknown");
    assert_eq!(fault(&order(&[&own, &own])), "media_twice");
    let ten: Vec<String> = (0..10).map(|_| own.clone()).collect();
    assert_eq!(fault(&order(&ten.iter().map(String::as_str).collect::<Vec<_>>())), "too_many");
    assert_eq!(order(&["not-an-id"]).problem(400), "malformed_json");
    assert_eq!(fault(&order(&[&own, &foreign])), "media_unknown", "all of them or none");

    // A lost answer is asked for again with the same key, though the photo is attached by now.
    let (key, body) = (fresh_key(), order_with(place, &[&own]));
    let send = || people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body);
    let (placed, again) = (send(), send());
    placed.expect(201);
    assert_eq!(placed.bytes, again.bytes);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(fault(&order(&[&own])), "media_attached");

    // The same holds where it is completed and shown.
    let id = text(&placed.json(), "id");
    accept(people, &id);
    let complete = |media: &str| {
        let done = json!({ "summary": "已送到", "minutes": 20, "mediaIds": [media] });
        people.worker.post(&format!("/orders/{id}/complete"), &done)
    };
    assert_eq!(fault(&complete(&own)), "media_unknown", "the resident's is not the worker's");
    let (key, photo) = (fresh_key(), upload(&people.worker, &jpeg(42)));
    let done = json!({ "summary": "已送到", "minutes": 20, "mediaIds": [photo] });
    let send =
        || people.worker.post_with(&format!("/orders/{id}/complete"), &[(IDEMPOTENCY_KEY, &key)], &done);
    let (first, second) = (send(), send());
    first.expect(200);
    assert_eq!(first.bytes, second.bytes);
    let show = json!({ "text": "谢谢", "mediaIds": [photo], "consent": true });
    let shown = people.worker.post(&format!("/orders/{id}/show"), &show);
    assert_eq!(fault(&shown), "media_attached");
    let shown = people.resident.post(&format!("/orders/{id}/show"), &show);
    assert_eq!(fault(&shown), "media_unknown");
}

/// One photo, named in eight orders at the same time, is on exactly one of them; the others are not placed.
fn whoever_is_faster(place: &Place<'_>, people: &People) {
    let photo = upload(&people.resident, &jpeg(50));
    let body = order_with(place, &[&photo]);
    let placed: Vec<u16> = scope(|threads| {
        let tries: Vec<_> =
            (0..8).map(|_| threads.spawn(|| people.resident.post("/orders", &body).status)).collect();
        tries.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    assert_eq!(placed.iter().filter(|status| **status == 201).count(), 1, "{placed:?}");
    assert!(placed.iter().all(|status| [201, 422].contains(status)), "{placed:?}");
}

/// A photo that was used before is noticed, also when it was made smaller and compressed anew.
fn the_same_photo_again(place: &Place<'_>, people: &People) {
    let first = place_with(place, &people.resident, &[&upload(&people.resident, &jpeg(60))]);
    let smaller = encoded(scene(60, 320, 240), ImageFormat::Png);
    let second = place_with(place, &people.stranger, &[&upload(&people.stranger, &smaller)]);
    let other = place_with(place, &people.stranger, &[&upload(&people.stranger, &jpeg(61))]);
    let photo = |client: &Client, order: &str| {
        client.get(&format!("/orders/{order}/media")).expect(200)["items"][0].clone()
    };
    let seen = photo(&people.village, &second);
    assert_eq!((&seen["reused"], &seen["lookAlikes"][0]["orderId"]), (&json!(true), &json!(first)), "{seen}");
    assert_eq!(photo(&people.village, &other)["reused"], json!(false));
    let own = photo(&people.stranger, &second);
    assert_eq!(
        (&own["reused"], &own["lookAlikes"]),
        (&Value::Null, &Value::Null),
        "nothing of it for residents: {own}"
    );
}

/// A category that is completed with photos insists on one.
fn where_the_category_asks(place: &Place<'_>, people: &People) {
    let mut report = order_with(place, &[]);
    report["categoryCode"] = json!("environment");
    let order = text(&people.resident.post("/orders", &report).expect(201), "id");
    let team = people.worker.get("/me").expect(200)["roles"][0]["teamId"].clone();
    let by_hand = json!({ "teamId": team, "reason": "就近" });
    people.village.post(&format!("/orders/{order}/dispatch"), &by_hand).expect(200);
    people.worker.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let complete = |media: &[String]| {
        let done = json!({ "summary": "已清理", "minutes": 20, "mediaIds": media });
        people.worker.post(&format!("/orders/{order}/complete"), &done)
    };
    assert_eq!(complete(&[]).problem(409), "photo_required");
    complete(&[upload(&people.worker, &jpeg(80))]).expect(200);
}

/// What one server takes in, another one shows, and links are good at both.
pub(crate) fn at_another_server(place: &Place<'_>, other: &str) {
    let people = People::of(place);
    let photo = upload(&people.resident, &jpeg(70));
    let there = people.resident.at(other).get(&format!("/media/{photo}"));
    assert_eq!(there.bytes, people.resident.get(&format!("/media/{photo}")).bytes);
    assert_eq!(there.status, 200);
}
