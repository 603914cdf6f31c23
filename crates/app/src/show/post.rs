//! What may be done to a post, by whom, and what it is afterwards. Nothing here reads or writes.

use chrono::{DateTime, Utc};
use xingfuma_domain::access::{Action, allow};
use xingfuma_store::posts::PostRow;

use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, KnownWords};
use crate::{AppError, Caller};

/// What is done to a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostCommand {
    /// The resident or the volunteer agrees.
    Consent,
    /// The moderator agrees.
    Approve,
    /// The moderator does not.
    Reject {
        /// Why.
        reason: String,
    },
    /// The moderator puts it among the best (精选).
    Feature,
    /// One of the three takes it back.
    Withdraw,
}

/// What somebody is to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) resident: bool,
    pub(super) volunteer: bool,
    pub(super) moderator: bool,
}

impl Part {
    pub(super) fn of(caller: &Caller, post: &PostRow) -> Result<Part, AppError> {
        let area = post.area()?;
        Ok(Part {
            resident: post.resident_id == caller.actor.person,
            volunteer: post.volunteer_id == caller.actor.person,
            moderator: allow(&caller.actor, Action::ModeratePost, area),
        })
    }

    pub(super) fn any(self) -> bool {
        self.resident || self.volunteer || self.moderator
    }
}

/// The post after a command, or why not. Pure.
pub(super) fn decide_post(
    caller: &Caller,
    post: &PostRow,
    command: &PostCommand,
    known: &KnownWords,
    now: DateTime<Utc>,
) -> Result<PostRow, AppError> {
    let part = Part::of(caller, post)?;
    let mut after = post.clone();
    let pending =
        || if post.status == "pending" { Ok(()) } else { Err(AppError::Conflict("post_not_pending")) };
    let published =
        || if post.status == "published" { Ok(()) } else { Err(AppError::Conflict("post_not_published")) };
    let moderator = || if part.moderator { Ok(()) } else { Err(AppError::Forbidden) };
    match command {
        PostCommand::Consent => {
            if !(part.resident || part.volunteer) {
                return Err(AppError::Forbidden);
            }
            pending()?;
            if part.resident {
                after.resident_consent_at.get_or_insert(now);
            }
            if part.volunteer {
                after.volunteer_consent_at.get_or_insert(now);
            }
        }
        PostCommand::Approve => {
            moderator()?;
            pending()?;
            if post.resident_consent_at.is_none() || post.volunteer_consent_at.is_none() {
                return Err(AppError::Conflict("consent_missing"));
            }
            after.status = "published".to_owned();
            after.moderated_by = Some(caller.actor.person);
            after.published_at = Some(now);
        }
        PostCommand::Reject { reason } => {
            moderator()?;
            pending()?;
            let mut fields = Fields::default();
            after.reason = Some(known.masked(&fields.text("reason", reason, REASON_LONGEST)));
            fields.check()?;
            after.status = "rejected".to_owned();
            after.moderated_by = Some(caller.actor.person);
        }
        PostCommand::Feature => {
            moderator()?;
            published()?;
            if post.featured_at.is_some() {
                return Err(AppError::Conflict("already_featured"));
            }
            after.featured_at = Some(now);
        }
        PostCommand::Withdraw => {
            if !part.any() {
                return Err(AppError::Forbidden);
            }
            if !matches!(post.status.as_str(), "pending" | "published") {
                return Err(AppError::Conflict("post_not_published"));
            }
            after.status = "withdrawn".to_owned();
            after.withdrawn_by = Some(caller.actor.person);
        }
    }
    Ok(after)
}
