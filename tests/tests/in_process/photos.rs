//! Photos where time has to pass: what nobody attaches, links that run out, WeChat's late answers, erasure.

use chrono::TimeDelta;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::{io::Cursor, sync::Arc};
use uuid::Uuid;
use xingfuma_app::{
    App, AppError, Caller,
    consents::Consents,
    media::links::Link,
    once::Once,
    show::{PostCommand, ShowRequest},
};
use xingfuma_domain::media::LinkFor;
use xingfuma_store::posts::PostRow;
use xingfuma_wechat::Suggest;

use crate::{
    on_both_databases,
    small_county::{SmallCounty, serve_one},
};

on_both_databases!(
    what_nobody_attaches_is_swept_after_a_day,
    a_link_runs_out_and_opens_nothing_else,
    what_wechat_calls_risky_is_not_published,
    silence_ends_with_a_person,
    an_answer_that_came_first_is_found,
    who_is_erased_takes_his_photos_with_him,
);

fn photo(seed: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(90, 80, |x, y| Rgb([(x * 2) as u8 ^ seed, (y * 3) as u8, seed]));
    let mut file = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut file, ImageFormat::Png).expect("it is encoded");
    file.into_inner()
}

async fn upload(app: &App, who: &Caller, seed: u8) -> Result<Uuid, AppError> {
    let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".as_slice();
    let body = [head, &photo(seed), b"\r\n--b--"].concat();
    let _place = app.admit_upload(who).await?;
    Ok(app.upload(who, "b", body).await?.id)
}

fn is_not_found<T: std::fmt::Debug>(answer: Result<T, AppError>) -> bool {
    matches!(answer, Err(AppError::NotFound))
}

/// A post with a photo of the resident's, with both consents.
async fn post_with_photo(county: &SmallCounty, seed: u8) -> (Uuid, Uuid) {
    let (resident, volunteer) = (&county.people.resident, &county.people.volunteers[0]);
    let photo = upload(&county.app, resident, seed).await.expect("a good photo");
    (post_with(county, resident, volunteer, photo).await, photo)
}

async fn post_with(county: &SmallCounty, author: &Caller, volunteer: &Caller, photo: Uuid) -> Uuid {
    let order = serve_one(county).await;
    let render = Arc::new(|post: &PostRow| (201, post.id.as_bytes().to_vec()));
    let shown = ShowRequest { text: "谢谢".to_owned(), media: vec![photo], consent: true };
    let reply = county.app.show(author, order, &shown, None, render).await.expect("shown");
    let post = Uuid::from_slice(&reply.body).expect("an id");
    command(county, volunteer, post, PostCommand::Consent).await.expect("he agrees");
    post
}

async fn command(county: &SmallCounty, who: &Caller, post: Uuid, what: PostCommand) -> Result<(), AppError> {
    let render = Arc::new(|_: &PostRow| (200, Vec::new()));
    county.app.post_command(who, post, what, None, render).await.map(drop)
}

async fn approve(county: &SmallCounty, post: Uuid) -> Result<(), AppError> {
    command(county, &county.people.village, post, PostCommand::Approve).await
}

async fn state(county: &SmallCounty, photo: Uuid) -> String {
    let rows = county.rows("SELECT id, check_state FROM media WHERE check_state IS NOT NULL").await;
    let found = rows.iter().find(|row| row.try_get_by_index::<Uuid>(0).expect("an id") == photo);
    found.expect("the photo").try_get_by_index(1).expect("a state")
}

