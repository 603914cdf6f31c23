//! Random sequences of commands, legal and illegal, by everybody, with time passing in between. Whatever is asked in
//! whatever order: the row is the fold of its events, a refusal changes nothing, the ledger sums to zero.
//!
//! A sequence follows from its seed alone, which every failure names. `XINGFUMA_TESTS_SEED` runs the sequences from
//! another seed on.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_app::{
    AppError, Caller,
    beside::actions_on_parts,
    clock::Ids,
    command::{Ask, Keyed, Reply, Request},
    place::{ContactGiven, PlaceRequest},
    show::{PostCommand, RenderPost, ShowRequest},
};
use xingfuma_domain::{
    access,
    deadline::Urgency,
    order::{Order, Outcome, State, Verb, allowed_actions},
};
use xingfuma_queue::Hint;
use xingfuma_store::{ledger, orders::StoredOrder};

use crate::small_county::{Database, SmallCounty, version};

/// Sequences on each database: a commit of PostgreSQL takes longer.
const ON_SQLITE: u64 = 200;
const ON_POSTGRES: u64 = 80;
/// Orders of a sequence, and things done with them.
const ORDERS: usize = 2;
const LENGTH: usize = 50;
/// The commands that somebody can ask for on an order that exists.
const VERBS: [Verb; 23] = [
    Verb::Dispatch,
    Verb::Accept,
    Verb::Decline,
    Verb::HandOver,
    Verb::Arrive,
    Verb::Complete,
    Verb::Wait,
    Verb::Answer,
    Verb::Rate,
    Verb::Reopen,
    Verb::Cancel,
    Verb::Escalate,
    Verb::Urge,
    Verb::Merge,
    Verb::Help,
    Verb::Extend,
    Verb::Revisit,
    Verb::Whistle,
    Verb::CheckIn,
    Verb::Conclude,
    Verb::RateWhistle,
    Verb::Correct,
    Verb::Inspect,
];

/// What can be done with posts. The fewer sequences on PostgreSQL may miss one of them.
const POSTS: [&str; 6] = ["show", "consent", "approve", "reject", "feature", "withdraw"];

/// How often a command is asked for where it is allowed: those that lead on more often than those that turn in circles.
fn weight(verb: Verb) -> usize {
    match verb {
        Verb::Accept | Verb::Complete | Verb::Rate => 12,
        Verb::Arrive | Verb::Answer | Verb::CheckIn | Verb::Conclude => 6,
        Verb::RateWhistle | Verb::Inspect | Verb::Extend => 4,
        Verb::Dispatch | Verb::Decline | Verb::HandOver | Verb::Wait => 3,
        _ => 1,
    }
}

/// Chance that comes out the same for the same seed.
struct Chance(Ids);

impl Chance {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0.bytes()) % bound as u64).expect("below a usize")
    }

    fn in_a_hundred(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// How often each thing was done, and refused.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, (u64, u64)>);

impl Tally {
    fn note<T>(&mut self, what: &str, result: &Result<T, AppError>) {
        let (done, refused) = self.0.entry(what.to_owned()).or_default();
        match result {
            Ok(_) => *done += 1,
            Err(_) => *refused += 1,
        }
    }

    /// What was never done or never refused was not tested: of all commands to orders, and of these to posts.
    fn check(&self, posts: &[&str]) {
        for name in VERBS.iter().map(|verb| verb.segment()).chain(posts.iter().copied()) {
            let (done, refused) = self.0.get(name).copied().unwrap_or_default();
            assert!(done > 0 && refused > 0, "{name} was done {done} times and refused {refused} times");
        }
    }
}

/// What was asked last and may be asked again under the same key.
struct Kept {
    ask: Ask,
    request: Request,
    done: bool,
}

/// One sequence under way.
struct Sequence<'a> {
    county: &'a SmallCounty,
    chance: Chance,
    seed: u64,
    orders: Vec<Uuid>,
    /// With their orders.
    posts: Vec<(Uuid, Uuid)>,
    kept: Option<Kept>,
    keys: Cell<u32>,
}

