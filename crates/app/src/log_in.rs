//! Logging in: with WeChat, or as staff with a password; refreshing, logging out; and who a session is, at each request.
//!
//! A refresh token is the session's id and a secret; the database has the secret's hash. Each use gives a successor,
//! which is derived from the old secret by a key, so that the same successor can be given again within
//! [`SAME_SUCCESSOR`] though only hashes are stored: mobile networks lose replies. An older one ends the session.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use uuid::Uuid;
use xingfuma_domain::access::Grant;
use xingfuma_store::people::{self, AccountRow};
use xingfuma_store::sessions::{self, LiveSession, NewSession, RefreshRow};
use xingfuma_store::totp;
use xingfuma_store::{StoreError, idempotency, transact};

use crate::command::Reply;
use crate::keys::{DataKey, hash};
use crate::once::Once;
use crate::privacy::{PersonPrivate, Private};
use crate::text::is_unwelcome;
use crate::totp::{SecondFactor, SecondFactorRule};
use crate::{App, AppError, Caller};

/// A session ends after this long, however often it is refreshed.
const SESSION: TimeDelta = TimeDelta::days(90);
/// The same successor of a refresh token is given again within this time.
pub const SAME_SUCCESSOR: TimeDelta = TimeDelta::seconds(30);
/// Wrong passwords in a row before an account is locked, and for how long.
const WRONG_AT_MOST: i32 = 5;
const LOCKED: TimeDelta = TimeDelta::minutes(15);
/// Longest WeChat code, user name and password that are looked at, in bytes.
const CODE_LONGEST: usize = 256;
const PASSWORD_LONGEST: usize = 256;

/// Who has logged in.
#[derive(Clone)]
pub struct LoggedIn {
    /// The session.
    pub session: Uuid,
    /// The person.
    pub person: Uuid,
    /// The person's name; empty where none is known.
    pub name: String,
    /// The roles beside resident.
    pub grants: Vec<Grant>,
    /// The refresh token.
    pub refresh_token: String,
    /// He is staff of a county that insists on a second factor, and has shown none: he can set one up, and nothing else.
    pub unproved: bool,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LoggedIn").field("person", &self.person).finish_non_exhaustive()
    }
}

/// The caller's own account.
#[derive(Clone, PartialEq, Eq)]
pub struct Me {
    /// The person.
    pub person: Uuid,
    /// The name.
    pub name: Option<String>,
    /// The phone.
    pub phone: Option<String>,
    /// The roles beside resident.
    pub grants: Vec<Grant>,
    /// The badge in force.
    pub badge: Option<String>,
}

impl std::fmt::Debug for Me {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Me").field("person", &self.person).finish_non_exhaustive()
    }
}

impl App {
    /// Logs in with a code of `wx.login`. Somebody who was never here before becomes a resident.
    ///
    /// # Errors
    /// [`AppError::LogInRefused`] for a code that is wrong or used and for a user whom WeChat calls risky;
    /// [`AppError::TooMany`] when WeChat says so; [`AppError::Unavailable`] when it does not answer.
    pub async fn log_in_wechat(&self, code: &str) -> Result<LoggedIn, AppError> {
        if code.is_empty() || code.len() > CODE_LONGEST {
            return Err(AppError::LogInRefused("bad_code"));
        }
        let identity = self.wechat.log_in(code).await.map_err(|error| wechat_refusal(&error))?;
        let person = self.person_of_openid(identity.openid).await?;
        self.open_session(person, false).await
    }

