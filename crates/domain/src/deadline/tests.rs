use chrono::{Datelike, NaiveDate, NaiveTime};
use proptest::prelude::*;

use super::day::{date_of_day, day_of_date, is_weekday};
use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A moment of China time.
fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("{}:00+08:00", text.replace(' ', "T"))).unwrap().to_utc()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn working(start: &str, seconds: i64) -> DateTime<Utc> {
    add(at(start), Limit::new(seconds, Pace::Working), Calendar::china(), &QuietHours::default())
}

#[test]
fn knows_the_announced_years_only() {
    let known: Vec<i32> = (2000..2100).filter(|year| Calendar::china().knows(*year)).collect();
    assert_eq!(known, [2024, 2025, 2026]);
}

#[test]
fn announced_days() {
    let table = [
        ("2024-02-09", true), // the eve of 春节 2024 was worked (that notice left it to the employers)
        ("2024-02-16", false), // Friday in 春节
        ("2024-02-18", true), // Sunday made up
        ("2024-09-14", true), // Saturday made up for 中秋节
        ("2025-01-26", true),
        ("2025-01-28", false),
        ("2025-10-08", false),
        ("2026-01-04", true),
        ("2026-02-14", true),
        ("2026-02-15", false),
        ("2026-02-23", false),
        ("2026-02-24", true),
        ("2026-02-28", true),
        ("2026-10-07", false),
        ("2026-10-10", true),
        ("2026-11-20", true),
        ("2026-11-21", false),
        ("2027-10-01", true), // not announced: an ordinary Friday
        ("2027-10-02", false),
    ];
    for (day, worked) in table {
        assert_eq!(Calendar::china().is_working_day(date(day)), worked, "{day}");
    }
}

#[test]
fn a_years_working_days_add_up() {
    // 2024 has 366 days, 2025 and 2026 have 365; days off are weekends and holidays less the made-up ones.
    for (year, expected) in [(2024, 251), (2025, 248), (2026, 248)] {
        let (from, to) = (date(&format!("{year}-01-01")), date(&format!("{}-01-01", year + 1)));
        let counted =
            from.iter_days().take_while(|day| *day < to).filter(|day| Calendar::china().is_working_day(*day));
        assert_eq!(counted.count(), expected, "{year}");
    }
}

#[test]
fn working_deadlines() {
    let table = [
        // within a day, over a night, over a weekend
        ("2026-11-18 09:00", 2 * HOUR, "2026-11-18 11:00"),
        ("2026-11-18 15:00", 24 * HOUR, "2026-11-19 15:00"),
        ("2026-11-19 15:00", 3 * DAY, "2026-11-24 15:00"),
        ("2026-11-20 15:00", 24 * HOUR, "2026-11-23 15:00"),
        // into the quiet hours: the end of them, on a working day
        ("2026-11-18 20:00", 2 * HOUR, "2026-11-19 07:00"),
        ("2026-11-18 19:00", 2 * HOUR, "2026-11-19 07:00"),
        ("2026-11-18 18:59", 2 * HOUR, "2026-11-18 20:59"),
        ("2026-11-20 20:00", 2 * HOUR, "2026-11-23 07:00"),
        ("2026-11-20 20:00", 4 * HOUR, "2026-11-23 07:00"),
        // started at night, on a Saturday, exactly at midnight
        ("2026-11-18 02:00", 2 * HOUR, "2026-11-18 07:00"),
        ("2026-11-18 02:00", 6 * HOUR, "2026-11-18 08:00"),
        ("2026-11-21 12:00", 8 * HOUR, "2026-11-23 08:00"),
        ("2026-11-21 00:00", 24 * HOUR, "2026-11-24 07:00"),
        ("2026-11-21 12:00", 0, "2026-11-23 07:00"),
        ("2026-11-18 12:00", 0, "2026-11-18 12:00"),
        ("2026-11-18 12:00", -5, "2026-11-18 12:00"),
        // 春节 2026: 14 (Saturday) is made up, 15 to 23 are off
        ("2026-02-13 10:00", 24 * HOUR, "2026-02-14 10:00"),
        ("2026-02-14 10:00", 24 * HOUR, "2026-02-24 10:00"),
        ("2026-02-12 10:00", 7 * DAY, "2026-02-28 10:00"),
        // 国庆节 2026, and Saturday 10 October made up
        ("2026-09-30 10:00", 3 * DAY, "2026-10-10 10:00"),
    ];
    for (start, seconds, expected) in table {
        assert_eq!(working(start, seconds), at(expected), "{start} + {seconds} s");
    }
}