impl<'a> Sequence<'a> {
    async fn begin(county: &'a SmallCounty, seed: u64) -> Self {
        let (chance, orders, posts) = (Chance(Ids::seeded(seed)), Vec::new(), Vec::new());
        let mut sequence = Self { county, chance, seed, orders, posts, kept: None, keys: Cell::new(0) };
        for number in 0..ORDERS {
            let order = sequence.place(number).await;
            sequence.orders.push(order);
        }
        sequence
    }

    async fn place(&self, number: usize) -> Uuid {
        let by_operator = self.chance.in_a_hundred(15);
        let people = &self.county.people;
        let phone = format!("154{:08}", self.chance.below(40));
        let report = self.chance.in_a_hundred(20);
        let complex = self.chance.in_a_hundred(25);
        let request = PlaceRequest {
            sign: Some(self.county.sign()),
            category: if report { "complaint" } else { "errand" }.to_owned(),
            description: "家里灯泡坏了，请帮忙代买。".to_owned(),
            urgency: complex.then_some(Urgency::Complex),
            on_behalf_of: by_operator.then_some(ContactGiven { name: None, phone: Some(phone) }),
            ..PlaceRequest::default()
        };
        let caller = if by_operator { &people.operator } else { &people.resident };
        let placed = self.county.place_as(caller, request, &format!("{}-{number}", self.seed)).await;
        placed.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed))
    }

    fn callers(&self) -> Vec<&'a Caller> {
        let people = &self.county.people;
        let mut all = vec![&people.resident, &people.stranger, &people.leader, &people.of_township];
        all.extend([&people.village, &people.township, &people.foreign, &people.operator]);
        all.push(&people.department);
        all.extend(&people.volunteers);
        all
    }

    async fn step(&mut self, tally: &mut Tally) {
        match self.chance.below(100) {
            0..=9 => self.let_time_pass().await,
            10..=19 => self.work().await,
            20..=44 => self.do_something_with_a_post(tally).await,
            45..=49 => self.ask_again().await,
            _ => self.ask(tally).await,
        }
    }

    async fn let_time_pass(&self) {
        let spans =
            [TimeDelta::seconds(2), TimeDelta::minutes(31), TimeDelta::hours(3), TimeDelta::hours(25)];
        let long = [TimeDelta::days(4), TimeDelta::days(8)];
        let span = if self.chance.in_a_hundred(20) { self.chance.of(&long) } else { self.chance.of(&spans) };
        self.county.app.clock.advance(*span);
        for _ in 0..self.chance.below(3) {
            self.county.sweep().await;
        }
    }

    /// A worker with a hint that may be old.
    async fn work(&self) {
        let before = self.county.order(*self.chance.of(&self.orders)).await;
        let epoch = before.epoch - i64::from(self.chance.in_a_hundred(30));
        let hint = Hint { order_id: before.id, epoch };
        let done = self.county.app.dispatch_all(&[hint]).await;
        let done = done.unwrap_or_else(|error| panic!("seed {}: a worker: {error}", self.seed)) == 1;
        let after = self.county.order(before.id).await;
        assert_eq!(after.version, before.version + i64::from(done), "seed {}: a worker", self.seed);
        assert!(!done || epoch == before.epoch, "seed {}: an old hint", self.seed);
    }

    async fn ask(&mut self, tally: &mut Tally) {
        let before = self.county.stored(*self.chance.of(&self.orders)).await;
        let (caller, verb) = self.choose(&before.order);
        let request = self.request(verb, &before.order);
        let keyed = self.chance.in_a_hundred(30).then(|| self.key(caller, before.order.id));
        let seen = match self.chance.below(20) {
            0 => Some(before.order.version - 1),
            1..=3 => Some(before.order.version),
            _ => None,
        };
        let (order, caller) = (before.order.id, caller.clone());
        let ask = Ask { caller, order, found: None, keyed, if_match: seen, render: version() };
        let result = self.county.app.command(ask.clone(), request.clone()).await;
        tally.note(verb.segment(), &result);
        self.check_answer(&before, &request, &result).await;
        self.orders.extend(self.helpers_of(before.order.id).await);
        let stale = seen.is_some_and(|seen| seen != before.order.version);
        assert!(!stale || result.is_err(), "seed {}: {request:?} at a version that is over", self.seed);
        if ask.keyed.is_some() {
            self.kept = Some(Kept { ask, request, done: result.is_ok() });
        }
    }

    /// Helping orders that nobody has met yet: they are orders like others from now on.
    async fn helpers_of(&self, lead: Uuid) -> Vec<Uuid> {
        let helpers = self.county.order(lead).await.helpers.into_iter().map(|helper| helper.order);
        helpers.filter(|helper| !self.orders.contains(helper)).collect()
    }

    /// Something that is allowed now, or anything by anybody.
    fn choose(&self, order: &Order) -> (&'a Caller, Verb) {
        let callers = self.callers();
        let allowed: Vec<(&Caller, Verb)> = callers
            .iter()
            .flat_map(|caller| {
                let hats = access::hats(&caller.actor, order);
                let verbs = allowed_actions(order, hats, caller.actor.person, &self.county.app.context());
                let on_parts =
                    actions_on_parts(&caller.actor, order).into_iter().flat_map(|(_, verbs)| verbs);
                let verbs: BTreeSet<Verb> = verbs.into_iter().chain(on_parts).collect();
                verbs.into_iter().filter(|verb| VERBS.contains(verb)).map(move |verb| (*caller, verb))
            })
            .collect();
        // What is rated can but be reopened; it should rest for its posts most of the time.
        let rests = allowed.iter().all(|(_, verb)| *verb == Verb::Reopen) && self.chance.in_a_hundred(80);
        if allowed.is_empty() || rests || self.chance.in_a_hundred(25) {
            return (*self.chance.of(&callers), *self.chance.of(&VERBS));
        }
        // By verb first, and rather forward: else the many who may escalate or urge would do little else.
        let verbs: BTreeSet<Verb> = allowed.iter().map(|(_, verb)| *verb).collect();
        let weighted: Vec<Verb> =
            verbs.into_iter().flat_map(|verb| std::iter::repeat_n(verb, weight(verb))).collect();
        let verb = *self.chance.of(&weighted);
        let able: Vec<&Caller> =
            allowed.iter().filter(|(_, one)| *one == verb).map(|(who, _)| *who).collect();
        (*self.chance.of(&able), verb)
    }

    fn request(&self, verb: Verb, order: &Order) -> Request {
        let (people, chance) = (&self.county.people, &self.chance);
        let reason = || if chance.in_a_hundred(85) { "有事".to_owned() } else { " ".to_owned() };
        let perhaps = || chance.in_a_hundred(75).then(&reason);
        let teams = [people.leader.actor.teams()[0], people.of_township.actor.teams()[0], order.id];
        let mut persons: Vec<Uuid> = people.volunteers.iter().map(|one| one.actor.person).collect();
        persons.extend([people.leader.actor.person, people.of_township.actor.person]);
        persons.extend([people.resident.actor.person, order.id]);
        let number = |good: &[i64], bad: &[i64]| *chance.of(if chance.in_a_hundred(85) { good } else { bad });
        match verb {
            Verb::Dispatch => Request::Dispatch {
                team: teams[chance.below(teams.len())],
                volunteer: chance.in_a_hundred(40).then(|| *chance.of(&persons)),
                reason: perhaps(),
            },
            Verb::Accept => Request::Accept,
            Verb::Decline => Request::Decline {
                reason: perhaps(),
                whole_team: *chance.of(&[None, None, Some(true), Some(false)]),
            },
            Verb::HandOver => Request::HandOver { volunteer: *chance.of(&persons), reason: reason() },
            Verb::Arrive => Request::Arrive {
                sign: chance.in_a_hundred(50).then(|| {
                    if chance.in_a_hundred(80) { self.county.sign() } else { "00000000".to_owned() }
                }),
                badge: chance.in_a_hundred(10).then(|| "05-00127-X".to_owned()),
            },
            Verb::Complete => Request::Complete {
                summary: reason(),
                minutes: number(&[1, 45, 1440], &[-1, 0, 1441, i64::MAX]),
                media: Vec::new(),
            },
            Verb::Wait => Request::Wait { question: reason() },
            Verb::Answer => Request::Answer { answer: reason() },
            Verb::Rate => Request::Rate {
                stars: number(&[1, 2, 3, 4, 5, 5, 5], &[-1, 0, 6, 256, i64::MIN]),
                solved: chance.in_a_hundred(80),
                tags: Vec::new(),
                comment: perhaps(),
            },
            Verb::Reopen => Request::Reopen { reason: reason() },
            Verb::Cancel => Request::Cancel { reason: perhaps() },
            Verb::Escalate => Request::Escalate { reason: reason() },
            Verb::Urge => Request::Urge,
            _ => self.request_beside(verb, order),
        }
    }

    /// What stands beside the five steps.
    fn request_beside(&self, verb: Verb, order: &Order) -> Request {
        let chance = &self.chance;
        let reason = || if chance.in_a_hundred(85) { "有事".to_owned() } else { " ".to_owned() };
        let perhaps = || chance.in_a_hundred(75).then(&reason);
        let number = |good: &[i64], bad: &[i64]| *chance.of(if chance.in_a_hundred(85) { good } else { bad });
        let one_of = |ids: Vec<Uuid>| if ids.is_empty() { order.id } else { *chance.of(&ids) };
        let whistle = || one_of(order.whistles.iter().map(|one| one.id).collect());
        match verb {
            Verb::Merge => {
                let others = self.orders.iter().copied().filter(|one| *one != order.id).collect();
                Request::Merge { into: if chance.in_a_hundred(85) { one_of(others) } else { order.id } }
            }
            Verb::Help => {
                let people = &self.county.people;
                let teams = [people.leader.actor.teams()[0], people.of_township.actor.teams()[0], order.id];
                Request::Help { team: *chance.of(&teams), task: reason() }
            }
            Verb::Extend => Request::Extend { reason: reason() },
            Verb::Revisit => Request::Revisit {
                outcome: *chance.of(&[Outcome::Solved, Outcome::Unsolved, Outcome::Unreachable]),
                note: perhaps(),
            },
            Verb::Whistle => {
                let directory = self.county.app.directory();
                let mut departments: Vec<Uuid> = directory.departments().iter().map(|one| one.id).collect();
                departments.truncate(1 + chance.below(departments.len()));
                departments.extend(chance.in_a_hundred(10).then_some(order.id));
                Request::Whistle { departments, demand: reason() }
            }
            Verb::CheckIn => Request::CheckIn { whistle: whistle() },
            Verb::Conclude => Request::Conclude { whistle: whistle(), result: reason() },
            Verb::RateWhistle => Request::RateWhistle {
                whistle: whistle(),
                stars: number(&[1, 3, 5], &[-1, 0, 6]),
                comment: perhaps(),
            },
            Verb::Correct => Request::Correct {
                addressee: reason(),
                demand: reason(),
                term_days: number(&[1, 7, 90], &[-1, 0, 91, i64::MAX]),
            },
            _ => {
                let passed = chance.in_a_hundred(60);
                let term = if chance.in_a_hundred(85) { !passed } else { passed };
                Request::Inspect {
                    correction: one_of(order.corrections.iter().map(|one| one.id).collect()),
                    passed,
                    findings: reason(),
                    term_days: term.then_some(3),
                }
            }
        }
    }

    fn key(&self, caller: &Caller, order: Uuid) -> Keyed {
        self.keys.set(self.keys.get() + 1);
        let key = format!("{}-{}", self.seed, self.keys.get());
        self.county.app.keyed(caller.actor.person, &format!("/orders/{order}"), &key, b"the body")
    }

    /// The same again under the same key: the same answer, and nothing happens.
    async fn ask_again(&mut self) {
        let Some(Kept { ask, request, done }) = self.kept.take() else { return };
        let before = self.county.stored(ask.order).await;
        let result = self.county.app.command(ask, request.clone()).await;
        if done {
            // He may have lost sight of it meanwhile; else he hears the kept answer.
            let kept = matches!(&result, Ok(Reply { replayed: true, .. }));
            let unseen = matches!(&result, Err(AppError::NotFound | AppError::Forbidden));
            let repeated = self.county.order(before.order.id).await.version > before.order.version;
            assert!((kept || unseen) && !repeated, "seed {}: {request:?} again: {result:?}", self.seed);
        } else {
            self.check_answer(&before, &request, &result).await;
        }
    }

    async fn do_something_with_a_post(&mut self, tally: &mut Tally) {
        let render: RenderPost = std::sync::Arc::new(|post| (200, post.id.as_bytes().to_vec()));
        if self.posts.is_empty() || self.chance.in_a_hundred(15) {
            let mut done = Vec::new();
            for order in &self.orders {
                done.extend(self.county.order(*order).await.completion().map(|_| *order));
            }
            let too_soon = done.is_empty();
            if too_soon && self.chance.in_a_hundred(90) {
                return self.ask(tally).await;
            }
            let order = *self.chance.of(if too_soon { &self.orders } else { &done });
            let author = self.somebody_for_a_post_of(order).await;
            let shown = ShowRequest { text: "做得真好".to_owned(), media: Vec::new(), consent: true };
            let result = self.county.app.show(author, order, &shown, None, render).await;
            self.check_refusal("show", &result);
            tally.note("show", &result);
            let post = result.ok().map(|reply| Uuid::from_slice(&reply.body).expect("an id"));
            self.posts.extend(post.map(|post| (post, order)));
            return;
        }
        let last = self.posts.len() - 1;
        let latest = self.chance.in_a_hundred(80);
        let (post, order) = self.posts[if latest { last } else { self.chance.below(last + 1) }];
        let commands = [
            ("consent", PostCommand::Consent),
            ("consent", PostCommand::Consent),
            ("consent", PostCommand::Consent),
            ("consent", PostCommand::Consent),
            ("approve", PostCommand::Approve),
            ("approve", PostCommand::Approve),
            ("approve", PostCommand::Approve),
            ("feature", PostCommand::Feature),
            ("feature", PostCommand::Feature),
            ("reject", PostCommand::Reject { reason: "不合适".to_owned() }),
            ("withdraw", PostCommand::Withdraw),
        ];
        let (name, command) = self.chance.of(&commands).clone();
        let caller = match name {
            "consent" => self.somebody_for_a_post_of(order).await,
            _ if self.chance.in_a_hundred(85) => &self.county.people.village,
            _ => *self.chance.of(&self.callers()),
        };
        let result = self.county.app.post_command(caller, post, command, None, render).await;
        self.check_refusal(name, &result);
        tally.note(name, &result);
    }

    /// The resident, the volunteer, or somebody whom it does not concern.
    async fn somebody_for_a_post_of(&self, order: Uuid) -> &'a Caller {
        let (callers, order) = (self.callers(), self.county.order(order).await);
        let worker = order.engagement().map(|promise| promise.volunteer);
        let worker = callers.iter().find(|one| Some(one.actor.person) == worker);
        match self.chance.below(20) {
            0..=7 => &self.county.people.resident,
            8..=17 => worker.unwrap_or(&callers[0]),
            _ => *self.chance.of(&callers),
        }
    }

    /// What was answered is what is stored.
    async fn check_answer(&self, before: &StoredOrder, request: &Request, result: &Result<Reply, AppError>) {
        self.check_refusal(request, result);
        let after = self.county.stored(before.order.id).await;
        match result {
            Ok(reply) => {
                assert!(!reply.replayed, "seed {}: {request:?}: a fresh key was known", self.seed);
                assert_eq!(after.order.version, before.order.version + 1, "seed {}: {request:?}", self.seed);
                assert_eq!(reply.body, after.order.version.to_string().as_bytes(), "seed {}", self.seed);
            }
            Err(error) => {
                let unchanged = after.order == before.order && after.private == before.private;
                assert!(unchanged, "seed {}: {request:?} was refused ({error}) and done", self.seed);
            }
        }
    }

    /// A refusal is the domain's, never a failure of ours.
    fn check_refusal<T>(&self, what: impl std::fmt::Debug, result: &Result<T, AppError>) {
        let Err(error) = result else { return };
        let ours = match error {
            AppError::NotFound | AppError::Forbidden | AppError::Stale => false,
            AppError::Invalid(faults) => faults.is_empty(),
            AppError::Refused(_) => false,
            AppError::Conflict(code) => *code == "busy",
            _ => true,
        };
        assert!(!ours, "seed {}: {what:?}: {error:?}", self.seed);
    }

    async fn check_orders(&self) {
        for order in &self.orders {
            check_order(self.county, *order, self.seed).await;
        }
    }
}

