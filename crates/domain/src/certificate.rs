//! 志愿服务记录证明: what is certified of somebody's services, and its number.
//!
//! A certificate is requested, then signed by a second person (the handler). Signing freezes its [`Content`] and seals
//! it with a hash, so that what is printed never changes. What changes later in the ledger does not change it, but
//! [`standing`] then says that it is superseded.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::scoring::chain::Hash;
use crate::service::{Service, ServiceSource};
use crate::sign::{ALPHABET, value_of, weighted_sum};

/// Characters of a number: twelve random ones and a check character.
const LENGTH: usize = 13;
/// The longest span of one certificate, in years.
pub const YEARS_MOST: i32 = 20;

/// The number of a certificate: thirteen characters of Crockford's base32, 60 random bits and a check character as on a
/// sign, so that neither a valid number can be guessed nor a mistyped one be taken for another. Prints in groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateNumber([u8; LENGTH]);

/// Why a text is no [`CertificateNumber`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the number of a certificate")]
pub struct BadNumber;

impl CertificateNumber {
    /// The number for the lowest 60 bits of `random`; the bits above are ignored.
    pub fn from_random(random: u64) -> CertificateNumber {
        let mut values = [0; LENGTH];
        for (place, value) in values[..LENGTH - 1].iter_mut().enumerate() {
            *value = ((random >> (5 * (LENGTH - 2 - place))) & 31) as u8;
        }
        values[LENGTH - 1] = weighted_sum(&values);
        CertificateNumber(values)
    }
}

impl FromStr for CertificateNumber {
    type Err = BadNumber;

    /// Takes either case, I and L for 1, O for 0, hyphens anywhere and spaces around.
    fn from_str(text: &str) -> Result<CertificateNumber, BadNumber> {
        let mut values = [0; LENGTH];
        let mut count = 0;
        for character in text.trim().chars().filter(|character| *character != '-') {
            *values.get_mut(count).ok_or(BadNumber)? = value_of(character).ok_or(BadNumber)?;
            count += 1;
        }
        if count == LENGTH && weighted_sum(&values) == 0 {
            Ok(CertificateNumber(values))
        } else {
            Err(BadNumber)
        }
    }
}

impl fmt::Display for CertificateNumber {
    /// `XXXX-XXXX-XXXXX`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, value) in self.0.iter().enumerate() {
            if place == 4 || place == 8 {
                out.write_str("-")?;
            }
            write!(out, "{}", char::from(ALPHABET[usize::from(*value)]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertificateNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CertificateNumber({self})")
    }
}

/// Where a certificate stands in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateStatus {
    /// Somebody asked for it; nobody has signed.
    Requested,
    /// Signed: it has a number.
    Issued,
    /// Not granted.
    Refused,
    /// Taken back.
    Revoked,
    /// Another one was issued in its place.
    Replaced,
}

impl CertificateStatus {
    /// Every status.
    pub const ALL: [CertificateStatus; 5] = [
        CertificateStatus::Requested,
        CertificateStatus::Issued,
        CertificateStatus::Refused,
        CertificateStatus::Revoked,
        CertificateStatus::Replaced,
    ];

    /// The word for it in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            CertificateStatus::Requested => "requested",
            CertificateStatus::Issued => "issued",
            CertificateStatus::Refused => "refused",
            CertificateStatus::Revoked => "revoked",
            CertificateStatus::Replaced => "replaced",
        }
    }

    /// The status of this word.
    pub fn parse(word: &str) -> Option<CertificateStatus> {
        CertificateStatus::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A service as it is certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertifiedService {
    /// What sort of thing it was.
    pub source: ServiceSource,
    /// Which one.
    pub id: Uuid,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Minutes of service, without travel.
    pub minutes: i64,
    /// What it was: the name of its category.
    pub name: String,
}

/// What a certificate says, frozen when it is signed. No name: that is sealed elsewhere, and bound by `name_seal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The number, as it is printed.
    pub number: String,
    /// The volunteer's number: his badge at that time.
    pub badge: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// Minutes of service in all, without travel.
    pub minutes: i64,
    /// The services, oldest first.
    pub services: Vec<CertifiedService>,
    /// Who issues it.
    pub issuer: String,
    /// When it was signed.
    pub issued_at: DateTime<Utc>,
    /// Binds the names of the person and of the handler: SHA-256 of a random salt and both, in hexadecimal.
    pub name_seal: String,
}

/// One sort of service on a certificate, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtotal {
    /// What it was.
    pub name: String,
    /// How often.
    pub times: u64,
    /// Minutes.
    pub minutes: i64,
}

impl Content {
    /// The services by what they were, most minutes first.
    pub fn subtotals(&self) -> Vec<Subtotal> {
        let mut by_name: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
        for service in &self.services {
            let sum = by_name.entry(&service.name).or_default();
            *sum = (sum.0 + 1, sum.1.saturating_add(service.minutes));
        }
        let mut all: Vec<Subtotal> = by_name
            .into_iter()
            .map(|(name, (times, minutes))| Subtotal { name: name.to_owned(), times, minutes })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.minutes));
        all
    }
}

/// SHA-256 of a frozen content, as the text that is stored.
pub fn seal(content: &str) -> Hash {
    let mut sha = Sha256::new();
    sha.update(b"xingfuma certificate 1\0");
    sha.update(content.as_bytes());
    sha.finalize().into()
}

/// What binds names to a content without telling them.
pub fn name_seal(salt: &[u8], person: &str, handler: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(b"xingfuma certificate names 1\0");
    for part in [salt, person.as_bytes(), handler.as_bytes()] {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a certificate is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What it says stands.
    Valid,
    /// What it says was right when it was signed; services of it were corrected since, or another one replaces it.
    Superseded,
    /// It was taken back.
    Revoked,
    /// It is not what was signed.
    Broken,
}

impl Standing {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Valid => "valid",
            Standing::Superseded => "superseded",
            Standing::Revoked => "revoked",
            Standing::Broken => "broken",
        }
    }
}

