//! The floor's statements, one a round trip, each prepared once a connection.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::{Client, Error, Row, Statement};
use uuid::Uuid;

use crate::sample::{Life, Posting, Step};

const SESSION: &str = "SELECT s.person_id, s.county, p.surname, p.data_key, p.private, \
    (SELECT string_agg(g.role || '|' || g.area_code || '|' || coalesce(g.team_id::text, ''), ';') FROM role_grant g \
    WHERE g.person_id = s.person_id AND g.revoked_at IS NULL) FROM session s JOIN person p ON p.id = s.person_id \
    WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND p.erased_at IS NULL";
const WHOLE: &str = "SELECT o.number, o.snapshot, o.description, o.private, o.wished_from, o.wished_to, \
    p.data_key, (SELECT '[' || string_agg(e.record, ',' ORDER BY e.seq) || ']' FROM order_event e \
    WHERE e.order_id = o.id) FROM orders o LEFT JOIN person p ON p.id = o.requester_id WHERE o.id = $1";
const ONE: &str = "SELECT o.number, o.snapshot, o.description, o.private, o.wished_from, o.wished_to FROM orders o \
    WHERE o.id = $1";
const KEEP: &str = "INSERT INTO idempotency (key, county, fingerprint, status, body, resource_id, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ORDER: &str = "INSERT INTO orders (id, county, number, requester_id, placed_by, area_code, category, placed_at, \
    status, version, epoch, snapshot, description, private) \
    VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const EVENT: &str = "INSERT INTO order_event (order_id, seq, county, at, record) VALUES ($1, $2, $3, $4, $5)";
const DUE: &str = "INSERT INTO due (order_id, county, area_code, kind, wake_at, epoch, team_id, volunteer_id, \
    failures) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, \
    wake_at = excluded.wake_at, epoch = excluded.epoch, team_id = excluded.team_id, \
    volunteer_id = excluded.volunteer_id, leased_until = NULL, failures = 0, dead = NULL";
const MOVE: &str = "UPDATE orders SET status = $1, version = $2, epoch = $3, snapshot = $4 \
    WHERE id = $5 AND version = $6";
const LOADS: &str = "SELECT team_id, count(*) FROM due WHERE team_id = $1 GROUP BY team_id";
const DECISION: &str = "INSERT INTO dispatch_decision (order_id, seq, county, epoch, team_id, decided_at, question, \
    answer) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const ENGAGEMENT: &str = "INSERT INTO engagement (person_id, order_id, epoch, county, team_id, accepted_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";
const AUDIT: &str = "INSERT INTO audit (id, county, at, person_id, action, resource_id, subject_id) \
    VALUES ($1, $2, $3, $4, 'contact_opened', $5, $4)";
const NOTIFY: &str = "INSERT INTO notification (order_id, seq, audience, county, topic, data, created_at) \
    SELECT $1::uuid, $2::int8, audience, $3::text, topic, data, $4::timestamptz FROM unnest($5::text[], $6::text[], $7::text[]) \
    AS told (audience, topic, data)";
const CAP: &str = "INSERT INTO score_cap (person_id, rule_code, month, county, points, granted) \
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (person_id, rule_code, month) \
    DO UPDATE SET points = score_cap.points + excluded.points, granted = excluded.granted";
const TRANSACTION: &str = "INSERT INTO score_transaction (id, county, cause, source_type, source_id, rule_code, \
    rule_version, inputs, area_code, at) VALUES ($1, $2, $3, 'order', $4, $5, $6, $7, $8, $9)";
const ENTRIES: &str = "INSERT INTO score_entry (id, transaction_id, county, kind, purse, owner_id, points, seq, hash) \
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::int8[], \
    $8::int8[], $9::bytea[])";
const BALANCES: &str = "INSERT INTO score_account (county, owner_id, kind, purse, balance, seq, head) \
    SELECT *, 1, sha256('leaf') FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::int8[]) \
    ON CONFLICT (county, owner_id, kind, purse) DO UPDATE SET balance = score_account.balance + excluded.balance, \
    seq = score_account.seq + 1, head = sha256(score_account.head || excluded.head) RETURNING kind, purse, seq, head";

/// Added to the moment in microseconds: numbers go up and are given once, also after a restart.
static NEXT_NUMBER: AtomicI64 = AtomicI64::new(0);

/// A connection with its statements.
pub(super) struct Statements {
    client: Client,
    session: Statement,
    whole: Statement,
    one: Statement,
    keep: Statement,
    order: Statement,
    event: Statement,
    due: Statement,
    moves: Statement,
    loads: Statement,
    decision: Statement,
    engagement: Statement,
    audit: Statement,
    notify: Statement,
    cap: Statement,
    transaction: Statement,
    entries: Statement,
    balances: Statement,
}

/// Accept, complete or rate.
pub(super) struct Command<'c> {
    pub(super) step: usize,
    pub(super) order: Uuid,
    pub(super) person: Uuid,
    pub(super) key: &'c [u8],
    /// A fresh id.
    pub(super) next: Uuid,
    pub(super) now: DateTime<Utc>,
}

