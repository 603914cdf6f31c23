//! The second factor of staff: codes by time (RFC 6238) over a secret that stands in an authenticator app.
//!
//! 6 digits, 30 seconds, HMAC-SHA-1, as every such app does it by default. The span before and the one after are good too,
//! because clocks differ; each span is good once. Who loses his phone is reset by the county's administrator.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::totp::{self, TotpRow};
use xingfuma_store::{StoreError, idempotency, people, sessions, transact};

use crate::command::Reply;
use crate::dispatch::REASON_LONGEST;
use crate::keys::DataKey;
use crate::once::Once;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Seconds of a span.
const STEP_SECONDS: i64 = 30;
/// Spans before and after the present one that are good.
const SKEW: i64 = 1;
/// Digits of a code.
const DIGITS: u32 = 6;
/// Bytes of a secret, as many as SHA-1 gives.
const SECRET_BYTES: usize = 20;
/// The label under which a secret is sealed.
const LABEL: &str = "totp";

/// Of whom a county insists on a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorRule {
    /// Of nobody; whoever has set one up is asked for it.
    #[default]
    Off,
    /// Of everybody who has a password. A session in which none was shown can set one up, and nothing else.
    Staff,
}

/// A secret on its way into an authenticator app; it is shown once.
#[derive(Clone)]
pub struct Enrolment {
    /// In base32, to be typed.
    pub secret: String,
    /// The same with what the app shows, to be scanned.
    pub uri: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Enrolment(…)")
    }
}

/// The code of a span.
pub fn code(secret: &[u8], step: i64) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 0x0F);
    let word =
        u32::from_be_bytes([hash[offset] & 0x7F, hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
    format!("{:06}", word % 10_u32.pow(DIGITS))
}

/// The span of a moment.
pub fn step_of(seconds: i64) -> i64 {
    seconds.div_euclid(STEP_SECONDS)
}

/// The newest span around `now` whose code this is, and which lies after the last used one.
pub fn matching_step(secret: &[u8], given: &str, now: i64, last_used: i64) -> Option<i64> {
    let plain = given.len() == DIGITS as usize && given.bytes().all(|digit| digit.is_ascii_digit());
    let steps = (now - SKEW..=now + SKEW).rev();
    // All of them are computed and compared whole: how long it takes tells nothing.
    let found = steps.filter(|step| same(&code(secret, *step), given)).max();
    found.filter(|step| plain && *step > last_used)
}

fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// RFC 4648, without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |group: &[u8]| {
        let padded = group.iter().copied().chain(std::iter::repeat(0)).take(5);
        char::from(LETTERS[padded.fold(0, |sum, bit| sum * 2 + usize::from(bit))])
    };
    bits.chunks(5).map(letter).collect()
}

impl App {
    /// Makes a secret for the caller, to be confirmed with a code of it. Until then it is not asked for.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody who has no password; [`AppError::Conflict`] `totp_active` when one is in force.
    pub async fn enrol_totp(&self, caller: &Caller, once: &Once<Enrolment>) -> Result<Reply, AppError> {
        let (county, person, now) = (self.settings.county, caller.actor.person, self.clock.now());
        if !totp::is_staff(self.store.pool(), county, person).await? {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let raw = self.ids.bytes::<SECRET_BYTES>();
        let sealed = caller.data_key.seal(LABEL, person, &raw, &self.ids);
        let secret = base32(&raw);
        let uri = format!("otpauth://totp/xingfuma:{county}?secret={secret}&issuer=xingfuma");
        let (reply, answer) = self.answer_once(once, person, &Enrolment { secret, uri });
        let begun: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !totp::begin(conn, county, person, sealed, now).await? {
                    return Ok(None);
                }
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, begun, AppError::Conflict("totp_active")).await
    }

