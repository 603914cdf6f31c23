//! People: residents, callers, volunteers, staff. Names and phones are sealed; only the surname is readable here.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::access::{Grant, Role};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::consent::ConsentKind;

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A person as stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PersonRow {
    /// The id.
    pub id: Uuid,
    /// The surname, all that lists show.
    pub surname: String,
    /// The person's data key, wrapped; absent once erased.
    pub data_key: Option<Vec<u8>>,
    /// Name and phone, sealed under the data key.
    pub private: Option<Vec<u8>>,
}

/// A person to be stored.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: AreaCode,
    /// The surname; empty where no name is known.
    pub surname: String,
    /// The wrapped data key.
    pub data_key: Vec<u8>,
    /// Name and phone, sealed.
    pub private: Vec<u8>,
    /// Keyed blind index of the phone.
    pub phone_index: Option<Vec<u8>>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Stores people. One whose phone is known already is left out.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl ConnectionTrait, people: &[NewPerson]) -> Result<u64, StoreError> {
    let mut rows = Rows::new(7);
    for person in people {
        rows.push([
            person.id.into(),
            person.county.to_string().into(),
            person.surname.clone().into(),
            person.data_key.clone().into(),
            person.private.clone().into(),
            person.phone_index.clone().into(),
            person.created_at.into(),
        ]);
    }
    let into = "person (id, county, surname, data_key, private, phone_index, created_at)";
    rows.insert(conn, into, "ON CONFLICT DO NOTHING").await
}

/// A person by id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<PersonRow>, StoreError> {
    let text = "SELECT id, surname, data_key, private FROM person WHERE id = $1 AND county = $2";
    sql::one(conn, text, vec![id.into(), county.to_string().into()]).await
}

/// People by id, in no order.
///
/// # Errors
/// When the database fails.
pub async fn find_all(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    ids: &[Uuid],
) -> Result<Vec<PersonRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into()];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    let text = format!(
        "SELECT id, surname, data_key, private FROM person WHERE county = $1 AND id IN ({})",
        sql::list(2, ids.len())
    );
    sql::all(conn, &text, values).await
}

/// The person with this phone.
///
/// # Errors
/// When the database fails.
pub async fn find_by_phone(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    phone_index: &[u8],
) -> Result<Option<PersonRow>, StoreError> {
    let text = "SELECT id, surname, data_key, private FROM person WHERE county = $1 AND phone_index = $2";
    sql::one(conn, text, vec![county.to_string().into(), phone_index.to_vec().into()]).await
}

/// Binds a phone to a person, unless somebody else has it. Answers whether it was done.
///
/// # Errors
/// When the database fails.
pub async fn set_private(
    conn: &impl ConnectionTrait,
    id: Uuid,
    surname: &str,
    private: Vec<u8>,
    phone_index: Option<Vec<u8>>,
) -> Result<bool, StoreError> {
    let text = "UPDATE person SET surname = $2, private = $3, phone_index = $4 WHERE id = $1 AND NOT EXISTS \
                (SELECT 1 FROM person other WHERE other.county = person.county AND other.phone_index = $4 \
                AND other.id <> $1)";
    let values = vec![id.into(), surname.into(), private.into(), phone_index.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}

/// The person behind a WeChat openid.
///
/// # Errors
/// When the database fails.
pub async fn by_openid(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    openid: &str,
) -> Result<Option<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        person_id: Uuid,
    }
    let text = "SELECT person_id FROM wechat_identity WHERE county = $1 AND openid = $2";
    let found: Option<Found> = sql::one(conn, text, vec![county.to_string().into(), openid.into()]).await?;
    Ok(found.map(|found| found.person_id))
}

/// Remembers who an openid is; the first to do so wins. Answers whether it was us.
///
/// # Errors
/// When the database fails.
pub async fn insert_openid(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    identities: &[(String, Uuid)],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut rows = Rows::new(4);
    for (openid, person) in identities {
        rows.push([county.to_string().into(), openid.clone().into(), (*person).into(), now.into()]);
    }
    rows.insert(conn, "wechat_identity (county, openid, person_id, created_at)", "ON CONFLICT DO NOTHING")
        .await
}

pub(crate) const OPENID: &str =
    "SELECT openid FROM wechat_identity WHERE county = $1 AND person_id = $2 LIMIT 1";

