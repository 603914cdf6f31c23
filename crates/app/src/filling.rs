//! Filling in the default county: the sample data of `xingfuma demo`, in one transaction. A second start finds it there;
//! a start that was cut off leaves nothing.

use std::collections::HashMap;

use uuid::Uuid;
use xingfuma_domain::access::{Grant, Role};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_store::people::{NewGrant, NewPerson};
use xingfuma_store::seed::{self, NewCategory, NewTeam, NewVolunteer};
use xingfuma_store::{DatabaseTransaction, Store, StoreError, directory, people, transact, whistles};

use crate::AppError;
use crate::clock::{Clock, Ids};
use crate::county::{County, Staff};
use crate::keys::{DataKey, Keys};
use crate::log_in::hash_password;
use crate::privacy::{PersonPrivate, Private};

/// How somebody of the demo logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemoLogIn {
    /// With a WeChat code of the sandbox.
    WeChat {
        /// The code; it may be used again.
        code: String,
        /// The openid behind it.
        openid: String,
        /// The phone that the same code gives where a phone is asked for: his own.
        phone: String,
    },
    /// With a password.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
}

/// An account of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoAccount {
    /// The role.
    pub role: Role,
    /// The area of the role.
    pub area: AreaCode,
    /// The name.
    pub name: String,
    /// How to log in.
    pub log_in: DemoLogIn,
}

/// What is told while it goes on: what, how much of it is done, of how much.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Sync);

/// The county's hotline in the sample data: a number that nobody has.
pub const SAMPLE_HOTLINE: &str = "0354-0001234";

/// The password of demo staff. There is no default account outside the demo: it is stored only where the demo is.
const DEMO_PASSWORD: &str = "demo-xingfuma-2026";
/// People sealed between two words of progress.
const STEP: usize = 1_000;

/// The demo's accounts: the same for the same county, so that they can be told without asking the database.
pub fn demo_accounts(county: &County) -> Vec<DemoAccount> {
    let grid = county.teams[0].areas[0];
    let mut accounts = Vec::new();
    for (n, resident) in county.residents.iter().take(3).enumerate() {
        let name = format!("resident-{}", n + 1);
        accounts.push(wechat(Role::Resident, grid, &resident.name, resident.phone.as_str(), &name));
    }
    let members = county.volunteers.iter().filter(|one| one.team == 0);
    for (n, volunteer) in members.take(4).enumerate() {
        let (role, name) = match n {
            0 => (Role::GridLeader, "grid-leader-1".to_owned()),
            n => (Role::Volunteer, format!("volunteer-{n}")),
        };
        accounts.push(wechat(role, volunteer.grid, &volunteer.name, volunteer.phone.as_str(), &name));
    }
    accounts.extend(demo_staff(county, grid));
    accounts
}

fn wechat(role: Role, area: AreaCode, name: &str, phone: &str, code: &str) -> DemoAccount {
    let log_in = DemoLogIn::WeChat {
        code: format!("demo-{code}"),
        openid: format!("demo-openid-{code}"),
        phone: phone.to_owned(),
    };
    DemoAccount { role, area, name: name.to_owned(), log_in }
}

fn demo_staff(county: &County, grid: AreaCode) -> Vec<DemoAccount> {
    let village = grid.ancestor_at(Level::Village);
    let shown = |staff: &Staff| match staff.role {
        Role::Dispatcher => staff.area.level() == Level::Township || Some(staff.area) == village,
        Role::Operator | Role::CountyAdmin | Role::Auditor | Role::Department => true,
        _ => false,
    };
    usernames(county)
        .into_iter()
        .zip(&county.staff)
        .filter(|(_, staff)| shown(staff))
        .map(|(username, staff)| DemoAccount {
            role: staff.role,
            area: staff.area,
            name: staff.name.clone(),
            log_in: DemoLogIn::Password { username, password: DEMO_PASSWORD.to_owned() },
        })
        .collect()
}

/// The names by which the staff log in, in its order. Departments of one county are numbered.
fn usernames(county: &County) -> Vec<String> {
    let mut departments = 0;
    let name = |staff: &Staff| {
        let name = format!("{}-{}", staff.role.as_str().replace('_', "-"), staff.area);
        if staff.role != Role::Department {
            return name;
        }
        departments += 1;
        format!("{name}-{departments}")
    };
    county.staff.iter().map(name).collect()
}

/// Everything that is stored, made ready before the transaction begins.
struct Rows {
    people: Vec<NewPerson>,
    grants: Vec<NewGrant>,
    openids: Vec<(String, Uuid)>,
    accounts: Vec<(String, Uuid, String)>,
    teams: Vec<NewTeam>,
    volunteers: Vec<NewVolunteer>,
    departments: Vec<(Uuid, String)>,
}

