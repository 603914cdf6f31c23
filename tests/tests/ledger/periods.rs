//! A month of many people is closed by the program itself, killed again and again, and comes out as if nothing had been;
//! and what comes late lands in the next month, once.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use uuid::Uuid;
use xingfuma_app::AppError;
use xingfuma_app::period;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{YearMonth, reversal};
use xingfuma_store::ledger::{Booking, book, find};
use xingfuma_store::periods::{self, PeriodRow, check};
use xingfuma_store::{StoreError, transact};
use xingfuma_tests::program;

use crate::long;
use crate::world::{COUNTY, Chance, Database, all, completion};

/// How long a piece may take to show.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

fn county() -> AreaCode {
    COUNTY.parse().expect("a county")
}

fn month(text: &str) -> YearMonth {
    text.parse().expect("a month")
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn person(n: u64) -> Uuid {
    Uuid::from_u128(u128::from(n + 1) << 64 | 0xA)
}

/// Two completed orders for each of so many people, all of them in January 2026.
async fn fill(database: &Database, people: u64) {
    let mut chance = Chance::new(41);
    for first in (0..people).step_by(1_000) {
        let ids: Vec<(u64, Uuid, Uuid)> =
            (first..people.min(first + 1_000)).map(|n| (n, chance.id(2 * n), chance.id(2 * n + 1))).collect();
        transact::<(), StoreError, _>(&database.store, move |conn| {
            Box::pin(async move {
                for (n, one, two) in ids {
                    let order = 1 + 2 * u128::from(n);
                    for (order, id) in [(order, one), (order + 1, two)] {
                        book(conn, &completion(order, person(n), n % 1_000, false, 0, id)).await?;
                    }
                }
                Ok(())
            })
        })
        .await
        .expect("booked");
    }
}

async fn period_of(database: &Database, of: YearMonth) -> Option<PeriodRow> {
    periods::find(database.store.pool(), county(), of).await.expect("a period")
}

/// Runs `xingfuma score close` and kills it as soon as it has made another piece; answers how often that came off.
async fn killed_on_the_way(database: &Database, settings: &[(String, String)], of: YearMonth) -> u32 {
    let mut kills = 0;
    loop {
        let before = period_of(database, of).await.map_or(0, |row| row.line_count);
        let mut child = program::command(&["score", "close", &of.to_string()], settings)
            .spawn()
            .expect("the program starts");
        let begun = Instant::now();
        loop {
            if let Some(ended) = child.try_wait().expect("a child") {
                assert!(ended.success(), "it was left alone and failed");
                return kills;
            }
            if period_of(database, of).await.is_some_and(|row| row.line_count > before) {
                child.kill().expect("killed");
                child.wait().expect("ended");
                kills += 1;
                break;
            }
            assert!(begun.elapsed() < PIECE_WITHIN, "no piece was made");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[derive(Debug, FromQueryResult)]
struct Sums {
    lines: i64,
    points: i64,
    entries: i64,
    counted: i64,
}

async fn sums(database: &Database) -> Sums {
    let text = "SELECT count(*) AS lines, CAST(sum(points) AS bigint) AS points, CAST(sum(entries) AS bigint) AS entries, \
                (SELECT count(*) FROM score_period_entry) AS counted FROM score_period_line";
    all::<Sums>(database.store.pool(), text, Vec::new()).await.pop().expect("sums")
}

async fn closed_under_kills(database: Database, url: String, people: u64) -> Vec<u8> {
    fill(&database, people).await;
    let (january, settings) = (month("2026-01"), [("XINGFUMA_DATABASE__URL".to_owned(), url)]);
    let begun = Instant::now();
    let kills = killed_on_the_way(&database, &settings, january).await;
    println!("{people} people, killed {kills} times: {:?}", begun.elapsed());
    assert!(kills >= 2, "it was killed on the way");
    let row = period_of(&database, january).await.expect("the period");
    let people = i64::try_from(people).expect("a count");
    assert_eq!((row.status.as_str(), row.line_count, row.points), ("notice", people, 6 * people));
    let sums = sums(&database).await;
    assert_eq!(
        (sums.lines, sums.points, sums.entries, sums.counted),
        (people, 6 * people, 2 * people, 2 * people),
        "{sums:?}"
    );
    assert_eq!(check::faults(database.store.pool(), county()).await.expect("a check"), Vec::<String>::new());
    let again = program::run(&["score", "close", "2026-01"], &settings);
    assert!(!again.success && again.complained.contains("closed already"), "{again:?}");
    row.list_hash.expect("a hash")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_closed_by_one_command_that_can_be_killed() {
    let people = if long() { 30_000 } else { 3_000 };
    let (sqlite, url) = Database::sqlite_with_url().await;
    let one = closed_under_kills(sqlite, url, people).await;
    let (postgres, url) = Database::postgres_with_url("period_kills").await;
    let other = closed_under_kills(postgres, url, people).await;
    assert_eq!(one, other, "both databases publish the same list, whatever was killed when");
}

async fn close(database: &Database, of: &str, now: &str) -> Result<PeriodRow, AppError> {
    period::close(&database.store, county(), month(of), 3, false, utc(now), &|_, _| {}).await
}

async fn line_of(database: &Database, of: &str, number: i64) -> (i64, i64, i64) {
    let line = periods::line(database.store.pool(), county(), month(of), number).await.expect("a line");
    let line = line.expect("the line");
    (line.points, line.entries, line.late)
}

async fn late_changes(database: Database) {
    let mut chance = Chance::new(42);
    // Two in January, one of them booked only after the list of January was made; one in February.
    let january = chance.id(1);
    database.book(completion(1, person(0), 10, false, 0, january)).await.expect("booked");
    assert!(matches!(
        close(&database, "2026-01", "2026-01-31T15:59:59Z").await,
        Err(AppError::Conflict("period_not_over"))
    ));
    let row = close(&database, "2026-01", "2026-02-02T02:00:00Z").await.expect("closed");
    assert_eq!((row.line_count, row.points), (1, 3));
    // Three working days behind Monday the 2nd of February.
    assert_eq!(row.notice_ends_at, Some(utc("2026-02-05T16:00:00Z")));
    database.book(completion(2, person(0), 20, false, 0, chance.id(2))).await.expect("booked late");
    database.book(completion(3, person(0), 1_500, false, 0, chance.id(3))).await.expect("in February");
    let of = find(database.store.pool(), county(), january).await.expect("found").expect("there");
    let back = reversal(&of, "forged", utc("2026-02-10T00:00:00Z"), None).expect("a reversal");
    let back = Booking::Posting { id: chance.id(4), posting: Box::new(back) };
    database.book(back).await.expect("reversed");
    assert!(matches!(
        close(&database, "2026-03", "2026-04-02T00:00:00Z").await,
        Err(AppError::Conflict("period_not_next"))
    ));
    assert!(matches!(
        close(&database, "2026-01", "2026-04-02T00:00:00Z").await,
        Err(AppError::Conflict("period_closed"))
    ));
    close(&database, "2026-02", "2026-03-02T00:00:00Z").await.expect("closed");
    // What was published stays; the late one and the reversal are in February, linked to January.
    assert_eq!(line_of(&database, "2026-01", 1).await, (3, 1, 0));
    assert_eq!(line_of(&database, "2026-02", 1).await, (3, 3, 2));
    let counted = periods::counted(database.store.pool(), county(), month("2026-02"), person(0)).await;
    let links: Vec<(i64, Option<String>)> =
        counted.expect("entries").into_iter().map(|row| (row.points, row.links_to)).collect();
    let to_january = Some("2026-01".to_owned());
    assert_eq!(links, [(3, to_january.clone()), (3, None), (-3, to_january)]);
    // Sealed one after the other.
    let seal = |of: &str, now: &str| {
        let (store, of, now) = (database.store.clone(), month(of), utc(now));
        async move { period::seal(&store, county(), of, now).await }
    };
    assert!(matches!(seal("2026-01", "2026-02-05T15:59:59Z").await, Err(AppError::Conflict("notice_runs"))));
    assert!(matches!(
        seal("2026-02", "2026-04-01T00:00:00Z").await,
        Err(AppError::Conflict("period_not_next"))
    ));
    seal("2026-01", "2026-04-01T00:00:00Z").await.expect("sealed");
    seal("2026-02", "2026-04-01T00:00:00Z").await.expect("sealed");
    assert!(matches!(
        seal("2026-02", "2026-04-01T00:00:00Z").await,
        Err(AppError::Conflict("period_closed"))
    ));
    assert_eq!(check::faults(database.store.pool(), county()).await.expect("a check"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_lands_in_the_next_month_once() {
    late_changes(Database::sqlite().await).await;
    late_changes(Database::postgres("period_late").await).await;
}

async fn two_at_once(database: Database) {
    fill(&database, 2_100).await;
    let both = closed_twice_at_once(&database).await;
    for row in both {
        assert_eq!((row.status.as_str(), row.line_count, row.points), ("notice", 2_100, 6 * 2_100));
    }
    assert_eq!(sums(&database).await.counted, 2 * 2_100);
    assert_eq!(check::faults(database.store.pool(), county()).await.expect("a check"), Vec::<String>::new());
}

/// Two processes that make one list at the same time.
async fn closed_twice_at_once(database: &Database) -> [PeriodRow; 2] {
    let make = || async { close(database, "2026-01", "2026-02-02T02:00:00Z").await.expect("closed") };
    let (one, other) = tokio::join!(make(), make());
    [one, other]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_close_a_month_at_once_make_one_list() {
    two_at_once(Database::sqlite().await).await;
    two_at_once(Database::postgres("period_twice").await).await;
}
