//! What a certificate is worth, and who learns which names: whoever holds its number, and whoever prints it.

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::certificate::{self, CertificateNumber, Content, Standing, Subtotal, name_seal};
use xingfuma_domain::sign::SignCode;
use xingfuma_store::certificates::{self, CertificateRow};
use xingfuma_store::people;

use crate::privacy::{CertificatePrivate, Private};
use crate::{App, AppError, Caller};

/// A certificate as a stranger sees it who holds its number.
#[derive(Clone, Debug)]
pub struct CertificateChecked {
    /// What it says.
    pub content: Content,
    /// By what was done.
    pub subtotals: Vec<Subtotal>,
    /// What it is worth.
    pub standing: Standing,
    /// The person: whole with the holder's code, else masked.
    pub name: String,
    /// The handler: whole with the holder's code, else masked.
    pub handler: String,
}

/// Names for the print.
#[derive(Clone, Debug)]
pub struct Printed {
    /// What it says.
    pub content: Content,
    /// By what was done.
    pub subtotals: Vec<Subtotal>,
    /// The person.
    pub name: String,
    /// The handler.
    pub handler: String,
    /// The address that its code leads to.
    pub url: String,
}

impl App {
    /// What anybody learns who holds a number; names whole with the holder's code.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a number that was never given out.
    pub async fn check_certificate(
        &self,
        number: &str,
        code: Option<&str>,
    ) -> Result<CertificateChecked, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let number: CertificateNumber = number.parse().map_err(|_| AppError::NotFound)?;
        let row =
            certificates::by_number(pool, county, &number.to_string()).await?.ok_or(AppError::NotFound)?;
        let (content, mut standing) = self.worth(&row).await?.ok_or(AppError::NotFound)?;
        let code = code.and_then(|code| code.parse::<SignCode>().ok()).map(|code| code.to_string());
        let whole = code.is_some_and(|code| code == self.holder_code(row.id));
        let names = self.names(&row).await?;
        let bound = |names: &CertificatePrivate| {
            name_seal(&names.salt, &names.name, &names.handler) == content.name_seal
        };
        if names.as_ref().is_some_and(|names| !bound(names)) {
            standing = Standing::Broken;
        }
        let (name, handler) = match names.filter(|_| whole) {
            Some(names) => (names.name, names.handler),
            None => (self.hidden_name(Some(row.person_id)).await?, self.hidden_name(row.signed_by).await?),
        };
        Ok(CertificateChecked { subtotals: content.subtotals(), content, standing, name, handler })
    }

    /// A certificate in force, to be printed: for its holder, and for his station, whose reading of it is noted.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Conflict`] `certificate_not_issued`, `name_missing` once the person is erased.
    pub async fn print_certificate(&self, caller: &Caller, id: Uuid) -> Result<Printed, AppError> {
        let row = self.reached_certificate(caller, id).await?;
        let own = row.person_id == caller.actor.person;
        // Whoever only watches sees no names.
        if !own && !allow(&caller.actor, Action::IssueCertificate, row.area()?) {
            return Err(AppError::Forbidden);
        }
        let worth = self.worth(&row).await?.filter(|(_, standing)| *standing == Standing::Valid);
        let (content, _) = worth.ok_or(AppError::Conflict("certificate_not_issued"))?;
        let names = self.names(&row).await?.ok_or(AppError::Conflict("name_missing"))?;
        if !own {
            self.note_read(caller, "certificate_printed", row.id, row.person_id).await;
        }
        let url = format!("{}/c/{}", self.settings.public_url, content.number);
        let subtotals = content.subtotals();
        Ok(Printed { content, subtotals, name: names.name, handler: names.handler, url })
    }

    /// What a certificate says and is worth, once it is signed.
    pub(super) async fn worth(&self, row: &CertificateRow) -> Result<Option<(Content, Standing)>, AppError> {
        let Some((content, sealed)) = row.content()? else { return Ok(None) };
        let now = self.certifiable(row.person_id, content.from, content.to).await?;
        let ids: Vec<Uuid> = content.services.iter().map(|service| service.id).collect();
        let (pool, county) = (self.store.pool(), self.settings.county);
        let reversed = certificates::reversed_since(pool, county, &ids, content.issued_at).await?;
        let standing = certificate::standing(row.status()?, sealed, &content, &now, reversed);
        Ok(Some((content, standing)))
    }

    /// The names that are sealed with a certificate; nothing once its person is erased.
    async fn names(&self, row: &CertificateRow) -> Result<Option<CertificatePrivate>, AppError> {
        let person = people::find(self.store.pool(), self.settings.county, row.person_id).await?;
        let wrapped = person.and_then(|person| person.data_key);
        let (Some(wrapped), Some(sealed)) = (wrapped, &row.private) else { return Ok(None) };
        let key = self.keys.data_key(row.person_id, &wrapped)?;
        CertificatePrivate::open(&key, row.id, sealed).map(Some)
    }

    pub(super) fn holder_code(&self, certificate: Uuid) -> String {
        let hash = self.keys.request_hash(&[b"holder of certificate", certificate.as_bytes()]);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        SignCode::from_random(u64::from_be_bytes(bytes)).to_string()
    }

    async fn hidden_name(&self, person: Option<Uuid>) -> Result<String, AppError> {
        let Some(person) = person else { return Ok(hidden("")) };
        let found = people::find(self.store.pool(), self.settings.county, person).await?;
        Ok(hidden(&found.map(|found| found.surname).unwrap_or_default()))
    }
}

fn hidden(surname: &str) -> String {
    if surname.is_empty() { "**".to_owned() } else { format!("{surname}**") }
}
