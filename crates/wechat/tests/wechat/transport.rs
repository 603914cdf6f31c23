//! What happens when WeChat is not there, or answers nonsense.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xingfuma_wechat::{Client, ClientConfig, Error, Scene, TransportFault};

use crate::stage::{SECRET, Stage, any_port, client_config};

/// A server that gives every request the same answer, then closes; `None` is no answer at all.
async fn always(answer: Option<&'static [u8]>) -> Client {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(answer) = answer {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            } else {
                open.push(stream);
            }
        }
    });
    let config = client_config(&base_url);
    let timeout = if answer.is_none() { Duration::from_millis(300) } else { config.timeout };
    Client::in_memory(ClientConfig { timeout, ..config }).unwrap()
}

fn transport(fault: TransportFault) -> Error {
    Error::Transport(fault)
}

#[tokio::test]
async fn nobody_there() {
    let stage = Stage::new().await;
    let client = Client::in_memory(client_config(&stage.sandbox.base_url())).unwrap();
    stage.sandbox.shut_down().await;
    let refused = client.log_in("code").await.unwrap_err();
    assert_eq!(refused, transport(TransportFault::Connect));
    let shown = format!("{refused} {refused:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("code="), "{shown}");
}

#[tokio::test]
async fn no_answer_in_time() {
    let client = always(None).await;
    assert_eq!(client.log_in("code").await, Err(transport(TransportFault::Timeout)));
    // Callers that wait for one fetch of the token are all released at their own limit.
    let (one, two) = tokio::join!(client.phone("code"), client.phone("code"));
    assert_eq!(
        (one, two),
        (Err(transport(TransportFault::Timeout)), Err(transport(TransportFault::Timeout)))
    );
}

#[tokio::test]
async fn answers_that_are_none() {
    let broken = always(Some(b"")).await;
    assert_eq!(broken.log_in("code").await, Err(transport(TransportFault::Interrupted)));
    let unwell =
        always(Some(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(unwell.log_in("code").await, Err(transport(TransportFault::Status(502))));
    let page = always(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>")).await;
    assert_eq!(page.log_in("code").await, Err(transport(TransportFault::NotUnderstood)));
    let elsewhere = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let moved = always(Some(elsewhere)).await;
    assert_eq!(moved.log_in("code").await, Err(transport(TransportFault::Status(302))));
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let endless: &'static [u8] = [head, &vec![b'x'; 5 * 1024 * 1024]].concat().leak();
    let client = always(Some(endless)).await;
    assert_eq!(client.log_in("code").await, Err(transport(TransportFault::NotUnderstood)));
}

#[tokio::test]
async fn an_image_that_is_none_is_not_taken_for_one() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 43\r\nconnection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":7200    }  ";
    let client = always(Some(answer)).await;
    let refused = client.code_image(&Scene::new("a").unwrap(), None, true, 280).await;
    assert_eq!(refused, Err(transport(TransportFault::NotUnderstood)));
}

#[tokio::test]
async fn a_sandbox_that_is_dropped_stops_listening() {
    let stage = Stage::new().await;
    let base_url = stage.sandbox.base_url();
    drop(stage);
    let client = Client::in_memory(client_config(&base_url)).unwrap();
    let gone = async { while client.log_in("code").await != Err(transport(TransportFault::Connect)) {} };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the sandbox ended");
}
