//! What WeChat sends to us.
//!
//! WeChat calls one address of ours. With `GET` it asks once whether we are who we say: [`PushGate::verify`], then
//! answer the `echostr`. With `POST` it delivers events in *safe mode*: the body is encrypted, and `msg_signature`
//! covers the encrypted text (`signature` does not, so it proves nothing about the body). [`PushGate::open`] checks
//! it and answers the message; [`Event::parse`] reads it.
//!
//! Answer `success` within 5 s. WeChat repeats a delivery up to 3 times when no answer comes, so the receiver keeps
//! [`Event::delivery_key`] and does nothing for one it has seen.
//!
//! The cipher is AES-256-CBC, whose key is the base64 text of the console with a `=` added, whose initial vector is
//! the first half of the key, and whose padding counts blocks of 32 bytes. Inside are 16 random bytes, the length in
//! 4 bytes (big end first), the message, and the appid of the account it is meant for.

mod cipher;
mod event;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

pub use event::{Event, EventKind, MessageReport, SubscribeAnswer};

use cipher::Cipher;

/// Why a delivery is not taken. Answer 403 and do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The configured token is empty, or the key is not the 43 characters of an EncodingAESKey.
    #[error("the push token or key is not usable")]
    BadKeys,
    /// The signature is not WeChat's.
    #[error("the signature is wrong")]
    BadSignature,
    /// The body is not an encrypted delivery.
    #[error("the body is not an encrypted delivery")]
    BadBody,
    /// The text cannot be decrypted.
    #[error("the text cannot be decrypted")]
    BadCipherText,
    /// The message is meant for another account.
    #[error("the message is meant for another account")]
    OtherAccount,
    /// The message is not an event.
    #[error("the message is not an event")]
    NotAnEvent,
}

/// A sealed message, as WeChat sends it and as it takes encrypted answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// The encrypted message, in base64.
    #[serde(rename = "Encrypt")]
    pub encrypt: String,
    /// Covers the encrypted message, the time and the nonce.
    #[serde(rename = "MsgSignature")]
    pub msg_signature: String,
}

/// The push keys of one account: checks and opens what WeChat sends.
pub struct PushGate {
    token: String,
    appid: String,
    cipher: Cipher,
}

impl std::fmt::Debug for PushGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushGate").field("appid", &self.appid).finish_non_exhaustive()
    }
}

impl PushGate {
    /// From the three values of the console: the token, the EncodingAESKey, the account's own id.
    ///
    /// # Errors
    /// [`PushError::BadKeys`]. An empty token is refused, for with it anybody could sign.
    pub fn new(token: &str, encoding_aes_key: &str, appid: &str) -> Result<Self, PushError> {
        if token.is_empty() || appid.is_empty() {
            return Err(PushError::BadKeys);
        }
        let cipher = Cipher::from_encoding_aes_key(encoding_aes_key).ok_or(PushError::BadKeys)?;
        Ok(Self { token: token.to_owned(), appid: appid.to_owned(), cipher })
    }

    /// Checks the `signature` of the address check (`GET`), or of a delivery in plain mode.
    ///
    /// # Errors
    /// [`PushError::BadSignature`].
    pub fn verify(&self, signature: &str, timestamp: &str, nonce: &str) -> Result<(), PushError> {
        same(signature, &signed(&mut [&self.token, timestamp, nonce]))
    }