    /// The caller shows that the secret is in his app: from now on his log-in asks for it, and this session has shown it.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when there is nothing to confirm; [`AppError::Conflict`] `totp_active`; [`AppError::Invalid`]
    /// `totp_wrong`.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        given: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let person = caller.actor.person;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let row = totp::find(self.store.pool(), person).await?.ok_or(AppError::NotFound)?;
        if row.confirmed_at.is_some() {
            return Err(AppError::Conflict("totp_active"));
        }
        self.count_totp(person).await?;
        let now = self.clock.now();
        let Some(step) = matching_code(&caller.data_key, person, &row, given, now)? else {
            return self.done_before(once).await?.ok_or(AppError::invalid("code", "totp_wrong"));
        };
        let session = caller.session;
        let (reply, answer) = self.answer_once(once, person, &());
        let confirmed: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !totp::use_up(conn, person, step, now).await? {
                    return Ok(None);
                }
                sessions::prove(conn, session).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, confirmed, AppError::invalid("code", "totp_wrong")).await
    }

    /// Whether the code is good now, and was not used before; uses it up.
    async fn use_code(
        &self,
        key: &DataKey,
        person: Uuid,
        row: &TotpRow,
        given: &str,
    ) -> Result<bool, AppError> {
        let now = self.clock.now();
        let Some(step) = matching_code(key, person, row, given, now)? else { return Ok(false) };
        let used: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { totp::use_up(conn, person, step, now).await })
        })
        .await;
        Ok(used?)
    }

    /// What the second factor says to a log-in with the right password.
    pub(crate) async fn second_factor(
        &self,
        person: Uuid,
        given: Option<&str>,
    ) -> Result<SecondFactor, AppError> {
        let row = totp::find(self.store.pool(), person).await?;
        let Some(row) = row.filter(|row| row.confirmed_at.is_some()) else {
            return Ok(SecondFactor::NotAsked);
        };
        let Some(given) = given else { return Ok(SecondFactor::Missing) };
        let known = people::find(self.store.pool(), self.settings.county, person).await?;
        let wrapped = known.and_then(|known| known.data_key).ok_or(AppError::Unauthenticated)?;
        let key = self.keys.data_key(person, &wrapped)?;
        let right = self.use_code(&key, person, &row, given).await?;
        Ok(if right { SecondFactor::Passed } else { SecondFactor::Wrong })
    }

    /// The county's administrator takes somebody's second factor away, who has lost his phone. It is logged; the person's
    /// sessions end.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; [`AppError::NotFound`] for somebody without one; [`AppError::NotAllowed`] `own_decision`
    /// for one's own; [`AppError::Invalid`] without a reason.
    pub async fn reset_totp(
        &self,
        caller: &Caller,
        person: Uuid,
        reason: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        if !allow(&caller.actor, Action::ManageStaff, county) {
            return Err(AppError::Forbidden);
        }
        if person == caller.actor.person {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !totp::is_staff(self.store.pool(), county, person).await? {
            return Err(AppError::NotFound);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        let entry = AuditEntry {
            id: self.new_id(),
            county,
            at: now,
            person: Some(caller.actor.person),
            action: "totp_reset",
            resource: person,
            subject: Some(person),
            reason: Some(reason),
        };
        let (reply, answer) = self.answer_once(once, person, &());
        let forgotten: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !totp::forget(conn, person).await? {
                    return Ok(None);
                }
                sessions::revoke_all(conn, person, now).await?;
                audit::append(conn, &[entry]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, forgotten, AppError::NotFound).await
    }
}

/// The span whose code this is, if it is good at this moment and was not used before.
fn matching_code(
    key: &DataKey,
    person: Uuid,
    row: &TotpRow,
    given: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, AppError> {
    let secret = key.open(LABEL, person, &row.secret)?;
    Ok(matching_step(&secret, given, step_of(now.timestamp()), row.last_step))
}

/// The second factor of a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondFactor {
    /// There is none in force.
    NotAsked,
    /// Right.
    Passed,
    /// Asked for, and not given.
    Missing,
    /// Wrong, too old, or used before.
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238, appendix B, SHA-1, the last six of eight digits.
    #[test]
    fn the_examples_of_the_standard() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, step_of(seconds)), expected);
        }
    }

    #[test]
    fn a_code_is_good_around_its_span_and_once() {
        let now = step_of(1_234_567_890);
        let given = code(SECRET, now);
        for (at, expected) in [(-2, None), (-1, Some(now)), (0, Some(now)), (1, Some(now)), (2, None)] {
            assert_eq!(matching_step(SECRET, &given, now + at, 0), expected, "{at}");
        }
        assert_eq!(matching_step(SECRET, &given, now, now), None, "used");
        assert_eq!(matching_step(SECRET, &given, now, now + 1), None, "older than the last used");
        for bad in ["", "12345", "1234567", "abcdef", "２８７０８２", " 28708", "000000"] {
            assert_eq!(matching_step(SECRET, bad, now, 0), None, "{bad}");
        }
        assert_eq!(matching_step(b"another secret 12345", &given, now, 0), None);
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_as_the_standard_says() {
        for (plain, coded) in [("", ""), ("f", "MY"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }
}
