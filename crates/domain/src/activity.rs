//! 志愿服务活动 with its four steps (四到): 报到 join, 预告 notice, 签到 check in, 反馈 feedback; and what counts of it.

use chrono::{DateTime, TimeDelta, Utc};

/// Most people of one activity.
pub const CAPACITY_LARGEST: i64 = 10_000;
/// An activity is over after so long at the latest.
pub const LASTS_AT_MOST: TimeDelta = TimeDelta::hours(16);
/// An activity is announced at the earliest so long before it begins.
pub const ANNOUNCED_BEFORE: TimeDelta = TimeDelta::days(366);
/// Feedback is given within so long after the end.
pub const FEEDBACK_WITHIN: TimeDelta = TimeDelta::days(7);

/// When an activity takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Its beginning.
    pub starts_at: DateTime<Utc>,
    /// Its end.
    pub ends_at: DateTime<Utc>,
    /// Minutes between the two that are spent on the way, and are no service.
    pub travel_minutes: i64,
}

/// What one person has done so far of an activity that he joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// When he checked in.
    pub checked_in_at: Option<DateTime<Utc>>,
    /// When he gave his feedback.
    pub feedback_at: Option<DateTime<Utc>>,
}

/// Why a step is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepRefusal {
    /// It has begun.
    #[error("the activity has begun")]
    Begun,
    /// It has not begun.
    #[error("the activity has not begun")]
    NotBegun,
    /// It is over.
    #[error("the activity is over")]
    Over,
    /// It is not over.
    #[error("the activity is not over")]
    NotOver,
    /// He has not joined.
    #[error("has not joined")]
    NotJoined,
    /// He joined before.
    #[error("joined before")]
    Joined,
    /// He has not checked in: he was not there.
    #[error("was not there")]
    NotThere,
    /// He checked in before.
    #[error("checked in before")]
    CheckedIn,
    /// He gave his feedback before.
    #[error("gave his feedback before")]
    FedBack,
}

/// What is wrong with the times of an activity, by field.
pub fn time_faults(times: &Times, now: DateTime<Utc>) -> Vec<(&'static str, &'static str)> {
    let mut faults = Vec::new();
    if times.starts_at <= now {
        faults.push(("startsAt", "in_the_past"));
    } else if times.starts_at - now > ANNOUNCED_BEFORE {
        faults.push(("startsAt", "too_far_ahead"));
    }
    let lasts = times.ends_at - times.starts_at;
    if lasts <= TimeDelta::zero() {
        faults.push(("endsAt", "not_after_start"));
    } else if lasts > LASTS_AT_MOST {
        faults.push(("endsAt", "too_long"));
    }
    let too_far = lasts > TimeDelta::zero() && times.travel_minutes >= lasts.num_minutes();
    if times.travel_minutes < 0 || (times.travel_minutes > 0 && too_far) {
        faults.push(("travelMinutes", "out_of_range"));
    }
    faults
}

/// 报到: whether somebody may join; `part` is what he has done of it so far. Room is counted by the store.
///
/// # Errors
/// [`StepRefusal`].
pub fn check_join(times: &Times, part: Option<Part>, now: DateTime<Utc>) -> Result<(), StepRefusal> {
    match part {
        Some(_) => Err(StepRefusal::Joined),
        None if now >= times.starts_at => Err(StepRefusal::Begun),
        None => Ok(()),
    }
}

/// 预告: whether those who joined may be told; afterwards there is nothing to tell.
///
/// # Errors
/// [`StepRefusal`].
pub fn check_notice(times: &Times, now: DateTime<Utc>) -> Result<(), StepRefusal> {
    if now >= times.starts_at { Err(StepRefusal::Begun) } else { Ok(()) }
}

/// 签到: whether somebody may check in: who joined, between beginning and end, once.
///
/// # Errors
/// [`StepRefusal`].
pub fn check_in(times: &Times, part: Option<Part>, now: DateTime<Utc>) -> Result<(), StepRefusal> {
    let part = part.ok_or(StepRefusal::NotJoined)?;
    if part.checked_in_at.is_some() {
        Err(StepRefusal::CheckedIn)
    } else if now < times.starts_at {
        Err(StepRefusal::NotBegun)
    } else if now >= times.ends_at {
        Err(StepRefusal::Over)
    } else {
        Ok(())
    }
}

