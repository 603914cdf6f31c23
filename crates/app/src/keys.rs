//! Keys and sealing. Keys live outside the database; what they seal lives inside.
//!
//! Three keys, each of 32 bytes: `data` wraps the data key of every person (and `data_old` is the one before it, still
//! read while [`crate::rotation`] is under way); `token` signs log-ins and derives refresh
//! tokens; `index` finds a phone without storing it and fingerprints requests. Every sealed text starts with an
//! algorithm byte, so that another algorithm (SM4) can follow, then a nonce; it is bound to a label and an id, so that
//! it cannot be moved to another row.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Ids;

const AES_256_GCM: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Keys as they stand in the configuration: base64 of 32 bytes each.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTexts {
    /// Wraps the data keys of people.
    pub data: String,
    /// Signs log-ins.
    pub token: String,
    /// Finds phones, fingerprints requests.
    pub index: String,
    /// The key before `data`, while data keys are wrapped anew; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_old: String,
}

impl std::fmt::Debug for KeyTexts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyTexts(…)")
    }
}

impl KeyTexts {
    /// Fresh keys.
    pub fn generate(ids: &Ids) -> KeyTexts {
        let fresh = || STANDARD.encode(ids.bytes::<32>());
        KeyTexts { data: fresh(), token: fresh(), index: fresh(), data_old: String::new() }
    }
}

/// Why a key is refused; it says which one, never what it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// It is not set.
    #[error("the key `keys.{0}` is missing; `xingfuma keys` prints fresh ones")]
    Missing(&'static str),
    /// It is not base64 of 32 bytes.
    #[error("the key `keys.{0}` is not base64 of 32 bytes; `xingfuma keys` prints fresh ones")]
    Malformed(&'static str),
    /// It repeats itself.
    #[error("the key `keys.{0}` is weak: it is not random; `xingfuma keys` prints fresh ones")]
    NotRandom(&'static str),
    /// Two are the same.
    #[error("the keys `keys.{0}` and `keys.{1}` are the same; each needs its own")]
    Same(&'static str, &'static str),
}

/// The keys of a running program.
pub struct Keys {
    wrapping: Aes256Gcm,
    answers: Aes256Gcm,
    /// The same two under the key before, while it is still read.
    old: Option<(Aes256Gcm, Aes256Gcm)>,
    token: [u8; 32],
    refresh: [u8; 32],
    phone: [u8; 32],
    request: [u8; 32],
    link: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keys(…)")
    }
}

impl Keys {
    /// Checks and takes the configured keys.
    ///
    /// # Errors
    /// [`WeakKey`] names the first key that is missing, malformed, not random, or used twice.
    pub fn load(texts: &KeyTexts) -> Result<Keys, WeakKey> {
        let data = check("data", &texts.data)?;
        let token = check("token", &texts.token)?;
        let index = check("index", &texts.index)?;
        let old = if texts.data_old.is_empty() { None } else { Some(check("data_old", &texts.data_old)?) };
        let mut all = vec![("data", data), ("token", token), ("index", index)];
        all.extend(old.map(|old| ("data_old", old)));
        for (n, (name, key)) in all.iter().enumerate() {
            if let Some((other, _)) = all[n + 1..].iter().find(|(_, other)| other == key) {
                return Err(WeakKey::Same(name, other));
            }
        }
        let of_data = |key: &[u8; 32]| {
            (cipher(&derive(key, "wrap data keys")), cipher(&derive(key, "seal kept answers")))
        };
        let (wrapping, answers) = of_data(&data);
        Ok(Keys {
            wrapping,
            answers,
            old: old.as_ref().map(of_data),
            token: derive(&token, "sign access tokens"),
            refresh: derive(&token, "derive refresh tokens"),
            phone: derive(&index, "find phones"),
            request: derive(&index, "fingerprint requests"),
            link: derive(&token, "sign links to photos"),
        })
    }

    /// The key that signs access tokens.
    pub fn token(&self) -> &[u8; 32] {
        &self.token
    }

    /// A fresh data key for a person, wrapped.
    pub fn new_data_key(&self, person: Uuid, ids: &Ids) -> (DataKey, Vec<u8>) {
        let raw = ids.bytes::<32>();
        let wrapped = seal(&self.wrapping, "data key", person, &raw, ids);
        (DataKey(cipher(&raw)), wrapped)
    }

    /// Unwraps a person's data key.
    ///
    /// # Errors
    /// [`Unsealable`] when it was wrapped by another key or for another person.
    pub fn data_key(&self, person: Uuid, wrapped: &[u8]) -> Result<DataKey, Unsealable> {
        let raw = self.unwrapped(person, wrapped)?.0;
        let raw: [u8; 32] = raw.try_into().map_err(|_| Unsealable)?;
        Ok(DataKey(cipher(&raw)))
    }

    /// The raw data key, and whether the key before had wrapped it.
    fn unwrapped(&self, person: Uuid, wrapped: &[u8]) -> Result<(Vec<u8>, bool), Unsealable> {
        match (open(&self.wrapping, "data key", person, wrapped), &self.old) {
            (Ok(raw), _) => Ok((raw, false)),
            (Err(_), Some((old, _))) => Ok((open(old, "data key", person, wrapped)?, true)),
            (Err(error), None) => Err(error),
        }
    }

    /// The data key under the key in force, where the one before had wrapped it; none where nothing is to be done.
    ///
    /// # Errors
    /// [`Unsealable`] when it is under neither.
    pub fn rewrap(&self, person: Uuid, wrapped: &[u8], ids: &Ids) -> Result<Option<Vec<u8>>, Unsealable> {
        let (raw, old) = self.unwrapped(person, wrapped)?;
        Ok(old.then(|| seal(&self.wrapping, "data key", person, &raw, ids)))
    }

    /// Seals an answer that is kept under a caller's key.
    pub fn seal_answer(&self, body: &[u8], ids: &Ids) -> Vec<u8> {
        seal(&self.answers, "kept answer", Uuid::nil(), body, ids)
    }

    /// Opens a kept answer.
    ///
    /// # Errors
    /// [`Unsealable`] when it was sealed by another key.
    pub fn open_answer(&self, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        match (open(&self.answers, "kept answer", Uuid::nil(), sealed), &self.old) {
            (Err(_), Some((_, old))) => open(old, "kept answer", Uuid::nil(), sealed),
            (opened, _) => opened,
        }
    }

    /// The blind index of a phone: the same phone gives the same bytes, which tell nothing without the key.
    pub fn phone_index(&self, phone: &str) -> Vec<u8> {
        keyed_hash(&self.phone, &[phone.as_bytes()])
    }

    /// A keyed hash over parts, for idempotency keys and fingerprints.
    pub fn request_hash(&self, parts: &[&[u8]]) -> Vec<u8> {
        keyed_hash(&self.request, parts)
    }

    /// The successor of a refresh secret: always the same, so that a lost answer can be given again.
    pub fn refresh_successor(&self, session: Uuid, secret: &[u8]) -> Vec<u8> {
        keyed_hash(&self.refresh, &[session.as_bytes(), secret])
    }
}

impl Keys {
    /// The signature of a link.
    pub fn link_signature(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        keyed_hash(&self.link, &parts)
    }

    /// Whether a signature is that of a link; takes the same time whatever differs.
    pub fn signed_link(&self, parts: &[Vec<u8>], signature: &[u8]) -> bool {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        mac(&self.link, &parts).verify_slice(signature).is_ok()
    }
}

/// A person's own key.
pub struct DataKey(Aes256Gcm);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("DataKey(…)")
    }
}

