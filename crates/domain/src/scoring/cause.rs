//! Causes: why a posting exists. A cause scores once, whatever is retried.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::word::{UnknownWord, words};

/// Why a posting exists. The store holds it unique for ever: whatever is retried, a cause scores once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What it is for.
    pub kind: CauseKind,
    /// What sort of thing it came from.
    pub source_type: SourceType,
    /// Which one.
    pub source_id: Uuid,
}

/// What a posting is for. Prints as `609`, as `609.1` in an order's first round after a reopening, as `reserve`, or as
/// `reversal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CauseKind {
    /// An award of a rule.
    Rule {
        /// The rule: upper-case ASCII letters and digits, which no correction's word is made of.
        code: String,
        /// How often the order had been reopened; 0 for everything but orders.
        round: u32,
    },
    /// Points are put aside for goods of a shop.
    Reserve,
    /// The answer to an earlier posting.
    Correction(CorrectionKind),
}

/// The word of [`CauseKind::Reserve`].
const RESERVE: &str = "reserve";

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { code, round: 0 } => f.write_str(code),
            Self::Rule { code, round } => write!(f, "{code}.{round}"),
            Self::Reserve => f.write_str(RESERVE),
            Self::Correction(kind) => f.write_str(kind.as_str()),
        }
    }
}

impl FromStr for CauseKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Correction(kind));
        }
        if text == RESERVE {
            return Ok(Self::Reserve);
        }
        let unknown = || UnknownWord { list: "CauseKind", word: text.to_owned() };
        let (code, round) = match text.split_once('.') {
            Some((code, round)) => (code, round.parse().ok().filter(|round| *round > 0).ok_or_else(unknown)?),
            None => (text, 0),
        };
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if code.is_empty() || !code.bytes().all(plain) {
            return Err(unknown());
        }
        Ok(Self::Rule { code: code.to_owned(), round })
    }
}

impl TryFrom<String> for CauseKind {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CauseKind> for String {
    fn from(kind: CauseKind) -> Self {
        kind.to_string()
    }
}

/// The ways to answer an earlier posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// A person's points go on hold.
    Hold,
    /// Points on hold go to the person.
    Release,
    /// Points on hold are lost.
    Void,
    /// The posting is taken back as a whole.
    Reversal,
    /// Points that were reserved in a shop are spent there.
    Spend,
}

words!(CorrectionKind {
    Hold => "hold",
    Release => "release",
    Void => "void",
    Reversal => "reversal",
    Spend => "spend",
});

/// What sort of thing a cause's source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// 服务单.
    Order,
    /// A post of the showcase.
    Showcase,
    /// 申报: a claim that was decided.
    Claim,
    /// 活动: that somebody took part in an activity.
    Activity,
    /// 走访巡查.
    Patrol,
    /// 兑换: goods of a shop, for points.
    Redemption,
    /// An earlier posting.
    Entry,
}

words!(SourceType {
    Order => "order",
    Showcase => "showcase",
    Claim => "claim",
    Activity => "activity",
    Patrol => "patrol",
    Redemption => "redemption",
    Entry => "entry",
});

#[cfg(test)]
mod tests {
    use super::super::account::{AccountKind, Purse};
    use super::*;

    #[test]
    fn words_read_back_what_they_print() {
        for text in ["609", "609.1", "B10", "D02.2", "hold", "release", "void", "reversal"] {
            let kind: CauseKind = text.parse().expect(text);
            assert_eq!(kind.to_string(), text);
            assert_eq!(serde_json::to_string(&kind).expect("json"), format!("\"{text}\""));
        }
        for bad in ["", "609.0", "609.", ".1", "b10", "609.1.2", "609 "] {
            assert!(bad.parse::<CauseKind>().is_err(), "{bad}");
        }
        for kind in [AccountKind::Issuance, AccountKind::Person, AccountKind::Hold, AccountKind::Void] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!(SourceType::Showcase.to_string().parse(), Ok(SourceType::Showcase));
        let fault = "cash".parse::<Purse>().expect_err("no such purse");
        assert_eq!(fault.to_string(), "\"cash\" is not a Purse");
    }
}
