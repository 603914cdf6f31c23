//! The county in memory: areas, teams, categories, signs. Read whole at the start and again when its stamp moves, so
//! that placing an order or scanning a sign asks the database nothing about them.

use std::collections::HashMap;

use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::{TimeLimits, Urgency};
use xingfuma_domain::dispatch::{AssignMode, Roster, TeamKind};
use xingfuma_domain::order::Kind;
use xingfuma_domain::sign::SignCode;
use xingfuma_store::directory::{CategoryRow, Rows, TeamRow};
use xingfuma_store::whistles::DepartmentRow;

use crate::error::AppError;

/// A category.
#[derive(Clone, Debug)]
pub struct Category {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Service or report.
    pub kind: Kind,
    /// Its usual urgency.
    pub urgency: Urgency,
    /// The skill it asks for.
    pub skill: String,
    /// How it is handed to a team.
    pub assign: AssignMode,
    /// One has to arrive before completing.
    pub needs_arrival: bool,
    /// Photos are asked for.
    pub needs_photo: bool,
    limits: Option<TimeLimits>,
}

impl Category {
    /// Its time limits at an urgency: its own at its usual one, the county's otherwise.
    pub fn limits(&self, urgency: Urgency) -> TimeLimits {
        match &self.limits {
            Some(own) if urgency == self.urgency => *own,
            _ => TimeLimits::default_for(urgency),
        }
    }
}

/// A team.
#[derive(Clone, Debug)]
pub struct Team {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: TeamKind,
    /// Its skills.
    pub skills: Vec<String>,
    /// Its leader.
    pub leader: Option<Uuid>,
    /// Active volunteers.
    pub volunteers: i64,
    /// Who is on duty when, and how much one may hold.
    pub roster: Roster,
    /// What it covers.
    pub areas: Vec<AreaCode>,
}

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The grid.
    pub area: AreaCode,
    /// Whether it is in force.
    pub active: bool,
}

/// An area's name.
#[derive(Clone, Debug)]
pub struct AreaName {
    /// The name.
    pub name: String,
    /// Whether it is invented.
    pub sample: bool,
}

/// The county.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The stamp that it was read under.
    pub stamp: i64,
    /// The county's code.
    pub county: AreaCode,
    /// The hotline.
    pub hotline: String,
    areas: HashMap<AreaCode, AreaName>,
    teams: HashMap<Uuid, Team>,
    coverage: HashMap<AreaCode, Vec<Uuid>>,
    categories: Vec<Category>,
    signs: HashMap<SignCode, Sign>,
    departments: Vec<DepartmentRow>,
}

impl Directory {
    /// Builds it from its rows.
    ///
    /// # Errors
    /// [`AppError::Internal`] names the row that cannot be read.
    pub fn new(rows: Rows) -> Result<Directory, AppError> {
        let bad = |what: &str, id: &str| AppError::Internal(format!("{what} {id} cannot be read"));
        let code = |text: &str| text.parse::<AreaCode>().map_err(|_| bad("area", text));
        let mut areas = HashMap::with_capacity(rows.areas.len());
        for row in rows.areas {
            areas.insert(code(&row.code)?, AreaName { name: row.name, sample: row.sample });
        }
        let mut teams: HashMap<Uuid, Team> = HashMap::with_capacity(rows.teams.len());
        for row in rows.teams {
            let id = row.id;
            teams.insert(id, team(row).ok_or_else(|| bad("team", &id.to_string()))?);
        }
        let mut coverage: HashMap<AreaCode, Vec<Uuid>> = HashMap::new();
        for row in rows.coverage {
            let Some(team) = teams.get_mut(&row.team_id) else { continue };
            let area = code(&row.area_code)?;
            team.areas.push(area);
            coverage.entry(area).or_default().push(row.team_id);
        }
        let mut categories = Vec::with_capacity(rows.categories.len());
        for row in rows.categories {
            let name = row.code.clone();
            categories.push(category(row).ok_or_else(|| bad("category", &name))?);
        }
        let mut signs = HashMap::with_capacity(rows.signs.len());
        for row in rows.signs {
            let sign = row.code.parse().map_err(|_| bad("sign", &row.code))?;
            signs.insert(sign, Sign { area: code(&row.area_code)?, active: row.status == "active" });
        }
        let county = code(&rows.county.code)?;
        Ok(Directory {
            stamp: rows.stamp,
            county,
            hotline: rows.county.hotline,
            areas,
            teams,
            coverage,
            categories,
            signs,
            departments: rows.departments,
        })
    }

    /// An area of the county.
    pub fn area(&self, code: AreaCode) -> Option<&AreaName> {
        self.areas.get(&code)
    }

    /// The names from the county down to the area.
    pub fn path(&self, code: AreaCode) -> Vec<String> {
        let mut names: Vec<String> =
            code.ancestors().filter_map(|code| self.areas.get(&code)).map(|area| area.name.clone()).collect();
        names.reverse();
        names
    }

    /// A category by code.
    pub fn category(&self, code: &str) -> Option<&Category> {
        self.categories.iter().find(|category| category.code == code)
    }

    /// All categories, in order.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// A team.
    pub fn team(&self, id: Uuid) -> Option<&Team> {
        self.teams.get(&id)
    }

    /// All departments that can be called.
    pub fn departments(&self) -> &[DepartmentRow] {
        &self.departments
    }

    /// A department's name.
    pub fn department(&self, id: Uuid) -> Option<&str> {
        self.departments.iter().find(|one| one.id == id).map(|one| one.name.as_str())
    }

    /// A sign.
    pub fn sign(&self, code: &SignCode) -> Option<Sign> {
        self.signs.get(code).copied()
    }

    /// Every team that covers a place, with the nearest area by which it does.
    pub fn teams_covering(&self, place: AreaCode) -> Vec<(&Team, AreaCode)> {
        let mut found: Vec<(&Team, AreaCode)> = Vec::new();
        for area in place.ancestors() {
            for id in self.coverage.get(&area).into_iter().flatten() {
                if !found.iter().any(|(team, _)| team.id == *id)
                    && let Some(team) = self.teams.get(id)
                {
                    found.push((team, area));
                }
            }
        }
        found
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn named<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

fn team(row: TeamRow) -> Option<Team> {
    Some(Team {
        id: row.id,
        kind: named(&row.kind)?,
        skills: words(&row.skills),
        name: row.name,
        leader: row.leader_id,
        volunteers: row.volunteers,
        roster: row
            .roster
            .map_or_else(|| Some(Roster::default()), |roster| serde_json::from_str(&roster).ok())?,
        areas: Vec::new(),
    })
}

fn category(row: CategoryRow) -> Option<Category> {
    let limits = row.limits.map(|limits| serde_json::from_str(&limits)).transpose().ok()?;
    Some(Category {
        kind: named(&row.kind)?,
        urgency: named(&row.urgency)?,
        code: row.code,
        name: row.name,
        skill: row.skill,
        assign: named(&row.assign)?,
        needs_arrival: row.needs_arrival,
        needs_photo: row.needs_photo,
        limits,
    })
}
