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
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

    fn json(value: serde_json::Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// A token put together by hand, signed as its header says or not.
    fn made(header: &serde_json::Value, claims: &serde_json::Value, key: &[u8]) -> String {
        let parts = format!("{}.{}", json(header.clone()), json(claims.clone()));
        let algorithm = match header["alg"].as_str() {
            Some("HS384") => Algorithm::HS384,
            Some("HS512") => Algorithm::HS512,
            _ => Algorithm::HS256,
        };
        let key = EncodingKey::from_secret(key);
        let signature = jsonwebtoken::crypto::sign(parts.as_bytes(), &key, algorithm).expect("a signature");
        format!("{parts}.{signature}")
    }

    fn header() -> serde_json::Value {
        serde_json::json!({ "alg": "HS256", "typ": TYPE, "kid": KEY_ID })
    }

    fn claims() -> serde_json::Value {
        let (iat, exp) = (at(0).timestamp(), at(ACCESS_SECONDS).timestamp());
        serde_json::json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(7),
            "iat": iat, "nbf": iat, "exp": exp,
        })
    }

    fn with(mut value: serde_json::Value, name: &str, member: serde_json::Value) -> serde_json::Value {
        value[name] = member;
        value
    }

    fn without(mut value: serde_json::Value, name: &str) -> serde_json::Value {
        value.as_object_mut().expect("an object").remove(name);
        value
    }

    const KEY: [u8; 32] = [1; 32];

    #[test]
    fn every_header_but_ours_is_refused() {
        let tokens = Tokens::new(&KEY);
        let good = made(&header(), &claims(), &KEY);
        assert_eq!(
            tokens.read(&good, at(0)),
            Some(Uuid::from_u128(7)),
            "the table below differs from a good one"
        );
        for (name, member) in [
            ("alg", "none"),
            ("alg", "None"),
            ("alg", "HS384"),
            ("alg", "HS512"),
            ("alg", "RS256"),
            ("alg", "ES256"),
            ("alg", "EdDSA"),
            ("alg", ""),
            ("typ", "JWT"),
            ("typ", "rt+jwt"),
            ("typ", ""),
            ("kid", "2"),
            ("kid", ""),
            ("kid", "../1"),
        ] {
            let bad = made(&with(header(), name, member.into()), &claims(), &KEY);
            assert_eq!(tokens.read(&bad, at(0)), None, "{name} {member}");
        }
        for name in ["alg", "typ", "kid"] {
            assert_eq!(
                tokens.read(&made(&without(header(), name), &claims(), &KEY), at(0)),
                None,
                "no {name}"
            );
        }
        assert_eq!(tokens.read(&made(&header(), &claims(), &[2; 32]), at(0)), None, "a foreign key");
        assert_eq!(tokens.read(&made(&header(), &claims(), b""), at(0)), None, "no key");
    }

    #[test]
    fn every_claim_has_to_be_right() {
        let tokens = Tokens::new(&KEY);
        let read = |claims: &serde_json::Value| tokens.read(&made(&header(), claims, &KEY), at(0));
        assert!(read(&claims()).is_some());
        for name in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"] {
            assert_eq!(read(&without(claims(), name)), None, "no {name}");
            for bad in [serde_json::Value::Null, "".into(), "other".into(), (-1.5).into(), true.into()] {
                assert_eq!(read(&with(claims(), name, bad.clone())), None, "{name} {bad}");
            }
        }
        for name in ["iss", "aud"] {
            assert_eq!(read(&with(claims(), name, "XINGFUMA".into())), None, "{name}");
        }
    }

    #[test]
    fn time_counts_to_the_second() {
        let tokens = Tokens::new(&KEY);
        let leeway = LEEWAY_SECONDS.cast_signed();
        for (exp, good) in [(-leeway - 1, false), (-leeway, false), (1 - leeway, true), (1, true)] {
            let token = made(&header(), &with(claims(), "exp", at(exp).timestamp().into()), &KEY);
            assert_eq!(tokens.read(&token, at(0)).is_some(), good, "exp {exp}");
        }
        for (nbf, good) in [(0, true), (leeway, true), (leeway + 1, false), (3_600, false)] {
            let token = made(&header(), &with(claims(), "nbf", at(nbf).timestamp().into()), &KEY);
            assert_eq!(tokens.read(&token, at(0)).is_some(), good, "nbf {nbf}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let tokens = Tokens::new(&KEY);
        let good = made(&header(), &claims(), &KEY);
        let parts: Vec<&str> = good.split('.').collect();
        let forged = json(with(claims(), "sid", Uuid::from_u128(8).to_string().into()));
        for bad in [
            String::new(),
            "..".to_owned(),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{good}.{}", parts[2]),
            format!("{good}="),
            format!(" {good}"),
            good.replace('.', "。"),
            "a".repeat(100_000),
        ] {
            assert_eq!(tokens.read(&bad, at(0)), None, "{bad:.80}");
        }
    }
}
