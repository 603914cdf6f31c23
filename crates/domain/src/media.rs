//! Photos: which of them somebody may attach, and which may be published.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Most photos that one step of an order takes.
pub const ATTACHED_MOST: usize = 9;
/// An upload that nobody attaches is swept after so long.
pub const UNATTACHED_KEPT: TimeDelta = TimeDelta::hours(24);
/// A signed link is good for so long.
pub const LINK_LIFE: TimeDelta = TimeDelta::minutes(10);
/// WeChat says within this time what it found; afterwards a person decides alone.
pub const CHECK_TAKES: TimeDelta = TimeDelta::minutes(30);

/// An upload, as far as attaching it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The id.
    pub id: Uuid,
    /// It belongs to an order already.
    pub attached: bool,
}

/// Why photos cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachRefusal {
    /// More than [`ATTACHED_MOST`].
    TooMany,
    /// The same one twice.
    Twice,
    /// Not an upload of the one who asks; somebody else's and none at all are the same.
    Unknown,
    /// His own, but attached already.
    Attached,
}

impl AttachRefusal {
    /// A stable code.
    pub const fn code(self) -> &'static str {
        match self {
            AttachRefusal::TooMany => "too_many",
            AttachRefusal::Twice => "media_twice",
            AttachRefusal::Unknown => "media_unknown",
            AttachRefusal::Attached => "media_attached",
        }
    }
}

/// Whether photos may be attached by somebody who uploaded `own`.
///
/// # Errors
/// The first reason why not.
pub fn may_attach(asked: &[Uuid], own: &[Upload]) -> Result<(), AttachRefusal> {
    if asked.len() > ATTACHED_MOST {
        return Err(AttachRefusal::TooMany);
    }
    for (n, id) in asked.iter().enumerate() {
        if asked[..n].contains(id) {
            return Err(AttachRefusal::Twice);
        }
        match own.iter().find(|upload| upload.id == *id) {
            None => return Err(AttachRefusal::Unknown),
            Some(upload) if upload.attached => return Err(AttachRefusal::Attached),
            Some(_) => {}
        }
    }
    Ok(())
}

/// What a photo was attached with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// 点: what is needed.
    Placed,
    /// 接: what was done.
    Completed,
    /// 晒: what is shown.
    Shown,
    /// 申报: what shows that it was done.
    Claimed,
}

impl Purpose {
    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Placed => "placed",
            Purpose::Completed => "completed",
            Purpose::Shown => "shown",
            Purpose::Claimed => "claimed",
        }
    }
}

/// What is known of a photo's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// To be asked of WeChat.
    Wanted,
    /// Asked; the answer comes later.
    Asked,
    /// WeChat found nothing.
    Passed,
    /// A person has to look: WeChat says so, or cannot say anything.
    Review,
    /// WeChat calls it not to be shown.
    Risky,
}

impl CheckState {
    /// Every state.
    pub const ALL: [CheckState; 5] =
        [CheckState::Wanted, CheckState::Asked, CheckState::Passed, CheckState::Review, CheckState::Risky];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckState::Wanted => "wanted",
            CheckState::Asked => "asked",
            CheckState::Passed => "passed",
            CheckState::Review => "review",
            CheckState::Risky => "risky",
        }
    }

    /// The state of this name; what is unknown is for a person to see.
    pub fn parse(name: &str) -> CheckState {
        CheckState::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or(CheckState::Review)
    }
}

/// Why a post with photos cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishRefusal {
    /// A photo is not to be shown.
    Risky,
    /// A photo is still being looked at.
    Unchecked,
}

/// Whether photos, each with its state and the moment at which it was attached, may be published.
///
/// # Errors
/// The gravest reason why not. Waiting for WeChat ends after [`CHECK_TAKES`].
pub fn may_publish(photos: &[(CheckState, DateTime<Utc>)], now: DateTime<Utc>) -> Result<(), PublishRefusal> {
    if photos.iter().any(|(state, _)| *state == CheckState::Risky) {
        return Err(PublishRefusal::Risky);
    }
    let waits = |(state, since): &(CheckState, DateTime<Utc>)| {
        matches!(state, CheckState::Wanted | CheckState::Asked) && now - *since < CHECK_TAKES
    };
    if photos.iter().any(waits) { Err(PublishRefusal::Unchecked) } else { Ok(()) }
}

/// What a signed link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFor {
    /// A photo of a published post, to everybody.
    Showcase,
    /// A photo that WeChat was asked to look at, to WeChat.
    Check,
}

impl LinkFor {
    /// The name in a link.
    pub const fn as_str(self) -> &'static str {
        match self {
            LinkFor::Showcase => "showcase",
            LinkFor::Check => "check",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> Uuid {
        Uuid::from_u128(n as u128)
    }

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-03-09T01:00:00Z").unwrap().to_utc()
    }

    #[test]
    fn only_ones_own_fresh_uploads_are_attached_each_once() {
        let own: Vec<Upload> = (1..=12).map(|n| Upload { id: id(n), attached: n == 2 }).collect();
        let ids = |range: std::ops::RangeInclusive<usize>| range.map(id).collect::<Vec<_>>();
        assert_eq!(may_attach(&[], &own), Ok(()));
        assert_eq!(may_attach(&ids(3..=11), &own), Ok(()));
        assert_eq!(may_attach(&ids(3..=12), &own), Err(AttachRefusal::TooMany));
        assert_eq!(may_attach(&[id(3), id(4), id(3)], &own), Err(AttachRefusal::Twice));
        assert_eq!(may_attach(&[id(3), id(2)], &own), Err(AttachRefusal::Attached));
        assert_eq!(may_attach(&[id(3), id(99)], &own), Err(AttachRefusal::Unknown));
    }

    #[test]
    fn what_is_risky_is_never_published_and_waiting_ends() {
        use CheckState::{Asked, Passed, Review, Risky, Wanted};
        let publish = |states: &[CheckState], minutes: i64| {
            let photos: Vec<_> = states.iter().map(|state| (*state, now())).collect();
            may_publish(&photos, now() + TimeDelta::minutes(minutes))
        };
        assert_eq!(publish(&[], 0), Ok(()));
        assert_eq!(publish(&[Passed, Review], 0), Ok(()));
        for waiting in [Wanted, Asked] {
            assert_eq!(publish(&[Passed, waiting], 29), Err(PublishRefusal::Unchecked));
            assert_eq!(publish(&[Passed, waiting], 30), Ok(()));
        }
        for minutes in [0, 29, 30, 100_000] {
            assert_eq!(publish(&[Asked, Risky], minutes), Err(PublishRefusal::Risky));
        }
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in CheckState::ALL {
            assert_eq!(CheckState::parse(state.as_str()), state);
        }
        assert_eq!(CheckState::parse("new"), CheckState::Review);
    }
}