    /// Opens the body of a delivery (`POST`, safe mode, JSON) and answers the message inside.
    ///
    /// # Errors
    /// [`PushError`]: the first check that fails. Nothing is decrypted before the signature is right.
    pub fn open(
        &self,
        msg_signature: &str,
        timestamp: &str,
        nonce: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, PushError> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "Encrypt")]
            encrypt: String,
        }
        let Body { encrypt } = serde_json::from_slice(body).map_err(|_| PushError::BadBody)?;
        same(msg_signature, &signed(&mut [&self.token, timestamp, nonce, &encrypt]))?;
        let sealed = STANDARD.decode(&encrypt).map_err(|_| PushError::BadCipherText)?;
        let plain = self.cipher.decrypt(sealed).ok_or(PushError::BadCipherText)?;
        let (message, appid) = unpacked(&plain).ok_or(PushError::BadCipherText)?;
        if appid != self.appid.as_bytes() {
            return Err(PushError::OtherAccount);
        }
        Ok(message.to_vec())
    }

    /// Seals `message` as [`PushGate::open`] opens it. `random` must be fresh for each message.
    pub fn seal(&self, message: &[u8], random: [u8; 16], timestamp: &str, nonce: &str) -> Sealed {
        let encrypt = STANDARD.encode(self.cipher.encrypt(packed(message, random, &self.appid)));
        let msg_signature = signed(&mut [&self.token, timestamp, nonce, &encrypt]);
        Sealed { encrypt, msg_signature }
    }

    /// The `signature` of a call at `timestamp` with `nonce`: what the sandbox signs its own calls with.
    pub(crate) fn signature(&self, timestamp: &str, nonce: &str) -> String {
        signed(&mut [&self.token, timestamp, nonce])
    }
}

