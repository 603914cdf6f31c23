//! What the policy is to know of teams and of their members: read once for a whole round.
//!
//! While many orders come in a second, what was read is good for the rounds of the next three seconds too, with what this
//! process offered meanwhile counted in. Rounds side by side do not see each other's offers, and what one of them reads
//! while the other commits goes without these. It is most of what a round asks of the database.
//! Only what the policy prefers may rest on it. Where one person is named, nothing behind the policy looks again how many
//! orders he has: such questions read anew. And that nobody is left is said of no facts but fresh ones.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::dispatch::{AssignMode, Decision, History, MemberFacts, Question, TeamFacts};
use xingfuma_store::duty::{self, KnownRow};

use crate::directory::{Directory, Team};
use crate::{App, AppError};

/// So many orders within a second are many: then most of what each of them asks was asked for another a moment ago.
const MANY: usize = 20;
/// How long what was read is good for other rounds: to read a whole county's people costs as much as to dispatch some
/// hundred orders.
const GOOD_FOR: Duration = Duration::from_secs(3);

/// What was read lately, while many orders came.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    known: Known,
    /// What was read before this moment is not good any more.
    good_from: Option<Instant>,
    pace: Pace,
}

/// How many orders were asked about in the second that runs, and in the one before it.
#[derive(Debug, Default)]
struct Pace {
    since: Option<Instant>,
    now: usize,
    before: usize,
}

impl Pace {
    /// Counts so many more; answers whether they are many.
    fn count(&mut self, orders: usize, at: Instant) -> bool {
        match self.since.map(|since| at.saturating_duration_since(since).as_secs()) {
            Some(0) => self.now += orders,
            second => {
                self.before = if second == Some(1) { self.now } else { 0 };
                (self.since, self.now) = (Some(at), orders);
            }
        }
        self.now.max(self.before) >= MANY
    }
}

/// What is known of the teams of a round, and what was decided in it so far. Rounds share what is kept of a team until one of
/// them learns something of it: a county's members are too many to copy for each round.
#[derive(Debug, Default)]
pub(crate) struct Known {
    teams: HashMap<Uuid, Arc<KnownTeam>>,
    /// The teams that were read for this round.
    anew: HashSet<Uuid>,
}

#[derive(Clone, Debug)]
struct KnownTeam {
    read_at: Instant,
    /// Its own row.
    own: Option<KnownRow>,
    /// Its members by the skill that was asked for, sorted by their ids.
    members: HashMap<String, Vec<KnownRow>>,
}

impl KnownTeam {
    fn answers(&self, skills: &BTreeSet<String>, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) < GOOD_FOR
            && skills.iter().all(|skill| self.members.contains_key(skill))
    }
}

/// Teams that a round asks about, with the skills of theirs that it asks for.
type Asked = BTreeMap<Uuid, BTreeSet<String>>;

fn asked<'a>(directory: &Directory, questions: impl IntoIterator<Item = &'a Question>) -> Asked {
    let mut asked = Asked::new();
    for question in questions {
        for (team, _) in directory.teams_covering(question.area) {
            let skills = asked.entry(team.id).or_default();
            if team.skills.contains(&question.skill) {
                skills.insert(question.skill.clone());
            }
        }
    }
    asked
}

impl Lately {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of these teams and still good.
    fn of<'a>(
        &self,
        asked: impl IntoIterator<Item = (&'a Uuid, &'a BTreeSet<String>)>,
        now: Instant,
    ) -> Known {
        let lately = self.kept();
        let good = asked.into_iter().filter_map(|(team, skills)| {
            let known = lately.known.teams.get(team).filter(|known| known.answers(skills, now))?;
            Some((*team, known.clone()))
        });
        Known { teams: good.collect(), anew: HashSet::new() }
    }

    /// Keeps what was read just now.
    fn keep<'a>(&self, read: &Known, teams: impl IntoIterator<Item = &'a Uuid>, now: Instant) {
        let mut lately = self.kept();
        lately.known.teams.retain(|_, known| known.answers(&BTreeSet::new(), now));
        for team in teams {
            // Somebody may have been suspended while it was read.
            let good_from = lately.good_from;
            let known =
                read.teams.get(team).filter(|known| good_from.is_none_or(|from| known.read_at > from));
            if let Some(known) = known {
                lately.known.teams.insert(*team, known.clone());
            }
        }
    }

    /// Counts so many more orders; answers whether they are many.
    fn count(&self, orders: usize, now: Instant) -> bool {
        self.kept().pace.count(orders, now)
    }

    /// Teams or people have changed: nothing that was read is good any more.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept();
        kept.known = Known::default();
        kept.good_from = Some(Instant::now());
    }
}

