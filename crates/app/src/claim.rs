//! 申报 and 申诉: somebody claims points with evidence, another person decides; somebody from whom points were taken
//! appeals, and a third person decides. Nobody decides a matter in which he has a part.
//!
//! What is granted is booked in the transaction that writes the decision, under the claim's id as its cause: a claim
//! scores once, whatever is repeated. An appeal (`appeal`) that is upheld reverses its deduction in the same way.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::media::Purpose;
use xingfuma_domain::picture::Look;
use xingfuma_domain::scoring::{
    Alike, Award, ClaimFacts, ClaimFault, RuleKind, ScoringFault, check_claim, judge_claim, may_decide,
    month_of, on_claim_decided,
};
use xingfuma_store::claims::{self, ClaimRow, Filter};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::orders::Notification;
use xingfuma_store::proofs::{self, Proof};
use xingfuma_store::{StoreError, idempotency, inbox, media, people, periods, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::Fields;
use crate::{App, AppError, Caller};

mod appeal;

pub use appeal::RenderAppeal;

/// Longest evidence, in characters.
const EVIDENCE_LONGEST: usize = 1_000;

/// What is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// By which rule.
    pub rule_code: String,
    /// Whose points; the caller's own where nobody is named.
    pub person: Option<Uuid>,
    /// When it took place.
    pub happened_at: DateTime<Utc>,
    /// How many points, where the rule leaves a choice.
    pub points: Option<i64>,
    /// What shows it, in words.
    pub evidence: String,
    /// Photos that show it: uploads of the caller's own, each once.
    pub media: Vec<Uuid>,
}

/// A decision about a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimDecision {
    /// Granted or refused.
    pub grant: bool,
    /// How many points, where the rule leaves a choice; those that were asked for where none are named.
    pub points: Option<i64>,
    /// Why.
    pub reason: String,
}

/// Turns a claim into an answer.
pub type RenderClaim = Arc<dyn Fn(&ClaimRow) -> (u16, Vec<u8>) + Send + Sync>;

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Only what waits for a decision.
    pub pending: bool,
    /// Only what is behind this one.
    pub before: Option<Uuid>,
    /// Most.
    pub limit: u64,
}

fn tell(audience: String, topic: &'static str, data: serde_json::Value) -> Notification {
    Notification { audience, topic, data: data.to_string(), about: None }
}

fn person(id: Uuid) -> String {
    format!("person:{id}")
}

fn station(area: AreaCode) -> String {
    format!("station:{}", area.ancestor_at(Level::Village).unwrap_or(area))
}

