//! How a message reaches somebody outside the inbox: by which channel, when, and what follows from how sending went.
//!
//! The inbox has every message at once. Beside it a message that matters goes out by WeChat; where that cannot be, by
//! SMS; where neither can, it stays in the inbox alone. What was decided here is a row of the outbox, so that a crash
//! leaves a decision and never half of one.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::deadline::QuietHours;
use crate::order::{Order, State, may_take};

/// A way out of the house. The inbox is none: it is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// A subscribed message of WeChat (订阅消息).
    Wechat,
    /// A text message (短信).
    Sms,
}

impl Channel {
    /// Every channel, in the order in which they are tried.
    pub const ALL: [Channel; 2] = [Channel::Wechat, Channel::Sms];

    /// The name in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Wechat => "wechat",
            Channel::Sms => "sms",
        }
    }

    /// The channel of this name.
    pub fn parse(name: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| channel.as_str() == name)
    }

    /// Where a message goes that cannot go this way; none after the last.
    pub const fn next(self) -> Option<Channel> {
        match self {
            Channel::Wechat => Some(Channel::Sms),
            Channel::Sms => None,
        }
    }
}

/// How somebody wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// By WeChat.
    pub wechat: bool,
    /// By SMS, where WeChat cannot be.
    pub sms: bool,
    /// His own quiet hours; absent for the county's. Beginning and end at the same time means none at all.
    pub quiet: Option<QuietHours>,
}

impl Default for Preferences {
    /// What holds for somebody who said nothing.
    fn default() -> Preferences {
        Preferences { wechat: true, sms: true, quiet: None }
    }
}

impl Preferences {
    /// Whether he wants to be told this way.
    pub const fn allow(&self, channel: Channel) -> bool {
        match channel {
            Channel::Wechat => self.wechat,
            Channel::Sms => self.sms,
        }
    }
}

/// What is known when it is a message's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// The moment.
    pub now: DateTime<Utc>,
    /// It is about an urgent order: it never waits for the morning.
    pub urgent: bool,
    /// The county's quiet hours.
    pub quiet: QuietHours,
    /// How the receiver wants to be told.
    pub preferences: Preferences,
    /// The receiver can be reached this way: he has an address there, the channel is configured, the message has words
    /// for it.
    pub reachable: bool,
    /// He agreed to it, as far as anybody knows; only WeChat asks for it.
    pub consented: bool,
    /// He has read it in his inbox already.
    pub read: bool,
    /// What it tells is not so any more.
    pub moot: bool,
}

/// Why a message did not go out by a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The receiver does not want it this way.
    NotWanted,
    /// He cannot be reached this way.
    NotReachable,
    /// He has no consent left (43101).
    NoConsent,
    /// The channel was out of reach for too long.
    GaveUp,
    /// He has read it already.
    Read,
    /// What it tells is not so any more.
    Moot,
    /// There is nobody any more to be told.
    Erased,
}

impl Why {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::NotWanted => "not_wanted",
            Why::NotReachable => "not_reachable",
            Why::NoConsent => "no_consent",
            Why::GaveUp => "gave_up",
            Why::Read => "read",
            Why::Moot => "moot",
            Why::Erased => "erased",
        }
    }
}

/// What to do with a message whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send it.
    Send,
    /// Not before this moment.
    WaitUntil(DateTime<Utc>),
    /// Not by this channel: by the next one, if there is one.
    Fall(Why),
    /// Not at all.
    Drop(Why),
}

/// What to do with a message whose turn it is on this channel.
pub fn step(channel: Channel, situation: &Situation) -> Step {
    if situation.read {
        return Step::Drop(Why::Read);
    }
    if situation.moot {
        return Step::Drop(Why::Moot);
    }
    if !situation.preferences.allow(channel) {
        return Step::Fall(Why::NotWanted);
    }
    if !situation.reachable {
        return Step::Fall(Why::NotReachable);
    }
    if !situation.consented {
        return Step::Fall(Why::NoConsent);
    }
    let quiet = situation.preferences.quiet.unwrap_or(situation.quiet);
    if !situation.urgent && quiet.is_quiet(situation.now) {
        return Step::WaitUntil(quiet.next_allowed(situation.now));
    }
    Step::Send
}