impl DataKey {
    /// Seals a text to a row.
    pub fn seal(&self, label: &str, row: Uuid, text: &[u8], ids: &Ids) -> Vec<u8> {
        seal(&self.0, label, row, text, ids)
    }

    /// Opens a text of a row.
    ///
    /// # Errors
    /// [`Unsealable`] when it was sealed by another key, or for another row.
    pub fn open(&self, label: &str, row: Uuid, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        open(&self.0, label, row, sealed)
    }
}

/// A sealed text that this key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed text could not be opened")]
pub struct Unsealable;

/// The hash under which a secret is stored.
pub fn hash(secret: &[u8]) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

fn check(name: &'static str, text: &str) -> Result<[u8; 32], WeakKey> {
    if text.is_empty() {
        return Err(WeakKey::Missing(name));
    }
    let bytes: [u8; 32] = STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(WeakKey::Malformed(name))?;
    let different = bytes.iter().collect::<std::collections::HashSet<_>>().len();
    // 32 random bytes with fewer than 16 different values do not happen.
    if different < 16 { Err(WeakKey::NotRandom(name)) } else { Ok(bytes) }
}

fn derive(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, key).expand(purpose.as_bytes(), &mut out).expect("32 bytes are a valid length");
    out
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> Vec<u8> {
    mac(key, parts).finalize().into_bytes().to_vec()
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn bound_to(label: &str, row: Uuid) -> Vec<u8> {
    let mut bound = vec![AES_256_GCM];
    bound.extend(row.as_bytes());
    bound.extend(label.as_bytes());
    bound
}

fn seal(cipher: &Aes256Gcm, label: &str, row: Uuid, text: &[u8], ids: &Ids) -> Vec<u8> {
    let nonce = ids.bytes::<NONCE_BYTES>();
    let aad = bound_to(label, row);
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: text, aad: &aad })
        .expect("AES-GCM seals anything below 64 GiB");
    let mut out = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
    out.push(AES_256_GCM);
    out.extend(nonce);
    out.extend(sealed);
    out
}

