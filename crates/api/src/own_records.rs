//! What the newer books keep of a person, as his own copy of his data says it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_store::own_records::{
    OwnActivity, OwnAppeal, OwnBadge, OwnCertificate, OwnClaim, OwnHold, OwnLeave, OwnObjection, OwnPatrol,
    OwnPatrolNote, OwnRecords, OwnRedemption, OwnStars, OwnTraining,
};

/// Makes the JSON of rows whose fields are called the same.
macro_rules! copies {
    ($($(#[$about:meta])* $json:ident of $row:ident { $($(#[$of:meta])* $field:ident: $kind:ty = $from:ident,)+ })+) => {$(
        $(#[$about])*
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        struct $json {
            $($(#[$of])* $field: $kind,)+
        }

        impl From<$row> for $json {
            fn from(row: $row) -> $json {
                $json { $($field: row.$from,)+ }
            }
        }
    )+};
}

copies! {
    /// His part in an activity.
    ActivityCopyJson of OwnActivity {
        activity_id: Uuid = activity_id,
        title: String = title,
        area_code: String = area_code,
        place: String = place,
        starts_at: DateTime<Utc> = starts_at,
        ends_at: DateTime<Utc> = ends_at,
        joined_at: DateTime<Utc> = joined_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        checked_in_at: Option<DateTime<Utc>> = checked_in_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        feedback_at: Option<DateTime<Utc>> = feedback_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        feedback: Option<String> = feedback,
        /// Minutes of service.
        #[serde(skip_serializing_if = "Option::is_none")]
        minutes: Option<i64> = minutes,
    }
    /// A training that he attended.
    TrainingCopyJson of OwnTraining {
        training_id: Uuid = training_id,
        title: String = title,
        organizer: String = organizer,
        area_code: String = area_code,
        /// The day in China.
        held_on: String = held_on,
        minutes: i64 = minutes,
        recorded_at: DateTime<Utc> = recorded_at,
        /// When it was taken back.
        #[serde(skip_serializing_if = "Option::is_none")]
        voided_at: Option<DateTime<Utc>> = voided_at,
    }
    /// Something noted on a patrol.
    PatrolNoteCopyJson of OwnPatrolNote {
        at: DateTime<Utc> = at,
        place: String = place,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String> = note,
        #[serde(skip_serializing_if = "Option::is_none")]
        order_id: Option<Uuid> = order_id,
    }
    /// Stars that were conferred.
    StarsCopyJson of OwnStars {
        stars: i32 = stars,
        as_of: String = as_of,
        minutes: i64 = minutes,
        points: i64 = points,
        conferred_at: DateTime<Utc> = conferred_at,
    }
    /// Points that were held for review.
    HoldCopyJson of OwnHold {
        entry_id: Uuid = transaction_id,
        rule: String = rule_code,
        reason: String = reason,
        made_at: DateTime<Utc> = made_at,
        status: String = status,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>> = decided_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String> = decision,
    }
    /// A claim about him.
    ClaimCopyJson of OwnClaim {
        id: Uuid = id,
        rule: String = rule_code,
        happened_at: DateTime<Utc> = happened_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        points: Option<i64> = points,
        evidence: String = evidence,
        made_at: DateTime<Utc> = made_at,
        status: String = status,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>> = decided_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String> = decision,
    }
    /// An appeal of his.
    AppealCopyJson of OwnAppeal {
        id: Uuid = id,
        entry_id: Uuid = transaction_id,
        reason: String = reason,
        made_at: DateTime<Utc> = made_at,
        status: String = status,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>> = decided_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String> = decision,
    }
    /// An objection of his to a line of a published list.
    ObjectionCopyJson of OwnObjection {
        id: Uuid = id,
        /// `period` or `stars`.
        list: String = list,
        line: i64 = number,
        reason: String = reason,
        made_at: DateTime<Utc> = made_at,
        status: String = status,
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_at: Option<DateTime<Utc>> = decided_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<String> = decision,
    }
    /// Goods that he reserved.
    RedemptionCopyJson of OwnRedemption {
        id: Uuid = id,
        goods: String = goods_name,
        quantity: i64 = quantity,
        /// Points for one piece.
        price: i64 = price,
        status: String = status,
        made_at: DateTime<Utc> = made_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_at: Option<DateTime<Utc>> = ended_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String> = reason,
    }
    /// A time in which he was away.
    LeaveCopyJson of OwnLeave {
        from: DateTime<Utc> = from_at,
        to: DateTime<Utc> = to_at,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_at: Option<DateTime<Utc>> = ended_at,
    }
    /// A badge.
    BadgeCopyJson of OwnBadge {
        number: String = number,
        status: String = status,
        issued_at: DateTime<Utc> = issued_at,
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
    let of =
        |patrol: Uuid| notes.iter().filter(move |note| note.patrol_id == patrol).cloned().collect::<Vec<_>>();
    let copy = |row: OwnPatrol| PatrolCopyJson {
        id: row.id,
        area_code: row.area_code,
        began_at: row.began_at,
        ended_at: row.ended_at,
        minutes: row.minutes,
        summary: row.summary,
        notes: all(of(row.id)),
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
