//! A session read together with the order that its request names: the scope that its statement writes out finds what the
//! scope of the session's actor finds, for everybody and every order.

use uuid::Uuid;
use xingfuma_app::{Caller, command::Request, place::PlaceRequest};
use xingfuma_store::{
    asking::{Asking, live_with_orders},
    orders::{self, Earning},
    scope::Scope,
};

use crate::{
    on_both_databases,
    small_county::{SmallCounty, serve_one},
};

on_both_databases!(an_order_comes_with_its_session_within_his_scope);

impl SmallCounty {
    fn everybody(&self) -> Vec<&Caller> {
        let people = &self.people;
        let others = [
            &people.resident,
            &people.stranger,
            &people.leader,
            &people.of_township,
            &people.village,
            &people.township,
            &people.foreign,
            &people.operator,
            &people.department,
        ];
        others.into_iter().chain(&people.volunteers).collect()
    }
}

/// Orders that differ in who reaches them.
async fn orders_of_all_kinds(county: &SmallCounty) -> Vec<Uuid> {
    let people = &county.people;
    let placed = county.place("placed").await;
    county.work_until_dispatched(placed).await;
    let elsewhere = Request::Dispatch {
        team: people.of_township.actor.teams()[0],
        volunteer: None,
        reason: Some("就近".to_owned()),
    };
    let overruled = county.place("overruled").await;
    county.work_until_dispatched(overruled).await;
    county.command(&people.township, overruled, elsewhere).await.expect("his area");
    let served = serve_one(county).await;
    let whistled = county.place("whistled").await;
    county.work_until_dispatched(whistled).await;
    county.command(&people.volunteers[0], whistled, Request::Accept).await.expect("his to take");
    let departments = vec![people.department.actor.departments()[0]];
    let call = Request::Whistle { departments, demand: "请到场".to_owned() };
    county.command(&people.village, whistled, call).await.expect("his village");
    let by_phone = PlaceRequest {
        sign: Some(county.sign()),
        category: "errand".to_owned(),
        description: "打进来的".to_owned(),
        ..PlaceRequest::default()
    };
    let of_stranger = county.place_as(&people.stranger, by_phone, "stranger").await.expect("a good order");
    county.work_until_dispatched(of_stranger).await;
    vec![placed, overruled, served, whistled, of_stranger, Uuid::from_u128(7)]
}

async fn an_order_comes_with_its_session_within_his_scope(county: SmallCounty) {
    let (store, now) = (&county.app.store, county.app.clock.now());
    let all = orders_of_all_kinds(&county).await;
    // Half of them ask for what points rest on, too.
    let mut turn = 0;
    let mut earning = || {
        turn += 1;
        (turn % 2 == 0).then(|| Earning::at(now))
    };
    let everybody = county.everybody();
    let questions: Vec<Asking> = everybody
        .iter()
        .flat_map(|caller| all.iter().map(|order| (caller.session, *order)))
        .map(|(session, order)| Asking { session, order, earning: earning() })
        .collect();
    let found = live_with_orders(store, &questions, now).await.expect("the database is there");
    let (mut there, mut not_there) = (0, 0);
    let whose = everybody.iter().flat_map(|caller| all.iter().map(move |order| (caller, order)));
    for (((caller, order), asked), found) in whose.zip(&questions).zip(found) {
        let (session, found) = found.expect("all of them are logged in");
        assert_eq!(session.actor, caller.actor);
        let scope = Scope::of(&caller.actor);
        let wanted = orders::find_whole(store.pool(), &scope, *order, asked.earning).await;
        let wanted = wanted.expect("the database is there");
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{order} for {:?}", caller.actor);
        *(if found.is_some() { &mut there } else { &mut not_there }) += 1;
    }
    assert!(there > 20 && not_there > 20, "both are seen: {there} and {not_there}");

    county.app.log_out(&county.people.resident, false).await.expect("the database is there");
    let asking = |caller: &Caller| Asking { session: caller.session, order: all[0], earning: None };
    let both = [asking(&county.people.resident), asking(&county.people.volunteers[0])];
    let found = live_with_orders(store, &both, now).await.expect("the database is there");
    assert!(found[0].is_none(), "a session that is over finds nothing");
    assert!(found[1].is_some(), "and costs the others nothing");
}