#[test]
fn urgent_runs_through_everything() {
    let limit = Urgency::Urgent.limit(2 * HOUR);
    for (start, expected) in
        [("2026-11-20 23:00", "2026-11-21 01:00"), ("2026-02-17 02:00", "2026-02-17 04:00")]
    {
        assert_eq!(add(at(start), limit, Calendar::china(), &QuietHours::default()), at(expected));
    }
}

#[test]
fn other_quiet_hours() {
    let noon = QuietHours { from: "12:00:00".parse().unwrap(), to: "14:30:00".parse().unwrap() };
    assert_eq!(noon.next_allowed(at("2026-11-18 11:59")), at("2026-11-18 11:59"));
    assert_eq!(noon.next_allowed(at("2026-11-18 12:00")), at("2026-11-18 14:30"));
    assert_eq!(noon.next_allowed(at("2026-11-18 14:30")), at("2026-11-18 14:30"));
    assert_eq!(QuietHours::NONE.next_allowed(at("2026-11-18 00:00")), at("2026-11-18 00:00"));
    let night = QuietHours::default();
    assert_eq!(night.next_allowed(at("2026-11-20 21:00")), at("2026-11-21 07:00"));
    assert_eq!(night.next_allowed(at("2026-11-21 00:30")), at("2026-11-21 07:00"));
    assert_eq!(night.next_allowed(at("2026-11-21 07:00")), at("2026-11-21 07:00"));
    let none =
        add(at("2026-11-20 00:00"), Limit::new(DAY, Pace::Working), Calendar::china(), &QuietHours::NONE);
    assert_eq!(none, at("2026-11-23 00:00"));
    let json = serde_json::to_value(night).unwrap();
    assert_eq!(json, serde_json::json!({"from": "21:00:00", "to": "07:00:00"}));
}

#[test]
fn warns_at_three_quarters() {
    let warn = |start, deadline, pace| warn_at(at(start), at(deadline), pace, Calendar::china());
    assert_eq!(warn("2026-11-20 12:00", "2026-11-23 12:00", Pace::Working), at("2026-11-23 06:00"));
    assert_eq!(warn("2026-11-20 12:00", "2026-11-20 14:00", Pace::Wall), at("2026-11-20 13:30"));
    assert_eq!(warn("2026-11-20 12:00", "2026-11-20 12:00", Pace::Wall), at("2026-11-20 12:00"));
    assert_eq!(warn("2026-11-20 12:00", "2026-11-20 11:00", Pace::Working), at("2026-11-20 12:00"));
}

#[test]
fn a_pause_keeps_what_was_left() {
    let resumed = |deadline, paused, resumed, pace| {
        resume(at(deadline), at(paused), at(resumed), pace, Calendar::china(), &QuietHours::default())
    };
    let work = Pace::Working;
    // 6 hours were left
    let deadline = "2026-11-18 18:00";
    assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-19 09:00", work), at("2026-11-19 15:00"));
    // over a weekend, and into the quiet hours
    assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-21 09:00", work), at("2026-11-23 07:00"));
    assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-19 16:00", work), at("2026-11-20 07:00"));
    assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-21 09:00", Pace::Wall), at("2026-11-21 15:00"));
    // already missed
    assert_eq!(resumed(deadline, "2026-11-18 18:30", "2026-11-19 09:00", work), at(deadline));
}

#[test]
fn default_limits() {
    let table = [
        (Urgency::Urgent, Pace::Wall, (300, 900, Some(7200), 86_400, None)),
        (Urgency::Priority, Pace::Working, (1800, 7200, None, 86_400, None)),
        (Urgency::Normal, Pace::Working, (7200, 86_400, None, 259_200, None)),
        (Urgency::Complex, Pace::Working, (7200, 86_400, None, 604_800, Some(604_800))),
    ];
    for (urgency, pace, expected) in table {
        let limits = TimeLimits::default_for(urgency);
        let TimeLimits { dispatch, accept, arrive, complete, extension } = limits;
        assert_eq!((dispatch, accept, arrive, complete, extension), expected, "{urgency}");
        assert_eq!(urgency.pace(), pace);
        assert_eq!(limits.check(), Ok(()));
        assert_eq!(urgency.as_str().parse(), Ok(urgency));
        assert_eq!(serde_json::to_value(urgency).unwrap(), urgency.as_str());
    }
    let limits = TimeLimits::default_for(Urgency::Normal);
    let wrong = TimeLimits { arrive: Some(0), ..limits };
    assert_eq!(wrong.check(), Err(TimeLimitsError { field: "arrive" }));
    let wrong = TimeLimits { complete: Limit::MAX_SECONDS + 1, ..limits };
    assert_eq!(wrong.check(), Err(TimeLimitsError { field: "complete" }));
}

