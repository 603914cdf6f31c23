//! The runtime role: what its address says about it, and how it is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac_array;
use percent_encoding::percent_decode_str;
use sea_orm::{ConnectionTrait, FromQueryResult};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::{GrantError, quoted, user};
use crate::sql;

/// How often a password is hashed, as PostgreSQL itself does it.
const ITERATIONS: u32 = 4096;

/// Who is to work on the database, by the address under which he will.
#[derive(Clone, PartialEq, Eq)]
pub struct RuntimeRole {
    name: String,
    password: Option<String>,
}

impl std::fmt::Debug for RuntimeRole {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RuntimeRole").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RuntimeRole {
    /// The user of an address such as `postgres://user:password@host/database`. Without a password there he logs in by
    /// other means (a certificate, the user of the system).
    ///
    /// # Errors
    /// [`GrantError::Address`] when it is no address of a PostgreSQL; it is not repeated, since a password may stand in it.
    pub fn of_address(url: &str) -> Result<RuntimeRole, GrantError> {
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        let options: PgConnectOptions =
            url.parse().ok().filter(|_| is_postgres).ok_or(GrantError::Address)?;
        Ok(RuntimeRole { name: options.get_username().to_owned(), password: password_in(url)? })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The password in an address, read as sqlx reads it: it is what servers will show.
fn password_in(url: &str) -> Result<Option<String>, GrantError> {
    let url = Url::parse(url).map_err(|_| GrantError::Address)?;
    // One among the parameters comes after the one before the host, and the last one counts.
    let parameter = url.query_pairs().filter(|(name, _)| name == "password").last();
    if let Some((_, password)) = parameter {
        return Ok(Some(password.into_owned()));
    }
    let decoded = url.password().map(|password| percent_decode_str(password).decode_utf8());
    let decoded = decoded.transpose().map_err(|_| GrantError::Address)?;
    Ok(decoded.map(|password| password.into_owned()))
}

/// Makes the role if it is not there; answers whether it did. The password of one that is there is left as it is.
pub(super) async fn make(
    conn: &impl ConnectionTrait,
    role: &RuntimeRole,
    salt: [u8; 16],
) -> Result<bool, GrantError> {
    #[derive(FromQueryResult)]
    struct Found {
        known: bool,
        may_make: bool,
    }
    let text = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) AS known, \
                (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS may_make";
    let found: Option<Found> = sql::one(conn, text, vec![role.name.clone().into()]).await?;
    match found {
        Some(Found { known: true, .. }) => return Ok(false),
        Some(Found { may_make: true, .. }) => {}
        _ => return Err(GrantError::NoRole { role: role.name.clone(), owner: user(conn).await? }),
    }
    let password = match &role.password {
        Some(password) if !password.is_ascii() => return Err(GrantError::Password(role.name.clone())),
        // Hashed here: the server writes statements into its log, those that fail in any case.
        Some(password) => format!(" PASSWORD '{}'", verifier(password.as_bytes(), &salt)),
        None => String::new(),
    };
    let name = quoted(&role.name);
    conn.execute_unprepared(&format!("CREATE ROLE {name} LOGIN{password}")).await?;
    Ok(true)
}

/// What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5802 and 7677), in its own notation.
fn verifier(password: &[u8], salt: &[u8]) -> String {
    let salted = pbkdf2_hmac_array::<Sha256, 32>(password, salt, ITERATIONS);
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    let server = mac(&salted, b"Server Key");
    let [salt, stored, server] = [salt, &stored, &server].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}")
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_that_of_the_rfc() {
        // RFC 7677, section 3: its proof and its signature are made of these two keys.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let wanted = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                      wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier(b"pencil", &salt), wanted);
    }

    #[test]
    fn user_and_password_are_read_from_the_address() {
        let read = |url: &str| RuntimeRole::of_address(url).map(|role| (role.name, role.password)).ok();
        let some = |name: &str, password: Option<&str>| Some((name.to_owned(), password.map(str::to_owned)));
        assert_eq!(read("postgres://desk:a-B_1@db:5432/county"), some("desk", Some("a-B_1")));
        assert_eq!(
            read("postgresql://desk:p%40s%2fs:x@db/county?sslmode=disable"),
            some("desk", Some("p@s/s:x"))
        );
        assert_eq!(read("postgres://desk@db/county"), some("desk", None));
        assert_eq!(read("postgres://db/county?user=desk&password=x"), some("desk", Some("x")));
        assert_eq!(read("postgres://desk:a@db/county?password=b&password=c"), some("desk", Some("c")));
        // Half an escape is no escape, for sqlx as for us.
        assert_eq!(read("postgres://desk:a%4@db/county"), some("desk", Some("a%4")));
        for none in ["sqlite://county.db", "postgres://desk:%ff@db/county", ""] {
            assert_eq!(read(none), None, "{none}");
        }
        let role = RuntimeRole::of_address("postgres://desk:secret@db/county").expect("an address");
        assert!(!format!("{role:?}").contains("secret"));
    }
}
