//! What the newer books keep of one person, for his own copy: activities, trainings, patrols, stars, certificates, held
//! points, claims, appeals, objections, redemptions, leaves and badges. Each list is whole, oldest first, and names nobody else.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use crate::{StoreError, sql};

/// Everything of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRecords {
    /// Activities that he joined.
    pub activities: Vec<OwnActivity>,
    /// Trainings that he attended, those that were taken back among them.
    pub trainings: Vec<OwnTraining>,
    /// Patrols that he walked.
    pub patrols: Vec<OwnPatrol>,
    /// What he noted on them.
    pub patrol_notes: Vec<OwnPatrolNote>,
    /// Stars that were conferred on him.
    pub stars: Vec<OwnStars>,
    /// Certificates of his services, and requests for them.
    pub certificates: Vec<OwnCertificate>,
    /// Points of his that were held for review.
    pub holds: Vec<OwnHold>,
    /// Claims about him.
    pub claims: Vec<OwnClaim>,
    /// His appeals.
    pub appeals: Vec<OwnAppeal>,
    /// His objections to published lists.
    pub objections: Vec<OwnObjection>,
    /// Goods that he reserved.
    pub redemptions: Vec<OwnRedemption>,
    /// When he was away.
    pub leaves: Vec<OwnLeave>,
    /// His badges, those that are no more among them.
    pub badges: Vec<OwnBadge>,
}

/// His part in an activity.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnActivity {
    /// The activity.
    pub activity_id: Uuid,
    /// What it is called.
    pub title: String,
    /// Where.
    pub area_code: String,
    /// Where one met.
    pub place: String,
    /// Its beginning.
    pub starts_at: DateTime<Utc>,
    /// Its end.
    pub ends_at: DateTime<Utc>,
    /// When he joined.
    pub joined_at: DateTime<Utc>,
    /// When he checked in.
    pub checked_in_at: Option<DateTime<Utc>>,
    /// When he said how it was.
    pub feedback_at: Option<DateTime<Utc>>,
    /// What he said.
    pub feedback: Option<String>,
    /// His minutes of service.
    pub minutes: Option<i64>,
}

/// A training that he attended.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnTraining {
    /// The training.
    pub training_id: Uuid,
    /// What it is called.
    pub title: String,
    /// Who held it.
    pub organizer: String,
    /// For which area.
    pub area_code: String,
    /// The day in China.
    pub held_on: String,
    /// How long it was.
    pub minutes: i64,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// When it was taken back.
    pub voided_at: Option<DateTime<Utc>>,
}

/// A patrol of his.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnPatrol {
    /// The id.
    pub id: Uuid,
    /// Where.
    pub area_code: String,
    /// Since when.
    pub began_at: DateTime<Utc>,
    /// Until when.
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it was.
    pub minutes: Option<i64>,
    /// What came of it.
    pub summary: Option<String>,
}

/// Something that he noted on a patrol.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnPatrolNote {
    /// The patrol.
    pub patrol_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Where.
    pub place: String,
    /// What.
    pub note: Option<String>,
    /// The order that a hazard became.
    pub order_id: Option<Uuid>,
}

/// Stars that were conferred.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnStars {
    /// 1 to 5.
    pub stars: i32,
    /// The day by which hours and points were counted.
    pub as_of: String,
    /// Minutes of service by then.
    pub minutes: i64,
    /// Assessment points by then.
    pub points: i64,
    /// When.
    pub conferred_at: DateTime<Utc>,
}

/// A certificate, or a request for one.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnCertificate {
    /// The id.
    pub id: Uuid,
    /// The first day.
    pub from_day: String,
    /// The last day.
    pub to_day: String,
    /// Where it stands.
    pub status: String,
    /// The number, once it is signed.
    pub number: Option<String>,
    /// What it says, as JSON.
    pub content: Option<String>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it was signed.
    pub signed_at: Option<DateTime<Utc>>,
    /// When it was refused or revoked.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Option<String>,
}

/// Points that were held for review.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnHold {
    /// The entry that was held.
    pub transaction_id: Uuid,
    /// Its rule.
    pub rule_code: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub made_at: DateTime<Utc>,
    /// What came of it.
    pub status: String,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, in words.
    pub decision: Option<String>,
}

/// A claim about him.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnClaim {
    /// The id.
    pub id: Uuid,
    /// The rule.
    pub rule_code: String,
    /// When what it claims took place.
    pub happened_at: DateTime<Utc>,
    /// Points, where the rule leaves a choice.
    pub points: Option<i64>,
    /// What shows it.
    pub evidence: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What came of it.
    pub status: String,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, in words.
    pub decision: Option<String>,
}

/// An appeal of his.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnAppeal {
    /// The id.
    pub id: Uuid,
    /// The deduction.
    pub transaction_id: Uuid,
    /// Why.
    pub reason: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// What came of it.
    pub status: String,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, in words.
    pub decision: Option<String>,
}