/// The WeChat user that a person is, if he is one.
///
/// # Errors
/// When the database fails.
pub async fn openid_of(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<Option<String>, StoreError> {
    #[derive(FromQueryResult)]
    struct Known {
        openid: String,
    }
    let values = vec![county.to_string().into(), person.into()];
    let known: Option<Known> = sql::one(conn, OPENID, values).await?;
    Ok(known.map(|known| known.openid))
}

/// A staff account.
#[derive(Clone, Debug, FromQueryResult)]
pub struct AccountRow {
    /// Whose it is.
    pub person_id: Uuid,
    /// The argon2id hash, in PHC form.
    pub password_hash: String,
    /// Wrong passwords in a row.
    pub failed_count: i32,
    /// Until when it is locked.
    pub locked_until: Option<DateTime<Utc>>,
}

/// The account of a user name.
///
/// # Errors
/// When the database fails.
pub async fn account(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    username: &str,
) -> Result<Option<AccountRow>, StoreError> {
    let text = "SELECT person_id, password_hash, failed_count, locked_until FROM account \
                WHERE county = $1 AND username = $2";
    sql::one(conn, text, vec![county.to_string().into(), username.into()]).await
}

/// Stores staff accounts.
///
/// # Errors
/// When the database fails or a user name is taken.
pub async fn insert_accounts(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    accounts: &[(String, Uuid, String)],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut rows = Rows::new(6);
    for (username, person, hash) in accounts {
        rows.push([
            county.to_string().into(),
            username.clone().into(),
            (*person).into(),
            hash.clone().into(),
            0.into(),
            now.into(),
        ]);
    }
    rows.insert(conn, "account (county, username, person_id, password_hash, failed_count, created_at)", "")
        .await
}

/// Counts a log-in attempt: a wrong one up, a right one back to zero. Locks until `locked_until` from the `at_most`th
/// wrong one on.
///
/// # Errors
/// When the database fails.
pub async fn note_attempt(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    username: &str,
    right: bool,
    at_most: i32,
    locked_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = if right {
        "UPDATE account SET failed_count = 0, locked_until = NULL WHERE county = $1 AND username = $2"
    } else {
        "UPDATE account SET failed_count = CASE WHEN failed_count + 1 >= $3 THEN 0 ELSE failed_count + 1 END, \
         locked_until = CASE WHEN failed_count + 1 >= $3 THEN $4 ELSE locked_until END \
         WHERE county = $1 AND username = $2"
    };
    let mut values: Vec<Value> = vec![county.to_string().into(), username.into()];
    if !right {
        values.extend([at_most.into(), locked_until.into()]);
    }
    sql::run(conn, text, values).await?;
    Ok(())
}

/// A role to be given.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The id.
    pub id: Uuid,
    /// To whom.
    pub person: Uuid,
    /// What.
    pub grant: Grant,
}

/// Gives roles.
///
/// # Errors
/// When the database fails.
pub async fn insert_grants(
    conn: &impl ConnectionTrait,
    grants: &[NewGrant],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut rows = Rows::new(7);
    for new in grants {
        rows.push([
            new.id.into(),
            new.grant.area.county().to_string().into(),
            new.person.into(),
            new.grant.role.as_str().into(),
            new.grant.area.to_string().into(),
            new.grant.team.into(),
            now.into(),
        ]);
    }
    let into = "role_grant (id, county, person_id, role, area_code, team_id, granted_at)";
    rows.insert(conn, into, "").await
}

/// Active volunteers of a team, other than the ones named.
///
/// # Errors
/// When the database fails.
pub async fn volunteers_besides(
    conn: &impl ConnectionTrait,
    team: Uuid,
    without: &[Uuid],
) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        people: i64,
    }
    let mut values: Vec<Value> = vec![team.into()];
    values.extend(without.iter().map(|id| Value::from(*id)));
    let except = match without.len() {
        0 => String::new(),
        count => format!("AND person_id NOT IN ({})", sql::list(2, count)),
    };
    let text =
        format!("SELECT count(*) AS people FROM volunteer WHERE team_id = $1 AND status = 'active' {except}");
    Ok(sql::one::<Count>(conn, &text, values).await?.map_or(0, |count| count.people))
}

/// The team of an active volunteer.
///
/// # Errors
/// When the database fails.
pub async fn team_of(conn: &impl ConnectionTrait, volunteer: Uuid) -> Result<Option<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        team_id: Uuid,
    }
    let text = "SELECT team_id FROM volunteer WHERE person_id = $1 AND status = 'active'";
    Ok(sql::one::<Found>(conn, text, vec![volunteer.into()]).await?.map(|found| found.team_id))
}

/// The grid of an active volunteer.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn grid_of(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    volunteer: Uuid,
) -> Result<Option<AreaCode>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        grid_code: String,
    }
    let text = "SELECT grid_code FROM volunteer WHERE person_id = $1 AND county = $2 AND status = 'active'";
    let found: Option<Found> =
        sql::one(conn, text, vec![volunteer.into(), county.to_string().into()]).await?;
    found.map(|found| found.grid_code.parse().map_err(unreadable)).transpose()
}

