//! 接 and what follows until it is done: decline, hand over, arrive, complete, wait and answer; and the commands that
//! may come at any moment: cancel, escalate.

use uuid::Uuid;
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::order::{Assignment, Command, Order, State};
use xingfuma_domain::sign::SignCode;
use xingfuma_store::people;

use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, KnownWords};
use crate::{App, AppError, Caller};

/// Longest summary, question or answer, in characters.
const WORDS_LONGEST: usize = 1_000;

impl App {
    pub(crate) async fn prepare_decline(
        &self,
        person: Uuid,
        order: &Order,
        reason: Option<&str>,
        whole_team: bool,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        let reason = fields.optional("reason", reason, REASON_LONGEST).map(|reason| known.masked(&reason));
        fields.check()?;
        let others_left = match &order.state {
            State::Dispatched { offer } => {
                let mut without = offer.declined.clone();
                without.push(person);
                people::volunteers_besides(self.store.pool(), offer.to.team, &without).await? > 0
            }
            _ => false,
        };
        Ok(Command::Decline { reason, whole_team, others_left })
    }

    pub(crate) async fn prepare_hand_over(
        &self,
        volunteer: Uuid,
        reason: &str,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        let reason = known.masked(&fields.text("reason", reason, REASON_LONGEST));
        let team = people::team_of(self.store.pool(), volunteer).await?;
        if team.is_none() {
            fields.fault("volunteerId", "not_a_volunteer");
        }
        fields.check()?;
        let team = team.ok_or(AppError::NotFound)?;
        Ok(Command::HandOver { to: Assignment { team, volunteer: Some(volunteer) }, reason })
    }

    pub(crate) async fn prepare_arrive(
        &self,
        caller: &Caller,
        order: &Order,
        sign: Option<&str>,
        badge: Option<&str>,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        if let Some(sign) = sign {
            self.check_sign_of(order, sign, &mut fields);
        }
        if let Some(badge) = badge {
            let own = people::badge_of(self.store.pool(), caller.actor.person).await?;
            let shown = badge.parse::<BadgeNumber>().ok().map(|badge| badge.to_string());
            if shown.is_none() || shown != own {
                fields.fault("badge", "not_your_badge");
            }
        }
        fields.check()?;
        let proof = match (sign, badge) {
            (Some(_), _) => "sign",
            (None, Some(_)) => "badge",
            (None, None) => "word",
        };
        Ok(Command::Arrive { proof: Some(proof.to_owned()) })
    }

    /// The sign must be one of the order's grid: it shows that somebody stands there.
    fn check_sign_of(&self, order: &Order, sign: &str, fields: &mut Fields) {
        let known = sign.parse::<SignCode>().ok().and_then(|code| self.directory().sign(&code));
        match known {
            None => fields.fault("signCode", "sign_unknown"),
            Some(sign) if !sign.active => fields.fault("signCode", "sign_revoked"),
            Some(sign)
                if !(sign.area.contains(&order.placed.area) || order.placed.area.contains(&sign.area)) =>
            {
                fields.fault("signCode", "sign_elsewhere");
            }
            Some(_) => {}
        }
    }
}

pub(crate) fn prepare_complete(summary: &str, minutes: i64, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let summary = known.masked(&fields.text("summary", summary, WORDS_LONGEST));
    fields.check()?;
    Ok(Command::Complete { summary, minutes })
}

pub(crate) fn prepare_wait(question: &str, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let question = known.masked(&fields.text("question", question, WORDS_LONGEST));
    fields.check()?;
    Ok(Command::Wait { question })
}

pub(crate) fn prepare_answer(answer: &str, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let answer = known.masked(&fields.text("answer", answer, WORDS_LONGEST));
    fields.check()?;
    Ok(Command::Answer { answer: Some(answer) })
}

pub(crate) fn prepare_cancel(reason: Option<&str>, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let reason = fields.optional("reason", reason, REASON_LONGEST).map(|reason| known.masked(&reason));
    fields.check()?;
    Ok(Command::Cancel { reason })
}

pub(crate) fn prepare_escalate(reason: &str, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let reason = known.masked(&fields.text("reason", reason, REASON_LONGEST));
    fields.check()?;
    Ok(Command::Escalate { reason })
}