/// The row is the fold of its events, and what lies beside it follows from it.
async fn check_order(county: &SmallCounty, id: Uuid, seed: u64) {
    let (stored, records) = (county.stored(id).await, county.records(id).await);
    assert_eq!(Order::fold(id, &records).as_ref(), Some(&stored.order), "seed {seed}");
    assert_eq!(usize::try_from(stored.order.version), Ok(records.len()), "seed {seed}");
    let is_in_order = records.windows(2).all(|pair| pair[0].at <= pair[1].at);
    assert!(is_in_order, "seed {seed}: {records:?}");
}

/// What holds in the whole database.
async fn check_database(county: &SmallCounty) {
    let none = [
        (
            "a gap between versions, or a row that is not at its last event",
            "SELECT count(*) FROM (SELECT o.id FROM orders o LEFT JOIN order_event e ON e.order_id = o.id \
             GROUP BY o.id, o.version HAVING count(e.seq) <> o.version OR min(e.seq) <> 1 \
             OR max(e.seq) <> o.version) wrong",
        ),
        (
            "an event without its order",
            "SELECT count(*) FROM order_event e WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = e.order_id)",
        ),
        (
            "two promises of one dispatch",
            "SELECT count(*) FROM (SELECT order_id FROM engagement GROUP BY order_id, epoch HAVING count(*) > 1) wrong",
        ),
        (
            "a promise without its row, or of a later dispatch",
            "SELECT count(*) FROM orders o WHERE o.status IN ('accepted', 'in_service', 'waiting') \
             AND NOT EXISTS (SELECT 1 FROM engagement e WHERE e.order_id = o.id AND e.epoch = o.epoch)",
        ),
        (
            "a dispatch without a decision",
            "SELECT count(*) FROM orders o WHERE o.epoch <> (SELECT count(*) FROM dispatch_decision d \
             WHERE d.order_id = o.id AND d.team_id IS NOT NULL)",
        ),
        ("a dead order", "SELECT count(*) FROM due WHERE dead IS NOT NULL OR failures <> 0"),
        ("points out of nowhere", "SELECT CAST(coalesce(sum(points), 0) AS bigint) FROM score_entry"),
        (
            "a step that does not follow its post",
            "SELECT count(*) FROM (SELECT o.id FROM orders o LEFT JOIN showcase_post p ON p.order_id = o.id \
             AND p.status = 'published' GROUP BY o.id, o.snapshot \
             HAVING count(p.id) <> CASE WHEN o.snapshot LIKE '%\"shown\":true%' THEN 1 ELSE 0 END) wrong",
        ),
    ];
    for (what, sql) in none {
        assert_eq!(county.number(sql).await, 0, "{what}");
    }
    let verdict = ledger::verify(county.app.store.pool()).await.expect("the database is there");
    assert_eq!(verdict.faults, []);
    assert!(verdict.transactions > 0 && verdict.entries > 0, "nobody scored: {verdict:?}");
    check_timers(county).await;
    check_followers(county).await;
    check_helpers(county).await;
}

