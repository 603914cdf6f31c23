//! Guards: what looks too good to be true goes on hold until a person has looked at it, with the reason shown.
//!
//! A guard never refuses the work itself: the resident was served, or says so. It holds the points. What it goes by is
//! data ([`Guards`]) and facts; the store gathers them inside the transaction that books.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::award::HoldReason;
use super::month::china_date;
use crate::similar::common_percent;

/// From which point on something is looked at. A number of zero switches its guard off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// A service that is completed sooner than so many seconds after it was accepted (or arrived at).
    pub quick_seconds: i64,
    /// More minutes of service than lie between its beginning and its completion, by more than so many. It is what
    /// rounding may do; services that overlap by less than the room it leaves are not looked at either.
    pub minutes_tolerance: i64,
    /// Two people who rate each other within so many days.
    pub ring_days: i64,
    /// A photo that looks like one that proved another service within so many days.
    pub photo_days: i64,
    /// Claims of one task for one person about one day, whose evidence is alike by at least so many percent.
    pub split_percent: u32,
    /// Claims about something longer ago than so many days are back-dated.
    pub back_dated_days: i64,
    /// So many back-dated claims for one person, or by one person, within a day.
    pub back_dated_claims: i64,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            quick_seconds: 60,
            minutes_tolerance: 5,
            ring_days: 30,
            photo_days: 365,
            split_percent: 70,
            back_dated_days: 7,
            back_dated_claims: 5,
        }
    }
}

/// No photo is looked for longer ago than this, in days: a hundred years.
const PHOTO_DAYS_MOST: i64 = 36_500;

impl Guards {
    /// From when on a photo counts that proved another service, for one that proves a service at this moment; none when
    /// photos are not looked at.
    pub fn photos_since(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let days = self.photo_days.min(PHOTO_DAYS_MOST);
        if days > 0 { at.checked_sub_signed(TimeDelta::days(days)) } else { None }
    }
}

/// A stretch of time, in milliseconds since 1970: the store puts many of them together into one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first millisecond of it.
    pub from: i64,
    /// The first millisecond behind it.
    pub to: i64,
}

impl Stretch {
    /// From one moment to another; empty where they are the wrong way round.
    pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let (from, to) = (from.timestamp_millis(), to.timestamp_millis());
        Self { from, to: to.max(from) }
    }

    /// How long it is.
    pub fn millis(self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

/// The first place within `window` at which `millis` fit without touching what is `taken`.
///
/// People note down in the evening what they did one after the other: services may be completed together, as long as
/// there was time for all of them. The earliest place leaves the most room for whatever is completed later.
pub fn fit(window: Stretch, millis: i64, taken: &[Stretch]) -> Option<Stretch> {
    let mut taken: Vec<Stretch> = taken.iter().copied().filter(|one| one.millis() > 0).collect();
    taken.sort_unstable();
    let mut from = window.from;
    for one in taken {
        if one.from.saturating_sub(from) >= millis {
            break;
        }
        from = from.max(one.to);
    }
    let to = from.saturating_add(millis);
    (to <= window.to).then_some(Stretch { from, to })
}

/// What a completed service leaves: where its minutes lie, and whether somebody should look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where its minutes lie among the person's others. Empty where no room is left: nobody serves twice at one time.
    pub stretch: Stretch,
    /// Why it is looked at.
    pub reason: Option<HoldReason>,
}

/// Judges a completed service: `window` from where it began (accepted, or arrived at) to its completion.
///
/// `own` says that it was ordered by the person who served it, `photo_reused` that one of its photos was seen before.
/// Of several reasons the gravest is shown.
pub fn judge_service(
    guards: &Guards,
    window: Stretch,
    minutes: i64,
    taken: &[Stretch],
    own: bool,
    photo_reused: bool,
) -> Mark {
    let minute = TimeDelta::minutes(1).num_milliseconds();
    let claimed = minutes.max(0).saturating_mul(minute);
    let tolerance = guards.minutes_tolerance.saturating_mul(minute);
    let too_quick = window.millis() < guards.quick_seconds.saturating_mul(1_000)
        || (guards.minutes_tolerance > 0 && claimed.saturating_sub(tolerance) > window.millis());
    let served = claimed.min(window.millis());
    let needed = if guards.minutes_tolerance > 0 { served.saturating_sub(tolerance).max(0) } else { 0 };
    let whole = fit(window, served, taken);
    let placed = whole.or_else(|| fit(window, needed, taken));
    let reasons = [
        (own, HoldReason::SelfOrder),
        (placed.is_none(), HoldReason::Overlap),
        (too_quick, HoldReason::TooQuick),
        (photo_reused, HoldReason::PhotoReused),
    ];
    Mark {
        stretch: placed.unwrap_or(Stretch { from: window.to, to: window.to }),
        reason: reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason),
    }
}

