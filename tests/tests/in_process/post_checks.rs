//! What a moderator learns of a post before he agrees: what was hidden in it, and what WeChat said of it.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use xingfuma_app::{AppError, Caller, show::ShowRequest};
use xingfuma_store::posts::PostRow;
use xingfuma_wechat::Suggest;

use crate::{
    on_both_databases,
    small_county::{SmallCounty, serve_one},
};

on_both_databases!(a_moderator_sees_what_was_hidden_and_what_wechat_said);

async fn show(county: &SmallCounty, who: &Caller, order: Uuid, text: &str) -> Result<PostRow, AppError> {
    let render = Arc::new(|post: &PostRow| (201, post.id.as_bytes().to_vec()));
    let shown = ShowRequest { text: text.to_owned(), media: Vec::new(), consent: true };
    let reply = county.app.show(who, order, &shown, None, render).await?;
    let id = Uuid::from_slice(&reply.body).expect("an id");
    let pending = county.app.pending_posts(&county.people.village, None, 100).await.expect("the village's");
    Ok(pending.into_iter().find(|seen| seen.post.id == id).expect("it waits").post)
}

async fn a_moderator_sees_what_was_hidden_and_what_wechat_said(county: SmallCounty) {
    county.sandbox().mark("赌博", Suggest::Risky, 20006);
    county.sandbox().mark("加微信", Suggest::Review, 10001);
    let (resident, volunteer) = (county.people.resident.clone(), county.people.volunteers[0].clone());

    let order = serve_one(&county).await;
    let post = show(&county, &resident, order, "谢谢！我电话15419999876，住12号楼").await.expect("shown");
    assert_eq!(post.text, "谢谢！我电话[电话]，住**号楼");
    let hidden: Value = serde_json::from_str(post.hidden.as_deref().expect("something")).expect("JSON");
    let expected = json!([
        { "kind": "mobile", "start": 6, "length": 4 },
        { "kind": "house_number", "start": 12, "length": 2 },
    ]);
    assert_eq!(hidden, expected);
    assert_eq!(post.checked.as_deref(), Some("passed"), "he logged in by WeChat just now");

    let order = serve_one(&county).await;
    let post = show(&county, &volunteer, order, "欢迎加微信").await.expect("shown");
    assert_eq!((post.hidden, post.checked.as_deref()), (None, Some("review")));

    let order = serve_one(&county).await;
    let refused = show(&county, &resident, order, "来赌博").await.expect_err("it must not be shown");
    let AppError::Invalid(faults) = refused else { panic!("{refused}") };
    assert_eq!((&*faults[0].field, faults[0].code), ("text", "text_risky"));

    // WeChat is gone: a person looks, and nobody waits for it.
    county.sandbox().allow_address(false);
    county.sandbox().revoke_tokens();
    let post = show(&county, &resident, order, "谢谢").await.expect("shown");
    assert_eq!(post.checked.as_deref(), Some("review"));
}
