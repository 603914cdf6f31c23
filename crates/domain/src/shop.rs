//! The shop (爱心超市): what may be sold, the code by which goods are fetched, and what a code is still good for.
//!
//! Points buy goods and nothing else: there is no way to turn them into cash, and no price in money.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::sign::{SignCode, SignCodeError};

/// The dearest goods, in points a piece: what no rule gives at once, nobody is asked for at once.
pub const PRICE_LARGEST: i64 = 1_000_000;
/// The most pieces of one redemption.
pub const QUANTITY_LARGEST: i64 = 100;
/// The most pieces of one kind of goods that a shop keeps.
pub const STOCK_LARGEST: i64 = 1_000_000;
/// Reserved goods are fetched within this; then they and the points go back.
pub const FETCH_WITHIN: TimeDelta = TimeDelta::days(7);

/// The code that is shown in the shop: eight characters with a check character, as on a sign, because both are read
/// from a screen and typed by somebody else. It is good once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedemptionCode(SignCode);

impl RedemptionCode {
    /// The code for the lowest 35 bits of `random`.
    pub fn from_random(random: u64) -> RedemptionCode {
        RedemptionCode(SignCode::from_random(random))
    }

    /// The eight characters.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for RedemptionCode {
    type Err = SignCodeError;

    /// As forgiving as a sign's code: either case, hyphens, O for 0.
    fn from_str(text: &str) -> Result<RedemptionCode, SignCodeError> {
        text.parse().map(RedemptionCode)
    }
}

/// Where a redemption (兑换) stands. It begins reserved, and ends in exactly one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedemptionStatus {
    /// Points and goods are put aside.
    Reserved,
    /// The goods were handed over, the points are spent.
    HandedOver,
    /// Called off by the person or by the shop; points and goods went back.
    Voided,
    /// Nobody came in time; points and goods went back.
    Expired,
}

impl RedemptionStatus {
    /// The word for it in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            RedemptionStatus::Reserved => "reserved",
            RedemptionStatus::HandedOver => "handed_over",
            RedemptionStatus::Voided => "voided",
            RedemptionStatus::Expired => "expired",
        }
    }

    /// The status of this word.
    pub fn parse(word: &str) -> Option<RedemptionStatus> {
        let all = [
            RedemptionStatus::Reserved,
            RedemptionStatus::HandedOver,
            RedemptionStatus::Voided,
            RedemptionStatus::Expired,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }
}

/// Why a code gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// The goods were handed over before.
    #[error("used")]
    Used,
    /// Its time is over, whether the sweep has seen it or not.
    #[error("expired")]
    Expired,
    /// It was called off.
    #[error("voided")]
    Voided,
}

impl fmt::Display for RedemptionCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Whether goods may be handed over for a code.
///
/// # Errors
/// [`CodeRefusal`].
pub fn check_code(
    status: RedemptionStatus,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), CodeRefusal> {
    match status {
        RedemptionStatus::HandedOver => Err(CodeRefusal::Used),
        RedemptionStatus::Voided => Err(CodeRefusal::Voided),
        RedemptionStatus::Expired => Err(CodeRefusal::Expired),
        RedemptionStatus::Reserved if expires_at <= now => Err(CodeRefusal::Expired),
        RedemptionStatus::Reserved => Ok(()),
    }
}

/// A donor as the donation book (捐赠簿) names him to everybody: by the first character of his name, which is a surname for
/// nearly everybody. Organisations too, because people are entered as such by mistake.
pub fn donor_in_book(name: &str) -> String {
    name.chars().next().map_or_else(String::new, |first| format!("{first}**"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_in_time() {
        use RedemptionStatus::{Expired, HandedOver, Reserved, Voided};
        let end: DateTime<Utc> = "2026-03-12T01:00:00Z".parse().expect("an instant");
        let before = end - TimeDelta::milliseconds(1);
        assert_eq!(check_code(Reserved, end, before), Ok(()));
        assert_eq!(check_code(Reserved, end, end), Err(CodeRefusal::Expired));
        for (status, refusal) in
            [(HandedOver, CodeRefusal::Used), (Voided, CodeRefusal::Voided), (Expired, CodeRefusal::Expired)]
        {
            assert_eq!(check_code(status, end, before), Err(refusal));
            assert_eq!(check_code(status, end, end), Err(refusal));
        }
    }

    #[test]
    fn words_read_back() {
        for status in [
            RedemptionStatus::Reserved,
            RedemptionStatus::HandedOver,
            RedemptionStatus::Voided,
            RedemptionStatus::Expired,
        ] {
            assert_eq!(RedemptionStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).expect("json"), status.as_str());
        }
        assert_eq!(RedemptionStatus::parse("posted"), None);
    }

    #[test]
    fn a_code_is_typed_forgivingly_and_checked_strictly() {
        let code = RedemptionCode::from_random(0x1234_5678_9ABC);
        let spoken = format!(" {}-{} ", &code.as_str()[..4], code.as_str()[4..].to_lowercase());
        assert_eq!(spoken.parse(), Ok(code));
        assert_eq!(code.to_string(), code.as_str());
        let wrong: String = code.as_str().chars().rev().collect();
        assert!(wrong == code.as_str() || wrong.parse::<RedemptionCode>().is_err());
    }

    #[test]
    fn the_book_names_organisations_whole_and_people_by_one_character() {
        assert_eq!(donor_in_book("大寨村委会"), "大**");
        assert_eq!(donor_in_book("王秀英"), "王**");
        assert_eq!(donor_in_book(""), "");
    }
}