impl Rows {
    /// The department of this name, made where it is not there yet.
    fn department(&mut self, maker: &Maker<'_>, name: &str) -> Uuid {
        if let Some((id, _)) = self.departments.iter().find(|(_, known)| known == name) {
            return *id;
        }
        let id = maker.ids.id(maker.now);
        self.departments.push((id, name.to_owned()));
        id
    }
}

struct Maker<'a> {
    keys: &'a Keys,
    ids: &'a Ids,
    now: chrono::DateTime<chrono::Utc>,
    county: AreaCode,
}

impl Maker<'_> {
    fn person(&self, name: &str, phone: Option<&str>) -> (Uuid, NewPerson) {
        let id = self.ids.id(self.now);
        let (key, data_key): (DataKey, Vec<u8>) = self.keys.new_data_key(id, self.ids);
        let private = PersonPrivate { name: Some(name.to_owned()), phone: phone.map(str::to_owned) };
        let new = NewPerson {
            id,
            county: self.county,
            surname: xingfuma_domain::masking::surname(name).to_owned(),
            data_key,
            private: private.seal(&key, id, self.ids),
            phone_index: phone.map(|phone| self.keys.phone_index(phone)),
            created_at: self.now,
        };
        (id, new)
    }

    fn grant(&self, person: Uuid, role: Role, area: AreaCode, team: Option<Uuid>) -> NewGrant {
        NewGrant { id: self.ids.id(self.now), person, grant: Grant { role, area, team } }
    }
}

/// Fills the county in, unless it is there. Answers whether it was filled in now.
///
/// # Errors
/// When the database fails; then nothing is stored.
pub async fn fill_in(
    store: &Store,
    keys: &Keys,
    county: &County,
    progress: Progress<'_>,
) -> Result<bool, AppError> {
    if seed::is_done(store.pool(), county.code).await? {
        return Ok(false);
    }
    let (clock, ids) = (Clock::system(), Ids::from_system());
    let maker = Maker { keys, ids: &ids, now: clock.now(), county: county.code };
    let rows = rows(&maker, county, progress)?;
    progress("写入数据库", 0, 1);
    let (now, plan) = (maker.now, plan(county));
    let written: Result<(), StoreError> =
        transact(store, move |conn| Box::pin(async move { write(conn, plan, rows, now).await })).await;
    written?;
    seed::know_the_tables(store).await?;
    progress("写入数据库", 1, 1);
    Ok(true)
}

fn rows(maker: &Maker<'_>, county: &County, progress: Progress<'_>) -> Result<Rows, AppError> {
    let accounts = demo_accounts(county);
    let mut rows = Rows {
        people: Vec::with_capacity(county.volunteers.len() + county.staff.len() + county.residents.len()),
        grants: Vec::with_capacity(county.volunteers.len() + county.staff.len()),
        openids: Vec::new(),
        accounts: Vec::new(),
        teams: Vec::new(),
        departments: Vec::new(),
        volunteers: Vec::with_capacity(county.volunteers.len()),
    };
    let teams: Vec<Uuid> = county.teams.iter().map(|_| maker.ids.id(maker.now)).collect();
    let people = volunteers(maker, county, &teams, &mut rows, progress);
    rows.teams = county
        .teams
        .iter()
        .map(|team| NewTeam {
            id: teams[team.index],
            name: team.name.clone(),
            kind: kind_name(team.kind),
            skills: team.skills.clone(),
            leader: people.get(team.leader).copied(),
            areas: team.areas.clone(),
        })
        .collect();
    residents_and_staff(maker, county, &mut rows, &accounts)?;
    openids(county, &accounts, &people, &mut rows);
    Ok(rows)
}

fn kind_name(kind: xingfuma_domain::dispatch::TeamKind) -> &'static str {
    use xingfuma_domain::dispatch::TeamKind;
    match kind {
        TeamKind::Grid => "grid",
        TeamKind::Special => "special",
        TeamKind::Enforcement => "enforcement",
    }
}

