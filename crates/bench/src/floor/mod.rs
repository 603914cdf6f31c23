//! The floor: the least that a server of this kind can be. actix-web and tokio-postgres, the same rows and the same
//! session look-up as the product, one statement a round trip, and nothing else: no rules, no scopes, no encryption,
//! no check of any field. What the product adds to it should cost less than what its fewer round trips save.

mod rows;

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;
use uuid::Uuid;
use xingfuma_app::clock::{Clock, Ids};

use crate::sample::Life;
use rows::Statements;

/// Threads and connections: as many as the product's defaults, shared out to the threads so that no request ever
/// waits for another thread.
const THREADS: usize = 2;
const CONNECTIONS: usize = 12;

/// Connections of one thread.
struct Pool {
    free: RefCell<Vec<Rc<Statements>>>,
    permits: Semaphore,
    life: Rc<Life>,
    clock: Clock,
    ids: Ids,
}

/// A connection that goes back when it is dropped.
struct Held<'p> {
    pool: &'p Pool,
    statements: Rc<Statements>,
    _permit: tokio::sync::SemaphorePermit<'p>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.pool.free.borrow_mut().push(self.statements.clone());
    }
}

impl Pool {
    async fn open(url: &str, life: Life) -> Result<Pool, tokio_postgres::Error> {
        let mut free = Vec::new();
        for _ in 0..CONNECTIONS / THREADS {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::task::spawn_local(connection);
            free.push(Rc::new(Statements::prepare(client).await?));
        }
        let permits = Semaphore::new(free.len());
        let (life, clock, ids) = (Rc::new(life), Clock::system(), Ids::from_system());
        Ok(Pool { free: RefCell::new(free), permits, life, clock, ids })
    }

    async fn take(&self) -> Held<'_> {
        let permit = self.permits.acquire().await.expect("the pool is never closed");
        let statements = self.free.borrow_mut().pop().expect("a permit is a connection");
        Held { pool: self, statements, _permit: permit }
    }
}

/// Serves until it is killed.
///
/// # Errors
/// When the port is taken.
pub(crate) async fn serve(listen: &str, url: String, life: Life) -> std::io::Result<()> {
    HttpServer::new(move || {
        let (url, life) = (url.clone(), life.clone());
        App::new()
            .data_factory(move || {
                let (url, life) = (url.clone(), life.clone());
                async move { Pool::open(&url, life).await }
            })
            .route("/livez", web::get().to(HttpResponse::Ok))
            .route("/api/v1/orders", web::post().to(place))
            .route("/api/v1/orders/{id}", web::get().to(read))
            .route("/api/v1/orders/{id}/dispatch", web::post().to(dispatch))
            .route("/api/v1/orders/{id}/{verb}", web::post().to(command))
    })
    .workers(THREADS)
    .bind(listen)?
    .run()
    .await
}

/// The session's id, shown as it is.
fn session(request: &HttpRequest) -> Option<Uuid> {
    request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?.parse().ok()
}

fn key(request: &HttpRequest) -> Vec<u8> {
    let key = request.headers().get("idempotency-key").map(|key| key.as_bytes().to_vec());
    // As long as the product's hash.
    let mut key = key.unwrap_or_default();
    key.resize(32, b' ');
    key
}

type Done<T> = Result<T, actix_web::Error>;

fn failed(error: tokio_postgres::Error) -> actix_web::Error {
    // By itself it says "db error" and no more.
    let why = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    actix_web::error::ErrorInternalServerError(why)
}

async fn person(held: &Held<'_>, request: &HttpRequest) -> Done<Uuid> {
    let refused = || actix_web::error::ErrorUnauthorized("no session");
    let session = session(request).ok_or_else(refused)?;
    held.statements.session(session, held.pool.clock.now()).await.map_err(failed)?.ok_or_else(refused)
}

fn answer(status: u16, id: Uuid, text: &str) -> HttpResponse {
    // The sample's answer with this order's id in front, where the load generator looks for it.
    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
    let body = format!("{{\"id\":\"{id}\",{}", &text[1..]);
    HttpResponse::build(status).content_type("application/json").body(body)
}

async fn place(pool: web::Data<Pool>, request: HttpRequest, body: web::Bytes) -> Done<HttpResponse> {
    let read: serde_json::Value = serde_json::from_slice(&body)?;
    if !read["signCode"].is_string() {
        return Err(actix_web::error::ErrorBadRequest("no sign"));
    }
    let held = pool.take().await;
    let person = person(&held, &request).await?;
    let now = pool.clock.now();
    let id = pool.ids.id(now);
    held.statements.place(&pool.life, id, person, &key(&request), now).await.map_err(failed)?;
    Ok(answer(201, id, &pool.life.steps[0].answer))
}

async fn read(pool: web::Data<Pool>, request: HttpRequest, id: web::Path<Uuid>) -> Done<HttpResponse> {
    let held = pool.take().await;
    person(&held, &request).await?;
    let row = held.statements.whole(*id).await.map_err(failed)?;
    let (snapshot, records): (&str, Option<&str>) = (row.get(1), row.get(7));
    let body = format!("{{\"order\":{snapshot},\"events\":{}}}", records.unwrap_or("[]"));
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

async fn dispatch(pool: web::Data<Pool>, id: web::Path<Uuid>, team: web::Query<Team>) -> Done<HttpResponse> {
    let held = pool.take().await;
    let now = pool.clock.now();
    held.statements.dispatch(&pool.life, *id, team.team, now).await.map_err(failed)?;
    Ok(answer(200, *id, &pool.life.steps[0].answer))
}

/// The team that the floor does not choose.
#[derive(serde::Deserialize)]
struct Team {
    team: Uuid,
}

async fn command(
    pool: web::Data<Pool>,
    request: HttpRequest,
    path: web::Path<(Uuid, String)>,
) -> Done<HttpResponse> {
    let (id, verb) = path.into_inner();
    let step = match verb.as_str() {
        "accept" => 2,
        "complete" => 3,
        "rate" => 4,
        _ => return Err(actix_web::error::ErrorNotFound(verb)),
    };
    let held = pool.take().await;
    let person = person(&held, &request).await?;
    let (now, next) = (pool.clock.now(), pool.ids.id(pool.clock.now()));
    let change = rows::Command { step, order: id, person, key: &key(&request), next, now };
    held.statements.command(&pool.life, &change).await.map_err(failed)?;
    Ok(answer(200, id, &pool.life.steps[step].answer))
}
