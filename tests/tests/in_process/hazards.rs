//! The same thing in the same grid again and again is found once, told to its station, and answered by it once.

use chrono::TimeDelta;
use uuid::Uuid;
use xingfuma_app::{AppError, command::Request, place::PlaceRequest};

use crate::{on_both_databases, small_county::SmallCounty};

on_both_databases!(found_once_told_and_answered, what_does_not_count, four_processes_find_one);

async fn report(county: &SmallCounty, key: &str) -> Uuid {
    let request = PlaceRequest {
        sign: Some(county.sign()),
        category: "environment".to_owned(),
        description: "垃圾没有清运".to_owned(),
        ..PlaceRequest::default()
    };
    let key = format!("{key} {}", county.app.new_id());
    county.place_as(&county.people.resident, request, &key).await.expect("a good report")
}

async fn look(county: &SmallCounty) -> usize {
    county.app.look_for_hazards().await.expect("the database is there")
}

async fn found_once_told_and_answered(county: SmallCounty) {
    let people = &county.people;
    // The sample asks for four within thirty days.
    for day in 0..3 {
        report(&county, &format!("{day}")).await;
        assert_eq!(look(&county).await, 0, "three are not enough");
        county.advance_to(county.app.clock.now() + TimeDelta::days(2));
    }
    report(&county, "the fourth").await;
    assert_eq!(look(&county).await, 1);
    assert_eq!(look(&county).await, 0, "once");
    let list = county.app.hazards(&people.village, None, true, None, 10).await.expect("his area");
    assert_eq!(list.len(), 1);
    let hazard = &list[0];
    assert_eq!((hazard.times, hazard.number, hazard.category.as_str()), (4, 1, "environment"));
    assert_eq!(hazard.area_code, county.county.teams[0].areas[0].to_string());
    assert!(county.app.hazards(&people.foreign, None, true, None, 10).await.expect("his area").is_empty());
    assert!(matches!(
        county.app.hazards(&people.resident, None, true, None, 10).await,
        Err(AppError::Forbidden)
    ));
    while county.app.notify_waiting().await.expect("the database is there") > 0 {}
    for station in [&people.village, &people.township] {
        let inbox = county.app.inbox(station, None, 50).await.expect("the database is there");
        assert_eq!(inbox.iter().filter(|one| one.topic == "hazard_found").count(), 1);
    }
    let answer = |who, cause, measure| county.app.answer_hazard(who, hazard.id, cause, measure);
    let refused = answer(&people.foreign, "清运少", "每周三次").await;
    assert!(matches!(refused, Err(AppError::NotFound)), "{refused:?}");
    for (cause, measure) in [("", "每周三次"), ("清运少", " ")] {
        assert!(matches!(answer(&people.village, cause, measure).await, Err(AppError::Invalid(_))));
    }
    let answered = answer(&people.village, "清运每周只有一次，联系13912345678", "改为每周三次").await;
    let answered = answered.expect("the village may");
    assert_eq!(answered.measure.as_deref(), Some("改为每周三次"));
    assert!(!answered.cause.expect("a cause").contains("13912345678"));
    let again = answer(&people.township, "其他", "其他").await;
    assert!(matches!(again, Err(AppError::Conflict("hazard_answered"))), "{again:?}");
    assert!(county.app.hazards(&people.village, None, true, None, 10).await.expect("his area").is_empty());
    // It comes back: four more make the next one.
    for day in 0..4 {
        county.advance_to(county.app.clock.now() + TimeDelta::days(1));
        report(&county, &format!("again {day}")).await;
        assert_eq!(look(&county).await, usize::from(day == 3));
    }
    let list = county.app.hazards(&people.village, None, false, None, 10).await.expect("his area");
    assert_eq!(list.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 1]);
}

async fn what_does_not_count(county: SmallCounty) {
    for n in 0..5 {
        let order = report(&county, &format!("{n}")).await;
        if n % 2 == 0 {
            let cancel = Request::Cancel { reason: None };
            county.command(&county.people.resident, order, cancel).await.expect("his own");
        }
        // Another category in the same grid.
        county.place(&format!("errand {n}")).await;
    }
    assert_eq!(look(&county).await, 0, "two are left of five, and errands never make a hazard");
}

async fn four_processes_find_one(county: SmallCounty) {
    for n in 0..4 {
        report(&county, &format!("{n}")).await;
    }
    let mut looks = Vec::new();
    for seed in 20..24 {
        let app = county.telling_app(seed, xingfuma_app::message::Outside::default()).await;
        looks.push(tokio::spawn(async move { app.look_for_hazards().await.expect("the database is there") }));
    }
    let mut found = 0;
    for look in looks {
        found += look.await.expect("it does not panic");
    }
    assert_eq!(found, 1);
    assert_eq!(county.number("SELECT count(*) FROM hazard").await, 1);
}
