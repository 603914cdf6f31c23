//! What hangs on an order as JSON: calls to departments, corrective notices, a revisit.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::view::OrderSeen;
use xingfuma_domain::order::{Outcome, Revisit, Whistle};

#[derive(Serialize, ToSchema)]
struct DepartmentRef {
    id: Uuid,
    name: String,
}

/// A call to a department.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhistleJson {
    id: Uuid,
    department: DepartmentRef,
    /// What is needed of it.
    demand: String,
    called_at: DateTime<Utc>,
    check_in_by: DateTime<Utc>,
    conclude_by: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_on_time: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concluded_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concluded_on_time: Option<bool>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// What the caller thought of it, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    stars: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// What whoever asks may do with it now.
    allowed_actions: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct InspectionJson {
    at: DateTime<Utc>,
    passed: bool,
    findings: String,
}

/// A corrective notice.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CorrectionJson {
    id: Uuid,
    /// Who is to put it right.
    addressee: String,
    demand: String,
    issued_at: DateTime<Utc>,
    /// When the present term ends.
    due_by: DateTime<Utc>,
    /// A re-inspection found it put right.
    settled: bool,
    inspections: Vec<InspectionJson>,
    /// What whoever asks may do with it now.
    allowed_actions: Vec<&'static str>,
}

/// 回访 that is owed, or what it came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevisitJson {
    opened_at: DateTime<Utc>,
    revisit_by: DateTime<Utc>,
    /// `solved`, `unsolved` or `unreachable`; absent while it is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<DateTime<Utc>>,
}

impl From<&Revisit> for RevisitJson {
    fn from(revisit: &Revisit) -> RevisitJson {
        RevisitJson {
            opened_at: revisit.opened_at,
            revisit_by: revisit.revisit_by,
            outcome: revisit.outcome,
            note: revisit.note.clone(),
            recorded_at: revisit.recorded_at,
        }
    }
}

fn actions(seen: &OrderSeen, part: Uuid) -> Vec<&'static str> {
    let known = seen.actions_on_parts.iter().filter(|(id, _)| *id == part);
    known.flat_map(|(_, verbs)| verbs.iter().map(|verb| path(*verb))).collect()
}

/// The last segment of the path under the call or the notice.
fn path(verb: xingfuma_domain::order::Verb) -> &'static str {
    match verb {
        xingfuma_domain::order::Verb::RateWhistle => "rate",
        other => other.segment(),
    }
}

/// The calls of an order, for those who may see them.
pub(crate) fn whistles_of(seen: &OrderSeen) -> Vec<WhistleJson> {
    if !seen.coordination {
        return Vec::new();
    }
    seen.order.whistles.iter().map(|whistle| whistle_json(seen, whistle)).collect()
}

fn whistle_json(seen: &OrderSeen, whistle: &Whistle) -> WhistleJson {
    let name = seen.directory.department(whistle.department).unwrap_or_default().to_owned();
    WhistleJson {
        id: whistle.id,
        department: DepartmentRef { id: whistle.department, name },
        demand: whistle.demand.clone(),
        called_at: whistle.called_at,
        check_in_by: whistle.check_in_by,
        conclude_by: whistle.conclude_by,
        checked_in_at: whistle.checked_in.map(|(at, _)| at),
        checked_in_on_time: whistle.checked_in_on_time(),
        concluded_at: whistle.concluded.as_ref().map(|done| done.at),
        concluded_on_time: whistle.concluded_on_time(),
        result: whistle.concluded.as_ref().map(|done| done.result.clone()),
        stars: whistle.rating.as_ref().map(|rating| rating.stars),
        comment: whistle.rating.as_ref().and_then(|rating| rating.comment.clone()),
        allowed_actions: actions(seen, whistle.id),
    }
}

/// The corrective notices of an order, for those who may see them.
pub(crate) fn corrections_of(seen: &OrderSeen) -> Vec<CorrectionJson> {
    if !seen.coordination {
        return Vec::new();
    }
    let corrections = seen.order.corrections.iter().map(|correction| CorrectionJson {
        id: correction.id,
        addressee: correction.addressee.clone(),
        demand: correction.demand.clone(),
        issued_at: correction.issued_at,
        due_by: correction.due_by,
        settled: correction.is_settled(),
        inspections: correction
            .inspections
            .iter()
            .map(|one| InspectionJson { at: one.at, passed: one.passed, findings: one.findings.clone() })
            .collect(),
        allowed_actions: actions(seen, correction.id),
    });
    corrections.collect()
}
