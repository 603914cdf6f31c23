//! Consents: every word for ever, and the last one on each kind.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::consent::{ConsentKind, Standing, Word};

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A word to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewWord {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: AreaCode,
    /// Whose consent.
    pub person: Uuid,
    /// Who says so: the person himself, or his guardian.
    pub by: Uuid,
    /// What he says.
    pub word: Word,
}

/// A word as it was kept.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct WordRow {
    /// What about.
    pub kind: String,
    /// The version of the text.
    pub version: i64,
    /// Agreed, or taken back.
    pub given: bool,
    /// Who said so.
    pub given_by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

/// SQL: the consent of this kind is in force of the person whom `person` names: given, and a child's only together with a
/// guardian's. To be asked with each read, so that taking it back counts at once.
pub(crate) fn in_force(person: &str, kind: ConsentKind) -> String {
    let said = |kind: ConsentKind, alias: &str| {
        format!(
            "EXISTS (SELECT 1 FROM consent_standing {alias} WHERE {alias}.person_id = {person} \
             AND {alias}.kind = '{}' AND {alias}.given)",
            kind.as_str()
        )
    };
    let (given, child, guardian) =
        (said(kind, "said"), said(ConsentKind::Under14, "child"), said(ConsentKind::Guardian, "guard"));
    format!("({given} AND (NOT {child} OR {guardian}))")
}

/// Keeps a word. It becomes the last one on its kind.
///
/// # Errors
/// When the database fails.
pub async fn append(conn: &impl ConnectionTrait, new: &NewWord) -> Result<(), StoreError> {
    let NewWord { id, county, person, by, word } = *new;
    let mut rows = Rows::new(8);
    rows.push([
        id.into(),
        county.to_string().into(),
        person.into(),
        word.kind.as_str().into(),
        word.version.into(),
        word.given.into(),
        by.into(),
        word.at.into(),
    ]);
    rows.insert(conn, "consent (id, county, person_id, kind, version, given, given_by, at)", "").await?;
    let mut rows = Rows::new(7);
    rows.push([
        person.into(),
        word.kind.as_str().into(),
        county.to_string().into(),
        word.version.into(),
        word.given.into(),
        by.into(),
        word.at.into(),
    ]);
    let tail = "ON CONFLICT (person_id, kind) DO UPDATE SET version = excluded.version, given = excluded.given, \
                given_by = excluded.given_by, at = excluded.at";
    let into = "consent_standing (person_id, kind, county, version, given, given_by, at)";
    rows.insert(conn, into, tail).await?;
    Ok(())
}

/// The last words of a person.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn standing(conn: &impl ConnectionTrait, person: Uuid) -> Result<Standing, StoreError> {
    let text = "SELECT kind, version, given, given_by, at FROM consent_standing WHERE person_id = $1";
    let rows: Vec<WordRow> = sql::all(conn, text, vec![person.into()]).await?;
    let words: Result<Vec<Word>, StoreError> = rows.iter().map(word).collect();
    Ok(Standing::new(words?))
}

fn word(row: &WordRow) -> Result<Word, StoreError> {
    let kind = ConsentKind::parse(&row.kind).ok_or_else(|| unreadable("an unknown kind of consent"))?;
    Ok(Word { kind, version: row.version, given: row.given, at: row.at })
}

/// Every word of a person, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn history(conn: &impl ConnectionTrait, person: Uuid) -> Result<Vec<WordRow>, StoreError> {
    let text = "SELECT kind, version, given, given_by, at FROM consent WHERE person_id = $1 ORDER BY id";
    sql::all(conn, text, vec![person.into()]).await
}

/// Whether `guardian` is the one whose consent for the child is in force.
///
/// # Errors
/// When the database fails.
pub async fn is_guardian(
    conn: &impl ConnectionTrait,
    guardian: Uuid,
    child: Uuid,
) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct By {
        given_by: Uuid,
    }
    let text = "SELECT given_by FROM consent_standing WHERE person_id = $1 AND kind = 'guardian' AND given";
    let row: Option<By> = sql::one(conn, text, vec![child.into()]).await?;
    Ok(row.is_some_and(|row| row.given_by == guardian))
}
