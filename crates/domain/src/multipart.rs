//! One file out of a multipart body (RFC 7578), as `wx.uploadFile` and browsers send it.
//!
//! Stricter than the standard, because nothing else is expected: one part, named `file`, with a file name (which nobody
//! looks at), between its two delimiters. No preamble, no second part, no transfer encoding. It looks at each byte a
//! bounded number of times and copies none.

/// The name of the one part.
pub const PART_NAME: &str = "file";
/// Longest boundary (RFC 2046), in bytes.
const BOUNDARY_LONGEST: usize = 70;
/// Longest head of the part, in bytes.
const HEAD_LONGEST: usize = 4 * 1024;
/// What the body may hold beside the file: delimiters and the part's head, in bytes.
pub const FRAME_LONGEST: usize = HEAD_LONGEST + 4 * BOUNDARY_LONGEST;

/// Why a body is not one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartFault {
    /// The header does not say `multipart/form-data` with a boundary.
    #[error("not multipart/form-data with a boundary")]
    NotMultipart,
    /// The body does not begin with a delimiter.
    #[error("no part begins")]
    NoPart,
    /// The head of the part never ends, is too long, or is no text.
    #[error("the head of the part is malformed")]
    BadHead,
    /// The part is not a file named `file`.
    #[error("the part is not a file named `file`")]
    NotTheFile,
    /// The last delimiter is missing.
    #[error("the body does not end")]
    NoEnd,
    /// There is more than one part.
    #[error("more than one part")]
    MoreParts,
}

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// [`MultipartFault::NotMultipart`].
pub fn boundary(content_type: &str) -> Result<String, MultipartFault> {
    let (kind, rest) = content_type.split_once(';').ok_or(MultipartFault::NotMultipart)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(MultipartFault::NotMultipart);
    }
    let found = parameters(rest).into_iter().find(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let boundary = found.map(|(_, value)| value).ok_or(MultipartFault::NotMultipart)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let good = !boundary.is_empty()
        && boundary.len() <= BOUNDARY_LONGEST
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ');
    if good { Ok(boundary) } else { Err(MultipartFault::NotMultipart) }
}

/// The bytes of the one file in a body.
///
/// # Errors
/// [`MultipartFault`]: the first thing that is not as it should be.
pub fn one_file<'a>(boundary: &str, body: &'a [u8]) -> Result<&'a [u8], MultipartFault> {
    let delimiter = format!("--{boundary}");
    let rest = body.strip_prefix(b"\r\n").unwrap_or(body);
    let rest = rest.strip_prefix(delimiter.as_bytes()).ok_or(MultipartFault::NoPart)?;
    let rest = rest.strip_prefix(b"\r\n").ok_or(MultipartFault::NoPart)?;
    let looked_at = &rest[..rest.len().min(HEAD_LONGEST)];
    let head = find(looked_at, b"\r\n\r\n").ok_or(MultipartFault::BadHead)?;
    check_head(&rest[..head])?;
    let rest = &rest[head + 4..];
    let end = find(rest, format!("\r\n{delimiter}").as_bytes()).ok_or(MultipartFault::NoEnd)?;
    let after = &rest[end + 2 + delimiter.len()..];
    if after.starts_with(b"\r\n") {
        return Err(MultipartFault::MoreParts);
    }
    match after.strip_prefix(b"--") {
        Some(b"" | b"\r\n") => Ok(&rest[..end]),
        Some(_) => Err(MultipartFault::MoreParts),
        None => Err(MultipartFault::NoEnd),
    }
}

fn check_head(head: &[u8]) -> Result<(), MultipartFault> {
    let head = std::str::from_utf8(head).map_err(|_| MultipartFault::BadHead)?;
    let mut is_the_file = false;
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(MultipartFault::BadHead)?;
        if name.eq_ignore_ascii_case("content-disposition") {
            let (kind, rest) = value.split_once(';').ok_or(MultipartFault::NotTheFile)?;
            let given = parameters(rest);
            let named = |wanted: &str| given.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            is_the_file = kind.trim().eq_ignore_ascii_case("form-data")
                && named("name").is_some_and(|(_, value)| value == PART_NAME)
                && (named("filename").is_some() || named("filename*").is_some());
        }
    }
    if is_the_file { Ok(()) } else { Err(MultipartFault::NotTheFile) }
}