/// Whoever follows, follows an order that is open and knows of it; nobody is left behind.
async fn check_followers(county: &SmallCounty) {
    let followers = county.rows("SELECT id FROM orders WHERE status = 'merged'").await;
    for row in followers {
        let follower = county.order(row.try_get("", "id").expect("a column that was asked for")).await;
        let State::Merged { into, .. } = follower.state else { panic!("its row says merged: {follower:?}") };
        let leading = county.order(into).await;
        assert!(leading.status().is_open(), "{follower:?} follows {leading:?}");
        assert!(leading.followers.iter().any(|one| one.order == follower.id), "{leading:?}");
    }
}

/// Whoever helps is known to the order that he helps, and that one goes on as long as a helper of its is at work.
async fn check_helpers(county: &SmallCounty) {
    let mut helping = 0;
    for row in county.rows("SELECT id FROM orders").await {
        let order = county.order(row.try_get("", "id").expect("a column that was asked for")).await;
        for helper in &order.helpers {
            let other = county.order(helper.order).await;
            assert_eq!(other.helps, Some(order.id));
            assert_eq!(helper.ended_at.is_none(), other.status().is_open(), "{order:?} {other:?}");
            assert!(helper.ended_at.is_some() || order.status().is_open(), "{order:?} {other:?}");
            helping += 1;
        }
    }
    assert!(helping > 0, "nobody helped");
}

