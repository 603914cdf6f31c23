//! How often somebody may do what: per account, device, phone, sign and address of the network.
//!
//! The figures are settings; the defaults suit a county in which a whole village may share one address of a carrier.
//! Log-ins with a password are locked in the database besides (`log_in`), because that must hold whatever else fails.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use xingfuma_domain::limit::Limit;
use xingfuma_queue::limiter::{Admission, Counted};

use crate::{App, AppError, Caller};

/// So many times in so many minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Most times.
    pub most: u32,
    /// In so many minutes, wherever they begin.
    pub minutes: u32,
}

const fn quota(most: u32, minutes: u32) -> Quota {
    Quota { most, minutes }
}

/// The limits of a county.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Every quota is widened by this factor: for load tests, and for the demo, whose few accounts everybody shares.
    pub factor: u32,
    /// Orders that one account places for itself.
    pub orders_per_account: Quota,
    /// Orders from one device, which is one log-in.
    pub orders_per_device: Quota,
    /// Orders that name one phone, whoever enters them.
    pub orders_per_phone: Quota,
    /// Orders by one sign: a photo of it may travel far.
    pub orders_per_sign: Quota,
    /// Orders from one address of the network.
    pub orders_per_address: Quota,
    /// Log-ins from one address of the network.
    pub log_ins_per_address: Quota,
    /// Signs and badges looked up from one address of the network, so that nobody can walk through the codes.
    pub lookups_per_address: Quota,
    /// Contacts that one account has revealed to it.
    pub reveals_per_account: Quota,
    /// Phones that one account binds.
    pub phones_per_account: Quota,
    /// Copies of all his data that one account asks for.
    pub exports_per_account: Quota,
    /// Photos that one account uploads.
    pub uploads_per_account: Quota,
    /// Parts of the volunteer record that one account takes out.
    pub record_exports_per_account: Quota,
    /// Reports about signs from one address of the network.
    pub sign_reports_per_address: Quota,
    /// Reports about one sign.
    pub sign_reports_per_sign: Quota,
    /// Codes of a second factor that one account tries to confirm it with.
    pub totp_per_account: Quota,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            factor: 1,
            orders_per_account: quota(20, 60),
            orders_per_device: quota(20, 60),
            orders_per_phone: quota(10, 60),
            orders_per_sign: quota(120, 60),
            orders_per_address: quota(600, 60),
            log_ins_per_address: quota(300, 10),
            lookups_per_address: quota(600, 10),
            reveals_per_account: quota(30, 60),
            phones_per_account: quota(5, 24 * 60),
            exports_per_account: quota(5, 24 * 60),
            uploads_per_account: quota(120, 60),
            record_exports_per_account: quota(30, 60),
            sign_reports_per_address: quota(10, 60),
            sign_reports_per_sign: quota(20, 60),
            totp_per_account: quota(10, 10),
        }
    }
}

/// From where a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl Address {
    /// What counts as one address: a whole /64 of IPv6, because one line has that many.
    fn network(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => address.segments()[..4].iter().map(|part| format!("{part:x}:")).collect(),
            },
        }
    }
}

impl App {
    /// Counts a placement; to be given back when it turns out to be a replay.
    pub(crate) async fn count_placement(
        &self,
        caller: &Caller,
        from: Option<Address>,
        named: &PlacementNames<'_>,
    ) -> Result<Admission, AppError> {
        let limits = &self.settings.limits;
        let mut counted = Vec::with_capacity(5);
        if !named.by_operator {
            counted.push(self.counted(
                "order-account",
                limits.orders_per_account,
                caller.actor.person.as_bytes(),
            ));
            counted.push(self.counted("order-device", limits.orders_per_device, caller.session.as_bytes()));
        }
        if let Some(phone) = named.phone {
            counted.push(self.counted("order-phone", limits.orders_per_phone, phone.as_bytes()));
        }
        if let Some(sign) = named.sign {
            counted.push(self.counted(
                "order-sign",
                limits.orders_per_sign,
                sign.to_ascii_uppercase().as_bytes(),
            ));
        }
        // A hotline's desks share an address with each other, not with residents.
        if let Some(from) = from.filter(|_| !named.by_operator) {
            counted.push(self.counted("order-address", limits.orders_per_address, from.network().as_bytes()));
        }
        self.admit(counted).await
    }

    /// Counts a log-in from an address.
    ///
    /// # Errors
    /// [`AppError::TooMany`].
    pub async fn count_log_in(&self, from: Option<Address>) -> Result<(), AppError> {
        self.count_from("log-in", self.settings.limits.log_ins_per_address, from).await
    }