#[test]
fn reads_a_new_year_or_changes_nothing() {
    let mut calendar = Calendar::china().clone();
    calendar.learn(2027, "# test\ndate,kind,name\n2027-01-01,holiday,元旦\n2027-01-03,work,元旦\n").unwrap();
    assert!(calendar.knows(2027));
    assert!(!calendar.is_working_day(date("2027-01-01")) && calendar.is_working_day(date("2027-01-03")));

    let before = calendar.clone();
    let table = [
        ("", CalendarError::Header),
        ("2027-01-01,holiday,元旦", CalendarError::Header),
        ("date,kind,name\n2027-01-32,holiday,元旦", CalendarError::Row { line: 2 }),
        ("date,kind,name\n\n2027-01-01,off,元旦", CalendarError::Row { line: 3 }),
        ("date,kind,name\n2027-01-01,holiday", CalendarError::Row { line: 2 }),
        ("date,kind,name\n2027-01-01,holiday,a,b", CalendarError::Row { line: 2 }),
        ("date,kind,name\n2026-12-31,holiday,元旦", CalendarError::Year { line: 2, year: 2027 }),
        ("date,kind,name\n2027-01-01,holiday,元旦\n2027-01-01,work,元旦", CalendarError::Twice { line: 3 }),
    ];
    for (file, error) in table {
        assert_eq!(calendar.learn(2027, file), Err(error), "{file}");
        assert_eq!(calendar, before);
    }

    calendar.learn(2027, "date,kind,name\n").unwrap();
    assert!(calendar.is_working_day(date("2027-01-01")), "the second reading replaces the first");
    assert!(!calendar.is_working_day(date("2026-10-01")), "other years stay");
}

#[test]
fn the_ends_of_time_do_not_panic() {
    let (least, most) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    for start in [least, most] {
        for pace in [Pace::Wall, Pace::Working] {
            let end = add(start, Limit::new(i64::MAX, pace), Calendar::china(), &QuietHours::default());
            assert!(end >= start);
            assert!(warn_at(least, start, pace, Calendar::china()) <= most);
            assert!(running_between(least, start, pace, Calendar::china()) >= 0);
            resume(most, least, start, pace, Calendar::china(), &QuietHours::default());
        }
    }
}

/// Moments of 2024 to 2028: known and unknown years, whole milliseconds as the clock gives them.
fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    (1_704_038_400_000_i64..1_830_268_800_000)
        .prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
        .prop_flat_map(|any| {
            let (day, _) = split_seconds(any);
            // Half of them at a full hour, where the edges are.
            prop_oneof![Just(any), (0i64..24).prop_map(move |h| day_start(day) + TimeDelta::hours(h))]
        })
}

fn seconds() -> impl Strategy<Value = i64> {
    prop_oneof![0i64..20 * DAY, (0i64..20 * 24).prop_map(|hours| hours * HOUR), Just(0)]
}

fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![Just(Pace::Wall), Just(Pace::Working)]
}

fn quiet() -> impl Strategy<Value = QuietHours> {
    let hour = |hour: u32| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    prop_oneof![
        Just(QuietHours::default()),
        Just(QuietHours::NONE),
        (0u32..24, 0u32..24).prop_map(move |(from, to)| QuietHours { from: hour(from), to: hour(to) }),
    ]
}

fn is_working_moment(at: DateTime<Utc>, quiet: &QuietHours) -> bool {
    let day = date_of_day(split_seconds(at).0).unwrap();
    Calendar::china().is_working_day(day) && !quiet.is_quiet(at)
}