    async fn person_of_openid(&self, openid: String) -> Result<Uuid, AppError> {
        let county = self.settings.county;
        if let Some(person) = people::by_openid(self.store.pool(), county, &openid).await? {
            return Ok(person);
        }
        let (id, _, new) = self.new_person(&PersonPrivate::default(), None);
        let (now, name) = (self.clock.now(), openid.clone());
        let made: Result<u64, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let first = people::insert_openid(conn, county, &[(name, id)], now).await?;
                if first == 1 {
                    people::insert(conn, &[new]).await?;
                }
                Ok(first)
            })
        })
        .await;
        if made? == 1 {
            return Ok(id);
        }
        // The same person logged in twice at once; the other one was first.
        let known = people::by_openid(self.store.pool(), county, &openid).await?;
        known.ok_or(AppError::Unavailable("person"))
    }

    /// Binds the phone behind a code of `getPhoneNumber` to the caller.
    ///
    /// # Errors
    /// [`AppError::Unusable`] `phone_code_refused` for a code that is wrong or used: the session is as good as before;
    /// [`AppError::TooMany`] above the limit; [`AppError::Conflict`] `phone_taken` when somebody else has the phone;
    /// [`AppError::Unavailable`] when WeChat does not answer.
    pub async fn bind_phone(&self, caller: &Caller, code: &str, once: &Once<Me>) -> Result<Reply, AppError> {
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        if code.is_empty() || code.len() > CODE_LONGEST {
            return Err(AppError::Unusable("phone_code_refused"));
        }
        self.count_phone(caller).await?;
        let number = self.wechat.phone(code).await.map_err(|error| phone_refusal(&error))?;
        let phone: xingfuma_domain::phone::Phone =
            number.parse().map_err(|_| AppError::Unavailable("wechat"))?;
        let person = caller.actor.person;
        let row = people::find(self.store.pool(), self.settings.county, person).await?;
        let row = row.ok_or(AppError::Unauthenticated)?;
        let mut private = open_person(&caller.data_key, person, row.private.as_deref())?;
        private.phone = Some(phone.as_str().to_owned());
        let sealed = private.seal(&caller.data_key, person, &self.ids);
        let index = self.keys.phone_index(phone.as_str());
        let surname = row.surname;
        let badge = people::badge_of(self.store.pool(), person).await?;
        let grants = caller.actor.grants.clone();
        let me = Me { person, name: private.name, phone: private.phone, grants, badge };
        let (reply, answer) = self.answer_once(once, person, &me);
        let bound: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !people::set_private(conn, person, &surname, sealed, Some(index)).await? {
                    return Ok(None);
                }
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        match bound {
            Err(error) if error.is_unique_violation() => Err(AppError::Conflict("phone_taken")),
            bound => self.done_once(once, bound, AppError::Conflict("phone_taken")).await,
        }
    }

    /// Logs staff in. An unknown user name, a wrong password and a locked account look and last the same.
    ///
    /// # Errors
    /// [`AppError::LogInRefused`] `bad_credentials`; with the right password `totp_required` and `totp_wrong`, where a
    /// second factor is in force.
    pub async fn log_in_password(
        &self,
        username: &str,
        password: &str,
        totp: Option<&str>,
    ) -> Result<LoggedIn, AppError> {
        const REFUSED: AppError = AppError::LogInRefused("bad_credentials");
        // Nobody has such a name, and PostgreSQL takes no NUL in a text.
        let nobody = username.len() > PASSWORD_LONGEST || username.chars().any(is_unwelcome);
        if nobody || password.len() > PASSWORD_LONGEST {
            return Err(REFUSED);
        }
        let county = self.settings.county;
        let account = people::account(self.store.pool(), county, username).await?;
        let now = self.clock.now();
        let locked =
            account.as_ref().and_then(|account| account.locked_until).is_some_and(|until| until > now);
        let right = verify(account.as_ref(), password.to_owned()).await? && !locked;
        let Some(account) = account else { return Err(REFUSED) };
        let factor =
            if right { self.second_factor(account.person_id, totp).await? } else { SecondFactor::NotAsked };
        if factor == SecondFactor::Missing {
            // Neither right nor wrong yet: asking without a code must not forgive the wrong codes before.
            return Err(AppError::LogInRefused("totp_required"));
        }
        let right = right && factor != SecondFactor::Wrong;
        if !right || account.failed_count > 0 {
            let (name, until) = (username.to_owned(), now + LOCKED);
            let noted: Result<(), StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move {
                    people::note_attempt(conn, county, &name, right, WRONG_AT_MOST, until).await
                })
            })
            .await;
            noted?;
        }
        match (right, factor) {
            (true, factor) => self.open_session(account.person_id, factor == SecondFactor::Passed).await,
            (false, SecondFactor::Wrong) => Err(AppError::LogInRefused("totp_wrong")),
            (false, _) => Err(REFUSED),
        }
    }

    /// `proved`: with a code of the second factor.
    async fn open_session(&self, person: Uuid, proved: bool) -> Result<LoggedIn, AppError> {
        let county = self.settings.county;
        let row = people::find(self.store.pool(), county, person).await?.ok_or(AppError::Unauthenticated)?;
        let wrapped = row.data_key.as_deref().ok_or(AppError::Unauthenticated)?;
        let key = self.keys.data_key(person, wrapped)?;
        let private = open_person(&key, person, row.private.as_deref())?;
        let created_at = self.clock.now();
        let session = self.ids.id(created_at);
        let secret = self.ids.bytes::<32>();
        let new = NewSession {
            id: session,
            county,
            person,
            created_at,
            expires_at: created_at + SESSION,
            refresh_hash: hash(&secret),
            proved,
        };
        let opened: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { sessions::insert(conn, &new).await }))
                .await;
        opened?;
        Ok(LoggedIn {
            session,
            person,
            name: private.name.unwrap_or_default(),
            grants: sessions::grants(&self.store, person).await?,
            refresh_token: refresh_token(session, &secret),
            unproved: !proved && self.is_asked_for_proof(person).await?,
        })
    }

    /// Gives a fresh session key for a refresh token; the token's successor takes its place.
    ///
    /// # Errors
    /// [`AppError::Unauthenticated`] for a token that is unknown, over, or used before: the last ends the session.
    pub async fn refresh(&self, token: &str) -> Result<LoggedIn, AppError> {
        let (session, secret) = parse_refresh_token(token).ok_or(AppError::Unauthenticated)?;
        let state = sessions::refresh_state(self.store.pool(), session).await?;
        let state = state.ok_or(AppError::Unauthenticated)?;
        let now = self.clock.now();
        if state.revoked_at.is_some() || state.expires_at <= now {
            return Err(AppError::Unauthenticated);
        }
        let presented = hash(&secret);
        let successor = self.keys.refresh_successor(session, &secret);
        if presented == state.refresh_hash {
            let (old, new) = (presented, hash(&successor));
            let rotated: Result<bool, StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move { sessions::rotate(conn, session, &old, &new, now).await })
            })
            .await;
            // When a twin was faster it has stored the same successor.
            rotated?;
        } else if !recently_rotated(&state, &presented, now) {
            self.revoke_session(session).await?;
            return Err(AppError::Unauthenticated);
        }
        let live = sessions::live(&self.store, session, now).await?.ok_or(AppError::Unauthenticated)?;
        let key = self.keys.data_key(live.actor.person, &live.data_key)?;
        let private = open_person(&key, live.actor.person, live.private.as_deref())?;
        Ok(LoggedIn {
            session,
            person: live.actor.person,
            name: private.name.unwrap_or_default(),
            grants: live.actor.grants,
            refresh_token: refresh_token(session, &successor),
            unproved: live.unproved && self.insists_on_proof(),
        })
    }

    async fn revoke_session(&self, session: Uuid) -> Result<(), AppError> {
        let now = self.clock.now();
        let revoked: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { sessions::revoke(conn, session, now).await })
        })
        .await;
        Ok(revoked?)
    }

    /// Ends the caller's session, or all of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_out(&self, caller: &Caller, everywhere: bool) -> Result<(), AppError> {
        if !everywhere {
            return self.revoke_session(caller.session).await;
        }
        let (person, now) = (caller.actor.person, self.clock.now());
        let revoked: Result<u64, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { sessions::revoke_all(conn, person, now).await })
        })
        .await;
        revoked?;
        Ok(())
    }

    /// Who a session is, with the roles of this moment.
    ///
    /// # Errors
    /// [`AppError::Unauthenticated`] when it is revoked, over or unknown.
    pub async fn caller(&self, session: Uuid) -> Result<Caller, AppError> {
        let live = self.live_session(session).await?;
        self.caller_of(session, live.ok_or(AppError::Unauthenticated)?)
    }

    /// The caller of a session that was found alive; one of another county is unknown here.
    pub(crate) fn caller_of(&self, session: Uuid, live: LiveSession) -> Result<Caller, AppError> {
        if live.actor.county != self.settings.county {
            return Err(AppError::Unauthenticated);
        }
        let data_key = Arc::new(self.keys.data_key(live.actor.person, &live.data_key)?);
        let private = live.private.map(Arc::from);
        let unproved = live.unproved && self.insists_on_proof();
        Ok(Caller { actor: live.actor, session, surname: live.surname, unproved, data_key, private })
    }

    /// Whether the county insists on a second factor of its staff.
    fn insists_on_proof(&self) -> bool {
        self.settings.second_factor == SecondFactorRule::Staff
    }

    /// Whether the county insists on a second factor of this person.
    async fn is_asked_for_proof(&self, person: Uuid) -> Result<bool, AppError> {
        Ok(self.insists_on_proof() && totp::is_staff(self.store.pool(), self.settings.county, person).await?)
    }

    /// The caller's own account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn me(&self, caller: &Caller) -> Result<Me, AppError> {
        let person = caller.actor.person;
        let row = people::find(self.store.pool(), self.settings.county, person).await?;
        let row = row.ok_or(AppError::Unauthenticated)?;
        let private = open_person(&caller.data_key, person, row.private.as_deref())?;
        let badge = people::badge_of(self.store.pool(), person).await?;
        let grants = caller.actor.grants.clone();
        Ok(Me { person, name: private.name, phone: private.phone, grants, badge })
    }
}