/// How sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// It was taken.
    Sent,
    /// The receiver has no consent left (43101). Nothing was sent.
    NoConsent,
    /// Another message to him was under way (43108). Nothing was sent.
    Busy,
    /// It was certainly not sent, and may go another time.
    NotNow,
    /// It was refused for good: a field (47003), the template (40037). Nothing was sent.
    Refused,
    /// Nobody knows whether it was sent.
    Unknown,
}

/// What follows from how sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is out.
    Sent,
    /// Once more, after this pause.
    Again(TimeDelta),
    /// By the next channel.
    Fall(Why),
    /// Never: it was refused for good, and a person has to look why.
    Failed,
    /// Never again by any channel: it may have arrived.
    Unknown,
}

/// Times that one message is tried by one channel.
pub const ATTEMPTS_AT_MOST: u32 = 8;
/// The longest pause between two of them, in seconds.
const PAUSE_AT_MOST_SECONDS: i64 = 600;

/// What follows from how the `attempts`th sending went. A message of which nobody knows whether it arrived is never sent
/// again, neither this way nor another.
pub fn then(went: Went, attempts: u32) -> Then {
    match went {
        Went::Sent => Then::Sent,
        Went::NoConsent => Then::Fall(Why::NoConsent),
        Went::Refused => Then::Failed,
        Went::Unknown => Then::Unknown,
        Went::Busy | Went::NotNow if attempts >= ATTEMPTS_AT_MOST => Then::Fall(Why::GaveUp),
        Went::Busy => Then::Again(TimeDelta::seconds(i64::from(attempts.max(1)))),
        Went::NotNow => {
            let doubled = 1_i64.checked_shl(attempts).unwrap_or(i64::MAX);
            Then::Again(TimeDelta::seconds(doubled.clamp(1, PAUSE_AT_MOST_SECONDS)))
        }
    }
}