proptest! {
    #[test]
    fn grows_with_start_and_limit(s in moment(), t in moment(), a in seconds(), b in seconds(), pace in pace(), quiet in quiet()) {
        let china = Calendar::china();
        let end = |start, seconds| add(start, Limit::new(seconds, pace), china, &quiet);
        prop_assert!(end(s.min(t), a) <= end(s.max(t), a));
        prop_assert!(end(s, a.min(b)) <= end(s, a.max(b)));
        prop_assert!(end(s, a) >= s + TimeDelta::seconds(a), "earlier than the wall clock");
    }

    #[test]
    fn working_deadlines_are_working_moments(s in moment(), a in seconds(), quiet in quiet()) {
        let end = add(s, Limit::new(a, Pace::Working), Calendar::china(), &quiet);
        prop_assert!(is_working_moment(end, &quiet));
        prop_assert_eq!(add(end, Limit::new(0, Pace::Working), Calendar::china(), &quiet), end);
    }

    #[test]
    fn two_limits_are_their_sum_unless_the_night_came_between(s in moment(), a in seconds(), b in seconds(), pace in pace(), quiet in quiet()) {
        let china = Calendar::china();
        let end = |start, seconds| add(start, Limit::new(seconds, pace), china, &quiet);
        let first = end(s, a);
        let (twice, once) = (end(first, b), end(s, a + b));
        prop_assert!(twice >= once);
        let ran = running_between(s, first, pace, china);
        prop_assert!(ran >= a);
        if ran == a {
            prop_assert_eq!(twice, once);
        }
        if pace == Pace::Wall {
            prop_assert_eq!(ran, a);
        }
    }

    #[test]
    fn running_time_is_additive(s in moment(), t in moment(), u in moment(), pace in pace()) {
        let mut moments = [s, t, u];
        moments.sort();
        let [s, t, u] = moments;
        let china = Calendar::china();
        let parts = running(s, t, pace, china) + running(t, u, pace, china);
        prop_assert_eq!(parts, running(s, u, pace, china));
        prop_assert!(running(s, t, pace, china) <= t - s);
        prop_assert_eq!(running_between(t, s, pace, china), 0);
    }

    /// Counting by weeks agrees with walking through the days.
    #[test]
    fn counts_the_days_that_a_walk_counts(from in 19_700i64..21_200, length in 0i64..400) {
        let china = Calendar::china();
        let walked = (from..from + length).filter(|day| china.is_worked(*day)).count() as i64;
        prop_assert_eq!(china.worked_between(from, from + length), walked);
    }

    #[test]
    fn weekdays_are_chronos(day in -1_000_000i64..1_000_000) {
        use chrono::Weekday::{Sat, Sun};
        let date = date_of_day(day).unwrap();
        prop_assert_eq!(is_weekday(day), ![Sat, Sun].contains(&date.weekday()));
        prop_assert_eq!(day_of_date(date), day);
    }

    #[test]
    fn a_pause_without_length_changes_nothing(s in moment(), a in seconds(), into in 0i64..20 * DAY, pace in pace(), quiet in quiet()) {
        let china = Calendar::china();
        let deadline = add(s, Limit::new(a, pace), china, &quiet);
        let paused = s + TimeDelta::seconds(into);
        prop_assert_eq!(resume(deadline, paused, paused, pace, china, &quiet), deadline);
        // Nor does one of a millisecond change more than a millisecond of running time or one night can explain.
        let after = resume(deadline, paused, paused + TimeDelta::milliseconds(1), pace, china, &quiet);
        prop_assert!(after >= deadline);
    }

    #[test]
    fn a_pause_never_takes_running_time_away(s in moment(), a in seconds(), into in 0i64..20 * DAY, length in 1i64..20 * DAY, pace in pace(), quiet in quiet()) {
        let china = Calendar::china();
        let deadline = add(s, Limit::new(a, pace), china, &quiet);
        let paused = s + TimeDelta::seconds(into);
        let resumed = paused + TimeDelta::seconds(length);
        let after = resume(deadline, paused, resumed, pace, china, &quiet);
        prop_assert!(after >= deadline);
        if deadline > paused {
            let (left, now) = (running(paused, deadline, pace, china), running(resumed, after, pace, china));
            prop_assert!(now >= left);
            prop_assert!(pace == Pace::Working || now == left);
            prop_assert!(pace == Pace::Wall || is_working_moment(after, &quiet));
        }
    }

    #[test]
    fn warnings_come_in_time(s in moment(), a in seconds(), pace in pace(), quiet in quiet()) {
        let china = Calendar::china();
        let deadline = add(s, Limit::new(a, pace), china, &quiet);
        let warning = warn_at(s, deadline, pace, china);
        prop_assert!(s <= warning && warning <= deadline);
        let (ran, all) = (running(s, warning, pace, china), running(s, deadline, pace, china));
        prop_assert!((ran - all * 3 / 4).abs() < TimeDelta::microseconds(1));
        prop_assert!(all.is_zero() || warning < deadline);
    }

    #[test]
    fn messages_wait_for_the_end_of_the_quiet_hours(s in moment(), quiet in quiet()) {
        let sent = quiet.next_allowed(s);
        prop_assert!(!quiet.is_quiet(sent));
        prop_assert!(sent >= s && sent - s < TimeDelta::days(1));
        prop_assert_eq!(sent == s, !quiet.is_quiet(s));
        prop_assert!(next_working_moment(s, Calendar::china(), &quiet) >= sent);
    }

    #[test]
    fn reading_a_calendar_never_panics(file in "(date,kind,name\n)?(2027-0[0-9]-[0-3][0-9],(holiday|work|x),.{0,3}\n){0,5}|.{0,40}") {
        let mut calendar = Calendar::weekends_only();
        let read = calendar.learn(2027, &file).is_ok();
        prop_assert_eq!(calendar.knows(2027), read);
    }
}