impl App {
    /// Makes a claim.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for a claim on behalf of somebody by one who may not, or for a deduction by one who may
    /// not; [`AppError::Invalid`] names every field that is not as it should be.
    pub async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        keyed: &Keyed,
        render: RenderClaim,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let whose = request.person.unwrap_or(caller.actor.person);
        let own = whose == caller.actor.person;
        let grid = people::grid_of(self.store.pool(), county, whose).await?;
        // Somebody outside the caller's areas is nobody to him.
        let grid = grid.filter(|grid| own || allow(&caller.actor, Action::ClaimForOther, *grid));
        let rule = check_claim(
            &self.rules,
            &request.rule_code,
            grid.unwrap_or(county),
            request.happened_at,
            request.points,
            now,
        );
        let deducts = matches!(&rule, Ok(rule) if rule.kind == RuleKind::Deduction);
        if deducts && grid.is_some_and(|grid| own || !allow(&caller.actor, Action::ClaimDeduction, grid)) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let photos = match self.attachment(caller, &request.media, Purpose::Claimed).await {
            Ok(photos) => photos,
            // A twin of this request may have attached them meanwhile.
            Err(refused) => return self.replay(Some(keyed)).await?.ok_or(refused),
        };
        let mut fields = Fields::default();
        let evidence =
            caller.known_words()?.masked(&fields.text("evidence", &request.evidence, EVIDENCE_LONGEST));
        for fault in rule.err().unwrap_or_default() {
            let (field, code) = field_of(fault);
            fields.fault(field, code);
        }
        // Claims about a month whose period has begun are closed: what is to be corrected there is objected to.
        let month = month_of(request.happened_at);
        if periods::claims_closed(self.store.pool(), county, month).await? {
            fields.fault("happenedAt", "claims_closed");
        }
        if grid.is_none() {
            fields.fault("personId", "not_a_volunteer");
        }
        fields.check()?;
        let area = grid.ok_or(AppError::NotFound)?;
        let claim = ClaimRow {
            id: self.new_id(),
            county: county.to_string(),
            area_code: area.to_string(),
            rule_code: request.rule_code.clone(),
            person_id: whose,
            claimed_by: caller.actor.person,
            happened_at: request.happened_at,
            points: request.points,
            evidence,
            media: photos.as_ref().map(|photos| serde_json::json!(photos.ids).to_string()),
            made_at: now,
            status: "pending".to_owned(),
            decided_by: None,
            decided_at: None,
            decision: None,
            transaction_id: None,
        };
        let (status, body) = render(&claim);
        let answer = self.answer(Some(keyed), claim.id, status, &body);
        let data = serde_json::json!({ "rule": claim.rule_code, "area": area });
        let told = [tell(station(area), "claim_made", data)];
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                claims::insert(conn, &claim).await?;
                if let Some(photos) = &photos {
                    media::attach_to_claim(conn, county, claim.id, photos).await?;
                }
                inbox::tell(conn, claim.id, county, now, &told).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "busy").await
    }

    /// Decides a claim; what is granted is booked at once.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for whoever has a part in it;
    /// [`AppError::Forbidden`]; [`AppError::Conflict`] `claim_not_pending`; [`AppError::Invalid`].
    pub async fn decide_claim(
        &self,
        caller: &Caller,
        id: Uuid,
        decision: &ClaimDecision,
        keyed: &Keyed,
        render: RenderClaim,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let claim = self.visible_claim(caller, id).await?;
        if !may_decide(caller.actor.person, &[Some(claim.claimed_by), Some(claim.person_id)]) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::DecideClaim, claim.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", &decision.reason, REASON_LONGEST));
        fields.check()?;
        if claim.status != "pending" {
            return Err(AppError::Conflict("claim_not_pending"));
        }
        let award = match decision.grant {
            true => Some(self.looked_at(self.claimed_award(caller, &claim, decision)?, &claim).await?),
            false => None,
        };
        let transaction = award.as_ref().map(|_| self.new_id());
        let after = ClaimRow {
            status: if decision.grant { "granted" } else { "refused" }.to_owned(),
            points: if decision.grant { decision.points.or(claim.points) } else { claim.points },
            decided_by: Some(caller.actor.person),
            decided_at: Some(now),
            decision: Some(reason),
            transaction_id: transaction,
            ..claim
        };
        let told = decision_told(&after, award.as_ref());
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), after.id, status, &body);
        let booking = award.zip(transaction).map(|(award, id)| Booking::Award { id, award: Box::new(award) });
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                claims::decide(conn, &after).await?;
                if let Some(booking) = &booking {
                    ledger::book(conn, booking).await?;
                }
                inbox::tell(conn, after.id, county, now, &told).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "claim_not_pending").await
    }

    /// Puts points on hold where the claim is one of several pieces, or one of a burst, or shows a photo that showed
    /// something else.
    async fn looked_at(&self, award: Award, claim: &ClaimRow) -> Result<Award, AppError> {
        let others = claims::others(self.store.pool(), claim).await?;
        let others: Vec<Alike> = others.iter().map(|other| alike(other, claim)).collect();
        let reused = self.shows_again(claim).await?;
        let reason = judge_claim(&self.settings.guards, &alike(claim, claim), &others, reused);
        Ok(match reason {
            Some(reason) => award.held_for(reason),
            None => award,
        })
    }

    /// Whether one of the claim's photos proved something before.
    async fn shows_again(&self, claim: &ClaimRow) -> Result<bool, AppError> {
        let (photos, at) = (claim.photos(), claim.made_at);
        let Some(since) = self.settings.guards.photos_since(at) else { return Ok(false) };
        if photos.is_empty() {
            return Ok(false);
        }
        let looks = media::looks(self.store.pool(), &photos).await?;
        let looks: Vec<Look> = looks.into_iter().map(|(_, look)| look).collect();
        let proof = Proof { county: self.settings.county, of: claim.id, looks: &looks, since, at };
        Ok(proofs::proved_before(self.store.pool(), proof).await?)
    }

    fn claimed_award(
        &self,
        caller: &Caller,
        claim: &ClaimRow,
        decision: &ClaimDecision,
    ) -> Result<Award, AppError> {
        let facts = ClaimFacts {
            claim_id: claim.id,
            rule_code: claim.rule_code.clone(),
            person: claim.person_id,
            area: claim.area()?,
            at: claim.happened_at,
            points: decision.points.or(claim.points),
            claimed_by: claim.claimed_by,
            decided_by: caller.actor.person,
        };
        on_claim_decided(&self.rules, &facts).map_err(|fault| match fault {
            ScoringFault::OwnDecision => AppError::NotAllowed("own_decision"),
            ScoringFault::PointsNotAllowed { .. } => AppError::invalid("points", "out_of_range"),
            _ => AppError::Conflict("rule_not_in_force"),
        })
    }

    /// A claim that the caller made, that is about him, or that lies in his areas.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for him.
    pub async fn visible_claim(&self, caller: &Caller, id: Uuid) -> Result<ClaimRow, AppError> {
        let claim = claims::find(self.store.pool(), self.settings.county, id).await?;
        let claim = claim.ok_or(AppError::NotFound)?;
        let own = [claim.person_id, claim.claimed_by].contains(&caller.actor.person);
        let seen = own || allow(&caller.actor, Action::ReadClaims, claim.area()?);
        if seen { Ok(claim) } else { Err(AppError::NotFound) }
    }

    /// Claims that the caller made, that are about him, or that lie in his areas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claims(&self, caller: &Caller, part: Part) -> Result<Vec<ClaimRow>, AppError> {
        let areas = caller.areas(Action::ReadClaims);
        Ok(claims::list(self.store.pool(), &self.filter(caller, &areas, part)).await?)
    }

    fn filter<'a>(&self, caller: &Caller, areas: &'a [AreaCode], part: Part) -> Filter<'a> {
        Filter {
            county: self.settings.county,
            person: caller.actor.person,
            areas,
            pending: part.pending,
            before: part.before,
            limit: part.limit,
        }
    }
}

