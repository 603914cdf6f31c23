//! Several teams at one order: the helping orders and their lead are changed together or not at all.

use uuid::Uuid;
use xingfuma_app::{
    AppError,
    command::Request,
    place::{ContactGiven, PlaceRequest},
};
use xingfuma_domain::order::{Refusal, Status};
use xingfuma_store::orders::Part;

use crate::{on_both_databases, small_county::SmallCounty};

on_both_databases!(
    the_lead_is_completed_after_its_helper_and_everybody_sees_his_own,
    called_off_with_its_lead,
    called_off_by_itself_the_lead_goes_on,
    a_completion_and_the_end_of_help_at_the_same_moment,
);

const PHONE: &str = "15400001234";

struct Two {
    lead: Uuid,
    helper: Uuid,
}

async fn ask_for_help(county: &SmallCounty) -> Two {
    let people = &county.people;
    let request = PlaceRequest {
        sign: Some(county.sign()),
        category: "errand".to_owned(),
        description: "地下室进水".to_owned(),
        contact: Some(ContactGiven { name: Some("王大娘".to_owned()), phone: Some(PHONE.to_owned()) }),
        ..PlaceRequest::default()
    };
    let key = county.app.new_id().to_string();
    let lead = county.place_as(&people.resident, request, &key).await.expect("a good order");
    county.work_until_dispatched(lead).await;
    county.command(&people.volunteers[0], lead, Request::Accept).await.expect("it is offered to him");
    let team = people.of_township.actor.teams()[0];
    let help = Request::Help { team, task: "请带抽水泵到场，电话13912345678".to_owned() };
    county.command(&people.village, lead, help).await.expect("the village may");
    let helper = county.order(lead).await.helpers[0].order;
    Two { lead, helper }
}

fn complete() -> Request {
    Request::Complete { summary: "已办好".to_owned(), minutes: 30, media: Vec::new() }
}

async fn the_lead_is_completed_after_its_helper_and_everybody_sees_his_own(county: SmallCounty) {
    let people = &county.people;
    let Two { lead, helper } = ask_for_help(&county).await;
    let seen = county.app.order(&people.of_township, helper, None).await.expect("it is offered to his team");
    assert_eq!((seen.order.status(), seen.order.helps), (Status::Dispatched, Some(lead)));
    assert!(!seen.description.contains("13912345678"), "{}", seen.description);
    assert!(matches!(county.app.order(&people.of_township, lead, None).await, Err(AppError::NotFound)));
    let refused = county.command(&people.volunteers[0], lead, complete()).await;
    assert!(matches!(refused, Err(AppError::Refused(Refusal::HelpersAtWork { open: 1 }))), "{refused:?}");
    // The helper gets the contact when he has accepted, sealed for his own order.
    county.command(&people.of_township, helper, Request::Accept).await.expect("it is offered to him");
    let seen = county.app.order(&people.of_township, helper, None).await.expect("it is his");
    let contact = seen.contact.expect("it is open to him");
    assert_eq!(contact.phone.as_deref(), Some(PHONE));
    county.command(&people.of_township, helper, complete()).await.expect("it is his");
    let told = county.order(lead).await;
    assert!(told.helpers[0].completed && told.open_helpers().count() == 0);
    county.command(&people.volunteers[0], lead, complete()).await.expect("nobody helps any more");
    let stars = Request::Rate { stars: 5, solved: true, tags: Vec::new(), comment: None };
    let refused = county.command(&people.resident, helper, stars.clone()).await;
    assert!(matches!(refused, Err(AppError::Refused(Refusal::HelpsAnother))), "{refused:?}");
    county.command(&people.resident, lead, stars).await.expect("the lead is rated");
    // Both close by time alone, the helper not after its lead.
    county.advance_to(county.app.clock.now() + chrono::TimeDelta::days(8));
    while county.sweep().await > 0 {}
    assert_eq!(county.order(helper).await.status(), Status::Closed);
    assert_eq!(county.order(lead).await.status(), Status::Closed);
    let own = county.app.orders(&people.resident, Part::Own, &Default::default(), None, 10).await;
    assert_eq!(own.expect("the database is there").len(), 2, "the resident sees both");
}

async fn called_off_with_its_lead(county: SmallCounty) {
    let people = &county.people;
    let Two { lead, helper } = ask_for_help(&county).await;
    county.command(&people.of_township, helper, Request::Accept).await.expect("it is offered to him");
    let cancel = Request::Cancel { reason: Some("已自行解决".to_owned()) };
    county.command(&people.resident, lead, cancel).await.expect("his own");
    assert_eq!(county.order(lead).await.status(), Status::Cancelled);
    assert_eq!(county.order(helper).await.status(), Status::Cancelled);
    while county.app.notify_waiting().await.expect("the database is there") > 0 {}
    let inbox = county.app.inbox(&people.of_township, None, 20).await.expect("the database is there");
    assert!(inbox.iter().any(|one| one.topic == "cancelled" && one.order_id == helper), "he is told");
}

async fn called_off_by_itself_the_lead_goes_on(county: SmallCounty) {
    let people = &county.people;
    let Two { lead, helper } = ask_for_help(&county).await;
    let cancel = Request::Cancel { reason: Some("不需要了".to_owned()) };
    county.command(&people.village, helper, cancel).await.expect("the village may");
    let told = county.order(lead).await;
    assert!(!told.helpers[0].completed && told.open_helpers().count() == 0);
    assert_eq!(told.status(), Status::Accepted);
    county.command(&people.volunteers[0], lead, complete()).await.expect("nobody helps any more");
    let reopen = Request::Reopen { reason: "又堵了".to_owned() };
    county.command(&people.resident, lead, reopen).await.expect("within seven days");
    assert_eq!(county.order(helper).await.status(), Status::Cancelled, "what helped stays as it is");
}

/// Whichever is first, nothing is lost: the lead is never completed while somebody helps, and always knows of the end.
async fn a_completion_and_the_end_of_help_at_the_same_moment(county: SmallCounty) {
    let people = &county.people;
    for _ in 0..10 {
        let Two { lead, helper } = ask_for_help(&county).await;
        county.command(&people.of_township, helper, Request::Accept).await.expect("it is offered to him");
        let (of_lead, of_helper) = tokio::join!(
            county.command(&people.volunteers[0], lead, complete()),
            county.command(&people.of_township, helper, complete()),
        );
        of_helper.expect("a helper needs nobody's leave");
        let (lead_now, helper_now) = (county.order(lead).await, county.order(helper).await);
        assert_eq!(helper_now.status(), Status::Completed);
        assert!(lead_now.helpers[0].completed);
        match of_lead {
            Ok(_) => assert_eq!(lead_now.status(), Status::Completed),
            Err(AppError::Refused(Refusal::HelpersAtWork { .. })) => {
                assert_eq!(lead_now.status(), Status::Accepted);
                county.command(&people.volunteers[0], lead, complete()).await.expect("now he may");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
