//! The shelf against a stand-in of S3 that keeps objects in memory and looks at what is signed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use xingfuma_media::{S3Configuration, Shelf, ShelfError};

type Objects = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Answers requests of one connection.
fn answer(stream: TcpStream, objects: &Objects) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let signed = headers.get("authorization").is_some_and(|value| {
            value.starts_with("AWS4-HMAC-SHA256 Credential=the-id/")
                && value.contains("/cn-north/s3/aws4_request")
        });
        let (status, body) = match (signed, method.as_str()) {
            (false, _) => ("403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>".to_vec()),
            (true, "PUT") => {
                objects.lock().ok()?.insert(path, body);
                ("200 OK", Vec::new())
            }
            (true, "DELETE") => {
                objects.lock().ok()?.remove(&path);
                ("204 No Content", Vec::new())
            }
            (true, _) => match objects.lock().ok()?.get(&path) {
                Some(body) => ("200 OK", body.clone()),
                None => ("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            },
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"tag\"\r\n\
             Last-Modified: Mon, 09 Mar 2026 01:00:00 GMT\r\n\r\n",
            body.len()
        );
        let mut stream = &stream;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
    }
}

fn stand_in() -> (String, Objects) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    let objects = Objects::default();
    let kept = objects.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            thread::spawn(move || answer(stream, &kept));
        }
    });
    (endpoint, objects)
}

fn configuration(endpoint: &str, id: &str) -> S3Configuration {
    S3Configuration {
        endpoint: endpoint.to_owned(),
        region: "cn-north".to_owned(),
        bucket: "photos".to_owned(),
        access_key_id: id.to_owned(),
        secret_access_key: "the-secret".to_owned(),
        virtual_hosted: false,
    }
}

#[tokio::test]
async fn pictures_are_kept_and_forgotten_in_a_bucket() {
    let (endpoint, objects) = stand_in();
    let shelf = Shelf::s3(&configuration(&endpoint, "the-id")).expect("well configured");
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    shelf.put("name-42", bytes.clone()).await.expect("kept");
    let path = "/photos/42/name-42";
    assert_eq!(objects.lock().expect("whole").get(path), Some(&bytes));
    assert_eq!(shelf.get("name-42").await.expect("there"), bytes);
    shelf.delete("name-42").await.expect("forgotten");
    assert!(objects.lock().expect("whole").is_empty());
    assert!(matches!(shelf.get("name-42").await, Err(ShelfError::Store(_))));
}

#[tokio::test]
async fn a_store_that_refuses_or_is_gone_is_an_error() {
    let (endpoint, _) = stand_in();
    let shelf = Shelf::s3(&configuration(&endpoint, "another-id")).expect("well configured");
    let refused = shelf.put("name-42", b"one".to_vec()).await;
    assert!(matches!(refused, Err(ShelfError::Store(_))), "{refused:?}");
    let nobody = Shelf::s3(&configuration("http://127.0.0.1:1", "the-id")).expect("well configured");
    assert!(nobody.get("name-42").await.is_err());
    for missing in [S3Configuration::default(), configuration("", "the-id"), configuration(&endpoint, "")] {
        assert!(matches!(Shelf::s3(&missing), Err(ShelfError::Configuration(_))));
    }
    assert!(!format!("{:?}", configuration(&endpoint, "the-id")).contains("secret"));
}
