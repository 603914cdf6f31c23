//! What the newer books keep of a person, as his own copy of his data says it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_store::own_records::{
    OwnActivity, OwnAppeal, OwnBadge, OwnCertificate, OwnClaim, OwnHold, OwnLeave, OwnObjection, OwnPatrol,
    OwnPatrolNote, OwnRecords, OwnRedemption, OwnStars, OwnTraining,
};

/// Makes the JSON of rows, field by field.
macro_rules! copies {
    ($($(#[$about:meta])* $json:ident of $row:ident { $($(#[$of:meta])* $field:ident: $kind:ty,)+ })+) => {$(
        $(#[$about])*
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        struct $json {
            $($(#[$of])* $field: $kind,)+
        }

        impl From<$row> for $json {
            fn from(row: $row) -> $json {
                $json { $($field: row.$field,)+ }
            }
        }
    )+};
}

copies! {
    /// His part in an activity.
    ActivityCopyJson of OwnActivity {
        activity_id: Uuid,
        title: String,
        area_code: String,
        place: String,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
        joined_at: DateTime<Utc>,
        #[serde(skip_serializing_if = "Option::is_none")]
        checked_in_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        feedback_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        feedback: Option<String>,
        /// Minutes of service.
        #[serde(skip_serializing_if = "Option::is_none")]
        minutes: Option<i64>,
    }
    /// A training that he attended.
    TrainingCopyJson of OwnTraining {
        training_id: Uuid,
        title: String,
        organizer: String,
        area_code: String,
        /// The day in China.
        held_on: String,
        minutes: i64,
        recorded_at: DateTime<Utc>,
        /// When it was taken back.
        #[serde(skip_serializing_if = "Option::is_none")]
        voided_at: Option<DateTime<Utc>>,
    }
    /// Something noted on a patrol.
    PatrolNoteCopyJson of OwnPatrolNote {
        at: DateTime<Utc>,
        place: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        order_id: Option<Uuid>,
    }
    /// Stars that were conferred.
    StarsCopyJson of OwnStars {
        stars: i32,
        as_of: String,
        minutes: i64,
        points: i64,
        conferred_at: DateTime<Utc>,
    }
    /// Points that were held for review.
    HoldCopyJson of OwnHold {
        #[serde(rename = "entryId")]
        transaction_id: Uuid,
        #[serde(rename = "rule")]
        rule_code: String,
        reason: String,
        made_at: DateTime<Utc>,
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
    }
    /// A claim about him.
    ClaimCopyJson of OwnClaim {
        id: Uuid,
        #[serde(rename = "rule")]
        rule_code: String,
        happened_at: DateTime<Utc>,
        #[serde(skip_serializing_if = "Option::is_none")]
        points: Option<i64>,
        evidence: String,
        made_at: DateTime<Utc>,
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
    }
    /// An appeal of his.
    AppealCopyJson of OwnAppeal {
        id: Uuid,
        #[serde(rename = "entryId")]
        transaction_id: Uuid,
        reason: String,
        made_at: DateTime<Utc>,
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
    }
    /// An objection of his to a line of a published list.
    ObjectionCopyJson of OwnObjection {
        id: Uuid,
        /// `period` or `stars`.
        list: String,
        #[serde(rename = "line")]
        number: i64,
        reason: String,
        made_at: DateTime<Utc>,
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
    }
    /// Goods that he reserved.
    RedemptionCopyJson of OwnRedemption {
        id: Uuid,
        #[serde(rename = "goods")]
        goods_name: String,
        quantity: i64,
        /// Points for one piece.
        price: i64,
        status: String,
        made_at: DateTime<Utc>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_at: Option<DateTime<Utc>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
    /// A time in which he was away.
    LeaveCopyJson of OwnLeave {
        #[serde(rename = "from")]
        from_at: DateTime<Utc>,
        #[serde(rename = "to")]
        to_at: DateTime<Utc>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_at: Option<DateTime<Utc>>,
    }
    /// A badge.
    BadgeCopyJson of OwnBadge {
        number: String,
        status: String,
        issued_at: DateTime<Utc>,
    }
}

/// A patrol of his.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PatrolCopyJson {
    id: Uuid,
    area_code: String,
    began_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    notes: Vec<PatrolNoteCopyJson>,
}

/// A certificate, or a request for one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CertificateCopyJson {
    id: Uuid,
    from: String,
    to: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// What it says, once it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    content: Option<serde_json::Value>,
    requested_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    /// Why it was refused or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<OwnCertificate> for CertificateCopyJson {
    fn from(row: OwnCertificate) -> CertificateCopyJson {
        CertificateCopyJson {
            id: row.id,
            from: row.from_day,
            to: row.to_day,
            status: row.status,
            number: row.number,
            content: row.content.and_then(|content| serde_json::from_str(&content).ok()),
            requested_at: row.requested_at,
            signed_at: row.signed_at,
            ended_at: row.ended_at,
            reason: row.reason,
        }
    }
}

/// What the books keep of a person, each list from its beginning.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordsCopyJson {
    /// Activities that he joined.
    activities: Vec<ActivityCopyJson>,
    /// Trainings that he attended, those that were taken back among them.
    trainings: Vec<TrainingCopyJson>,
    /// Patrols that he walked.
    patrols: Vec<PatrolCopyJson>,
    /// Stars that were conferred on him.
    stars: Vec<StarsCopyJson>,
    certificates: Vec<CertificateCopyJson>,
    /// Points of his that were held for review.
    holds: Vec<HoldCopyJson>,
    /// Claims about him.
    claims: Vec<ClaimCopyJson>,
    appeals: Vec<AppealCopyJson>,
    /// Objections that he made.
    objections: Vec<ObjectionCopyJson>,
    redemptions: Vec<RedemptionCopyJson>,
    leaves: Vec<LeaveCopyJson>,
    badges: Vec<BadgeCopyJson>,
}

fn all<R, J: From<R>>(rows: Vec<R>) -> Vec<J> {
    rows.into_iter().map(J::from).collect()
}

fn patrols(rows: Vec<OwnPatrol>, notes: Vec<OwnPatrolNote>) -> Vec<PatrolCopyJson> {
    let mut of: HashMap<Uuid, Vec<OwnPatrolNote>> = HashMap::new();
    for note in notes {
        of.entry(note.patrol_id).or_default().push(note);
    }
    let copy = |row: OwnPatrol| PatrolCopyJson {
        id: row.id,
        area_code: row.area_code,
        began_at: row.began_at,
        ended_at: row.ended_at,
        minutes: row.minutes,
        summary: row.summary,
        notes: all(of.remove(&row.id).unwrap_or_default()),
    };
    rows.into_iter().map(copy).collect()
}

impl From<OwnRecords> for RecordsCopyJson {
    fn from(own: OwnRecords) -> RecordsCopyJson {
        RecordsCopyJson {
            activities: all(own.activities),
            trainings: all(own.trainings),
            patrols: patrols(own.patrols, own.patrol_notes),
            stars: all(own.stars),
            certificates: all(own.certificates),
            holds: all(own.holds),
            claims: all(own.claims),
            appeals: all(own.appeals),
            objections: all(own.objections),
            redemptions: all(own.redemptions),
            leaves: all(own.leaves),
            badges: all(own.badges),
        }
    }
}