/// Why WeChat gave no phone. Whoever asks is logged in all the same.
fn phone_refusal(error: &xingfuma_wechat::Error) -> AppError {
    use xingfuma_wechat::Error;
    match error {
        Error::BadCode | Error::UsedCode => AppError::Unusable("phone_code_refused"),
        Error::HighRiskUser => AppError::NotAllowed("high_risk_user"),
        other => wechat_refusal(other),
    }
}

fn wechat_refusal(error: &xingfuma_wechat::Error) -> AppError {
    use xingfuma_wechat::Error;
    match error {
        Error::BadCode | Error::UsedCode => AppError::LogInRefused("bad_code"),
        Error::HighRiskUser => AppError::LogInRefused("high_risk_user"),
        Error::TooOften => AppError::TooMany { retry_after: 60 },
        other => {
            tracing::warn!(error = %other, "WeChat did not log somebody in");
            AppError::Unavailable("wechat")
        }
    }
}

fn open_person(key: &DataKey, person: Uuid, sealed: Option<&[u8]>) -> Result<PersonPrivate, AppError> {
    sealed.map_or_else(|| Ok(PersonPrivate::default()), |sealed| PersonPrivate::open(key, person, sealed))
}

fn recently_rotated(state: &RefreshRow, presented: &[u8], now: chrono::DateTime<chrono::Utc>) -> bool {
    state.previous_hash.as_deref() == Some(presented)
        && state.rotated_at.is_some_and(|at| now - at <= SAME_SUCCESSOR)
}

fn refresh_token(session: Uuid, secret: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([session.as_bytes(), secret].concat())
}

fn parse_refresh_token(token: &str) -> Option<(Uuid, Vec<u8>)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == 48)?;
    let session = Uuid::from_slice(&bytes[..16]).ok()?;
    Some((session, bytes[16..].to_vec()))
}

/// The hash of a password, argon2id with the crate's own parameters (19 MiB, 2 rounds).
///
/// # Errors
/// [`AppError::Internal`] when the salt is refused; that does not happen.
pub fn hash_password(password: &str, salt: &[u8; 16]) -> Result<String, AppError> {
    Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map(|hash| hash.to_string())
        .map_err(|error| AppError::Internal(error.to_string()))
}

/// Checks a password; for an unknown account against a hash of nobody, so that it takes as long.
async fn verify(account: Option<&AccountRow>, password: String) -> Result<bool, AppError> {
    let hash = match account {
        Some(account) => account.password_hash.clone(),
        None => hash_password("nobody", &[7; 16])?,
    };
    let known = account.is_some();
    tokio::task::spawn_blocking(move || {
        let parsed = PasswordHash::new(&hash);
        let right =
            parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        right && known
    })
    .await
    .map_err(|error| AppError::Internal(error.to_string()))
}