impl App {
    /// What the policy is to know, in one round trip: teams and rosters are in memory already.
    pub(crate) async fn known(
        &self,
        directory: &Directory,
        questions: &[Question],
    ) -> Result<Known, AppError> {
        let asked = asked(directory, questions);
        if !self.lately.count(questions.len(), Instant::now()) {
            let mut known = Known::default();
            self.read(&mut known, asked, questions).await?;
            return Ok(known);
        }
        let named = self::asked(directory, questions.iter().filter(|one| one.mode != AssignMode::WholeTeam));
        let by_anybody = asked.iter().filter(|(team, _)| !named.contains_key(*team));
        let mut known = self.lately.of(by_anybody, Instant::now());
        let missing: Asked = asked.into_iter().filter(|(team, _)| !known.teams.contains_key(team)).collect();
        let teams: Vec<Uuid> = missing.keys().copied().collect();
        self.read(&mut known, missing, questions).await?;
        self.lately.keep(&known, &teams, Instant::now());
        Ok(known)
    }

    /// Reads anew what one question is about, if what is known of it may be old. Answers whether it was.
    pub(crate) async fn know_anew(
        &self,
        known: &mut Known,
        directory: &Directory,
        question: &Question,
    ) -> Result<bool, AppError> {
        let questions = std::slice::from_ref(question);
        let asked = asked(directory, questions);
        if asked.keys().all(|team| !known.teams.contains_key(team) || known.anew.contains(team)) {
            return Ok(false);
        }
        self.read(known, asked, questions).await?;
        Ok(true)
    }

    async fn read(&self, known: &mut Known, asked: Asked, questions: &[Question]) -> Result<(), AppError> {
        let at = questions.iter().map(|question| question.at).min().unwrap_or_else(|| self.clock.now());
        let teams: Vec<Uuid> = asked.keys().copied().collect();
        let able: Vec<(Uuid, String)> = asked
            .iter()
            .flat_map(|(team, skills)| skills.iter().map(|skill| (*team, skill.clone())))
            .collect();
        // What comes while it is read is not in it.
        let read_at = Instant::now();
        let rows = duty::known(&self.store, &teams, &able, at).await?;
        known.add(asked, rows, read_at);
        Ok(())
    }

    /// An offer is known to the choices behind it, in this round and in those after it, as if it had been read.
    pub(crate) fn learn(&self, known: &mut Known, question: &Question, decision: &Decision) {
        known.learn(question, decision);
        self.lately.kept().known.learn(question, decision);
    }
}

impl Known {
    /// Adds what was read: rows whose places are those of `asked`.
    fn add(&mut self, asked: Asked, rows: Vec<KnownRow>, read_at: Instant) {
        let mut own: Vec<Option<KnownRow>> = vec![None; asked.len()];
        let mut members: Vec<Vec<KnownRow>> = vec![Vec::new(); asked.values().map(BTreeSet::len).sum()];
        for row in rows {
            let Ok(place) = usize::try_from(row.place) else { continue };
            if row.person_id.is_some() {
                members[place].push(row);
            } else {
                own[place] = Some(row);
            }
        }
        let mut members = members.into_iter().map(|mut rows| {
            rows.sort_unstable_by_key(|row| row.person_id);
            rows.shrink_to_fit();
            rows
        });
        for ((team, skills), own) in asked.into_iter().zip(own) {
            // Nobody may have a skill: that too is known.
            let members = skills.into_iter().zip(members.by_ref()).collect();
            self.teams.insert(team, Arc::new(KnownTeam { read_at, own, members }));
            self.anew.insert(team);
        }
    }

    pub(crate) fn facts(&self, directory: &Directory, question: &Question) -> Vec<TeamFacts> {
        let covering = directory.teams_covering(question.area);
        covering.into_iter().map(|(team, covers)| self.team_facts(team, covers, question)).collect()
    }

    fn team_facts(&self, team: &Team, covers: AreaCode, question: &Question) -> TeamFacts {
        let known = self.teams.get(&team.id);
        let own = known.and_then(|known| known.own.as_ref());
        let members = known.and_then(|known| known.members.get(&question.skill));
        let quiet = team.roster.is_quiet(question.at);
        TeamFacts {
            team: team.id,
            name: team.name.clone(),
            kind: team.kind,
            covers,
            skills: team.skills.clone(),
            open_orders: own.map_or(0, |row| row.open_orders),
            volunteers: team.volunteers,
            history: own.map(history).unwrap_or_default(),
            members: members
                .into_iter()
                .flatten()
                .filter_map(|row| member_facts(team, row, question.at, quiet))
                .collect(),
        }
    }

    fn learn(&mut self, question: &Question, decision: &Decision) {
        let Some(team) = decision.chosen.and_then(|team| self.teams.get_mut(&team)) else { return };
        let team = Arc::make_mut(team);
        if let Some(row) = &mut team.own {
            row.open_orders += 1;
        }
        for row in team.members.values_mut().flatten() {
            if row.person_id.is_some_and(|person| decision.invited.contains(&person)) {
                row.offered_at = Some(question.at);
            }
            if row.person_id.is_some() && row.person_id == decision.volunteer {
                row.open_orders += 1;
            }
        }
    }
}

