//! Access tokens: short-lived JWTs that name a session. What they allow is read from the session's row at each request.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long an access token is good for, in seconds.
pub(crate) const ACCESS_SECONDS: i64 = 300;
/// Clocks may differ by this much, in seconds.
const LEEWAY_SECONDS: u64 = 5;
const TYPE: &str = "at+jwt";
const ISSUER: &str = "xingfuma";
const AUDIENCE: &str = "xingfuma-api";
const KEY_ID: &str = "1";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Signs and reads access tokens.
#[derive(Clone)]
pub struct Tokens(Arc<(EncodingKey, DecodingKey)>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// Tokens under a key of 32 bytes.
    pub fn new(key: &[u8; 32]) -> Tokens {
        Tokens(Arc::new((EncodingKey::from_secret(key), DecodingKey::from_secret(key))))
    }

    /// A token for a session, good for `ACCESS_SECONDS` from `now`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(
        &self,
        person: Uuid,
        session: Uuid,
        now: DateTime<Utc>,
    ) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(KEY_ID.to_owned());
        let iat = now.timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: person,
            sid: session,
            iat,
            nbf: iat,
            exp: iat + ACCESS_SECONDS,
        };
        encode(&header, &claims, &self.0.0)
    }

    /// The session that a token names; `None` for a token that is not ours, or not good now. Time is judged by `now`,
    /// the clock that also signed it.
    pub fn read(&self, token: &str, now: DateTime<Utc>) -> Option<Uuid> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.kid.as_deref() != Some(KEY_ID) {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would ask the machine's clock; ours may follow the database's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Claims>(token, &self.0.1, &validation).ok()?.claims;
        let (now, leeway) = (now.timestamp(), LEEWAY_SECONDS.cast_signed());
        (claims.exp + leeway > now && claims.nbf - leeway <= now).then_some(claims.sid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a moment")
    }

    #[test]
    fn a_token_is_good_for_its_time_under_its_key_alone() {
        let (tokens, foreign) = (Tokens::new(&[1; 32]), Tokens::new(&[2; 32]));
        let session = Uuid::from_u128(7);
        let token = tokens.sign(Uuid::from_u128(1), session, at(0)).expect("signed");
        assert_eq!(tokens.read(&token, at(0)), Some(session));
        assert_eq!(tokens.read(&token, at(ACCESS_SECONDS + 4)), Some(session));
        assert_eq!(tokens.read(&token, at(ACCESS_SECONDS + 5)), None);
        assert_eq!(tokens.read(&token, at(-6)), None);
        assert_eq!(foreign.read(&token, at(0)), None);
        for cut in [0, 5, token.len() - 1] {
            assert_eq!(tokens.read(&token[..cut], at(0)), None);
        }
    }

    #[test]
    fn another_algorithm_type_or_key_id_is_refused() {
        let tokens = Tokens::new(&[1; 32]);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: Uuid::nil(),
            sid: Uuid::nil(),
            iat: at(0).timestamp(),
            nbf: at(0).timestamp(),
            exp: at(60).timestamp(),
        };
        let sign =
            |header: &Header| encode(header, &claims, &EncodingKey::from_secret(&[1; 32])).expect("signed");
        let header = |algorithm, typ: &str, kid: &str| {
            let mut header = Header::new(algorithm);
            header.typ = Some(typ.to_owned());
            header.kid = Some(kid.to_owned());
            header
        };
        assert!(tokens.read(&sign(&header(Algorithm::HS256, TYPE, KEY_ID)), at(0)).is_some());
        assert!(tokens.read(&sign(&header(Algorithm::HS512, TYPE, KEY_ID)), at(0)).is_none());
        assert!(tokens.read(&sign(&header(Algorithm::HS256, "JWT", KEY_ID)), at(0)).is_none());
        assert!(tokens.read(&sign(&header(Algorithm::HS256, TYPE, "2")), at(0)).is_none());
    }
}
