//! What somebody's queries start from, so that a forgotten check returns nothing.

use sea_orm::Value;
use uuid::Uuid;
use xingfuma_domain::access::{Actor, Role};
use xingfuma_domain::area::AreaCode;

use crate::sql;

/// The part of a county that somebody's queries can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The queue, the sweep and the notifier: all orders of a county.
    County(AreaCode),
    /// One actor: what he ordered or entered, what his teams were asked, what lies in his areas.
    Actor {
        /// The county.
        county: AreaCode,
        /// The person.
        person: Uuid,
        /// His teams.
        teams: Vec<Uuid>,
        /// Areas over which he may see orders.
        areas: Vec<AreaCode>,
        /// His departments, for what they were called to.
        departments: Vec<Uuid>,
    },
}

impl Scope {
    /// The scope of an actor.
    pub fn of(actor: &Actor) -> Scope {
        let seeing = [Role::Dispatcher, Role::CountyAdmin, Role::Auditor];
        let mut areas: Vec<AreaCode> = actor
            .grants
            .iter()
            .filter(|grant| seeing.contains(&grant.role))
            .map(|grant| grant.area)
            .collect();
        areas.sort_unstable();
        areas.dedup();
        Scope::Actor {
            county: actor.county,
            person: actor.person,
            teams: actor.teams(),
            areas,
            departments: actor.departments(),
        }
    }

    /// The county.
    pub fn county(&self) -> AreaCode {
        match self {
            Scope::County(county) | Scope::Actor { county, .. } => *county,
        }
    }

    /// The condition on `orders o`, with its values appended to `values`.
    pub(crate) fn condition(&self, values: &mut Vec<Value>) -> String {
        values.push(self.county().to_string().into());
        let county = format!("o.county = ${}", values.len());
        let Scope::Actor { person, teams, areas, departments, .. } = self else { return county };
        values.push((*person).into());
        let me = values.len();
        let mut any = vec![format!("o.requester_id = ${me}"), format!("o.placed_by = ${me}")];
        any.push(format!(
            "EXISTS (SELECT 1 FROM engagement g WHERE g.person_id = ${me} AND g.order_id = o.id)"
        ));
        if !teams.is_empty() {
            let first = values.len() + 1;
            values.extend(teams.iter().map(|team| Value::from(*team)));
            any.push(format!(
                "EXISTS (SELECT 1 FROM dispatch_decision d WHERE d.order_id = o.id AND d.team_id IN ({}))",
                sql::list(first, teams.len())
            ));
        }
        for area in areas {
            any.push(area_condition("o.area_code", *area, values));
        }
        if !departments.is_empty() {
            let first = values.len() + 1;
            values.extend(departments.iter().map(|department| Value::from(*department)));
            any.push(format!(
                "EXISTS (SELECT 1 FROM whistle w WHERE w.order_id = o.id AND w.department_id IN ({}))",
                sql::list(first, departments.len())
            ));
        }
        format!("{county} AND ({})", any.join(" OR "))
    }
}

/// What is his by `own` (SQL), or lies in one of his areas by its `area_code`.
pub(crate) fn own_or_in(own: &str, areas: &[AreaCode], values: &mut Vec<Value>) -> String {
    let mut any = vec![own.to_owned()];
    any.extend(areas.iter().map(|area| area_condition("area_code", *area, values)));
    format!("({})", any.join(" OR "))
}

/// `column` lies in the subtree of `area`: a range, because the code is the path.
pub(crate) fn area_condition(column: &str, area: AreaCode, values: &mut Vec<Value>) -> String {
    values.push(area.to_string().into());
    values.push(area.subtree_bound().into());
    format!("({column} >= ${} AND {column} < ${})", values.len() - 1, values.len())
}