/// 反馈: whether somebody may say how it was: who was there, after the end, once. Answers when he was there from.
///
/// # Errors
/// [`StepRefusal`].
pub fn check_feedback(
    times: &Times,
    part: Option<Part>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, StepRefusal> {
    let part = part.ok_or(StepRefusal::NotJoined)?;
    let there = part.checked_in_at.ok_or(StepRefusal::NotThere)?;
    if part.feedback_at.is_some() {
        Err(StepRefusal::FedBack)
    } else if now < times.ends_at {
        Err(StepRefusal::NotOver)
    } else if now - times.ends_at > FEEDBACK_WITHIN {
        Err(StepRefusal::Over)
    } else {
        Ok(there)
    }
}

/// Minutes of service: from check-in to the end, without travel. Whoever comes late has less, and never below zero.
pub fn minutes(times: &Times, checked_in_at: DateTime<Utc>) -> i64 {
    let there = times.ends_at - checked_in_at.max(times.starts_at);
    (there.num_minutes() - times.travel_minutes).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-05T{text}Z").parse().expect("an instant")
    }

    /// From two to five, half an hour of it on the way.
    fn times() -> Times {
        Times { starts_at: at("02:00:00"), ends_at: at("05:00:00"), travel_minutes: 30 }
    }

    fn there(checked_in: &str) -> Option<Part> {
        Some(Part { checked_in_at: Some(at(checked_in)), feedback_at: None })
    }

    #[test]
    fn times_must_lie_ahead_and_in_order() {
        let now = at("01:00:00");
        let faults = |change: fn(&mut Times)| {
            let mut changed = times();
            change(&mut changed);
            time_faults(&changed, now)
        };
        assert_eq!(faults(|_| ()), []);
        assert_eq!(faults(|it| it.starts_at = at("01:00:00")), [("startsAt", "in_the_past")]);
        assert_eq!(faults(|it| it.ends_at = it.starts_at), [("endsAt", "not_after_start")]);
        assert_eq!(faults(|it| it.ends_at = at("01:30:00")), [("endsAt", "not_after_start")]);
        assert_eq!(faults(|it| it.ends_at = it.starts_at + LASTS_AT_MOST), []);
        let too_long = faults(|it| it.ends_at = it.starts_at + LASTS_AT_MOST + TimeDelta::seconds(1));
        assert_eq!(too_long, [("endsAt", "too_long")]);
        let far = faults(|it| {
            it.starts_at += TimeDelta::days(367);
            it.ends_at += TimeDelta::days(367);
        });
        assert_eq!(far, [("startsAt", "too_far_ahead")]);
        for (travel, fits) in [(-1, false), (0, true), (179, true), (180, false), (i64::MAX, false)] {
            let mut changed = times();
            changed.travel_minutes = travel;
            assert_eq!(time_faults(&changed, now).is_empty(), fits, "{travel}");
        }
    }

    #[test]
    fn each_step_has_its_time_and_comes_once() {
        use StepRefusal::{Begun, CheckedIn, FedBack, Joined, NotBegun, NotJoined, NotOver, NotThere, Over};
        let (joined, none) = (Some(Part::default()), None);
        assert_eq!(check_join(&times(), none, at("01:59:59")), Ok(()));
        assert_eq!(check_join(&times(), none, at("02:00:00")), Err(Begun));
        assert_eq!(check_join(&times(), joined, at("01:00:00")), Err(Joined));
        assert_eq!(check_notice(&times(), at("01:59:59")), Ok(()));
        assert_eq!(check_notice(&times(), at("02:00:00")), Err(Begun));
        assert_eq!(check_in(&times(), none, at("03:00:00")), Err(NotJoined));
        assert_eq!(check_in(&times(), joined, at("01:59:59")), Err(NotBegun));
        assert_eq!(check_in(&times(), joined, at("02:00:00")), Ok(()));
        assert_eq!(check_in(&times(), joined, at("04:59:59")), Ok(()));
        assert_eq!(check_in(&times(), joined, at("05:00:00")), Err(Over));
        assert_eq!(check_in(&times(), there("02:00:00"), at("03:00:00")), Err(CheckedIn));
        assert_eq!(check_feedback(&times(), none, at("05:00:00")), Err(NotJoined));
        assert_eq!(check_feedback(&times(), joined, at("05:00:00")), Err(NotThere));
        assert_eq!(check_feedback(&times(), there("02:10:00"), at("04:59:59")), Err(NotOver));
        assert_eq!(check_feedback(&times(), there("02:10:00"), at("05:00:00")), Ok(at("02:10:00")));
        let last = times().ends_at + FEEDBACK_WITHIN;
        assert_eq!(check_feedback(&times(), there("02:10:00"), last), Ok(at("02:10:00")));
        assert_eq!(check_feedback(&times(), there("02:10:00"), last + TimeDelta::seconds(1)), Err(Over));
        let done = Some(Part { checked_in_at: Some(at("02:10:00")), feedback_at: Some(last) });
        assert_eq!(check_feedback(&times(), done, at("05:00:00")), Err(FedBack));
    }

    #[test]
    fn service_is_what_lies_between_check_in_and_end_without_travel() {
        for (checked_in, expected) in
            [("02:00:00", 150), ("01:00:00", 150), ("03:00:00", 90), ("04:30:00", 0), ("04:59:00", 0)]
        {
            assert_eq!(minutes(&times(), at(checked_in)), expected, "{checked_in}");
        }
    }
}