/// Waits for a state that another task writes.
async fn wait_for(county: &SmallCounty, photo: Uuid, wanted: &str) {
    for _ in 0..500 {
        if state(county, photo).await == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{} is not {wanted}", state(county, photo).await);
}

async fn trace_of(county: &SmallCounty, photo: Uuid) -> String {
    let rows = county.rows("SELECT id, check_trace FROM media WHERE check_trace IS NOT NULL").await;
    let found = rows.iter().find(|row| row.try_get_by_index::<Uuid>(0).expect("an id") == photo);
    found.expect("the photo").try_get_by_index(1).expect("a number")
}

fn link_of(app: &App, photo: Uuid, what: LinkFor) -> Link {
    let url = app.media_link(photo, what);
    let value = |name: &str| {
        let rest = url.split(&format!("{name}=")).nth(1).expect("it is there");
        rest.split('&').next().unwrap_or_default().to_owned()
    };
    Link {
        what: value("for"),
        until: value("until").parse().expect("seconds"),
        signature: value("signature"),
    }
}

async fn what_nobody_attaches_is_swept_after_a_day(county: SmallCounty) {
    let (app, resident) = (&county.app, &county.people.resident);
    let left = upload(app, resident, 1).await.expect("a good photo");
    let (post, shown) = post_with_photo(&county, 2).await;
    county.app.clock.advance(TimeDelta::hours(24) - TimeDelta::minutes(1));
    assert_eq!(app.sweep_media().await.expect("swept"), 0);
    assert!(app.picture(resident, left).await.is_ok());
    county.app.clock.advance(TimeDelta::minutes(2));
    assert_eq!(app.sweep_media().await.expect("swept"), 1);
    assert!(is_not_found(app.picture(resident, left).await));
    assert!(app.shelf.get(&left.to_string()).await.is_err(), "it is off the shelf");
    assert!(app.picture(resident, shown).await.is_ok(), "what was attached stays: {post}");
    assert_eq!(county.number("SELECT count(*) FROM media").await, 1);
}

async fn a_link_runs_out_and_opens_nothing_else(county: SmallCounty) {
    let app = &county.app;
    let (post, photo) = post_with_photo(&county, 3).await;
    app.clock.advance(TimeDelta::minutes(31));
    let link = link_of(app, photo, LinkFor::Showcase);
    assert!(is_not_found(app.linked_picture(photo, &link).await), "the post waits");
    approve(&county, post).await.expect("a person decides");
    let link = link_of(app, photo, LinkFor::Showcase);
    assert!(app.linked_picture(photo, &link).await.is_ok());
    let check = link_of(app, photo, LinkFor::Check);
    assert!(app.linked_picture(photo, &check).await.is_ok(), "WeChat was asked, and did not answer");
    app.clock.advance(TimeDelta::minutes(10));
    assert!(app.linked_picture(photo, &link).await.is_ok(), "the last moment");
    app.clock.advance(TimeDelta::seconds(2));
    assert!(matches!(app.linked_picture(photo, &link).await, Err(AppError::Gone(_))));
    // A link that is good again, and a post that is not.
    let link = link_of(app, photo, LinkFor::Showcase);
    let once = Once::json(None, 200, |_: &Consents| ());
    app.take_back_consent(&county.people.volunteers[0], "publishing", &once).await.expect("he takes it back");
    assert!(is_not_found(app.linked_picture(photo, &link).await), "at once");
}

async fn what_wechat_calls_risky_is_not_published(county: SmallCounty) {
    let (app, resident) = (&county.app, &county.people.resident);
    // Nobody listens where the sandbox pushes to: this test says itself what it found.
    let (post, photo) = post_with_photo(&county, 4).await;
    wait_for(&county, photo, "asked").await;
    assert!(matches!(approve(&county, post).await, Err(AppError::Conflict("photo_unchecked"))));
    let trace = trace_of(&county, photo).await;
    app.picture_checked(trace.clone(), Suggest::Risky).await.expect("noted");
    app.picture_checked(trace.clone(), Suggest::Risky).await.expect("said again");
    app.picture_checked(trace, Suggest::Pass).await.expect("nobody changes his mind");
    assert_eq!(state(&county, photo).await, "risky");
    assert!(matches!(approve(&county, post).await, Err(AppError::Conflict("photo_risky"))));
    app.clock.advance(TimeDelta::hours(2));
    assert!(matches!(approve(&county, post).await, Err(AppError::Conflict("photo_risky"))));
    assert!(
        is_not_found(app.linked_picture(photo, &link_of(app, photo, LinkFor::Check)).await),
        "it was answered"
    );
    command(&county, resident, post, PostCommand::Withdraw).await.expect("his own");

    // What turns out to be risky after the post was published is shown no more.
    let (post, photo) = post_with_photo(&county, 5).await;
    wait_for(&county, photo, "asked").await;
    app.clock.advance(TimeDelta::minutes(30));
    approve(&county, post).await.expect("a person has decided alone");
    let link = link_of(app, photo, LinkFor::Showcase);
    assert!(app.linked_picture(photo, &link).await.is_ok());
    app.picture_checked(trace_of(&county, photo).await, Suggest::Risky).await.expect("late");
    assert!(is_not_found(app.linked_picture(photo, &link).await));
    let shown = app.showcase(None, 10).await.expect("a list");
    assert!(shown.iter().all(|seen| seen.photos.is_empty()), "{shown:?}");
}

async fn silence_ends_with_a_person(county: SmallCounty) {
    let app = &county.app;
    // WeChat is gone: what it cannot look at, a person does.
    county.sandbox().allow_address(false);
    county.sandbox().revoke_tokens();
    let (post, photo) = post_with_photo(&county, 6).await;
    wait_for(&county, photo, "review").await;
    approve(&county, post).await.expect("a person decides");
    county.sandbox().allow_address(true);

    // It was asked, and says nothing.
    let (post, photo) = post_with_photo(&county, 7).await;
    wait_for(&county, photo, "asked").await;
    app.follow_checks().await.expect("looked after");
    assert_eq!(state(&county, photo).await, "asked");
    app.clock.advance(TimeDelta::minutes(30));
    app.follow_checks().await.expect("looked after");
    assert_eq!(state(&county, photo).await, "review");
    approve(&county, post).await.expect("a person decides");

    // A process died before it asked: another one does.
    let (_, photo) = post_with_photo(&county, 8).await;
    wait_for(&county, photo, "asked").await;
    let _ = county
        .rows("UPDATE media SET check_state = 'wanted', check_trace = NULL WHERE check_state = 'asked'")
        .await;
    app.clock.advance(TimeDelta::minutes(1));
    app.follow_checks().await.expect("looked after");
    assert_eq!(state(&county, photo).await, "asked");
}

async fn an_answer_that_came_first_is_found(county: SmallCounty) {
    let (_, photo) = post_with_photo(&county, 9).await;
    wait_for(&county, photo, "asked").await;
    let trace = trace_of(&county, photo).await;
    let _ = county
        .rows("UPDATE media SET check_state = 'wanted', check_trace = NULL WHERE check_state = 'asked'")
        .await;
    county.app.picture_checked(trace.clone(), Suggest::Review).await.expect("nobody knows the number yet");
    assert_eq!(state(&county, photo).await, "wanted");
    let noted: Result<bool, xingfuma_store::StoreError> =
        xingfuma_store::transact(&county.app.store, move |conn| {
            Box::pin(async move {
                xingfuma_store::media::check_asked(conn, photo, &trace).await?;
                xingfuma_store::media::check_settled(conn, &trace).await
            })
        })
        .await;
    assert!(noted.expect("the database is there"));
    assert_eq!(state(&county, photo).await, "review");
}

async fn who_is_erased_takes_his_photos_with_him(county: SmallCounty) {
    let (app, stranger) = (&county.app, &county.people.stranger);
    let photo = upload(app, stranger, 10).await.expect("a good photo");
    let of_resident = upload(app, &county.people.resident, 11).await.expect("a good photo");
    app.erase_own_data(stranger).await.expect("nothing is under way");
    assert!(is_not_found(app.picture(stranger, photo).await), "not even for who was himself");
    let link = link_of(app, photo, LinkFor::Showcase);
    assert!(is_not_found(app.linked_picture(photo, &link).await));
    assert_eq!(app.sweep_media().await.expect("swept"), 1);
    assert!(app.shelf.get(&photo.to_string()).await.is_err(), "off the shelf");
    assert!(app.picture(&county.people.resident, of_resident).await.is_ok());
}
