//! Consent (个人信息保护法, articles 14 to 16, 25 and 31): what somebody agreed to, in which version, and what follows from it.
//!
//! Every word is kept for ever, each with its moment: agreeing, and taking it back. What is in force is the last word on
//! each kind ([`Standing`]). Under 14 a consent counts only together with a guardian's.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is agreed to, or stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentKind {
    /// The privacy notice was read.
    PrivacyNotice,
    /// Posts about one's orders or services may be published (晒).
    Publishing,
    /// One's name may stand in rankings.
    RankingByName,
    /// One's stars may stand on the page behind one's badge.
    StarsOnBadge,
    /// 监护人同意: a guardian agrees to what a child under 14 agrees to.
    Guardian,
    /// A statement, no consent: one is under 14. All that is asked about age.
    #[serde(rename = "under_14")]
    Under14,
}

impl ConsentKind {
    /// Every kind.
    pub const ALL: [ConsentKind; 6] = [
        ConsentKind::PrivacyNotice,
        ConsentKind::Publishing,
        ConsentKind::RankingByName,
        ConsentKind::StarsOnBadge,
        ConsentKind::Guardian,
        ConsentKind::Under14,
    ];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConsentKind::PrivacyNotice => "privacy_notice",
            ConsentKind::Publishing => "publishing",
            ConsentKind::RankingByName => "ranking_by_name",
            ConsentKind::StarsOnBadge => "stars_on_badge",
            ConsentKind::Guardian => "guardian",
            ConsentKind::Under14 => "under_14",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<ConsentKind> {
        ConsentKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The version of the text that is agreed to now; an older one is not agreed to any more.
    pub const fn current_version(self) -> i64 {
        1
    }

    /// Whether somebody gives it for himself with a version; the guardian's comes from another account, and the age is
    /// a statement.
    pub const fn is_own(self) -> bool {
        matches!(
            self,
            ConsentKind::PrivacyNotice
                | ConsentKind::Publishing
                | ConsentKind::RankingByName
                | ConsentKind::StarsOnBadge
        )
    }

    /// Whether it makes something public, which no child decides alone.
    pub const fn publishes(self) -> bool {
        matches!(self, ConsentKind::Publishing | ConsentKind::RankingByName | ConsentKind::StarsOnBadge)
    }
}

/// The last word on one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// What about.
    pub kind: ConsentKind,
    /// The version of the text.
    pub version: i64,
    /// Agreed, or taken back.
    pub given: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// The last words of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing(Vec<Word>);

impl Standing {
    /// From the last words, one a kind.
    pub fn new(words: Vec<Word>) -> Standing {
        Standing(words)
    }

    /// The last words.
    pub fn words(&self) -> &[Word] {
        &self.0
    }

    fn said(&self, kind: ConsentKind) -> Option<bool> {
        self.0.iter().find(|word| word.kind == kind).map(|word| word.given)
    }

    /// Whether the person said that he is under 14.
    pub fn is_under_14(&self) -> bool {
        self.said(ConsentKind::Under14) == Some(true)
    }

    /// Whether a consent of this kind would count: a child's counts with a guardian's.
    pub fn may_consent(&self, kind: ConsentKind) -> bool {
        !kind.publishes() || !self.is_under_14() || self.said(ConsentKind::Guardian) == Some(true)
    }

    /// Whether it is in force: agreed, not taken back, and the person's to give.
    pub fn has(&self, kind: ConsentKind) -> bool {
        self.said(kind) == Some(true) && self.may_consent(kind)
    }

    /// The standing after a word.
    #[must_use]
    pub fn after(&self, word: Word) -> Standing {
        let mut words: Vec<Word> = self.0.iter().copied().filter(|old| old.kind != word.kind).collect();
        words.push(word);
        Standing(words)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(kind: ConsentKind, given: bool) -> Word {
        let at = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
        Word { kind, version: kind.current_version(), given, at }
    }

    #[test]
    fn names_are_read_back() {
        for kind in ConsentKind::ALL {
            assert_eq!(ConsentKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
        assert_eq!(ConsentKind::parse("everything"), None);
    }

    #[test]
    fn every_case_of_age_guardian_and_consent() {
        for under_14 in [None, Some(false), Some(true)] {
            for guardian in [None, Some(false), Some(true)] {
                for said in [None, Some(false), Some(true)] {
                    let words = [
                        (ConsentKind::Under14, under_14),
                        (ConsentKind::Guardian, guardian),
                        (ConsentKind::Publishing, said),
                        (ConsentKind::PrivacyNotice, said),
                    ];
                    let given =
                        |(kind, given): (ConsentKind, Option<bool>)| given.map(|given| word(kind, given));
                    let standing = Standing::new(words.into_iter().filter_map(given).collect());
                    let child_alone = under_14 == Some(true) && guardian != Some(true);
                    assert_eq!(standing.may_consent(ConsentKind::Publishing), !child_alone);
                    assert_eq!(standing.has(ConsentKind::Publishing), said == Some(true) && !child_alone);
                    assert_eq!(standing.has(ConsentKind::PrivacyNotice), said == Some(true));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_last_word_on_each_kind_counts(said in prop::collection::vec((0..3_usize, any::<bool>()), 0..20)) {
            let mut standing = Standing::default();
            for (kind, given) in &said {
                standing = standing.after(word(ConsentKind::ALL[*kind], *given));
            }
            for kind in 0..3 {
                let last = said.iter().rev().find(|(other, _)| *other == kind).map(|(_, given)| *given);
                prop_assert_eq!(standing.has(ConsentKind::ALL[kind]), last == Some(true));
            }
        }
    }
}