/// SHA-1 of the parts, sorted and joined, in lower-case hexadecimal digits.
fn signed(parts: &mut [&str]) -> String {
    parts.sort_unstable();
    hex(&Sha1::digest(parts.concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares in the same time wherever the first difference is, so that nobody can feel his way to a signature.
fn same(given: &str, right: &str) -> Result<(), PushError> {
    if given.as_bytes().ct_eq(right.as_bytes()).into() { Ok(()) } else { Err(PushError::BadSignature) }
}

const RANDOM_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

fn packed(message: &[u8], random: [u8; RANDOM_BYTES], appid: &str) -> Vec<u8> {
    // A push of 4 GiB does not exist: WeChat's messages are a few kilobytes.
    let length = u32::try_from(message.len()).expect("a message is shorter than 4 GiB");
    [&random, length.to_be_bytes().as_slice(), message, appid.as_bytes()].concat()
}

/// The message and the appid inside `plain`.
fn unpacked(plain: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_random, rest) = plain.split_at_checked(RANDOM_BYTES)?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The vectors of WeChat's own documentation.
    const TOKEN: &str = "AAAAA";
    const APPID: &str = "wxba5fad812f8e6fb9";
    const ENCRYPT: &str = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=";
    const MESSAGE: &str = r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}"#;
    const MSG_SIGNATURE: &str = "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3";
    const AT: (&str, &str) = ("1714112445", "415670741");

    fn key() -> String {
        "A".repeat(43)
    }

    fn gate() -> PushGate {
        PushGate::new(TOKEN, &key(), APPID).unwrap()
    }

    fn delivery(encrypt: &str) -> Vec<u8> {
        format!(r#"{{"ToUserName":"gh_97417a04a28d","Encrypt":"{encrypt}"}}"#).into_bytes()
    }

    #[test]
    fn the_address_check_of_the_documentation() {
        let right = "f464b24fc39322e44b38aa78f5edd27bd1441696";
        assert_eq!(gate().verify(right, "1714036504", "1514711492"), Ok(()));
        assert_eq!(gate().verify(right, "1714036505", "1514711492"), Err(PushError::BadSignature));
        assert_eq!(gate().verify("", "1714036504", "1514711492"), Err(PushError::BadSignature));
    }

    #[test]
    fn the_plain_delivery_of_the_documentation() {
        let right = "899cf89e464efb63f54ddac96b0a0a235f53aa78";
        assert_eq!(gate().verify(right, "1714037059", "486452656"), Ok(()));
    }

    #[test]
    fn the_safe_delivery_of_the_documentation() {
        let message = gate().open(MSG_SIGNATURE, AT.0, AT.1, &delivery(ENCRYPT)).unwrap();
        assert_eq!(String::from_utf8(message.clone()).unwrap(), MESSAGE);
        let event = Event::parse(&message).unwrap();
        assert_eq!(event.kind, EventKind::Other { name: "debug_demo".to_owned() });
        assert_eq!(event.created_at_seconds, 1_714_112_445);
    }

    #[test]
    fn sealing_the_same_gives_the_text_of_the_documentation() {
        let plain = Cipher::from_encoding_aes_key(&key())
            .unwrap()
            .decrypt(STANDARD.decode(ENCRYPT).unwrap())
            .unwrap();
        let random: [u8; 16] = plain[..16].try_into().unwrap();
        let sealed = gate().seal(MESSAGE.as_bytes(), random, AT.0, AT.1);
        assert_eq!(sealed.encrypt, ENCRYPT);
        assert_eq!(sealed.msg_signature, MSG_SIGNATURE);
    }

    #[test]
    fn each_check_refuses_for_itself() {
        let open = |signature: &str, body: &[u8]| gate().open(signature, AT.0, AT.1, body);
        let sign = |encrypt: &str| signed(&mut [TOKEN, AT.0, AT.1, encrypt]);
        let plain_signature = gate().signature(AT.0, AT.1);
        assert_eq!(open(&plain_signature, &delivery(ENCRYPT)), Err(PushError::BadSignature));
        let changed = ENCRYPT.replacen('q', "r", 1);
        assert_eq!(open(MSG_SIGNATURE, &delivery(&changed)), Err(PushError::BadSignature));
        assert_eq!(open(MSG_SIGNATURE, b"not json"), Err(PushError::BadBody));
        for bad in ["%%%", "", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA=="] {
            assert_eq!(open(&sign(bad), &delivery(bad)), Err(PushError::BadCipherText), "{bad}");
        }
        let other = PushGate::new(TOKEN, &key(), "wx0000000000000000").unwrap();
        let refused = other.open(MSG_SIGNATURE, AT.0, AT.1, &delivery(ENCRYPT));
        assert_eq!(refused, Err(PushError::OtherAccount));
    }

    #[test]
    fn a_length_beyond_the_text_is_refused() {
        let cipher = Cipher::from_encoding_aes_key(&key()).unwrap();
        let lying = [[7; 16].as_slice(), &u32::MAX.to_be_bytes(), b"{}", APPID.as_bytes()].concat();
        let encrypt = STANDARD.encode(cipher.encrypt(lying));
        let signature = signed(&mut [TOKEN, AT.0, AT.1, &encrypt]);
        let refused = gate().open(&signature, AT.0, AT.1, &delivery(&encrypt));
        assert_eq!(refused, Err(PushError::BadCipherText));
    }

    #[test]
    fn unusable_keys_are_refused_at_the_start() {
        let refused = |token: &str, key: &str, appid: &str| PushGate::new(token, key, appid).err();
        assert_eq!(refused("", &key(), APPID), Some(PushError::BadKeys));
        assert_eq!(refused(TOKEN, &key(), ""), Some(PushError::BadKeys));
        for bad in ["", "A", &"A".repeat(42), &"A".repeat(44), &"?".repeat(43)] {
            assert_eq!(refused(TOKEN, bad, APPID), Some(PushError::BadKeys), "{bad}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        assert_eq!(format!("{:?}", gate()), format!("PushGate {{ appid: {APPID:?}, .. }}"));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            message in proptest::collection::vec(any::<u8>(), 0..300),
            random in any::<[u8; 16]>(),
            key in "[A-Za-z0-9+/]{43}",
            timestamp in "[0-9]{10}",
            nonce in "[0-9]{1,10}",
        ) {
            let gate = PushGate::new("token", &key, APPID).unwrap();
            let sealed = gate.seal(&message, random, &timestamp, &nonce);
            let body = delivery(&sealed.encrypt);
            prop_assert_eq!(gate.open(&sealed.msg_signature, &timestamp, &nonce, &body), Ok(message));
        }

        #[test]
        fn any_body_is_refused_and_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let encrypt = STANDARD.encode(&body);
            let signature = signed(&mut [TOKEN, AT.0, AT.1, &encrypt]);
            prop_assert!(gate().open(&signature, AT.0, AT.1, &delivery(&encrypt)).is_err());
        }
    }
}