/// Whether what a message tells is not so any more: an offer that its receiver could not take by now.
pub fn is_moot(topic: &str, order: &Order, receiver: Uuid) -> bool {
    match (topic, &order.state) {
        ("offered" | "reminded", State::Dispatched { offer }) => !may_take(offer, receiver),
        ("offered" | "reminded", _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn usual() -> Situation {
        Situation {
            now: at("2026-03-09T10:00:00+08:00"),
            urgent: false,
            quiet: QuietHours::default(),
            preferences: Preferences::default(),
            reachable: true,
            consented: true,
            read: false,
            moot: false,
        }
    }

    #[test]
    fn every_channel_has_its_name_and_the_chain_ends() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.as_str()), Some(channel));
        }
        assert_eq!(Channel::parse("inbox"), None);
        let chain: Vec<Channel> = std::iter::successors(Some(Channel::Wechat), |one| one.next()).collect();
        assert_eq!(chain, Channel::ALL);
    }

    #[test]
    fn the_night_delays_what_is_not_urgent_and_nothing_else() {
        let night = Situation { now: at("2026-03-09T23:30:00+08:00"), ..usual() };
        let morning = at("2026-03-10T07:00:00+08:00");
        for channel in Channel::ALL {
            assert_eq!(step(channel, &usual()), Step::Send);
            assert_eq!(step(channel, &night), Step::WaitUntil(morning));
            assert_eq!(step(channel, &Situation { urgent: true, ..night }), Step::Send);
        }
    }

    #[test]
    fn ones_own_quiet_hours_count_instead_of_the_countys() {
        let own = |from: u32, to: u32| {
            let time = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
            let quiet = Some(QuietHours { from: time(from), to: time(to) });
            Preferences { quiet, ..Preferences::default() }
        };
        let noon = Situation { now: at("2026-03-09T12:30:00+08:00"), preferences: own(12, 14), ..usual() };
        assert_eq!(step(Channel::Wechat, &noon), Step::WaitUntil(at("2026-03-09T14:00:00+08:00")));
        let night = Situation { now: at("2026-03-09T23:30:00+08:00"), preferences: own(12, 14), ..usual() };
        assert_eq!(step(Channel::Wechat, &night), Step::Send);
        let never = Situation { preferences: own(0, 0), ..night };
        assert_eq!(step(Channel::Wechat, &never), Step::Send);
    }

    #[test]
    fn what_cannot_go_falls_and_what_need_not_go_is_dropped() {
        let no_wechat = Preferences { wechat: false, ..Preferences::default() };
        let not_wanted = Situation { preferences: no_wechat, ..usual() };
        assert_eq!(step(Channel::Wechat, &not_wanted), Step::Fall(Why::NotWanted));
        assert_eq!(step(Channel::Sms, &not_wanted), Step::Send);
        let unreachable = Situation { reachable: false, ..usual() };
        assert_eq!(step(Channel::Sms, &unreachable), Step::Fall(Why::NotReachable));
        let no_consent = Situation { consented: false, ..usual() };
        assert_eq!(step(Channel::Wechat, &no_consent), Step::Fall(Why::NoConsent));
        assert_eq!(step(Channel::Wechat, &Situation { read: true, ..usual() }), Step::Drop(Why::Read));
        assert_eq!(step(Channel::Wechat, &Situation { moot: true, ..usual() }), Step::Drop(Why::Moot));
    }

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<Then> = (1..=ATTEMPTS_AT_MOST).map(|n| then(Went::NotNow, n)).collect();
        let seconds = |n| Then::Again(TimeDelta::seconds(n));
        let expected: Vec<Then> = [2, 4, 8, 16, 32, 64, 128].map(seconds).into_iter().collect();
        assert_eq!(pauses[..7], expected[..]);
        assert_eq!(pauses[7], Then::Fall(Why::GaveUp));
        assert_eq!(then(Went::Busy, 3), seconds(3));
        assert_eq!(then(Went::Busy, ATTEMPTS_AT_MOST), Then::Fall(Why::GaveUp));
        assert_eq!(then(Went::NoConsent, 1), Then::Fall(Why::NoConsent));
    }

    fn went() -> impl Strategy<Value = Went> {
        prop::sample::select(vec![
            Went::Sent,
            Went::NoConsent,
            Went::Busy,
            Went::NotNow,
            Went::Refused,
            Went::Unknown,
        ])
    }

    proptest! {
        /// However sending goes, it ends; and it goes on after nothing that may have arrived.
        #[test]
        fn every_message_comes_to_an_end(went in prop::collection::vec(went(), 40)) {
            let (mut channel, mut attempts, mut ended) = (Some(Channel::Wechat), 0, false);
            for one in went {
                let Some(_) = channel else { break };
                prop_assert!(!ended);
                attempts += 1;
                match then(one, attempts) {
                    Then::Again(pause) => {
                        prop_assert!(matches!(one, Went::Busy | Went::NotNow));
                        prop_assert!(pause > TimeDelta::zero() && pause <= TimeDelta::seconds(PAUSE_AT_MOST_SECONDS));
                        prop_assert!(attempts < ATTEMPTS_AT_MOST);
                    }
                    Then::Fall(_) => {
                        prop_assert!(!matches!(one, Went::Sent | Went::Unknown));
                        channel = channel.and_then(Channel::next);
                        attempts = 0;
                    }
                    Then::Sent | Then::Failed | Then::Unknown => {
                        ended = true;
                        channel = None;
                    }
                }
            }
            prop_assert!(ended || channel.is_none() || attempts < ATTEMPTS_AT_MOST);
        }

        /// A message that is not urgent never goes out in the quiet hours, and never waits beyond their end.
        #[test]
        fn nothing_that_can_wait_disturbs_the_night(
            minute in 0_i64..(3 * 24 * 60), from in 0_u32..24, to in 0_u32..24, urgent: bool
        ) {
            let hour = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
            let quiet = QuietHours { from: hour(from), to: hour(to) };
            let now = at("2026-03-09T00:00:00+08:00") + TimeDelta::minutes(minute);
            let situation = Situation { now, quiet, urgent, ..usual() };
            match step(Channel::Wechat, &situation) {
                Step::Send => prop_assert!(urgent || !quiet.is_quiet(now)),
                Step::WaitUntil(until) => {
                    prop_assert!(!urgent && until > now && until <= now + TimeDelta::hours(24));
                    prop_assert_eq!(step(Channel::Wechat, &Situation { now: until, ..situation }), Step::Send);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
