//! How often something may be done: exact limits over a sliding window.
//!
//! A limit keeps the moments of the last admissions, at most as many as it admits. That is more to keep than a counter,
//! but exact: in no window of its length, wherever it begins, are more admitted than the limit says. A refused attempt
//! is not counted, so somebody who keeps trying is let in as soon as the oldest admission is over.

use std::collections::VecDeque;

/// At most `most` admissions in any `window_ms` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Most admissions in a window; 0 admits nothing.
    pub most: u32,
    /// The window, in milliseconds.
    pub window_ms: i64,
}

impl Limit {
    /// At most `most` in so many minutes.
    pub const fn per_minutes(most: u32, minutes: i64) -> Limit {
        Limit { most, window_ms: minutes * 60_000 }
    }
}

/// The admissions of one key that still count, oldest first, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admissions(VecDeque<i64>);

impl Admissions {
    /// How long to wait for the next admission, in milliseconds; `None` when one is possible now. Changes nothing.
    ///
    /// A clock that was set back does not lengthen the wait beyond the window.
    pub fn wait(&self, limit: Limit, now_ms: i64) -> Option<i64> {
        let most = limit.most as usize;
        if most == 0 {
            return Some(limit.window_ms);
        }
        let nth_last = self.0.len().checked_sub(most)?;
        let free_at = self.0[nth_last] + limit.window_ms;
        (free_at > now_ms).then(|| (free_at - now_ms).min(limit.window_ms))
    }

    /// Counts an admission, and forgets those that no window of the limit reaches any more.
    pub fn admit(&mut self, limit: Limit, now_ms: i64) {
        self.0.push_back(now_ms);
        while self.0.len() > limit.most as usize
            || self.0.front().is_some_and(|first| first + limit.window_ms <= now_ms)
        {
            self.0.pop_front();
        }
    }

    /// Takes an admission back, as if it had not been asked for.
    pub fn give_back(&mut self, at_ms: i64) {
        if let Some(index) = self.0.iter().rposition(|at| *at == at_ms) {
            self.0.remove(index);
        }
    }

    /// Whether nothing counts any more at this moment.
    pub fn is_over(&self, limit: Limit, now_ms: i64) -> bool {
        self.0.back().is_none_or(|last| last + limit.window_ms <= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(admissions: &mut Admissions, limit: Limit, now: i64) -> Result<(), i64> {
        admissions.wait(limit, now).map_or(Ok(()), Err)?;
        admissions.admit(limit, now);
        Ok(())
    }

    #[test]
    fn the_next_is_admitted_when_the_oldest_is_over() {
        let limit = Limit { most: 2, window_ms: 1_000 };
        let mut admissions = Admissions::default();
        assert_eq!(ask(&mut admissions, limit, 0), Ok(()));
        assert_eq!(ask(&mut admissions, limit, 400), Ok(()));
        assert_eq!(ask(&mut admissions, limit, 999), Err(1));
        assert_eq!(ask(&mut admissions, limit, 1_000), Ok(()));
        assert_eq!(ask(&mut admissions, limit, 1_001), Err(399));
    }

    #[test]
    fn nothing_is_admitted_by_a_limit_of_none() {
        let limit = Limit { most: 0, window_ms: 1_000 };
        assert_eq!(ask(&mut Admissions::default(), limit, 5), Err(1_000));
    }

    #[test]
    fn what_is_given_back_is_free_again() {
        let limit = Limit { most: 1, window_ms: 1_000 };
        let mut admissions = Admissions::default();
        assert_eq!(ask(&mut admissions, limit, 10), Ok(()));
        admissions.give_back(10);
        assert_eq!(ask(&mut admissions, limit, 11), Ok(()));
        admissions.give_back(10);
        assert_eq!(ask(&mut admissions, limit, 12), Err(999));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit(
            most in 1_u32..6,
            window_ms in 1_i64..500,
            steps in proptest::collection::vec(0_i64..200, 1..200),
        ) {
            let limit = Limit { most, window_ms };
            let (mut admissions, mut now, mut admitted) = (Admissions::default(), 0, Vec::new());
            for step in steps {
                now += step;
                match ask(&mut admissions, limit, now) {
                    Ok(()) => admitted.push(now),
                    // Whoever waits as long as he is told is admitted, if nobody was in between.
                    Err(wait) => prop_assert_eq!(admissions.wait(limit, now + wait), None),
                }
            }
            for start in &admitted {
                let inside = admitted.iter().filter(|at| (*start..start + window_ms).contains(at)).count();
                prop_assert!(inside <= most as usize);
            }
        }
    }
}
