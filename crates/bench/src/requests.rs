//! The requests of the five steps, for either side.

use std::cell::Cell;

use crate::http::Request;
use crate::load::Source;
use crate::people::{People, Person};
use crate::sample::place_body;

/// Whom the requests are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Product,
    Floor,
}

impl Side {
    /// Who goes first changes from round to round, so that neither always runs in the other's wake.
    pub(crate) fn in_turn(round: usize) -> [Side; 2] {
        if round.is_multiple_of(2) { [Side::Product, Side::Floor] } else { [Side::Floor, Side::Product] }
    }

    /// What a person shows to this side.
    pub(crate) fn shown(self, person: &Person) -> String {
        match self {
            Side::Product => person.token.clone(),
            Side::Floor => person.session.to_string(),
        }
    }
}

thread_local! {
    static KEYS: Cell<u64> = const { Cell::new(0) };
}

/// A key that no other request of this run has; the load generator lives in one thread.
pub(crate) fn fresh_key() -> String {
    let number = KEYS.replace(KEYS.get() + 1);
    format!("bench-{}-{number}", std::process::id())
}

/// Placements by everybody, at every sign.
pub(crate) struct Placements<'s> {
    pub(crate) side: Side,
    pub(crate) people: &'s People,
    pub(crate) signs: &'s [String],
    /// How many of the walk were done before.
    pub(crate) done: usize,
    /// How many are left.
    pub(crate) left: usize,
    /// Whether the ids are wanted.
    pub(crate) keep: bool,
}

impl Source for Placements<'_> {
    fn next(&mut self) -> Option<Request> {
        self.left = self.left.checked_sub(1)?;
        self.done += 1;
        let person = self.people.nth(self.done);
        let sign = &self.signs[self.done % self.signs.len()];
        Some(Request::post("/api/v1/orders", &self.side.shown(person), &fresh_key(), &place_body(sign)))
    }

    fn expected(&self) -> u16 {
        201
    }

    fn keeps_ids(&self) -> bool {
        self.keep
    }
}

/// Requests that were written before, each answered with 200.
pub(crate) struct Prepared(pub(crate) std::vec::IntoIter<Request>);

impl Source for Prepared {
    fn next(&mut self) -> Option<Request> {
        self.0.next()
    }

    fn expected(&self) -> u16 {
        200
    }
}

/// The same few requests in turn, for ever, each answered with 200.
pub(crate) struct InTurn {
    requests: Vec<Request>,
    next: usize,
}

impl InTurn {
    pub(crate) fn new(requests: Vec<Request>) -> InTurn {
        assert!(!requests.is_empty(), "there is something to ask");
        InTurn { requests, next: 0 }
    }
}

impl Source for InTurn {
    fn next(&mut self) -> Option<Request> {
        self.next = (self.next + 1) % self.requests.len();
        Some(self.requests[self.next].clone())
    }

    fn expected(&self) -> u16 {
        200
    }
}