/// The table of timers says of every order what the order itself says.
async fn check_timers(county: &SmallCounty) {
    let sql = "SELECT o.id, d.kind, d.wake_at, d.epoch FROM orders o LEFT JOIN due d ON d.order_id = o.id";
    for row in county.rows(sql).await {
        let get = "a column that was asked for";
        let id: Uuid = row.try_get("", "id").expect(get);
        let kind: Option<String> = row.try_get("", "kind").expect(get);
        let wake_at: Option<DateTime<Utc>> = row.try_get("", "wake_at").expect(get);
        let epoch: Option<i64> = row.try_get("", "epoch").expect(get);
        let order = county.order(id).await;
        let next = order.next_due();
        assert_eq!(kind.as_deref(), next.map(|due| due.kind.as_str()), "{order:?}");
        assert_eq!(wake_at, next.and_then(|due| due.wake_at), "{order:?}");
        assert_eq!(epoch, next.map(|_| order.epoch), "{order:?}");
    }
}

fn first_seed() -> u64 {
    match std::env::var("XINGFUMA_TESTS_SEED") {
        Ok(seed) => seed.parse().expect("XINGFUMA_TESTS_SEED is a number"),
        Err(_) => 1,
    }
}

async fn any_sequence_keeps_what_must_hold(database: Database, sequences: u64) {
    let county = SmallCounty::open(database).await;
    let (mut tally, mut orders) = (Tally::default(), Vec::new());
    for seed in first_seed()..first_seed() + sequences {
        let mut sequence = Sequence::begin(&county, seed).await;
        for _ in 0..LENGTH {
            sequence.step(&mut tally).await;
        }
        sequence.check_orders().await;
        orders.extend(sequence.orders.into_iter().map(|order| (order, seed)));
    }
    // Also those of earlier sequences, for which time went on.
    for (order, seed) in &orders {
        check_order(&county, *order, *seed).await;
    }
    check_database(&county).await;
    println!("{} orders: (done, refused) {:?}", orders.len(), tally.0);
    tally.check(if database == Database::Sqlite { &POSTS } else { &[] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_keeps_what_must_hold_on_sqlite() {
    any_sequence_keeps_what_must_hold(Database::Sqlite, ON_SQLITE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_keeps_what_must_hold_on_postgres() {
    any_sequence_keeps_what_must_hold(Database::Postgres, ON_POSTGRES).await;
}
