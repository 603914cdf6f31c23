//! Bodies that are not one file, over a raw socket; and senders who take their time.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use xingfuma_tests::client::Client;

use crate::{Place, files::jpeg};

/// A sender who is too slow is sent away within this time.
const SENT_AWAY_WITHIN: Duration = Duration::from_secs(40);
/// How many of them there are.
const SLOW: usize = 48;

const HEAD: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"";

pub(crate) fn all(place: &Place<'_>) {
    let resident = Client::log_in(&place.base, place.accounts.one("resident"));
    not_one_file(&resident);
    over_a_raw_socket(place, &resident);
    slow_ones(place);
}

/// A body of parts, each a head and its contents.
fn body(parts: &[(&str, &[u8])], end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, contents) in parts {
        body.extend(format!("--b\r\n{head}\r\n\r\n").as_bytes());
        body.extend(*contents);
        body.extend(b"\r\n");
    }
    body.extend(end.as_bytes());
    body
}

fn not_one_file(resident: &Client) {
    const TYPE: &str = "multipart/form-data; boundary=b";
    let photo = jpeg(6);
    let one = (HEAD, photo.as_slice());
    let field = ("Content-Disposition: form-data; name=\"note\"", b"hello".as_slice());
    let long = format!("Content-Disposition: form-data; name=\"{}\"; filename=\"a\"", "n".repeat(100_000));
    let inner = [b"--c\r\nContent-Type: image/jpeg\r\n\r\n".as_slice(), &photo, b"\r\n--c--"].concat();
    let nested = format!("{HEAD}\r\nContent-Type: multipart/mixed; boundary=c");
    let cases: [(&str, &str, Vec<u8>, u16); 14] = [
        ("two files", TYPE, body(&[one, one], "--b--\r\n"), 400),
        ("a file and a field", TYPE, body(&[one, field], "--b--\r\n"), 400),
        ("a field and a file", TYPE, body(&[field, one], "--b--\r\n"), 400),
        ("no part", TYPE, b"--b--\r\n".to_vec(), 400),
        ("nothing", TYPE, Vec::new(), 400),
        ("no final boundary", TYPE, body(&[one], ""), 400),
        ("no boundary in the header", "multipart/form-data", body(&[one], "--b--\r\n"), 400),
        ("another boundary", "multipart/form-data; boundary=x", body(&[one], "--b--\r\n"), 400),
        ("a boundary without end", &format!("{TYPE}{}", "b".repeat(300)), body(&[one], "--b--\r\n"), 400),
        ("a huge field name", TYPE, body(&[(&long, &photo)], "--b--\r\n"), 400),
        ("a part in a part", TYPE, body(&[(&nested, &inner)], "--b--\r\n"), 415),
        ("JSON", "application/json", b"{}".to_vec(), 400),
        ("a form", "application/x-www-form-urlencoded", b"file=a".to_vec(), 400),
        ("the picture alone", "image/jpeg", photo.clone(), 400),
    ];
    for (name, kind, bytes, status) in cases {
        let answer = resident.post_as("/media", kind, &bytes);
        let code = answer.problem(status);
        assert_eq!(code, if status == 400 { "malformed_multipart" } else { "unsupported_media" }, "{name}");
    }
    // The type that a sender claims for a part is nobody's business.
    let claims = format!("{HEAD}\r\nContent-Type: text/html");
    assert_eq!(resident.post_as("/media", TYPE, &body(&[(&claims, &photo)], "--b--")).status, 201);
}

fn connect(place: &Place<'_>) -> TcpStream {
    let address = place.base.strip_prefix("http://").expect("a plain address");
    let socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(SENT_AWAY_WITHIN)).expect("a socket");
    socket
}