fn open(cipher: &Aes256Gcm, label: &str, row: Uuid, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
    let (algorithm, rest) = sealed.split_first().ok_or(Unsealable)?;
    let (nonce, text) = rest.split_at_checked(NONCE_BYTES).ok_or(Unsealable)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Unsealable)?;
    if *algorithm != AES_256_GCM {
        return Err(Unsealable);
    }
    let aad = bound_to(label, row);
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: text, aad: &aad }).map_err(|_| Unsealable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::load(&KeyTexts::generate(&Ids::seeded(7))).expect("generated keys are good")
    }

    #[test]
    fn a_weak_or_missing_key_is_refused_by_name() {
        let good = KeyTexts::generate(&Ids::seeded(1));
        let with = |data: &str| Keys::load(&KeyTexts { data: data.to_owned(), ..good.clone() }).unwrap_err();
        assert_eq!(with(""), WeakKey::Missing("data"));
        assert_eq!(with("changeme"), WeakKey::Malformed("data"));
        assert_eq!(with(&STANDARD.encode([7; 32])), WeakKey::NotRandom("data"));
        assert_eq!(with(&good.token), WeakKey::Same("data", "token"));
        assert!(Keys::load(&good).is_ok());
    }

    #[test]
    fn a_sealed_text_opens_only_in_its_own_row_under_its_own_label_and_key() {
        let (keys, ids) = (keys(), Ids::seeded(2));
        let (person, row) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (key, wrapped) = keys.new_data_key(person, &ids);
        let sealed = key.seal("order", row, "王大娘 13812345678".as_bytes(), &ids);
        let again = keys.data_key(person, &wrapped).expect("own key");
        assert_eq!(again.open("order", row, &sealed).expect("own row"), "王大娘 13812345678".as_bytes());
        assert_eq!(again.open("order", person, &sealed), Err(Unsealable));
        assert_eq!(again.open("person", row, &sealed), Err(Unsealable));
        assert!(keys.data_key(row, &wrapped).is_err());
        let mut bent = sealed.clone();
        *bent.last_mut().expect("not empty") ^= 1;
        assert_eq!(again.open("order", row, &bent), Err(Unsealable));
        for cut in 0..14 {
            assert_eq!(again.open("order", row, &sealed[..cut]), Err(Unsealable));
        }
    }

    #[test]
    fn the_key_before_is_read_and_nothing_is_written_under_it() {
        let ids = Ids::seeded(3);
        let before = KeyTexts::generate(&ids);
        let after = KeyTexts { data: KeyTexts::generate(&ids).data, ..before.clone() };
        let during = KeyTexts { data_old: before.data.clone(), ..after.clone() };
        let load = |texts: &KeyTexts| Keys::load(texts).expect("good keys");
        let (before, during, after) = (load(&before), load(&during), load(&after));
        let person = Uuid::from_u128(1);
        let (key, wrapped) = before.new_data_key(person, &ids);
        let sealed = key.seal("order", person, b"text", &ids);
        assert!(after.data_key(person, &wrapped).is_err());
        let opened = |keys: &Keys, wrapped: &[u8]| {
            keys.data_key(person, wrapped).and_then(|key| key.open("order", person, &sealed))
        };
        assert_eq!(opened(&during, &wrapped).as_deref(), Ok(b"text".as_slice()));
        let fresh = during.rewrap(person, &wrapped, &ids).expect("under one of the two").expect("to be done");
        assert_eq!(opened(&after, &fresh).as_deref(), Ok(b"text".as_slice()));
        assert_eq!(during.rewrap(person, &fresh, &ids), Ok(None), "done already");
        assert!(before.data_key(person, &fresh).is_err());
        assert_eq!(load(&KeyTexts::generate(&ids)).rewrap(person, &wrapped, &ids), Err(Unsealable));
        let answer = before.seal_answer(b"answer", &ids);
        assert_eq!(during.open_answer(&answer).as_deref(), Ok(b"answer".as_slice()));
        assert!(after.open_answer(&answer).is_err());
    }

    #[test]
    fn request_hashes_do_not_run_into_each_other() {
        assert_ne!(keys().request_hash(&[b"ab", b"c"]), keys().request_hash(&[b"a", b"bc"]));
    }
}