impl Statements {
    pub(super) async fn prepare(client: Client) -> Result<Statements, Error> {
        Ok(Statements {
            session: client.prepare(SESSION).await?,
            whole: client.prepare(WHOLE).await?,
            one: client.prepare(ONE).await?,
            keep: client.prepare(KEEP).await?,
            order: client.prepare(ORDER).await?,
            event: client.prepare(EVENT).await?,
            due: client.prepare(DUE).await?,
            moves: client.prepare(MOVE).await?,
            loads: client.prepare(LOADS).await?,
            decision: client.prepare(DECISION).await?,
            engagement: client.prepare(ENGAGEMENT).await?,
            audit: client.prepare(AUDIT).await?,
            notify: client.prepare(NOTIFY).await?,
            cap: client.prepare(CAP).await?,
            transaction: client.prepare(TRANSACTION).await?,
            entries: client.prepare(ENTRIES).await?,
            balances: client.prepare(BALANCES).await?,
            client,
        })
    }

    /// Whose session it is.
    pub(super) async fn session(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Uuid>, Error> {
        Ok(self.client.query_opt(&self.session, &[&id, &now]).await?.map(|row| row.get(0)))
    }

    /// An order with its events.
    pub(super) async fn whole(&self, id: Uuid) -> Result<Row, Error> {
        self.client.query_one(&self.whole, &[&id]).await
    }

    pub(super) async fn place(
        &self,
        life: &Life,
        id: Uuid,
        person: Uuid,
        key: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let step = &life.steps[0];
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed) + now.timestamp_micros();
        self.client.batch_execute("BEGIN").await?;
        self.keep(life, step, key, id, now).await?;
        self.client
            .execute(
                &self.order,
                &[
                    &id,
                    &life.county,
                    &number,
                    &person,
                    &life.area,
                    &life.category,
                    &now,
                    &step.status,
                    &step.version,
                    &step.epoch,
                    &step.snapshot,
                    &life.description,
                    &life.private,
                ],
            )
            .await?;
        self.event(life, step, id, now).await?;
        self.due(life, step, id, None, None, now).await?;
        self.client.batch_execute("COMMIT").await
    }

    pub(super) async fn dispatch(
        &self,
        life: &Life,
        id: Uuid,
        team: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let step = &life.steps[1];
        self.client.query_one(&self.one, &[&id]).await?;
        self.client.query(&self.loads, &[&team]).await?;
        self.client.batch_execute("BEGIN").await?;
        self.moves(step, id).await?;
        self.event(life, step, id, now).await?;
        self.due(life, step, id, Some(team), None, now).await?;
        let (question, answer) = step.decision.clone().unwrap_or_default();
        self.client
            .execute(
                &self.decision,
                &[&id, &step.version, &life.county, &step.epoch, &Some(team), &now, &question, &answer],
            )
            .await?;
        self.notify(life, step, id, id, now).await?;
        self.client.batch_execute("COMMIT").await
    }