/// What a badge says to a passer-by.
#[derive(Clone, Debug, FromQueryResult)]
pub struct BadgeRow {
    /// Whether the badge itself is in force.
    pub badge_status: String,
    /// Whether its bearer is in good standing.
    pub volunteer_status: String,
    /// The bearer's surname.
    pub surname: String,
    /// His team.
    pub team: String,
    /// The stars that were conferred on him, where he agreed that they stand here.
    pub stars: Option<i32>,
}

/// The badge of this number.
///
/// # Errors
/// When the database fails.
pub async fn badge(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: &str,
) -> Result<Option<BadgeRow>, StoreError> {
    let agreed = crate::consents::in_force("b.person_id", ConsentKind::StarsOnBadge);
    let text = format!(
        "SELECT b.status AS badge_status, v.status AS volunteer_status, p.surname, t.name AS team, \
         (SELECT max(a.stars) FROM star_award a WHERE a.person_id = b.person_id AND {agreed}) AS stars \
         FROM badge b JOIN volunteer v ON v.person_id = b.person_id JOIN person p ON p.id = b.person_id \
         JOIN team t ON t.id = v.team_id WHERE b.county = $1 AND b.number = $2"
    );
    sql::one(conn, &text, vec![county.to_string().into(), number.into()]).await
}

/// The badge number in force of a volunteer.
///
/// # Errors
/// When the database fails.
pub async fn badge_of(conn: &impl ConnectionTrait, person: Uuid) -> Result<Option<String>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        number: String,
    }
    let text = "SELECT number FROM badge WHERE person_id = $1 AND status = 'active'";
    Ok(sql::one::<Found>(conn, text, vec![person.into()]).await?.map(|found| found.number))
}

/// The grants in a text of `role|area|team` lines, as [`crate::sessions`] gathers them.
pub(crate) fn parse_grants(text: Option<&str>) -> Result<Vec<Grant>, StoreError> {
    text.unwrap_or_default().split(';').filter(|part| !part.is_empty()).map(parse_grant).collect()
}

fn parse_grant(part: &str) -> Result<Grant, StoreError> {
    let mut fields = part.split('|');
    let (role, area, team) = (fields.next(), fields.next(), fields.next());
    Ok(Grant {
        role: role.and_then(Role::parse).ok_or_else(|| unreadable("role"))?,
        area: area.and_then(|code| code.parse().ok()).ok_or_else(|| unreadable("area of a role"))?,
        team: team.filter(|team| !team.is_empty()).map(Uuid::parse_str).transpose().map_err(unreadable)?,
    })
}

/// The active volunteers of a team.
///
/// # Errors
/// When the database fails.
pub async fn members_of(conn: &impl ConnectionTrait, team: Uuid) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Member {
        person_id: Uuid,
    }
    let text = "SELECT person_id FROM volunteer WHERE team_id = $1 AND status = 'active'";
    let members: Vec<Member> = sql::all(conn, text, vec![team.into()]).await?;
    Ok(members.into_iter().map(|member| member.person_id).collect())
}

/// How many people have a data key: whoever was erased has none.
///
/// # Errors
/// When the database fails.
pub async fn count_with_keys(conn: &impl ConnectionTrait) -> Result<u64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        people: i64,
    }
    let text = "SELECT count(*) AS people FROM person WHERE data_key IS NOT NULL";
    let count: Option<Count> = sql::one(conn, text, Vec::new()).await?;
    Ok(count.map_or(0, |count| count.people.unsigned_abs()))
}

/// The wrapped data keys of people of all counties, by id, at most `limit` after one.
///
/// # Errors
/// When the database fails.
pub async fn data_keys_after(
    conn: &impl ConnectionTrait,
    after: Uuid,
    limit: u64,
) -> Result<Vec<(Uuid, Vec<u8>)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Wrapped {
        id: Uuid,
        data_key: Vec<u8>,
    }
    let text = format!(
        "SELECT id, data_key FROM person WHERE id > $1 AND data_key IS NOT NULL ORDER BY id LIMIT {limit}"
    );
    let rows: Vec<Wrapped> = sql::all(conn, &text, vec![after.into()]).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.data_key)).collect())
}

/// Puts data keys that were wrapped anew in the place of the old ones: person, old, new. Somebody who was erased
/// meanwhile stays erased. Answers how many were replaced.
///
/// # Errors
/// When the database fails.
pub async fn replace_data_keys(
    conn: &impl ConnectionTrait,
    changes: &[(Uuid, Vec<u8>, Vec<u8>)],
) -> Result<u64, StoreError> {
    let mut replaced = 0;
    for (person, old, new) in changes {
        let text = "UPDATE person SET data_key = $3 WHERE id = $1 AND data_key = $2";
        let values = vec![(*person).into(), old.clone().into(), new.clone().into()];
        replaced += sql::run(conn, text, values).await?;
    }
    Ok(replaced)
}
