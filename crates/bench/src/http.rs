//! One keep-alive connection of HTTP/1.1 that costs the machine next to nothing: requests are finished bytes, answers
//! are cut at their `Content-Length`.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub(crate) fn get(path: &str, token: &str) -> Request {
        let text = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n");
        Request { bytes: text.into_bytes() }
    }

    /// A request with a JSON body and a key of its own.
    pub(crate) fn post(path: &str, token: &str, key: &str, body: &str) -> Request {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request { bytes: text.into_bytes() }
    }
}

/// An answer; its body lives in the connection's buffer until the next call.
#[derive(Debug)]
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    pub(crate) body: &'c [u8],
}

impl Answer<'_> {
    /// The first `"id":"…"` of the body: the order's.
    pub(crate) fn id(&self) -> Option<Uuid> {
        const BEFORE: &[u8] = b"\"id\":\"";
        let start = find(self.body, BEFORE)? + BEFORE.len();
        let text = self.body.get(start..start + 36)?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// The body as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

/// A connection that is used for one request after another.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the answer before, to be dropped at the next call.
    used: usize,
}

struct Head {
    status: u16,
    body_at: usize,
    length: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(64 * 1024), used: 0 })
    }

    /// Sends a request and waits for its whole answer.
    pub(crate) async fn call(&mut self, request: &Request) -> io::Result<Answer<'_>> {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.stream.write_all(&request.bytes).await?;
        let head = loop {
            if let Some(head) = read_head(&self.buffer)? {
                break head;
            }
            self.read_more().await?;
        };
        let end = head.body_at + head.length;
        while self.buffer.len() < end {
            self.read_more().await?;
        }
        self.used = end;
        Ok(Answer { status: head.status, body: &self.buffer[head.body_at..end] })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn read_head(buffer: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "an answer that is no HTTP/1.1");
    let text = std::str::from_utf8(&buffer[..end]).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    // Neither side sends chunks: every answer's length is known before it is written.
    Ok(Some(Head { status: status.ok_or_else(bad)?, body_at: end + 4, length: length.ok_or_else(bad)? }))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_at_its_length() {
        let whole = b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\nDate: x\r\n\r\nbodyHTTP/1.1";
        for cut in 0..51 {
            assert!(read_head(&whole[..cut]).expect("no fault").is_none(), "{cut}");
        }
        let head = read_head(whole).expect("no fault").expect("whole");
        assert_eq!((head.status, &whole[head.body_at..head.body_at + head.length]), (201, &b"body"[..]));
        assert!(read_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn the_id_of_an_order_is_found() {
        let body = br#"{"number":"1","id":"01890a5d-ac96-774b-bcce-b302099a8057","area":{"id":"x"}}"#;
        let answer = Answer { status: 200, body };
        assert_eq!(
            answer.id().map(|id| id.to_string()).as_deref(),
            Some("01890a5d-ac96-774b-bcce-b302099a8057")
        );
        assert_eq!(Answer { status: 200, body: b"{}" }.id(), None);
    }
}