    pub(super) async fn command(&self, life: &Life, command: &Command<'_>) -> Result<(), Error> {
        let (step, id, now) = (&life.steps[command.step], command.order, command.now);
        self.whole(id).await?;
        self.client.batch_execute("BEGIN").await?;
        self.keep(life, step, command.key, id, now).await?;
        self.moves(step, id).await?;
        self.event(life, step, id, now).await?;
        let open = step.status == "accepted";
        self.due(life, step, id, open.then_some(command.person), open.then_some(command.person), now).await?;
        if open {
            let county = &life.county;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&command.person, &id, &step.epoch, county, &command.person, &now];
            self.client.execute(&self.engagement, &values).await?;
        }
        self.notify(life, step, id, command.person, now).await?;
        if open {
            let county = &life.county;
            self.client.execute(&self.audit, &[&command.next, county, &now, &command.person, &id]).await?;
        }
        for posting in &step.postings {
            self.post(life, posting, command).await?;
        }
        self.client.batch_execute("COMMIT").await
    }

    async fn keep(
        &self,
        life: &Life,
        step: &Step,
        key: &[u8],
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let fingerprint = [7_u8; 32];
        self.client
            .execute(&self.keep, &[&key, &life.county, &&fingerprint[..], &200_i32, &step.kept, &id, &now])
            .await?;
        Ok(())
    }

    async fn moves(&self, step: &Step, id: Uuid) -> Result<(), Error> {
        let before = step.version - 1;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&step.status, &step.version, &step.epoch, &step.snapshot, &id, &before];
        let moved = self.client.execute(&self.moves, &values).await?;
        assert_eq!(moved, 1, "the floor moves every order once");
        Ok(())
    }

    async fn event(&self, life: &Life, step: &Step, id: Uuid, now: DateTime<Utc>) -> Result<(), Error> {
        self.client.execute(&self.event, &[&id, &step.version, &life.county, &now, &step.record]).await?;
        Ok(())
    }

    async fn due(
        &self,
        life: &Life,
        step: &Step,
        id: Uuid,
        team: Option<Uuid>,
        volunteer: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let wake_at = now + TimeDelta::milliseconds((step.due_after_seconds * 1_000.0) as i64);
        self.client
            .execute(
                &self.due,
                &[&id, &life.county, &life.area, &step.due_kind, &wake_at, &step.epoch, &team, &volunteer],
            )
            .await?;
        Ok(())
    }

    async fn notify(
        &self,
        life: &Life,
        step: &Step,
        id: Uuid,
        who: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        // Each to somebody else, as the product tells several people of one step.
        let audience = |(n, told): (u128, &(String, String, bool))| {
            format!("{}:{}", if told.2 { "team" } else { "person" }, Uuid::from_u128(who.as_u128() ^ n))
        };
        let audiences: Vec<String> = (0..).zip(&step.notifications).map(audience).collect();
        let topics: Vec<&str> = step.notifications.iter().map(|told| told.0.as_str()).collect();
        let data: Vec<&str> = step.notifications.iter().map(|told| told.1.as_str()).collect();
        self.client
            .execute(&self.notify, &[&id, &step.version, &life.county, &now, &audiences, &topics, &data])
            .await?;
        Ok(())
    }

    async fn post(&self, life: &Life, posting: &Posting, command: &Command<'_>) -> Result<(), Error> {
        let (person, id, county) = (command.person, command.next, &life.county);
        let points: i64 =
            posting.entries.iter().filter(|entry| entry.2).map(|entry| entry.3).sum::<i64>() / 2;
        self.client
            .execute(&self.cap, &[&person, &posting.rule_code, &posting.month, county, &points])
            .await?;
        self.client
            .execute(
                &self.transaction,
                &[
                    &id,
                    county,
                    &posting.cause,
                    &command.order,
                    &posting.rule_code,
                    &posting.rule_version,
                    &posting.inputs,
                    &life.area,
                    &command.now,
                ],
            )
            .await?;
        let links = self.balances(life, posting, person).await?;
        self.entries(life, posting, person, id, &links).await
    }

    /// Where the person's accounts stand then: kind, purse, place in the chain, and its head.
    async fn balances(&self, life: &Life, posting: &Posting, person: Uuid) -> Result<Vec<Row>, Error> {
        let owned: Vec<_> = posting.entries.iter().filter(|entry| entry.2).collect();
        let kinds: Vec<&str> = owned.iter().map(|entry| entry.0.as_str()).collect();
        let purses: Vec<&str> = owned.iter().map(|entry| entry.1.as_str()).collect();
        let points: Vec<i64> = owned.iter().map(|entry| entry.3).collect();
        let (counties, owners) = (vec![life.county.as_str(); owned.len()], vec![person; owned.len()]);
        self.client.query(&self.balances, &[&counties, &owners, &kinds, &purses, &points]).await
    }

    async fn entries(
        &self,
        life: &Life,
        posting: &Posting,
        person: Uuid,
        transaction: Uuid,
        links: &[Row],
    ) -> Result<(), Error> {
        let (entries, count) = (&posting.entries, posting.entries.len());
        let ids: Vec<Uuid> =
            (1..=count as u128).map(|n| Uuid::from_u128(transaction.as_u128() ^ n)).collect();
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
        let purses: Vec<&str> = entries.iter().map(|entry| entry.1.as_str()).collect();
        let owners: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.2.then_some(person)).collect();
        let points: Vec<i64> = entries.iter().map(|entry| entry.3).collect();
        let link = |entry: &&(String, String, bool, i64)| {
            let same = |row: &&Row| row.get::<_, &str>(0) == entry.0 && row.get::<_, &str>(1) == entry.1;
            entry.2.then(|| links.iter().find(same)).flatten()
        };
        let of_accounts: Vec<Option<&Row>> = entries.iter().map(|entry| link(&entry)).collect();
        let seqs: Vec<Option<i64>> = of_accounts.iter().map(|row| row.map(|row| row.get(2))).collect();
        let hashes: Vec<Option<&[u8]>> = of_accounts.iter().map(|row| row.map(|row| row.get(3))).collect();
        let (transactions, counties) = (vec![transaction; count], vec![life.county.as_str(); count]);
        self.client
            .execute(
                &self.entries,
                &[&ids, &transactions, &counties, &kinds, &purses, &owners, &points, &seqs, &hashes],
            )
            .await?;
        Ok(())
    }
}