/// Judges a rating that scores: `rated_back` is when the volunteer last rated this resident for a service of his, and
/// `service` what the service itself is looked at for.
pub fn after_rating(
    guards: &Guards,
    at: DateTime<Utc>,
    rated_back: Option<DateTime<Utc>>,
    service: Option<HoldReason>,
) -> Option<HoldReason> {
    let within = |back: &DateTime<Utc>| (at - *back).abs() <= TimeDelta::days(guards.ring_days);
    let ring = guards.ring_days > 0 && rated_back.as_ref().is_some_and(within);
    if ring { Some(HoldReason::RatingRing) } else { service }
}

/// Another claim for, or by, the same person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// It is for the same person.
    pub same_person: bool,
    /// Its rule.
    pub rule_code: String,
    /// When what it claims took place.
    pub happened_at: DateTime<Utc>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What shows it.
    pub evidence: String,
}

/// Judges a claim beside the others that were not refused. `photo_reused` says that one of its photos was seen before. Of
/// several reasons the gravest is shown.
pub fn judge_claim(
    guards: &Guards,
    claim: &Alike,
    others: &[Alike],
    photo_reused: bool,
) -> Option<HoldReason> {
    let day = china_date(claim.happened_at);
    let split = |other: &Alike| {
        other.same_person
            && other.rule_code == claim.rule_code
            && china_date(other.happened_at) == day
            && common_percent(&claim.evidence, &other.evidence) >= guards.split_percent
    };
    let back_dated = |one: &Alike| one.made_at - one.happened_at > TimeDelta::days(guards.back_dated_days);
    let together = |other: &Alike| (other.made_at - claim.made_at).abs() <= TimeDelta::days(1);
    let burst = others.iter().filter(|other| back_dated(other) && together(other)).count();
    let burst = i64::try_from(burst).unwrap_or(i64::MAX).saturating_add(1);
    if photo_reused {
        Some(HoldReason::PhotoReused)
    } else if guards.split_percent > 0 && others.iter().any(split) {
        Some(HoldReason::ClaimSplit)
    } else if guards.back_dated_claims > 0 && back_dated(claim) && burst >= guards.back_dated_claims {
        Some(HoldReason::BackDated)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn stretch(from: i64, to: i64) -> Stretch {
        Stretch { from: from * MINUTE, to: to * MINUTE }
    }

    #[test]
    fn photos_are_looked_for_so_many_days_back() {
        let at: DateTime<Utc> = "2026-03-05T01:00:00Z".parse().expect("an instant");
        let since = |photo_days| Guards { photo_days, ..Guards::default() }.photos_since(at);
        assert_eq!(since(1), Some(at - TimeDelta::days(1)));
        assert_eq!(since(365), Guards::default().photos_since(at));
        for off in [0, -1, i64::MIN] {
            assert_eq!(since(off), None, "{off}");
        }
        for long in [PHOTO_DAYS_MOST, i64::MAX] {
            assert_eq!(since(long), Some(at - TimeDelta::days(36_500)), "{long}");
        }
    }

    #[test]
    fn the_first_gap_that_is_wide_enough_is_taken() {
        let taken = [stretch(30, 40), stretch(10, 20), stretch(35, 50)];
        let table = [
            ((0, 60), 10, Some((0, 10))),
            ((0, 60), 11, None),
            ((0, 61), 11, Some((50, 61))),
            ((15, 60), 10, Some((20, 30))),
            ((20, 30), 10, Some((20, 30))),
            ((20, 30), 11, None),
            ((12, 18), 1, None),
            ((12, 18), 0, None),
            ((40, 45), 0, None),
            ((60, 60), 0, Some((60, 60))),
            ((5, 5), 0, Some((5, 5))),
        ];
        for ((from, to), minutes, expected) in table {
            let found = fit(stretch(from, to), minutes * MINUTE, &taken);
            assert_eq!(found, expected.map(|(from, to)| stretch(from, to)), "{from}..{to}, {minutes}");
        }
    }

    fn judged(window: (i64, i64), minutes: i64, taken: &[Stretch]) -> Option<HoldReason> {
        judge_service(&Guards::default(), stretch(window.0, window.1), minutes, taken, false, false).reason
    }

    #[test]
    fn a_service_needs_its_time() {
        use HoldReason::{Overlap, TooQuick};
        let none: [Stretch; 0] = [];
        let morning = [stretch(0, 60)];
        let table = [
            ("an hour in an hour", (0, 60), 60, &none[..], None),
            ("rounded up by five minutes", (0, 55), 60, &none, None),
            ("by more than that", (0, 54), 60, &none, Some(TooQuick)),
            ("no minutes, a minute after it was accepted", (0, 1), 0, &none, None),
            ("at once", (0, 0), 0, &none, Some(TooQuick)),
            ("at once, with minutes", (0, 0), 40, &none, Some(TooQuick)),
            ("negative minutes are none", (0, 60), -5, &none, None),
            ("an hour while another hour ran", (0, 60), 60, &morning, Some(Overlap)),
            ("half of it in common", (30, 90), 60, &morning, Some(Overlap)),
            ("rounded, so that they touch", (0, 115), 60, &morning, None),
            ("one after the other, noted down together", (0, 120), 60, &morning, None),
            ("right behind it", (60, 120), 60, &morning, None),
            ("the far edge of i64", (0, 60), i64::MAX, &none, Some(TooQuick)),
        ];
        for (what, window, minutes, taken, expected) in table {
            assert_eq!(judged(window, minutes, taken), expected, "{what}");
        }
        let window = Stretch { from: 0, to: 59_999 };
        let judge = |window| judge_service(&Guards::default(), window, 0, &[], false, false).reason;
        assert_eq!(judge(window), Some(TooQuick), "a millisecond short of a minute");
        assert_eq!(judge(Stretch { to: 60_000, ..window }), None);
    }

    #[test]
    fn of_several_reasons_the_gravest_is_shown_and_zero_switches_off() {
        use HoldReason::{Overlap, PhotoReused, SelfOrder, TooQuick};
        let guards = Guards::default();
        let (all, taken) = (stretch(0, 60), [stretch(0, 60)]);
        let judge = |own, taken: &[Stretch], minutes, photo| {
            judge_service(&guards, all, minutes, taken, own, photo).reason
        };
        assert_eq!(judge(true, &taken, 90, true), Some(SelfOrder));
        assert_eq!(judge(false, &taken, 90, true), Some(Overlap));
        assert_eq!(judge(false, &[], 90, true), Some(TooQuick));
        assert_eq!(judge(false, &[], 30, true), Some(PhotoReused));
        assert_eq!(judge(false, &[], 30, false), None);
        let off = Guards { quick_seconds: 0, minutes_tolerance: 0, ..guards };
        assert_eq!(judge_service(&off, stretch(0, 0), 40, &taken, false, false).reason, None);
    }

    #[test]
    fn people_who_rate_each_other_within_days_are_looked_at() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("an instant");
        let (guards, now) = (Guards::default(), at("2026-03-31T00:00:00Z"));
        let table = [
            (None, None, None),
            (Some("2026-03-30T00:00:00Z"), None, Some(HoldReason::RatingRing)),
            (Some("2026-03-01T00:00:00Z"), None, Some(HoldReason::RatingRing)),
            (Some("2026-02-28T23:59:59Z"), None, None),
            (None, Some(HoldReason::TooQuick), Some(HoldReason::TooQuick)),
            (Some("2026-03-30T00:00:00Z"), Some(HoldReason::TooQuick), Some(HoldReason::RatingRing)),
        ];
        for (back, service, expected) in table {
            assert_eq!(after_rating(&guards, now, back.map(at), service), expected, "{back:?} {service:?}");
        }
        let off = Guards { ring_days: 0, ..guards };
        assert_eq!(after_rating(&off, now, Some(now), None), None);
    }

    fn claim(rule: &str, happened: &str, made: &str, evidence: &str) -> Alike {
        Alike {
            same_person: true,
            rule_code: rule.to_owned(),
            happened_at: happened.parse().expect("an instant"),
            made_at: made.parse().expect("an instant"),
            evidence: evidence.to_owned(),
        }
    }

    #[test]
    fn one_deed_in_several_pieces_is_looked_at() {
        let guards = Guards::default();
        let (day, made) = ("2026-03-05T01:00:00Z", "2026-03-06T01:00:00Z");
        let words = "上午走访三组独居老人张大爷家，测量血压，打扫院子";
        let first = claim("701", day, made, words);
        let judge = |other: Alike| judge_claim(&guards, &first, &[other], false);
        assert_eq!(judge(first.clone()), Some(HoldReason::ClaimSplit));
        let nearly = format!("{words}。");
        assert_eq!(judge(claim("701", day, made, &nearly)), Some(HoldReason::ClaimSplit));
        let late = "2026-03-05T15:59:59Z";
        assert_eq!(judge(claim("701", late, made, words)), Some(HoldReason::ClaimSplit), "the same day");
        assert_eq!(judge(claim("701", "2026-03-05T16:00:00Z", made, words)), None, "the next day in China");
        assert_eq!(judge(claim("702", day, made, words)), None, "another task");
        assert_eq!(judge(claim("701", day, made, "下午到二组查看用火用电，清理楼道杂物")), None);
        assert_eq!(judge(Alike { same_person: false, ..first.clone() }), None, "somebody else was there too");
        let off = Guards { split_percent: 0, ..guards };
        assert_eq!(judge_claim(&off, &first, std::slice::from_ref(&first), false), None);
        let used_again = |others: &[Alike]| judge_claim(&guards, &first, others, true);
        assert_eq!(used_again(&[]), Some(HoldReason::PhotoReused));
        assert_eq!(used_again(std::slice::from_ref(&first)), Some(HoldReason::PhotoReused), "the gravest");
    }

    #[test]
    fn a_burst_of_back_dated_claims_is_looked_at() {
        let guards = Guards::default();
        let made = "2026-03-20T01:00:00Z";
        let numbered = |n: usize| claim(&format!("7{n:02}"), "2026-03-05T01:00:00Z", made, "走访");
        let others = |count: usize| (0..count).map(numbered).collect::<Vec<_>>();
        let judge = |claim: &Alike, count| judge_claim(&guards, claim, &others(count), false);
        let last = numbered(99);
        assert_eq!(judge(&last, 3), None);
        assert_eq!(judge(&last, 4), Some(HoldReason::BackDated), "the fifth");
        let fresh = claim("799", "2026-03-13T01:00:00Z", made, "走访");
        assert_eq!(judge(&fresh, 9), None, "seven days ago is not back-dated");
        let later = claim("799", "2026-03-05T01:00:00Z", "2026-03-21T01:00:01Z", "走访");
        assert_eq!(judge(&later, 9), None, "not within a day of the others");
        let off = Guards { back_dated_claims: 0, ..guards };
        assert_eq!(judge_claim(&off, &last, &others(9), false), None);
    }

    proptest! {
        /// Whatever comes in whatever order: what is placed lies in its window, is as long as asked, and never touches
        /// what lies there.
        #[test]
        fn two_services_of_one_person_never_overlap(
            services in proptest::collection::vec((0_i64..300, 0_i64..120, 0_i64..90), 1..40),
        ) {
            let mut taken: Vec<Stretch> = Vec::new();
            for (from, length, minutes) in services {
                let window = stretch(from, from + length);
                let mark = judge_service(&Guards::default(), window, minutes, &taken, false, false);
                prop_assert!(window.from <= mark.stretch.from && mark.stretch.to <= window.to);
                for other in &taken {
                    let apart = mark.stretch.to <= other.from || other.to <= mark.stretch.from;
                    let empty = mark.stretch.millis() == 0 || other.millis() == 0;
                    prop_assert!(apart || empty, "{:?} {:?}", mark.stretch, other);
                }
                if mark.reason.is_none() {
                    let served = (minutes * MINUTE).min(window.millis());
                    let least = served - Guards::default().minutes_tolerance * MINUTE;
                    prop_assert!(mark.stretch.millis() >= least);
                }
                taken.push(mark.stretch);
            }
        }
    }
}