fn request(client: &Client, more: &str) -> String {
    let token = client.token().expect("he has logged in");
    format!("POST /api/v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

/// The status of the answer, if there is one before the connection ends.
fn status(socket: &mut TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    let mut some = [0; 1024];
    while !answer.windows(2).any(|pair| pair == b"\r\n") {
        match socket.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(count) => answer.extend(&some[..count]),
        }
    }
    let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    line.split(' ').nth(1)?.parse().ok()
}

/// What it is, what is sent piece by piece, and which answers are good.
type Sent<'a> = (&'a str, Vec<Vec<u8>>, &'a [u16]);

fn over_a_raw_socket(place: &Place<'_>, resident: &Client) {
    let whole = body(&[(HEAD, &jpeg(7))], "--b--\r\n");
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    let with_length = |length: usize| request(resident, &format!("{multipart}Content-Length: {length}\r\n"));
    let chunked = request(resident, &format!("{multipart}Transfer-Encoding: chunked\r\n"));
    let as_chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let cases: [Sent<'_>; 8] = [
        ("all is well", vec![with_length(whole.len()).into(), whole.clone()], &[201]),
        ("in chunks", vec![chunked.clone().into(), as_chunk(&whole), b"0\r\n\r\n".to_vec()], &[201]),
        (
            "a head without end",
            vec![with_length(60_000).into(), b"--b\r\n".to_vec(), vec![b'x'; 59_995]],
            &[400],
        ),
        ("a length beyond everything", vec![with_length(usize::MAX / 2).into()], &[413, 400]),
        (
            "a length that is none",
            vec![request(resident, &format!("{multipart}Content-Length: -1\r\n")).into()],
            &[400],
        ),
        (
            "two lengths",
            vec![request(resident, &format!("{multipart}Content-Length: 1\r\nContent-Length: 2\r\n")).into()],
            &[400],
        ),
        ("a chunk that is none", vec![chunked.into(), b"zz\r\nhello\r\n".to_vec()], &[400]),
        ("bytes that are no header", vec![b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()], &[400]),
    ];
    for (name, parts, wanted) in cases {
        let mut socket = connect(place);
        for part in parts {
            // The server may have answered, and closed, before all of it was sent.
            let _ = socket.write_all(&part);
        }
        // A refusal may be lost with the connection when the rest of the body was still on its way.
        match status(&mut socket) {
            Some(found) => assert!(wanted.contains(&found), "{name}: {found}"),
            None => assert!(!wanted.contains(&201), "{name}: no answer"),
        }
    }
    // Hanging up in the middle leaves nothing behind.
    for at in [10, whole.len() / 2, whole.len() - 1] {
        let mut socket = connect(place);
        socket.write_all(with_length(whole.len()).as_bytes()).expect("sent");
        socket.write_all(&whole[..at]).expect("sent");
        socket.shutdown(Shutdown::Both).expect("closed");
    }
    resident.upload(&jpeg(7)).expect(201);
}

/// Senders of a byte a second are sent away, and nobody else notices them.
fn slow_ones(place: &Place<'_>) {
    let people: Vec<Client> = ["resident", "volunteer", "grid_leader"]
        .into_iter()
        .flat_map(|role| place.accounts.all(role))
        .map(|account| Client::log_in(&place.base, account))
        .collect();
    let before = place.resident_mib();
    let mut slow: Vec<TcpStream> = Vec::new();
    for number in 0..SLOW {
        let mut socket = connect(place);
        let claims = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 8000000\r\n";
        socket.write_all(request(&people[number % people.len()], claims).as_bytes()).expect("sent");
        slow.push(socket);
    }
    let begun = Instant::now();
    let mut answered = 0;
    scope(|threads| {
        let first = &people[0];
        let others = threads.spawn(move || {
            let mut slowest = Duration::ZERO;
            while begun.elapsed() < Duration::from_secs(8) {
                let sent = Instant::now();
                let answer = first.get("/me");
                assert_eq!(answer.status, 200, "{}", answer.text());
                slowest = slowest.max(sent.elapsed());
                sleep(Duration::from_millis(20));
            }
            slowest
        });
        for letter in "--b\r\nCont".bytes() {
            for socket in &mut slow {
                let _ = socket.write_all(&[letter]);
            }
            sleep(Duration::from_secs(1));
        }
        let slowest = others.join().expect("nobody else noticed");
        println!("{SLOW} slow senders: the slowest answer to somebody else took {slowest:?}");
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    });
    for mut socket in slow {
        // One account may send only so many at once: those are told so at once.
        if let Some(status) = status(&mut socket) {
            assert!([408, 429].contains(&status), "{status}");
            answered += 1;
        }
    }
    assert!(begun.elapsed() < SENT_AWAY_WITHIN, "{:?}", begun.elapsed());
    assert!(answered >= SLOW / 2, "{answered} of {SLOW} were told");
    people[0].upload(&jpeg(8)).expect(201);
    let after = place.resident_mib();
    assert!(after < before + 100, "{before} MiB before, {after} MiB after");
}
