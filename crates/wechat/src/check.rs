//! Whether texts and pictures of users may be shown.

use serde::{Deserialize, Serialize};

use crate::client::{Call, understood};
use crate::{Client, Error};

const TEXT: Call = Call { name: "check_text", path: "wxa/msg_sec_check" };
const PICTURE: Call = Call { name: "check_picture", path: "wxa/media_check_async" };

/// Longest text that WeChat checks, in characters.
pub const CHECKED_TEXT_CHARS: usize = 2500;

/// `version` and `media_type` as WeChat counts them.
const CHECK_VERSION: u8 = 2;
const MEDIA_PICTURE: u8 = 2;

/// Where the checked thing will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckScene {
    /// Names and other data of a person.
    Profile = 1,
    /// Comments, and the words of a rating.
    Comment = 2,
    /// Posts, and the descriptions of orders.
    Forum = 3,
    /// Diaries.
    Diary = 4,
}

/// What WeChat advises, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suggest {
    /// Nothing found.
    Pass,
    /// A person should look. Also stands for advice that is not understood.
    Review,
    /// Not to be shown.
    Risky,
}

impl Suggest {
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "pass" => Self::Pass,
            "risky" => Self::Risky,
            // What is new or unknown is for a person to see.
            _ => Self::Review,
        }
    }

    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Risky => "risky",
        }
    }
}

/// What WeChat says of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its advice.
    pub suggest: Suggest,
    /// What it found, as WeChat's number; 100 is nothing.
    pub label: i64,
    /// WeChat's number of this check.
    pub trace_id: String,
}

impl Client {
    /// Asks whether `content`, at most [`CHECKED_TEXT_CHARS`] characters by user `openid`, may be shown.
    ///
    /// # Errors
    /// [`Error::NotRecentlyHere`] when the user was not here within 2 hours (callers of the hotline never were): a
    /// person has to look. [`Error::BadField`] when the text is empty or too long, and the general ones.
    pub async fn check_text(&self, openid: &str, scene: CheckScene, content: &str) -> Result<Verdict, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            content: &'a str,
            version: u8,
            scene: u8,
            openid: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            result: Outcome,
            #[serde(default)]
            trace_id: String,
        }
        #[derive(Deserialize)]
        struct Outcome {
            suggest: String,
            label: i64,
        }
        if content.is_empty() || content.chars().count() > CHECKED_TEXT_CHARS {
            return Err(Error::BadField {
                detail: format!("content has not 1 to {CHECKED_TEXT_CHARS} characters"),
            });
        }
        let body = Body { content, version: CHECK_VERSION, scene: scene as u8, openid };
        let answer: Answer = understood(&self.post(TEXT, &body).await?)?;
        let suggest = Suggest::from_word(&answer.result.suggest);
        Ok(Verdict { suggest, label: answer.result.label, trace_id: answer.trace_id })
    }

    /// Has the picture at `url`, by user `openid`, checked. Answers the number under which the result is pushed later
    /// (see [`crate::push::EventKind::MediaChecked`]).
    ///
    /// # Errors
    /// [`Error::NotRecentlyHere`] as for texts, and the general ones.
    pub async fn check_picture(&self, openid: &str, scene: CheckScene, url: &str) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            media_url: &'a str,
            media_type: u8,
            version: u8,
            scene: u8,
            openid: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            trace_id: String,
        }
        let body = Body {
            media_url: url,
            media_type: MEDIA_PICTURE,
            version: CHECK_VERSION,
            scene: scene as u8,
            openid,
        };
        let answer: Answer = understood(&self.post(PICTURE, &body).await?)?;
        Ok(answer.trace_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_advice_is_for_a_person() {
        for suggest in [Suggest::Pass, Suggest::Review, Suggest::Risky] {
            assert_eq!(Suggest::from_word(suggest.as_word()), suggest);
        }
        assert_eq!(Suggest::from_word("perhaps"), Suggest::Review);
        assert!(Suggest::Pass < Suggest::Review && Suggest::Review < Suggest::Risky);
    }
}
