//! The ways that SQLite takes to orders. It plans by its indexes alone: by whatever one begins with it
//! expects to find ten rows.

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::connection::StoreOptions;
use crate::scope::Scope;
use crate::{Store, hazards, migrations, orders, similar, sql};

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

    /// The steps that touch orders, and that are no look-up by one key or by the rows of an index's range.
    async fn of(&self, (text, values): (String, Vec<Value>)) -> Vec<String> {
        #[derive(FromQueryResult)]
        struct Step {
            detail: String,
        }
        let text = format!("EXPLAIN QUERY PLAN {text}");
        let steps: Vec<Step> = sql::all(self.store.pool(), &text, values).await.expect("a plan");
        let of_orders =
            |step: &Step| ["SEARCH o ", "SCAN o", "orders"].iter().any(|name| step.detail.contains(name));
        steps.into_iter().filter(of_orders).map(|step| step.detail).collect()
    }
}

#[tokio::test]
async fn orders_are_found_by_their_ids_however_many() {
    let plans = Plans::of_a_fresh_database().await;
    for scope in [Scope::County(area(COUNTY)), dispatcher()] {
        for count in [1_u128, 2, 5, 20, 500] {
            let ids: Vec<Uuid> = (0..count).map(Uuid::from_u128).collect();
            let steps = plans.of(orders::by_ids_text(&scope, &ids)).await;
            assert_eq!(
                steps,
                ["SEARCH o USING INDEX sqlite_autoindex_orders_1 (id=?)"],
                "{count} ids, {scope:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_alike_or_a_hazard_is_found_in_its_village() {
    let plans = Plans::of_a_fresh_database().await;
    let (id, near) = (Uuid::from_u128(3), "INDEX orders_village (<expr>=? AND id>?)");
    let alike = similar::candidates_text(&dispatcher(), area(VILLAGE), Some(id), id, 300);
    let steps = plans.of(alike).await;
    let wanted = [
        "SEARCH o USING INDEX sqlite_autoindex_orders_1 (id=?)".to_owned(),
        format!("SEARCH orders USING COVERING {near}"),
        "SEARCH orders USING COVERING INDEX orders_requester (requester_id=? AND id>?)".to_owned(),
    ];
    assert_eq!(steps, wanted);
    let steps = plans.of(hazards::orders_text(area("140724100001001"), "hazard", id)).await;
    assert_eq!(steps, [format!("SEARCH orders USING {near}")]);
}