    /// Counts a sign or badge looked up from an address.
    ///
    /// # Errors
    /// [`AppError::TooMany`].
    pub async fn count_lookup(&self, from: Option<Address>) -> Result<(), AppError> {
        self.count_from("lookup", self.settings.limits.lookups_per_address, from).await
    }

    /// Counts a contact revealed to an account.
    pub(crate) async fn count_reveal(&self, caller: &Caller) -> Result<(), AppError> {
        let quota = self.settings.limits.reveals_per_account;
        self.admit(vec![self.counted("reveal", quota, caller.actor.person.as_bytes())]).await.map(drop)
    }

    /// Counts a phone that an account binds.
    pub(crate) async fn count_phone(&self, caller: &Caller) -> Result<(), AppError> {
        let quota = self.settings.limits.phones_per_account;
        self.admit(vec![self.counted("phone", quota, caller.actor.person.as_bytes())]).await.map(drop)
    }

    /// Counts a copy of all his data that an account asks for.
    pub(crate) async fn count_export(&self, caller: &Caller) -> Result<(), AppError> {
        let quota = self.settings.limits.exports_per_account;
        self.admit(vec![self.counted("export", quota, caller.actor.person.as_bytes())]).await.map(drop)
    }

    /// Counts a photo that an account uploads.
    pub(crate) async fn count_upload(&self, caller: &Caller) -> Result<(), AppError> {
        let quota = self.settings.limits.uploads_per_account;
        self.admit(vec![self.counted("upload", quota, caller.actor.person.as_bytes())]).await.map(drop)
    }

    /// Counts a part of the volunteer record that an account takes out.
    pub(crate) async fn count_record_export(&self, caller: &Caller) -> Result<(), AppError> {
        let quota = self.settings.limits.record_exports_per_account;
        self.admit(vec![self.counted("record-export", quota, caller.actor.person.as_bytes())]).await.map(drop)
    }

    /// Counts a report about a sign.
    pub(crate) async fn count_sign_report(&self, from: Option<Address>, code: &str) -> Result<(), AppError> {
        let limits = &self.settings.limits;
        let mut counted = vec![self.counted("report-sign", limits.sign_reports_per_sign, code.as_bytes())];
        if let Some(from) = from {
            let network = from.network();
            counted.push(self.counted("report-address", limits.sign_reports_per_address, network.as_bytes()));
        }
        self.admit(counted).await.map(drop)
    }

    /// Counts a code that is tried to confirm a second factor.
    pub(crate) async fn count_totp(&self, person: uuid::Uuid) -> Result<(), AppError> {
        let quota = self.settings.limits.totp_per_account;
        self.admit(vec![self.counted("totp", quota, person.as_bytes())]).await.map(drop)
    }

    /// Takes back what turned out not to count.
    pub(crate) async fn give_back(&self, admission: Admission) {
        self.limiter.give_back(admission).await;
    }

    async fn count_from(&self, what: &str, quota: Quota, from: Option<Address>) -> Result<(), AppError> {
        let Some(from) = from else { return Ok(()) };
        self.admit(vec![self.counted(what, quota, from.network().as_bytes())]).await.map(drop)
    }

    /// The key is a keyed hash: neither Redis nor a core dump tells phones or addresses.
    fn counted(&self, what: &str, quota: Quota, who: &[u8]) -> Counted {
        let factor = self.settings.limits.factor.max(1);
        let limit = Limit::per_minutes(quota.most.saturating_mul(factor), i64::from(quota.minutes));
        let hash = self.keys.request_hash(&[b"limit", what.as_bytes(), who]);
        let key: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Counted { key: format!("{what}:{key}"), limit }
    }

    async fn admit(&self, counted: Vec<Counted>) -> Result<Admission, AppError> {
        let now = self.clock.now().timestamp_millis();
        let refused = |wait: xingfuma_queue::limiter::Wait| {
            let seconds = u64::try_from(wait.ms).unwrap_or(0).div_ceil(1_000);
            AppError::TooMany { retry_after: seconds.max(1) }
        };
        self.limiter.admit(counted, now).await.map_err(refused)
    }
}

/// What a placement is counted by, beside its caller.
pub(crate) struct PlacementNames<'a> {
    /// An operator enters it for a caller.
    pub(crate) by_operator: bool,
    /// The phone that it names.
    pub(crate) phone: Option<&'a str>,
    /// The sign that was scanned.
    pub(crate) sign: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ipv6_counts_as_one_address() {
        let network = |text: &str| Address(text.parse().unwrap()).network();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }
}