/// `; name=value; name="quoted \" value"`
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([';', ' ', '\t']).trim().to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => match after.split_once(';') {
                Some((value, after)) => (value.trim().to_owned(), after),
                None => (after.trim().to_owned(), ""),
            },
        };
        found.push((name, value));
        rest = after;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &text[at + 1..]),
            other => {
                value.push(other);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// Where `wanted`, which begins with a carriage return, stands first.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(step) = text[from..].iter().position(|byte| *byte == b'\r') {
        from += step;
        if text[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=abc";
    const HEAD: &str =
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg";

    fn body(head: &str, file: &[u8], end: &str) -> Vec<u8> {
        [b"--abc\r\n", head.as_bytes(), b"\r\n\r\n", file, end.as_bytes()].concat()
    }

    fn read(body: &[u8]) -> Result<&[u8], MultipartFault> {
        one_file("abc", body)
    }

    #[test]
    fn a_boundary_is_read_quoted_and_plain() {
        assert_eq!(boundary(TYPE), Ok("abc".to_owned()));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), Ok("a b".to_owned()));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for bad in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=a\u{e9}",
            "multipart/form-data; boundary=\"a\r\nb\"",
            "multipart/mixed; boundary=abc",
            "application/json",
            &long,
        ] {
            assert_eq!(boundary(bad), Err(MultipartFault::NotMultipart), "{bad}");
        }
    }

    #[test]
    fn one_file_is_taken_out() {
        for (file, end) in
            [(b"abc".as_slice(), "\r\n--abc--\r\n"), (b"", "\r\n--abc--"), (b"\r\n--ab", "\r\n--abc--")]
        {
            assert_eq!(read(&body(HEAD, file, end)), Ok(file));
        }
        let first = [b"\r\n".as_slice(), &body(HEAD, b"x", "\r\n--abc--")].concat();
        assert_eq!(read(&first), Ok(b"x".as_slice()));
        let odd = "content-disposition:form-data;filename=\"a\\\"; name=\\\"b\";name=file";
        assert_eq!(read(&body(odd, b"x", "\r\n--abc--")), Ok(b"x".as_slice()));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        use MultipartFault::{BadHead, MoreParts, NoEnd, NoPart, NotTheFile};
        let more = format!("\r\n--abc\r\n{HEAD}\r\n\r\nsecond\r\n--abc--");
        let long = format!("X: {}\r\n{HEAD}", "x".repeat(5_000));
        let cases: Vec<(Vec<u8>, MultipartFault)> = vec![
            (b"".to_vec(), NoPart),
            (b"preamble\r\n--abc\r\n".to_vec(), NoPart),
            (b"--abcd\r\n".to_vec(), NoPart),
            (b"--abc--".to_vec(), NoPart),
            (b"--abc\r\nContent-Disposition: form-data; na".to_vec(), BadHead),
            (body(&long, b"x", "\r\n--abc--"), BadHead),
            (body("no colon", b"x", "\r\n--abc--"), BadHead),
            (body("", b"x", "\r\n--abc--"), BadHead),
            (body("Content-Type: image/jpeg", b"x", "\r\n--abc--"), NotTheFile),
            (body("Content-Disposition: form-data; name=\"file\"", b"x", "\r\n--abc--"), NotTheFile),
            (
                body("Content-Disposition: form-data; name=\"photo\"; filename=\"a\"", b"x", "\r\n--abc--"),
                NotTheFile,
            ),
            (
                body("Content-Disposition: attachment; name=\"file\"; filename=\"a\"", b"x", "\r\n--abc--"),
                NotTheFile,
            ),
            (body(HEAD, b"x", ""), NoEnd),
            (body(HEAD, b"x", "\r\n--abc"), NoEnd),
            (body(HEAD, b"x", "\r\n--abc-"), NoEnd),
            (body(HEAD, b"x", "--abc--"), NoEnd),
            (body(HEAD, b"x", &more), MoreParts),
            (body(HEAD, b"x", "\r\n--abc--\r\nepilogue"), MoreParts),
        ];
        for (body, fault) in cases {
            assert_eq!(read(&body), Err(fault), "{}", String::from_utf8_lossy(&body));
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_comes_out_again(file in proptest::collection::vec(any::<u8>(), 0..300)) {
            let framed = body(HEAD, &file, "\r\n--abc--\r\n");
            match find(&file, b"\r\n--abc") {
                None => prop_assert_eq!(read(&framed), Ok(file.as_slice())),
                Some(_) => prop_assert!(read(&framed).is_err()),
            }
        }

        #[test]
        fn garbage_is_refused_and_nothing_panics(kind in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = boundary(&kind);
            let _ = boundary(&format!("multipart/form-data;{kind}"));
            let _ = read(&bytes);
            let _ = read(&[b"--abc\r\n".as_slice(), &bytes].concat());
        }
    }
}
