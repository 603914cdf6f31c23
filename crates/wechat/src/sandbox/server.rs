//! The HTTP side: accept, read, route, answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::refusal::Refusal;
use super::world::World;
use super::{control, wechat};

/// Largest body that is read.
const LARGEST_BODY_BYTES: usize = 1024 * 1024;

/// How long accepting rests after it failed, for example because no file handle is free.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What a handler answers.
pub(super) enum Answer {
    Json(Value),
    Png(Vec<u8>),
}

/// A request, read whole.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Asked {
    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|_| Refusal::not_json())
    }

    pub(super) fn must_be_get(&self) -> Result<(), Refusal> {
        if self.method == Method::GET { Ok(()) } else { Err(Refusal::get_required()) }
    }

    pub(super) fn must_be_post(&self) -> Result<(), Refusal> {
        if self.method == Method::POST { Ok(()) } else { Err(Refusal::post_required()) }
    }
}

/// Serves until `stopped` says so or its sender is gone; all connections end with it.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_one(stream, world.clone()));
                }
                Err(_) => tokio::time::sleep(REST_AFTER_FAILURE).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn serve_one(stream: TcpStream, world: Arc<World>) {
    let service = service_fn(|request| {
        let world = world.clone();
        async move { Ok::<_, Infallible>(answer(&world, request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    // An error here is a caller that went away; there is nobody to tell.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(world: &Arc<World>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(asked) = read(request).await else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let answer = match asked.path.strip_prefix("/sandbox/") {
        Some(path) => control::answer(world, path, &asked),
        None => wechat::answer(world, &asked).await,
    };
    written(world, answer)
}

async fn read(request: Request<Incoming>) -> Option<Asked> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = Limited::new(body, LARGEST_BODY_BYTES).collect().await.ok()?.to_bytes();
    Some(Asked { method: head.method, path: head.uri.path().to_owned(), query, body })
}

/// Always status 200: with WeChat the body decides.
fn written(world: &World, answer: Result<Answer, Refusal>) -> Response<Full<Bytes>> {
    let (kind, body) = match answer {
        Ok(Answer::Json(value)) => ("application/json; charset=utf-8", value.to_string().into_bytes()),
        Ok(Answer::Png(bytes)) => ("image/png", bytes),
        Err(refusal) => {
            let errmsg = format!("{} rid: {}", refusal.errmsg, world.desk().request_number());
            let value = json!({"errcode": refusal.errcode, "errmsg": errmsg});
            ("application/json; charset=utf-8", value.to_string().into_bytes())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
