//! The advice on texts and pictures: marked words decide.

use crate::Suggest;

/// WeChat's label for nothing found.
const NOTHING_FOUND: i64 = 100;

struct Mark {
    word: String,
    advice: Advice,
}

/// Advice, and what was found.
#[derive(Clone, Copy)]
pub(super) struct Advice {
    pub(super) suggest: Suggest,
    pub(super) label: i64,
}

#[derive(Default)]
pub(super) struct Checks(Vec<Mark>);

impl Checks {
    pub(super) fn mark(&mut self, word: &str, suggest: Suggest, label: i64) {
        self.0.push(Mark { word: word.to_owned(), advice: Advice { suggest, label } });
    }

    /// The gravest advice that a mark in `text` gives.
    pub(super) fn advice_on(&self, text: &str) -> Advice {
        let found = self.0.iter().filter(|mark| text.contains(&mark.word)).map(|mark| mark.advice);
        let nothing = Advice { suggest: Suggest::Pass, label: NOTHING_FOUND };
        found.max_by_key(|advice| advice.suggest).unwrap_or(nothing)
    }
}