/// What a signed certificate is worth: `sealed` says whether its content still has its hash, `now` is what the same
/// services are today, `reversed` whether points of one of them were reversed since.
pub fn standing(
    status: CertificateStatus,
    sealed: bool,
    content: &Content,
    now: &[Service],
    reversed: bool,
) -> Standing {
    let stands = |certified: &CertifiedService| {
        now.iter().any(|service| {
            (service.source, service.id, service.at, service.minutes)
                == (certified.source, certified.id, certified.at, certified.minutes)
        })
    };
    match status {
        _ if !sealed => Standing::Broken,
        CertificateStatus::Revoked => Standing::Revoked,
        CertificateStatus::Replaced => Standing::Superseded,
        _ if reversed || !content.services.iter().all(stands) => Standing::Superseded,
        _ => Standing::Valid,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(id: u128, minutes: i64) -> Service {
        Service {
            person: Uuid::from_u128(9),
            source: ServiceSource::Order,
            id: Uuid::from_u128(id),
            at: "2026-03-05T01:00:00Z".parse().expect("an instant"),
            minutes,
            category: "errand".to_owned(),
            area: "140724104003001".parse().expect("an area"),
            team: Uuid::from_u128(8),
            rating: None,
        }
    }

    fn content(services: &[Service]) -> Content {
        let certified = |service: &Service| CertifiedService {
            source: service.source,
            id: service.id,
            at: service.at,
            minutes: service.minutes,
            name: format!("帮办{}", service.minutes % 2),
        };
        Content {
            number: CertificateNumber::from_random(7).to_string(),
            badge: "05-00127-X".to_owned(),
            from: "2026-03-01".parse().expect("a day"),
            to: "2026-03-31".parse().expect("a day"),
            minutes: crate::service::minutes_of(services),
            services: services.iter().map(certified).collect(),
            issuer: "示例县".to_owned(),
            issued_at: "2026-04-01T01:00:00Z".parse().expect("an instant"),
            name_seal: name_seal(b"salt", "王小明", "李主任"),
        }
    }

    #[test]
    fn what_a_certificate_is_worth() {
        use CertificateStatus::{Issued, Replaced, Revoked};
        let services = [service(1, 60), service(2, 45)];
        let of = content(&services);
        assert_eq!(standing(Issued, true, &of, &services, false), Standing::Valid);
        let more = [service(1, 60), service(2, 45), service(3, 5)];
        assert_eq!(standing(Issued, true, &of, &more, false), Standing::Valid, "what was added later");
        assert_eq!(standing(Issued, true, &of, &services, true), Standing::Superseded);
        assert_eq!(standing(Issued, true, &of, &services[..1], false), Standing::Superseded);
        let other = [service(1, 60), service(2, 44)];
        assert_eq!(standing(Issued, true, &of, &other, false), Standing::Superseded);
        let mut again = services.clone();
        again[0].at += chrono::TimeDelta::seconds(1);
        assert_eq!(standing(Issued, true, &of, &again, false), Standing::Superseded);
        assert_eq!(standing(Replaced, true, &of, &services, false), Standing::Superseded);
        assert_eq!(standing(Revoked, true, &of, &services, true), Standing::Revoked);
        for status in [Issued, Replaced, Revoked] {
            assert_eq!(standing(status, false, &of, &services, false), Standing::Broken);
        }
    }

    #[test]
    fn services_are_added_up_by_what_they_were() {
        let of = content(&[service(1, 60), service(2, 45), service(3, 30), service(4, 20)]);
        let lines: Vec<(String, u64, i64)> =
            of.subtotals().into_iter().map(|sum| (sum.name, sum.times, sum.minutes)).collect();
        assert_eq!(lines, [("帮办0".to_owned(), 3, 110), ("帮办1".to_owned(), 1, 45)]);
    }

    #[test]
    fn names_are_bound_and_not_told() {
        let good = name_seal(b"salt", "王小明", "李主任");
        assert_eq!(good.len(), 64);
        for other in [
            name_seal(b"sale", "王小明", "李主任"),
            name_seal(b"salt", "王小", "明李主任"),
            name_seal(b"salt", "王小明", "李主"),
        ] {
            assert_ne!(good, other);
        }
        assert_ne!(seal("a"), seal("b"));
        for status in CertificateStatus::ALL {
            assert_eq!(CertificateStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(CertificateStatus::parse("valid"), None);
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_and_one_wrong_character_is_found(
            random in any::<u64>(), place in 0_usize..13, by in 1_u8..32,
        ) {
            let number = CertificateNumber::from_random(random);
            let text = number.to_string();
            prop_assert_eq!(text.len(), 15);
            prop_assert_eq!(text.to_lowercase().parse(), Ok(number));
            prop_assert_eq!(text.replace('-', "").replace('0', "o").parse(), Ok(number));
            let mut bent = number;
            bent.0[place] = (bent.0[place] + by) % 32;
            prop_assert_eq!(bent.to_string().parse::<CertificateNumber>(), Err(BadNumber));
            prop_assert_eq!(text[1..].parse::<CertificateNumber>(), Err(BadNumber));
            prop_assert_eq!(format!("{text}0").parse::<CertificateNumber>(), Err(BadNumber));
        }

        #[test]
        fn different_random_bits_give_different_numbers(one in 0_u64..1 << 60, other in 0_u64..1 << 60) {
            let same = CertificateNumber::from_random(one) == CertificateNumber::from_random(other);
            prop_assert_eq!(same, one == other);
        }
    }
}
