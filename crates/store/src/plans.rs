//! The ways that SQLite takes to what there are many of. It plans by its indexes alone: by whatever one begins with it
//! expects to find ten rows.

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::connection::StoreOptions;
use crate::scope::Scope;
use crate::writing::{GUARDED, GUARDS};
use crate::{Store, hazards, migrations, orders, people, similar, sql};

const COUNTY: &str = "140724";
const VILLAGE: &str = "140724100001";

fn area(code: &str) -> AreaCode {
    code.parse().expect("a code")
}

/// A dispatcher of a village, who is in a team.
fn dispatcher() -> Scope {
    let (county, person, teams) = (area(COUNTY), Uuid::from_u128(1), vec![Uuid::from_u128(2)]);
    Scope::Actor { county, person, teams, areas: vec![area(VILLAGE)], departments: Vec::new() }
}

struct Plans {
    store: Store,
    _home: tempfile::TempDir,
}

impl Plans {
    async fn of_a_fresh_database() -> Plans {
        let home = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}?mode=rwc", home.path().join("county.db").display());
        let store = Store::connect(&StoreOptions::new(url)).await.expect("a file is made");
        migrations::migrate(&store).await.expect("the schema");
        Plans { store, _home: home }
    }

    /// The ways that a statement takes to rows of these tables: the index, and what of it is known.
    async fn of(&self, tables: &[&str], (text, values): (String, Vec<Value>)) -> Vec<String> {
        #[derive(FromQueryResult)]
        struct Step {
            detail: String,
        }
        let text = format!("EXPLAIN QUERY PLAN {text}");
        let steps: Vec<Step> = sql::all(self.store.pool(), &text, values).await.expect("a plan");
        let mut ways = Vec::new();
        for Step { detail } in steps {
            let mut words = detail.split(' ').skip(1);
            if words.next().is_some_and(|table| tables.contains(&table)) {
                // Whether the index covers all that is asked for is no matter here.
                ways.push(detail.split_once("INDEX ").map_or(detail.clone(), |(_, way)| way.to_owned()));
            }
        }
        ways
    }
}

/// Orders go by their name, and by a short one.
const ORDERS: &[&str] = &["orders", "o"];
const BY_ID: &str = "sqlite_autoindex_orders_1 (id=?)";
const IN_VILLAGE: &str = "orders_village (<expr>=? AND id>?)";

#[tokio::test]
async fn orders_are_found_by_their_ids_however_many() {
    let plans = Plans::of_a_fresh_database().await;
    for scope in [Scope::County(area(COUNTY)), dispatcher()] {
        for count in [1_u128, 2, 5, 20, 500] {
            let ids: Vec<Uuid> = (0..count).map(Uuid::from_u128).collect();
            let ways = plans.of(ORDERS, orders::by_ids_text(&scope, &ids)).await;
            assert_eq!(ways, [BY_ID], "{count} ids, {scope:?}");
        }
    }
}

#[tokio::test]
async fn a_round_changes_its_orders_by_their_ids() {
    let plans = Plans::of_a_fresh_database().await;
    for rows in [1, 16, 32] {
        let given = vec!["(?, ?, ?, ?, ?, ?)"; rows].join(", ");
        let text = format!("WITH given ({GUARDED}) AS (VALUES {given}) {GUARDS}");
        let ways = plans.of(ORDERS, (text, vec![0.into(); rows * 6])).await;
        assert_eq!(ways, [BY_ID], "{rows} rows");
    }
}

#[tokio::test]
async fn what_is_alike_or_a_hazard_is_found_in_its_village() {
    let plans = Plans::of_a_fresh_database().await;
    let id = Uuid::from_u128(3);
    let of_requester = "orders_requester (requester_id=? AND id>?)";
    for (requester, wanted) in
        [(None, vec![BY_ID, IN_VILLAGE]), (Some(id), vec![BY_ID, IN_VILLAGE, of_requester])]
    {
        let alike = similar::candidates_text(&dispatcher(), area(VILLAGE), requester, id, 300);
        assert_eq!(plans.of(ORDERS, alike).await, wanted);
    }
    let hazards = hazards::orders_text(area("140724100001001"), "hazard", id);
    assert_eq!(plans.of(ORDERS, hazards).await, [IN_VILLAGE]);
}

#[tokio::test]
async fn a_persons_wechat_identity_is_found_by_the_person() {
    let plans = Plans::of_a_fresh_database().await;
    let asked = (people::OPENID.to_owned(), vec![COUNTY.into(), Uuid::from_u128(1).into()]);
    let ways = plans.of(&["wechat_identity"], asked).await;
    assert_eq!(ways, ["wechat_identity_person (person_id=? AND county=?)"]);
}