/// What a guard compares of a claim.
fn alike(one: &ClaimRow, of: &ClaimRow) -> Alike {
    Alike {
        same_person: one.person_id == of.person_id,
        rule_code: one.rule_code.clone(),
        happened_at: one.happened_at,
        made_at: one.made_at,
        evidence: one.evidence.clone(),
    }
}

fn field_of(fault: ClaimFault) -> (&'static str, &'static str) {
    match fault {
        ClaimFault::RuleUnknown => ("ruleCode", "rule_unknown"),
        ClaimFault::RuleAutomatic => ("ruleCode", "rule_automatic"),
        ClaimFault::InTheFuture => ("happenedAt", "in_the_future"),
        ClaimFault::TooLongAgo => ("happenedAt", "too_long_ago"),
        ClaimFault::PointsNotAllowed => ("points", "out_of_range"),
    }
}

/// The person whose points they are is told, and whoever claimed for him. A deduction says that it is one: its notice
/// begins the time for an appeal.
fn decision_told(claim: &ClaimRow, award: Option<&Award>) -> Vec<Notification> {
    let topic = match award {
        None => "claim_refused",
        Some(award) if award.notice => "claim_deducted",
        Some(award) if award.review().is_some() => "claim_held",
        Some(_) => "claim_granted",
    };
    let data = serde_json::json!({
        "rule": claim.rule_code, "points": award.map(|award| award.points), "entry": claim.transaction_id,
    });
    let mut told = vec![tell(person(claim.claimed_by), topic, data.clone())];
    // What was refused is between those two: he is not told of what somebody said of him in vain.
    if claim.person_id != claim.claimed_by && award.is_some() {
        told.push(tell(person(claim.person_id), topic, data));
    }
    told
}
