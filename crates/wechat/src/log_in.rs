//! Who somebody is: the log-in, and his phone number.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::client::{Call, understood};
use crate::{Client, Error};

const LOG_IN: Call = Call { name: "log_in", path: "sns/jscode2session" };
const PHONE: Call = Call { name: "phone", path: "wxa/business/getuserphonenumber" };

/// Who logged in. Its `Debug` text shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, as this mini-program knows him.
    pub openid: String,
    /// The user across all programs of one owner; only where the account is bound to an open-platform account.
    pub unionid: Option<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

impl Client {
    /// Exchanges the code of `wx.login` for the user. The session key that comes with it is not even parsed.
    ///
    /// # Errors
    /// [`Error::BadCode`], [`Error::UsedCode`], [`Error::HighRiskUser`], [`Error::TooOften`], and the general ones.
    pub async fn log_in(&self, js_code: &str) -> Result<Identity, Error> {
        #[derive(Deserialize)]
        struct Answer {
            openid: String,
            unionid: Option<String>,
        }
        let query = [
            ("appid", self.config.appid.as_str()),
            ("secret", self.config.secret.as_str()),
            ("js_code", js_code),
            ("grant_type", "authorization_code"),
        ];
        let Answer { openid, unionid } = understood(&self.get(LOG_IN, &query).await?)?;
        Ok(Identity { openid, unionid })
    }

    /// Exchanges the code of the phone button for the number that WeChat verified: 11 digits for a number of the
    /// mainland, with the country's code in front for others. The code lives for 5 minutes and works once.
    ///
    /// # Errors
    /// [`Error::BadCode`], also for a used one, and the general ones.
    pub async fn phone(&self, code: &str) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            phone_info: PhoneInfo,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PhoneInfo {
            phone_number: String,
        }
        let answer: Answer = understood(&self.post(PHONE, &Body { code }).await?)?;
        Ok(answer.phone_info.phone_number)
    }
}