fn volunteers(
    maker: &Maker<'_>,
    county: &County,
    teams: &[Uuid],
    rows: &mut Rows,
    progress: Progress<'_>,
) -> Vec<Uuid> {
    let total = county.volunteers.len() as u64;
    let leaders: HashMap<usize, usize> = county.teams.iter().map(|team| (team.leader, team.index)).collect();
    let mut ids = Vec::with_capacity(county.volunteers.len());
    for (n, volunteer) in county.volunteers.iter().enumerate() {
        let (id, person) = maker.person(&volunteer.name, Some(volunteer.phone.as_str()));
        let team = teams[volunteer.team];
        rows.people.push(person);
        rows.grants.push(maker.grant(id, Role::Volunteer, volunteer.grid, Some(team)));
        if let Some(led) = leaders.get(&volunteer.index) {
            rows.grants.push(maker.grant(id, Role::GridLeader, volunteer.grid, Some(teams[*led])));
        }
        rows.volunteers.push(NewVolunteer {
            person: id,
            team,
            grid: volunteer.grid,
            badge: volunteer.badge.to_string(),
            skills: volunteer.skills.clone(),
        });
        ids.push(id);
        if n % STEP == 0 {
            progress("登记志愿者", n as u64, total);
        }
    }
    progress("登记志愿者", total, total);
    ids
}

fn residents_and_staff(
    maker: &Maker<'_>,
    county: &County,
    rows: &mut Rows,
    accounts: &[DemoAccount],
) -> Result<(), AppError> {
    for (n, resident) in county.residents.iter().enumerate() {
        let (id, person) = maker.person(&resident.name, Some(resident.phone.as_str()));
        rows.people.push(person);
        if let Some(DemoAccount { role: Role::Resident, log_in: DemoLogIn::WeChat { openid, .. }, .. }) =
            accounts.get(n)
        {
            rows.openids.push((openid.clone(), id));
        }
    }
    // One hash serves all demo accounts: the password is the same and printed anyway.
    let hash = hash_password(DEMO_PASSWORD, &maker.ids.bytes::<16>())?;
    let shown = |name: &str| {
        accounts.iter().any(
            |account| matches!(&account.log_in, DemoLogIn::Password { username, .. } if username == name),
        )
    };
    for (name, staff) in usernames(county).into_iter().zip(&county.staff) {
        let (id, person) = maker.person(&staff.name, None);
        rows.people.push(person);
        let department = staff.department.as_ref().map(|name| rows.department(maker, name));
        rows.grants.push(maker.grant(id, staff.role, staff.area, department));
        if shown(&name) {
            rows.accounts.push((name, id, hash.clone()));
        }
    }
    Ok(())
}

fn openids(county: &County, accounts: &[DemoAccount], people: &[Uuid], rows: &mut Rows) {
    let members = county.volunteers.iter().filter(|one| one.team == 0);
    let serving =
        accounts.iter().filter(|account| matches!(account.role, Role::GridLeader | Role::Volunteer));
    for (volunteer, account) in members.zip(serving) {
        if let DemoLogIn::WeChat { openid, .. } = &account.log_in {
            rows.openids.push((openid.clone(), people[volunteer.index]));
        }
    }
}

/// The rows that need neither keys nor ids.
struct Plan {
    code: AreaCode,
    name: String,
    areas: Vec<(AreaCode, String, bool)>,
    signs: Vec<(String, AreaCode)>,
    categories: Vec<NewCategory>,
}

fn plan(county: &County) -> Plan {
    Plan {
        code: county.code,
        name: county.areas.first().map(|area| area.name.clone()).unwrap_or_default(),
        areas: county.areas.iter().map(|area| (area.code, area.name.clone(), area.sample)).collect(),
        signs: county.signs.iter().map(|sign| (sign.code.to_string(), sign.area)).collect(),
        categories: county
            .categories
            .iter()
            .map(|category| NewCategory {
                code: category.code.to_string(),
                name: category.name.to_string(),
                kind: named(&category.kind),
                urgency: named(&category.urgency),
                skill: category.skill.to_string(),
                assign: named(&category.assign),
                needs_arrival: category.needs_arrival,
                needs_photo: category.needs_photo,
                limits: category.limits.as_ref().and_then(|limits| serde_json::to_string(limits).ok()),
            })
            .collect(),
    }
}

/// The JSON name of an enum's value.
fn named(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

async fn write(
    conn: &DatabaseTransaction,
    plan: Plan,
    rows: Rows,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    seed::county(conn, plan.code, &plan.name, SAMPLE_HOTLINE, now).await?;
    seed::areas(conn, &plan.areas).await?;
    seed::categories(conn, plan.code, &plan.categories).await?;
    seed::teams(conn, plan.code, &rows.teams).await?;
    people::insert(conn, &rows.people).await?;
    people::insert_grants(conn, &rows.grants, now).await?;
    people::insert_openid(conn, plan.code, &rows.openids, now).await?;
    people::insert_accounts(conn, plan.code, &rows.accounts, now).await?;
    seed::volunteers(conn, &rows.volunteers, now).await?;
    seed::signs(conn, &plan.signs, now).await?;
    whistles::insert_departments(conn, plan.code, &rows.departments).await?;
    directory::touch(conn, plan.code).await
}
