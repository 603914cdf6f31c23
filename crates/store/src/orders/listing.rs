//! Pages of the orders that somebody may see.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::Status;

use super::{COLUMNS, StoredOrder, readable};
use crate::scope::{Scope, area_condition};
use crate::{StoreError, sql};

/// Which of a caller's orders a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything he may see.
    All,
    /// What he ordered or entered himself.
    Own,
    /// What his teams were asked, and what he promised.
    Team,
    /// What lies in his areas.
    Area,
}

/// Narrows a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this subtree.
    pub area: Option<AreaCode>,
}

/// A page of orders, newest first: at most `limit` with an id below `before`. An order that cannot be read is left out.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    part: Part,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<StoredOrder>, StoreError> {
    let mut values = Vec::new();
    let narrow = narrow(filter, before, &mut values);
    let branches = branches(scope, part, &mut values);
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    // Each branch reads one index from its newest end and stops at the limit; the union is then at most a few pages.
    let union = branches
        .iter()
        .enumerate()
        .map(|(n, from)| {
            format!("SELECT id FROM (SELECT DISTINCT o.id FROM {from} {narrow} ORDER BY o.id DESC LIMIT {limit}) b{n}")
        })
        .collect::<Vec<_>>()
        .join(" UNION ");
    let text =
        format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ({union}) ORDER BY o.id DESC LIMIT {limit}");
    Ok(readable(sql::all(conn, &text, values).await?))
}

fn narrow(filter: &Filter, before: Option<Uuid>, values: &mut Vec<Value>) -> String {
    let mut all = String::new();
    if let Some(before) = before {
        values.push(before.into());
        all.push_str(&format!(" AND o.id < ${}", values.len()));
    }
    if let Some(status) = filter.status {
        values.push(status.as_str().into());
        all.push_str(&format!(" AND o.status = ${}", values.len()));
    }
    if let Some(category) = &filter.category {
        values.push(category.as_str().into());
        all.push_str(&format!(" AND o.category = ${}", values.len()));
    }
    if let Some(area) = filter.area {
        all.push_str(&format!(" AND {}", area_condition("o.area_code", area, values)));
    }
    all
}

fn branches(scope: &Scope, part: Part, values: &mut Vec<Value>) -> Vec<String> {
    let (person, teams, areas) = match scope {
        Scope::County(county) => {
            return vec![format!("orders o WHERE {}", subtree_condition(*county, values))];
        }
        Scope::Actor { person, teams, areas, .. } => (*person, teams, areas),
    };
    let mut branches = Vec::new();
    values.push(person.into());
    let me = values.len();
    if matches!(part, Part::All | Part::Own) {
        branches.push(format!("orders o WHERE o.requester_id = ${me}"));
        branches.push(format!("orders o WHERE o.placed_by = ${me} AND o.placed_by <> o.requester_id"));
    }
    if matches!(part, Part::All | Part::Team) {
        branches.push(format!("engagement g JOIN orders o ON o.id = g.order_id WHERE g.person_id = ${me}"));
        for team in teams {
            values.push((*team).into());
            branches.push(format!(
                "dispatch_decision d JOIN orders o ON o.id = d.order_id WHERE d.team_id = ${}",
                values.len()
            ));
        }
    }
    if matches!(part, Part::All | Part::Area) {
        for area in areas {
            branches.push(format!("orders o WHERE {}", subtree_condition(*area, values)));
        }
    }
    if let (Scope::Actor { departments, .. }, Part::All | Part::Team) = (scope, part) {
        for department in departments {
            values.push((*department).into());
            branches.push(format!(
                "whistle w JOIN orders o ON o.id = w.order_id WHERE w.department_id = ${}",
                values.len()
            ));
        }
    }
    branches
}

/// Orders of a subtree, in the words of the indexes that have them in the order of their ids. A county is the whole.
fn subtree_condition(area: AreaCode, values: &mut Vec<Value>) -> String {
    let digits = match area.level() {
        Level::County => {
            values.push(area.to_string().into());
            return format!("o.county = ${}", values.len());
        }
        Level::Township => 9,
        Level::Village | Level::Grid | Level::MicroGrid => 12,
    };
    values.push(area.as_str()[..digits].into());
    let prefix = format!("substr(o.area_code, 1, {digits}) = ${}", values.len());
    if area.as_str().len() == digits {
        return prefix;
    }
    format!("{prefix} AND {}", area_condition("o.area_code", area, values))
}