fn history(row: &KnownRow) -> History {
    History { accepts: row.accepts, waited_seconds: row.waited_seconds }
}

fn member_facts(team: &Team, row: &KnownRow, at: DateTime<Utc>, quiet: bool) -> Option<MemberFacts> {
    let person = row.person_id?;
    Some(MemberFacts {
        person,
        open_orders: row.open_orders,
        full: row.open_orders >= team.roster.open_orders_at_most,
        on_leave: row.on_leave,
        off_duty: !team.roster.is_on_duty(person, at),
        quiet,
        offered_at: row.offered_at,
        history: history(row),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEAM: Uuid = Uuid::from_u128(1);
    const PERSON: Uuid = Uuid::from_u128(2);

    fn row(person: Option<Uuid>) -> KnownRow {
        KnownRow {
            person_id: person,
            place: 0,
            on_leave: false,
            open_orders: 0,
            accepts: 0,
            waited_seconds: 0,
            offered_at: None,
        }
    }

    fn asking(skills: &[&str]) -> Asked {
        BTreeMap::from([(TEAM, skills.iter().map(|skill| (*skill).to_owned()).collect())])
    }

    fn read(skills: &[&str], now: Instant) -> Known {
        let mut known = Known::default();
        known.add(asking(skills), vec![row(None), row(Some(PERSON))], now);
        known
    }

    /// Keeps what was read at that moment.
    fn keep(lately: &Lately, skills: &[&str], now: Instant) {
        lately.keep(&read(skills, now), &[TEAM], now);
    }

    #[test]
    fn what_was_read_is_good_for_a_while_and_for_the_skills_that_were_asked_for() {
        let (lately, now) = (Lately::default(), Instant::now());
        keep(&lately, &["便民", "调解"], now);
        let there = |skills: &[&str], later| !lately.of(&asking(skills), now + later).teams.is_empty();
        assert!(there(&["便民"], Duration::ZERO));
        assert!(there(&["调解"], GOOD_FOR / 2), "that nobody has the skill is known");
        assert!(!there(&["便民", "法律"], Duration::ZERO), "not all of it was read");
        assert!(!there(&["便民"], GOOD_FOR));
        lately.keep(&Known::default(), &[], now + GOOD_FOR);
        assert!(lately.kept().known.teams.is_empty(), "what is old is let go");
        keep(&lately, &["便民"], now);
        lately.forget();
        assert!(!there(&["便民"], Duration::ZERO));
        keep(&lately, &["便民"], now);
        assert!(!there(&["便民"], Duration::ZERO), "it was read before, and came after");
        let later = Instant::now();
        keep(&lately, &["便民"], later);
        assert!(!lately.of(&asking(&["便民"]), later).teams.is_empty());
    }

    #[test]
    fn orders_are_many_by_the_second() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let mut count = |orders, ms| pace.count(orders, begin + Duration::from_millis(ms));
        assert!(!count(MANY - 1, 0));
        assert!(count(1, 999), "in one second");
        assert!(count(1, 1_100), "the second before was one of many");
        assert!(!count(1, 2_200), "it is over");
        assert!(count(MANY, 9_000), "in one round");
        assert!(!count(1, 11_000), "nobody came for a second");
    }

    #[test]
    fn an_offer_counts_for_the_rounds_after_it() {
        let (lately, now) = (Lately::default(), Instant::now());
        let at = "2026-03-04T02:00:00Z".parse().expect("a moment");
        let question = Question {
            area: "140724104003001".parse().expect("a grid"),
            skill: "便民".to_owned(),
            asked: Vec::new(),
            invited: Vec::new(),
            kind: xingfuma_domain::order::Kind::Service,
            urgency: xingfuma_domain::deadline::Urgency::Normal,
            mode: AssignMode::WholeTeam,
            edition: xingfuma_domain::dispatch::Edition::TODAY,
            order: None,
            requester: Uuid::from_u128(3),
            at,
            accept_within_seconds: 60,
        };
        let decision = Decision {
            chosen: Some(TEAM),
            invited: vec![PERSON],
            volunteer: Some(PERSON),
            ..Decision::default()
        };
        keep(&lately, &["便民"], now);
        // Two rounds side by side, which do not know of each other.
        for _ in 0..2 {
            lately.kept().known.learn(&question, &decision);
        }
        let next = lately.of(&asking(&["便民"]), now);
        let team = &next.teams[&TEAM];
        assert!(next.anew.is_empty(), "it may be old");
        assert_eq!(team.own.as_ref().map(|own| own.open_orders), Some(2));
        let member = &team.members["便民"][0];
        assert_eq!((member.open_orders, member.offered_at), (2, Some(at)));
    }
}
