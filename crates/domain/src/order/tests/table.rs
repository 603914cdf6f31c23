//! The table of moves against the design, and against the documentation.

use std::collections::BTreeSet;

use super::super::moves::{as_markdown, moves_of};
use super::*;

/// The design's table, copied by hand: command, from, to, who. One line of it may be several here; "unchanged" is a way
/// back to where one came from.
const DESIGN: &[[&str; 4]] = &[
    ["place", "–", "placed", "requester operator"],
    ["dispatch", "placed dispatched", "dispatched placed", "queue dispatcher"],
    ["dispatch", "accepted", "dispatched", "queue dispatcher"],
    ["accept", "dispatched", "accepted", "offered"],
    ["decline", "dispatched", "dispatched placed", "offered leader"],
    ["decline", "accepted", "placed", "worker leader"],
    ["hand-over", "accepted in_service", "dispatched", "worker leader dispatcher"],
    ["arrive", "accepted", "in_service", "worker"],
    ["complete", "accepted in_service", "completed", "worker"],
    ["wait", "accepted in_service", "waiting", "worker dispatcher"],
    ["answer", "waiting", "accepted in_service", "requester operator sweep"],
    ["rate", "completed", "rated", "requester operator"],
    ["reopen", "completed rated closed", "placed", "requester operator dispatcher"],
    ["cancel", "placed dispatched accepted in_service waiting", "cancelled", "requester dispatcher"],
    ["merge", "placed dispatched", "merged", "dispatcher"],
    ["close", "completed rated", "closed", "sweep"],
    ["escalate", "placed dispatched accepted in_service waiting", "unchanged", "sweep leader dispatcher"],
    ["urge", "placed dispatched accepted in_service waiting", "unchanged", "requester operator"],
    ["show", "completed rated closed", "unchanged", "requester worker"],
    // "show, urge, whistle, revisit, extend: as told below; unchanged; events and records of their own."
    ["extend", "accepted in_service", "unchanged", "leader dispatcher"],
    ["revisit", "rated closed", "unchanged", "township"],
    ["whistle", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
];

/// What the program adds to the design, and why.
const ADDED: &[[&str; 4]] = &[
    // "Nobody accepts in time → the next team": it is the sweep that notices.
    ["dispatch", "placed dispatched", "dispatched placed", "sweep"],
    // "Follows its parent": done when that one is done, on its own again when that one is called off.
    ["complete", "merged", "completed", "sweep"],
    ["lead", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
    ["part", "merged", "placed", "sweep"],
    // 报到: "each must check in on time, is timed, and is rated by the caller".
    ["check-in", "placed dispatched accepted in_service waiting completed rated", "unchanged", "department"],
    ["conclude", "placed dispatched accepted in_service waiting completed rated", "unchanged", "department"],
    [
        "rate-whistle",
        "placed dispatched accepted in_service waiting completed rated closed",
        "unchanged",
        "dispatcher",
    ],
    // "Corrective notices with a term and a re-inspection (限期整改、复查)".
    [
        "corrections",
        "placed dispatched accepted in_service waiting",
        "unchanged",
        "worker dispatcher department",
    ],
    ["inspect", "placed dispatched accepted in_service waiting", "unchanged", "worker dispatcher department"],
    // "Lead with helping teams (parent closes when the children do), transfer of all open work when somebody leaves".
    ["help", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
    ["help-ended", "placed dispatched accepted in_service waiting", "unchanged", "sweep"],
    ["release", "placed dispatched accepted in_service waiting", "cancelled", "sweep"],
    ["transfer", "dispatched accepted in_service waiting", "dispatched placed", "sweep"],
    // "Warn at 75 %"; "a step per breach, visible to all below, each with its notification".
    ["warn", "placed dispatched accepted in_service waiting completed rated", "unchanged", "sweep"],
];

/// What the program leaves out of the design, and why.
const LEFT_OUT: &[[&str; 4]] = &[
    // To overrule a promise takes a reason, and only people have one.
    ["dispatch", "accepted", "dispatched", "queue"],
    // A promise is given back by him who made it; the leader hands it over instead.
    ["decline", "accepted", "placed", "leader"],
];

/// One way through the table: command, from, to, who.
pub(super) type Way = [&'static str; 4];

fn ways(rows: &[Way]) -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for [verb, froms, tos, whos] in rows {
        for from in froms.split(' ') {
            for to in tos.split(' ') {
                let to = if to == "unchanged" { from } else { to };
                ways.extend(whos.split(' ').map(|who| [*verb, from, to, who]));
            }
        }
    }
    ways
}

/// The ways of the design with the program's deviations.
pub(super) fn agreed() -> BTreeSet<Way> {
    let (added, left_out) = (ways(ADDED), ways(LEFT_OUT));
    ways(DESIGN).union(&added).copied().collect::<BTreeSet<Way>>().difference(&left_out).copied().collect()
}

/// The ways of the program's own table.
fn ways_of_moves() -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for row in MOVES {
        let verb = row.verb.segment();
        let whos = row.who.iter().map(|hat| hat.as_str());
        for who in whos {
            if row.from.is_empty() {
                ways.extend(row.to.iter().map(|to| [verb, "–", to.as_str(), who]));
            } else if row.from == row.to {
                ways.extend(row.from.iter().map(|same| [verb, same.as_str(), same.as_str(), who]));
            } else {
                let pairs = row.from.iter().flat_map(|from| row.to.iter().map(move |to| (from, to)));
                ways.extend(pairs.map(|(from, to)| [verb, from.as_str(), to.as_str(), who]));
            }
        }
    }
    ways
}

#[test]
fn the_table_is_the_designs_but_for_the_named_deviations() {
    let (design, added, left_out) = (ways(DESIGN), ways(ADDED), ways(LEFT_OUT));
    assert!(added.is_disjoint(&design), "these are in the design: {:?}", added.intersection(&design));
    assert!(left_out.is_subset(&design), "not in the design: {:?}", left_out.difference(&design));
    let (agreed, own) = (agreed(), ways_of_moves());
    let missing: Vec<_> = agreed.difference(&own).collect();
    let extra: Vec<_> = own.difference(&agreed).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:?}\nextra: {extra:?}");
}

#[test]
fn every_word_of_the_design_is_a_word_of_the_program() {
    let known = |word: &str| {
        Verb::ALL.iter().any(|verb| verb.segment() == word)
            || Status::ALL.iter().any(|status| status.as_str() == word)
            || Hat::ALL.iter().any(|hat| hat.as_str() == word)
    };
    for word in DESIGN.iter().flatten().flat_map(|cell| cell.split(' ')) {
        assert!(known(word) || ["–", "unchanged"].contains(&word), "{word}");
    }
    for verb in Verb::ALL {
        assert!(moves_of(verb).next().is_some(), "{verb:?} has no row");
        // 限期整改 is asked for of the order's notices, and this is their path.
        let segment = if verb == Verb::Correct { "correct" } else { verb.segment() };
        assert_eq!(serde_json::to_value(verb).unwrap(), segment);
    }
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    for hat in Hat::ALL {
        assert_eq!(serde_json::to_value(hat).unwrap(), hat.as_str());
    }
}

/// What stands above the line is written by hand; what stands below it is the table.
const GENERATED: &str = "<!-- Below this line: generated from crates/domain/src/order/moves.rs. -->\n\n";

#[test]
fn the_documentation_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lifecycle.md");
    let text = std::fs::read_to_string(path).expect("docs/lifecycle.md is part of the repository");
    let (by_hand, table) = text.split_once(GENERATED).expect("the line that parts prose and table is there");
    if std::env::var("XINGFUMA_RENEW").is_ok_and(|renew| renew == "1") {
        std::fs::write(path, format!("{by_hand}{GENERATED}{}", as_markdown())).unwrap();
        return;
    }
    assert!(
        table == as_markdown(),
        "docs/lifecycle.md is out of date; renew it: XINGFUMA_RENEW=1 cargo test -p xingfuma-domain the_documentation"
    );
}
