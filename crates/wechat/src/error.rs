//! What can go wrong at WeChat, named by what the caller has to do about it.

/// Why a call did not give what was asked for.
///
/// No variant carries a secret, a token, an openid or a phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 40029: unknown or expired code. The mini-program fetches a new one and tries again.
    #[error("the code is not valid; fetch a new one")]
    BadCode,
    /// 40163: the code was used before. The mini-program fetches a new one and tries again.
    #[error("the code was used before; fetch a new one")]
    UsedCode,
    /// 40226: WeChat holds this user for dangerous. Refuse the log-in.
    #[error("WeChat holds this user for high-risk; refuse the log-in")]
    HighRiskUser,
    /// 45011, 45009: too many calls. Wait a minute.
    #[error("called too often; wait")]
    TooOften,
    /// 43101: the user has no consent left for this template. Do not send; show it in the inbox instead.
    #[error("the user has not agreed to another message of this template")]
    NoConsent,
    /// 43108: another process is sending to this user right now. Send again later.
    #[error("another message to this user is being sent; send again later")]
    Concurrent,
    /// 47003, or a rule that was checked before sending. Correct the named field.
    #[error("a field is not acceptable: {detail}")]
    BadField {
        /// Which field, and what is wrong with it.
        detail: String,
    },
    /// 40037: this template does not exist for this account. Correct the configuration.
    #[error("the message template does not exist")]
    BadTemplate,
    /// 40129, 40169: the scene of a mini-program code breaks the rules.
    #[error("the scene of the mini-program code is not acceptable")]
    BadScene,
    /// 41030: the page is not in the published mini-program.
    #[error("the page is not in the published mini-program")]
    BadPage,
    /// 61010: the user was not here within 2 hours, so WeChat does not check for him. A person has to look.
    #[error("the user was not here within 2 hours; let a person check it")]
    NotRecentlyHere,
    /// 40164: this server's address is not on the account's list. Add it in the WeChat console.
    #[error("this server's address is not allowed; add it in the WeChat console")]
    AddressNotAllowed,
    /// Any other refusal.
    #[error("WeChat refused with {errcode}: {errmsg}")]
    Api {
        /// WeChat's number for it.
        errcode: i64,
        /// WeChat's words, without anything that looks like an identifier, at most 200 characters.
        errmsg: String,
    },
    /// No usable answer came. The call may have been carried out all the same.
    #[error("no answer from WeChat: {0}")]
    Transport(TransportFault),
}

/// How a call failed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// No connection: nothing was sent.
    #[error("no connection")]
    Connect,
    /// The time was up.
    #[error("time out")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke")]
    Interrupted,
    /// An HTTP status other than 200, which WeChat itself never answers.
    #[error("HTTP status {0}")]
    Status(u16),
    /// An answer that is not what was agreed.
    #[error("the answer is not understood")]
    NotUnderstood,
}

impl Error {
    /// The error that WeChat's number stands for. `errcode` 0 is success and must not come here.
    pub(crate) fn from_refusal(errcode: i64, errmsg: &str) -> Self {
        match errcode {
            40029 => Self::BadCode,
            40163 => Self::UsedCode,
            40226 => Self::HighRiskUser,
            45009 | 45011 => Self::TooOften,
            43101 => Self::NoConsent,
            43108 => Self::Concurrent,
            47003 => Self::BadField { detail: without_identifiers(errmsg) },
            40037 => Self::BadTemplate,
            40129 | 40169 => Self::BadScene,
            41030 => Self::BadPage,
            61010 => Self::NotRecentlyHere,
            40164 => Self::AddressNotAllowed,
            _ => Self::Api { errcode, errmsg: without_identifiers(errmsg) },
        }
    }

    /// Whether WeChat says that the access token is dead.
    pub(crate) fn is_stale_token(&self) -> bool {
        matches!(self, Self::Api { errcode: 40001 | 40014 | 42001, .. })
    }
}

impl From<TransportFault> for Error {
    fn from(fault: TransportFault) -> Self {
        Self::Transport(fault)
    }
}

impl From<reqwest::Error> for TransportFault {
    /// Keeps the kind only: the text of such an error contains the URL, and the URL contains the secret.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Interrupted
        }
    }
}

/// Longest `errmsg` that is passed on, in characters.
const ERRMSG_CHARS: usize = 200;

/// `text` with every word that could be an openid, a token, a secret or a phone number replaced by `***`.
///
/// WeChat's own request number (`rid`, three groups of eight hexadecimal digits) stays: its support asks for it.
pub(crate) fn without_identifiers(text: &str) -> String {
    let mut kept = String::new();
    let mut word = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || character == '_' || character == '-' {
            word.push(character);
        } else {
            push_word(&mut kept, &mut word);
            kept.push(if character.is_control() { ' ' } else { character });
        }
    }
    push_word(&mut kept, &mut word);
    // Cut last: half an identifier might not be known for one.
    kept.chars().take(ERRMSG_CHARS).collect()
}

fn push_word(kept: &mut String, word: &mut String) {
    kept.push_str(if is_identifier(word) { "***" } else { word });
    word.clear();
}

fn is_identifier(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    (word.len() >= 20 || digits >= 7) && !is_request_number(word)
}

fn is_request_number(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    groups.len() == 3
        && groups.iter().all(|group| group.len() == 8 && group.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_table_has_its_name() {
        let names = [
            (40029, Error::BadCode),
            (40163, Error::UsedCode),
            (40226, Error::HighRiskUser),
            (45011, Error::TooOften),
            (45009, Error::TooOften),
            (43101, Error::NoConsent),
            (43108, Error::Concurrent),
            (47003, Error::BadField { detail: "data.thing1.value is empty".into() }),
            (40037, Error::BadTemplate),
            (40129, Error::BadScene),
            (40169, Error::BadScene),
            (41030, Error::BadPage),
            (61010, Error::NotRecentlyHere),
            (40164, Error::AddressNotAllowed),
            (-1, Error::Api { errcode: -1, errmsg: "data.thing1.value is empty".into() }),
        ];
        for (errcode, error) in names {
            assert_eq!(Error::from_refusal(errcode, "data.thing1.value is empty"), error);
        }
    }

    #[test]
    fn only_the_three_token_numbers_are_stale() {
        for errcode in [40001, 40014, 42001] {
            assert!(Error::from_refusal(errcode, "").is_stale_token());
        }
        for errcode in [-1, 40003, 40013, 40125, 41001, 43101] {
            assert!(!Error::from_refusal(errcode, "").is_stale_token());
        }
    }

    #[test]
    fn identifiers_are_taken_out_and_the_request_number_stays() {
        let text =
            "invalid openid o9AgO5Kd5ggOC-bXrbNODIiE3bGY, phone 13800138000 rid: 6123abcd-1234abcd-12345678";
        assert_eq!(
            without_identifiers(text),
            "invalid openid ***, phone *** rid: 6123abcd-1234abcd-12345678"
        );
        assert_eq!(without_identifiers("secret 0123456789abcdef0123456789abcdef"), "secret ***");
        assert_eq!(without_identifiers(&"长".repeat(300)).chars().count(), ERRMSG_CHARS);
        assert_eq!(without_identifiers("a\nb"), "a b");
    }
}
