//! Consents: giving one, taking it back, the statement of age, and a guardian's word for a child.
//!
//! A child shows his guardian a code on his own phone; the guardian reads it in with his. The code is a keyed hash over
//! the child and a span of time, so nothing is stored before the guardian agrees.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_domain::consent::{ConsentKind, Standing, Word};
use xingfuma_store::consents::{self, NewWord, WordRow};
use xingfuma_store::posts::PostRow;
use xingfuma_store::{StoreError, idempotency, people, transact};

use crate::command::Reply;
use crate::once::Once;
use crate::show::PostCommand;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// A guardian's code is good for this long at least, and for twice as long at most.
const CODE_SPAN: TimeDelta = TimeDelta::minutes(10);
/// Bytes of the keyed hash in a code.
const CODE_BYTES: usize = 12;

/// What somebody agreed to.
#[derive(Clone, Debug)]
pub struct Consents {
    /// The last words.
    pub standing: Standing,
    /// Every word, oldest first.
    pub history: Vec<WordRow>,
}

impl App {
    /// What the caller agreed to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn consents(&self, caller: &Caller) -> Result<Consents, AppError> {
        let person = caller.actor.person;
        let standing = consents::standing(self.store.pool(), person).await?;
        Ok(Consents { standing, history: consents::history(self.store.pool(), person).await? })
    }

    /// The caller agrees. Agreeing twice is agreeing once.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a kind that is not his to give, or a version that is not the current one;
    /// [`AppError::NotAllowed`] `guardian_consent_missing` under 14.
    pub async fn give_consent(
        &self,
        caller: &Caller,
        kind: &str,
        version: i64,
        once: &Once<Consents>,
    ) -> Result<Reply, AppError> {
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let kind = own_kind(kind)?;
        if version != kind.current_version() {
            return Err(AppError::invalid("version", "not_the_current_version"));
        }
        let standing = consents::standing(self.store.pool(), caller.actor.person).await?;
        if !standing.may_consent(kind) {
            return Err(AppError::NotAllowed("guardian_consent_missing"));
        }
        let person = caller.actor.person;
        let word = (!standing.has(kind)).then(|| self.new_word(person, person, kind, true));
        self.say_once(person, word, once).await
    }

    /// The caller takes a consent back, with effect at once: whoever does not want to be published any more is on no
    /// page that is asked for after this.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a kind that is not his to give.
    pub async fn take_back_consent(
        &self,
        caller: &Caller,
        kind: &str,
        once: &Once<Consents>,
    ) -> Result<Reply, AppError> {
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let kind = own_kind(kind)?;
        let person = caller.actor.person;
        let standing = consents::standing(self.store.pool(), person).await?;
        let stands = standing.words().iter().any(|word| word.kind == kind && word.given);
        // The posts first: the answer that is kept with the word says that all of it is done.
        if kind == ConsentKind::Publishing {
            self.withdraw_posts(caller).await?;
        }
        let word = (stands || kind.publishes()).then(|| self.new_word(person, person, kind, false));
        self.say_once(person, word, once).await
    }

    /// Keeps a word, if there is one to be kept, with the answer about what stands then.
    async fn say_once(
        &self,
        person: Uuid,
        word: Option<NewWord>,
        once: &Once<Consents>,
    ) -> Result<Reply, AppError> {
        let (app, inside) = (self.clone(), once.clone());
        let said: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if let Some(word) = &word {
                    consents::append(conn, word).await?;
                }
                let standing = consents::standing(conn, person).await?;
                let consents = Consents { standing, history: consents::history(conn, person).await? };
                let (reply, answer) = app.answer_once(&inside, person, &consents);
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, said, AppError::Conflict("busy")).await
    }

    /// The caller says whether he is under 14. A child's posts are taken back unless his guardian agreed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn state_age(&self, caller: &Caller, under_14: bool) -> Result<Consents, AppError> {
        let person = caller.actor.person;
        let standing = consents::standing(self.store.pool(), person).await?;
        if standing.is_under_14() != under_14 {
            self.say(person, person, ConsentKind::Under14, under_14).await?;
        }
        if !consents::standing(self.store.pool(), person).await?.may_consent(ConsentKind::Publishing) {
            self.withdraw_posts(caller).await?;
        }
        self.consents(caller).await
    }

    /// A code by which somebody else can agree for the caller, and until when it is good.
    pub fn guardian_code(&self, caller: &Caller) -> (String, DateTime<Utc>) {
        let span = span_of(self.clock.now());
        let code = self.guardian_code_of(caller.actor.person, span);
        let good_until = DateTime::from_timestamp((span + 2) * CODE_SPAN.num_seconds(), 0);
        (code, good_until.unwrap_or_default())
    }

    fn guardian_code_of(&self, child: Uuid, span: i64) -> String {
        let mac = self.keys.request_hash(&[b"guardian", child.as_bytes(), &span.to_be_bytes()]);
        URL_SAFE_NO_PAD.encode([child.as_bytes().as_slice(), &mac[..CODE_BYTES]].concat())
    }

    fn child_of_code(&self, code: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(code).ok().filter(|bytes| bytes.len() == 16 + CODE_BYTES)?;
        let child = Uuid::from_slice(&bytes[..16]).ok()?;
        let now = span_of(self.clock.now());
        // The keyed hash is compared as a whole text; a guess tells nothing by how long it takes.
        [now, now - 1].into_iter().any(|span| self.guardian_code_of(child, span) == code).then_some(child)
    }

    /// The caller agrees, as the guardian, to what the child of the code agrees to. Answers the child's id.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a code that is none or is too old; [`AppError::NotAllowed`] `own_decision` for one's own
    /// code, `guardian_consent_missing` when the caller is a child himself.
    pub async fn agree_as_guardian(
        &self,
        caller: &Caller,
        code: &str,
        once: &Once<Uuid>,
    ) -> Result<Reply, AppError> {
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let child = self.child_of_code(code).ok_or_else(|| AppError::invalid("code", "code_unknown"))?;
        let guardian = caller.actor.person;
        if child == guardian {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if consents::standing(self.store.pool(), guardian).await?.is_under_14() {
            return Err(AppError::NotAllowed("guardian_consent_missing"));
        }
        let known = people::find(self.store.pool(), self.settings.county, child).await?;
        known.filter(|child| child.data_key.is_some()).ok_or(AppError::invalid("code", "code_unknown"))?;
        let word = self.new_word(child, guardian, ConsentKind::Guardian, true);
        let (reply, answer) = self.answer_once(once, child, &child);
        let agreed: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                consents::append(conn, &word).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, agreed, AppError::Conflict("busy")).await
    }

    /// The guardian takes his consent back; what the child published is on no page any more.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when the caller's consent for this child is not in force.
    pub async fn end_guardianship(&self, caller: &Caller, child: Uuid) -> Result<(), AppError> {
        if !consents::is_guardian(self.store.pool(), caller.actor.person, child).await? {
            return Err(AppError::NotFound);
        }
        self.say(child, caller.actor.person, ConsentKind::Guardian, false).await
    }

    async fn say(&self, person: Uuid, by: Uuid, kind: ConsentKind, given: bool) -> Result<(), AppError> {
        let new = self.new_word(person, by, kind, given);
        let said: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { consents::append(conn, &new).await }))
                .await;
        Ok(said?)
    }

    fn new_word(&self, person: Uuid, by: Uuid, kind: ConsentKind, given: bool) -> NewWord {
        let at = self.clock.now();
        let word = Word { kind, version: kind.current_version(), given, at };
        NewWord { id: self.ids.id(at), county: self.settings.county, person, by, word }
    }

    /// The consent to publishing that goes with a consent to one post, if it is not in force yet.
    ///
    /// # Errors
    /// [`AppError::NotAllowed`] `guardian_consent_missing` under 14.
    pub(crate) async fn consent_to_post(&self, caller: &Caller) -> Result<Option<NewWord>, AppError> {
        let person = caller.actor.person;
        let standing = consents::standing(self.store.pool(), person).await?;
        if !standing.may_consent(ConsentKind::Publishing) {
            return Err(AppError::NotAllowed("guardian_consent_missing"));
        }
        let missing = !standing.has(ConsentKind::Publishing);
        Ok(missing.then(|| self.new_word(person, person, ConsentKind::Publishing, true)))
    }

    /// Withdraws every post that the caller wrote or that shows his order or his service.
    pub(crate) async fn withdraw_posts(&self, caller: &Caller) -> Result<(), AppError> {
        for post in xingfuma_store::own_data::posts_of(self.store.pool(), caller.actor.person).await? {
            if !matches!(post.status.as_str(), "pending" | "published") {
                continue;
            }
            let silent = std::sync::Arc::new(|_: &PostRow| (200, Vec::new()));
            match self.post_command(caller, post.id, PostCommand::Withdraw, None, silent).await {
                // Somebody else withdrew it meanwhile.
                Ok(_) | Err(AppError::Conflict("post_not_published")) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn span_of(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(CODE_SPAN.num_seconds())
}

fn own_kind(name: &str) -> Result<ConsentKind, AppError> {
    let kind = ConsentKind::parse(name).filter(|kind| kind.is_own());
    let mut fields = Fields::default();
    if kind.is_none() {
        fields.fault("kind", "consent_unknown");
    }
    fields.check()?;
    kind.ok_or(AppError::NotFound)
}
