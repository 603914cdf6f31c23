//! Thousands of people who are logged in: sessions written straight into the database, access tokens signed as the
//! server signs them. A bench with three residents would measure one row of `session`.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};
use uuid::Uuid;
use xingfuma_api::Tokens;
use xingfuma_app::clock::Clock;
use xingfuma_app::keys::{KeyTexts, Keys};

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) session: Uuid,
    /// What he shows to the product; to the floor he shows the session's id.
    pub(crate) token: String,
}

/// Everybody who is logged in, and who is in which team.
pub(crate) struct People {
    pub(crate) all: Vec<Person>,
    /// A dispatcher of a township, with the township's code.
    pub(crate) dispatcher: (Person, String),
    /// Every team's id.
    pub(crate) team_ids: Vec<Uuid>,
    places: HashMap<Uuid, usize>,
    teams: HashMap<Uuid, Vec<usize>>,
    tokens: Tokens,
    clock: Clock,
}

const LOG_IN: &str = "INSERT INTO session (id, county, person_id, created_at, expires_at, refresh_hash) \
    SELECT gen_random_uuid(), county, id, now(), now() + interval '90 days', '\\x00' FROM person \
    WHERE id = ANY ($1) RETURNING id, person_id";
const VOLUNTEERS: &str =
    "SELECT team_id, person_id FROM volunteer WHERE status = 'active' ORDER BY person_id";
const DISPATCHER: &str = "SELECT person_id, area_code FROM role_grant WHERE role = 'dispatcher' \
    AND length(area_code) = 9 AND revoked_at IS NULL ORDER BY area_code LIMIT 1";

impl People {
    /// Logs every volunteer in: each is a resident of his grid as well.
    pub(crate) async fn log_in(county: &Client, settings: &[(String, String)]) -> People {
        let members = county.query(VOLUNTEERS, &[]).await.expect("volunteers are read");
        let ids: Vec<Uuid> = members.iter().map(|row| row.get(1)).collect();
        let all = log_in(county, &ids).await;
        let places: HashMap<Uuid, usize> = all.iter().enumerate().map(|(n, person)| (person.id, n)).collect();
        let mut teams: HashMap<Uuid, Vec<usize>> = HashMap::new();
        for row in &members {
            teams.entry(row.get(0)).or_default().push(places[&row.get(1)]);
        }
        let mut team_ids: Vec<Uuid> = teams.keys().copied().collect();
        team_ids.sort_unstable();
        let row = county.query_one(DISPATCHER, &[]).await.expect("a dispatcher of a township");
        let dispatcher = (log_in(county, &[row.get(0)]).await.remove(0), row.get(1));
        let (tokens, clock) = (signer(settings), Clock::system());
        let mut people = People { all, dispatcher, team_ids, places, teams, tokens, clock };
        people.renew();
        people
    }

    /// Signs fresh tokens: they are good for minutes, and a bench takes longer.
    pub(crate) fn renew(&mut self) {
        let now = self.clock.now();
        for person in self.all.iter_mut().chain([&mut self.dispatcher.0]) {
            person.token = self.tokens.sign(person.id, person.session, now).expect("a token");
        }
    }

    /// The `n`th of a walk that meets everybody before it meets anybody twice.
    pub(crate) fn nth(&self, n: usize) -> &Person {
        // A prime that divides no number of people near 30,000.
        &self.all[n.wrapping_mul(7_919) % self.all.len()]
    }

    /// Somebody by id.
    pub(crate) fn find(&self, id: Uuid) -> &Person {
        self.places
            .get(&id)
            .map(|place| &self.all[*place])
            .unwrap_or_else(|| panic!("{id} has not logged in"))
    }

    /// Somebody of a team, another one for another `n`; nobody serves himself.
    pub(crate) fn of_team(&self, team: Uuid, n: usize, requester: Uuid) -> &Person {
        let members = self.teams.get(&team).unwrap_or_else(|| panic!("nobody is in the team {team}"));
        let first = &self.all[members[n % members.len()]];
        if first.id == requester { &self.all[members[(n + 1) % members.len()]] } else { first }
    }
}

async fn log_in(county: &Client, ids: &[Uuid]) -> Vec<Person> {
    let rows = county.query(LOG_IN, &[&ids]).await.expect("sessions are written");
    let person = |row: &Row| Person { session: row.get(0), id: row.get(1), token: String::new() };
    rows.iter().map(person).collect()
}

/// Signs as the server does, with the fleet's keys.
fn signer(settings: &[(String, String)]) -> Tokens {
    let key = |name: &str| {
        let setting = format!("XINGFUMA_KEYS__{name}");
        let found = settings.iter().find(|(name, _)| *name == setting);
        found.unwrap_or_else(|| panic!("{setting} is not set")).1.clone()
    };
    let texts =
        KeyTexts { data: key("DATA"), token: key("TOKEN"), index: key("INDEX"), ..KeyTexts::default() };
    Tokens::new(Keys::load(&texts).expect("the fleet's keys").token())
}