/// An objection of his to a line of a published list.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnObjection {
    /// The id.
    pub id: Uuid,
    /// The list: `period` or `stars`.
    pub list: String,
    /// The line's number.
    pub number: i64,
    /// Why.
    pub reason: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// What came of it.
    pub status: String,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, in words.
    pub decision: Option<String>,
}

/// Goods that he reserved.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnRedemption {
    /// The id.
    pub id: Uuid,
    /// What they were called.
    pub goods_name: String,
    /// Pieces.
    pub quantity: i64,
    /// Points for one piece.
    pub price: i64,
    /// What became of it.
    pub status: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it was called off.
    pub reason: Option<String>,
}

/// A time in which he was away.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnLeave {
    /// The first moment.
    pub from_at: DateTime<Utc>,
    /// The first moment after it.
    pub to_at: DateTime<Utc>,
    /// When he ended it early.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A badge.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnBadge {
    /// The number.
    pub number: String,
    /// Whether it is in force.
    pub status: String,
    /// Since when.
    pub issued_at: DateTime<Utc>,
}

const ACTIVITIES: &str = "SELECT a.id AS activity_id, a.title, a.area_code, a.place, a.starts_at, a.ends_at, p.joined_at, \
                          p.checked_in_at, p.feedback_at, p.feedback, p.minutes FROM attendance p \
                          JOIN activity a ON a.id = p.activity_id WHERE p.person_id = $1 ORDER BY p.id";
const TRAININGS: &str = "SELECT g.id AS training_id, g.title, g.organizer, g.area_code, g.held_on, g.minutes, \
                         g.recorded_at, g.voided_at FROM trainee n JOIN training g ON g.id = n.training_id \
                         WHERE n.person_id = $1 ORDER BY g.id";
const PATROLS: &str = "SELECT id, area_code, began_at, ended_at, minutes, summary FROM patrol WHERE person_id = $1 \
                       ORDER BY id";
const PATROL_NOTES: &str = "SELECT n.patrol_id, n.at, n.place, n.note, n.order_id FROM patrol_note n \
                            JOIN patrol q ON q.id = n.patrol_id WHERE q.person_id = $1 ORDER BY n.id";
const STARS: &str = "SELECT stars, as_of, minutes, points, conferred_at FROM star_award WHERE person_id = $1 \
                     ORDER BY stars";
const CERTIFICATES: &str = "SELECT id, from_day, to_day, status, number, content, requested_at, signed_at, ended_at, reason \
                            FROM certificate WHERE person_id = $1 ORDER BY id";
const HOLDS: &str = "SELECT h.transaction_id, t.rule_code, h.reason, h.made_at, h.status, h.decided_at, h.decision \
                     FROM score_hold h JOIN score_transaction t ON t.id = h.transaction_id WHERE h.person_id = $1 \
                     ORDER BY h.transaction_id";
const CLAIMS: &str = "SELECT id, rule_code, happened_at, points, evidence, made_at, status, decided_at, decision \
                      FROM score_claim WHERE person_id = $1 ORDER BY id";
const APPEALS: &str = "SELECT id, transaction_id, reason, made_at, status, decided_at, decision FROM score_appeal \
                       WHERE person_id = $1 ORDER BY id";
const OBJECTIONS: &str = "SELECT id, 'period' AS list, number, reason, made_at, status, decided_at, decision \
                          FROM score_objection WHERE objector_id = $1 UNION ALL \
                          SELECT id, 'stars' AS list, number, reason, made_at, status, decided_at, decision \
                          FROM star_objection WHERE objector_id = $1 ORDER BY id";
const REDEMPTIONS: &str = "SELECT id, goods_name, quantity, price, status, made_at, ended_at, reason FROM shop_redemption \
                           WHERE person_id = $1 ORDER BY id";
const LEAVES: &str = "SELECT from_at, to_at, ended_at FROM on_leave WHERE person_id = $1 ORDER BY id";
const BADGES: &str =
    "SELECT number, status, issued_at FROM badge WHERE person_id = $1 ORDER BY issued_at, number";

/// All of a person's.
///
/// # Errors
/// When the database fails.
pub async fn of_person(conn: &impl ConnectionTrait, person: Uuid) -> Result<OwnRecords, StoreError> {
    let of = || vec![person.into()];
    Ok(OwnRecords {
        activities: sql::all(conn, ACTIVITIES, of()).await?,
        trainings: sql::all(conn, TRAININGS, of()).await?,
        patrols: sql::all(conn, PATROLS, of()).await?,
        patrol_notes: sql::all(conn, PATROL_NOTES, of()).await?,
        stars: sql::all(conn, STARS, of()).await?,
        certificates: sql::all(conn, CERTIFICATES, of()).await?,
        holds: sql::all(conn, HOLDS, of()).await?,
        claims: sql::all(conn, CLAIMS, of()).await?,
        appeals: sql::all(conn, APPEALS, of()).await?,
        objections: sql::all(conn, OBJECTIONS, of()).await?,
        redemptions: sql::all(conn, REDEMPTIONS, of()).await?,
        leaves: sql::all(conn, LEAVES, of()).await?,
        badges: sql::all(conn, BADGES, of()).await?,
    })
}
