//! The users that the sandbox has heard of.

use std::collections::{BTreeMap, VecDeque};

use super::refusal::Refusal;

/// WeChat checks texts and pictures only of users who were here within this time.
const RECENTLY_SECONDS: i64 = 2 * 60 * 60;

#[derive(Default)]
struct Person {
    high_risk: bool,
    last_log_in: Option<i64>,
    counted_log_ins: VecDeque<i64>,
}

pub(super) struct People {
    log_ins_per_minute: usize,
    people: BTreeMap<String, Person>,
}

impl People {
    pub(super) fn new(log_ins_per_minute: usize) -> Self {
        Self { log_ins_per_minute, people: BTreeMap::new() }
    }

    pub(super) fn set_high_risk(&mut self, openid: &str, high_risk: bool) {
        self.person(openid).high_risk = high_risk;
    }

    pub(super) fn log_in(&mut self, openid: &str, counts: bool, now: i64) -> Result<(), Refusal> {
        let limit = self.log_ins_per_minute;
        let person = self.person(openid);
        if person.high_risk {
            return Err(Refusal::high_risk_user());
        }
        if counts {
            person.counted_log_ins.retain(|at| now - at < 60);
            if person.counted_log_ins.len() >= limit {
                return Err(Refusal::too_often());
            }
            person.counted_log_ins.push_back(now);
        }
        person.last_log_in = Some(now);
        Ok(())
    }

    pub(super) fn check_recently_here(&self, openid: &str, now: i64) -> Result<(), Refusal> {
        // Somebody unknown is somebody who was here before the sandbox started.
        match self.people.get(openid).and_then(|person| person.last_log_in) {
            Some(at) if now - at <= RECENTLY_SECONDS => Ok(()),
            _ => Err(Refusal::not_recently_here()),
        }
    }

    fn person(&mut self, openid: &str) -> &mut Person {
        self.people.entry(openid.to_owned()).or_default()
    }
}
