//! What a parser must hold to, whatever bytes come in. Each target is a plain function that panics when it does not: the
//! fuzzer of nightly Rust calls it (`fuzz_targets`), and so does a test of the workspace on stable Rust, with random bytes
//! and with the corpus (`tests/tests/fuzz.rs`).

use chrono::DateTime;
use uuid::Uuid;
use xingfuma_api::{Tokens, cursor};
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::masking::{mask_name, mask_text};
use xingfuma_domain::multipart::{boundary, one_file};
use xingfuma_domain::phone::Phone;
use xingfuma_domain::picture::PictureKind;
use xingfuma_domain::sign::SignCode;
use xingfuma_media::{Bounds, PictureFault, renewed};

/// A target by its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("sign_code", sign_code),
    ("badge_number", badge_number),
    ("cursor", cursor_of_a_page),
    ("access_token", access_token),
    ("phone", phone),
    ("masking", masking),
    ("multipart", multipart),
];

/// Small, so that a picture costs little: what is refused is refused by the same lines.
const BOUNDS: Bounds = Bounds { pixels_most: 64 * 1024, side_longest: 48 };

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// What is read prints in one form, which is read as the same; a single wrong character is noticed.
pub fn sign_code(bytes: &[u8]) {
    let made = SignCode::from_random(number(bytes));
    for code in [Some(made), text(bytes).parse().ok()].into_iter().flatten() {
        let printed = code.to_string();
        assert!(
            printed.len() == 8
                && printed.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        );
        assert!(!printed.contains(['I', 'L', 'O', 'U']), "{printed}");
        assert_eq!(printed.parse::<SignCode>(), Ok(code));
        assert_eq!(printed.to_lowercase().parse::<SignCode>(), Ok(code), "in any case");
        one_wrong(&printed, |other| other.parse::<SignCode>().ok().filter(|other| *other != code).is_some());
    }
}

/// As [`sign_code`]; and it is put together from what it says of itself.
pub fn badge_number(bytes: &[u8]) {
    let made = BadgeNumber::new((number(bytes) % 100) as u8, (number(bytes) / 100 % 100_000) as u32).ok();
    for badge in [made, text(bytes).parse().ok()].into_iter().flatten() {
        let printed = badge.to_string();
        assert_eq!(printed.parse::<BadgeNumber>(), Ok(badge));
        assert_eq!(BadgeNumber::new(badge.plate(), badge.sequence()), Ok(badge));
        assert!(printed.ends_with(badge.check()));
        one_wrong(&printed, |other| {
            other.parse::<BadgeNumber>().ok().filter(|other| *other != badge).is_some()
        });
    }
}

/// With any one digit changed into another, it is nothing else that is good.
fn one_wrong(printed: &str, is_something_else: impl Fn(&str) -> bool) {
    for place in (0..printed.len()).filter(|place| printed.as_bytes()[*place].is_ascii_digit()) {
        for digit in "0123456789".chars() {
            let wrong: String =
                printed.char_indices().map(|(at, kept)| if at == place { digit } else { kept }).collect();
            assert!(!is_something_else(&wrong), "{wrong} for {printed}");
        }
    }
}

/// Of each id there is one cursor, and nothing else is one.
pub fn cursor_of_a_page(bytes: &[u8]) {
    let given = text(bytes);
    if let Some(id) = cursor::decode(&given) {
        assert_eq!(cursor::encode(id), given, "one form only");
    }
    let id = Uuid::from_u128(
        u128::from(number(bytes)) << 64 | u128::from(number(bytes.get(8..).unwrap_or_default())),
    );
    let made = cursor::encode(id);
    assert!(made.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert_eq!(cursor::decode(&made), Some(id));
    assert_eq!(cursor::decode(&made[1..]), None, "cut");
    assert_eq!(cursor::decode(&format!("{made}A")), None, "too long");
}

/// Only what was signed with the key, byte for byte, is a token.
pub fn access_token(bytes: &[u8]) {
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
    let tokens = Tokens::new(&[7; 32]);
    assert_eq!(tokens.read(&text(bytes), now), None, "nobody has signed this");
    let session = Uuid::from_u128(u128::from(number(bytes)));
    let signed = tokens.sign(Uuid::nil(), session, now).expect("signed");
    assert_eq!(tokens.read(&signed, now), Some(session));
    // One byte changed, anywhere; and a part replaced by what came in.
    if let [place, change, rest @ ..] = bytes {
        let place = (usize::from(*place) * 256 + usize::from(*change)) % signed.len();
        let mut changed = signed.clone().into_bytes();
        changed[place] = changed[place].wrapping_add((change % 255).wrapping_add(1));
        if let Ok(changed) = String::from_utf8(changed) {
            assert_eq!(tokens.read(&changed, now), None, "{changed}");
        }
        let rest = text(rest);
        let mut parts: Vec<&str> = signed.split('.').collect();
        let part = place % 3;
        if parts[part] != rest {
            parts[part] = &rest;
            assert_eq!(tokens.read(&parts.join("."), now), None);
        }
    }
}

/// What is read is digits alone, in one form, however it was typed; and its masked form does not give it away.
pub fn phone(bytes: &[u8]) {
    let mobile = format!("1{:010}", 3_000_000_000 + number(bytes) % 7_000_000_000);
    for phone in [mobile.parse::<Phone>().ok(), text(bytes).parse().ok()].into_iter().flatten() {
        let digits = phone.as_str();
        assert!(
            (10..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{digits}"
        );
        assert_eq!(digits.parse::<Phone>(), Ok(phone));
        assert_eq!(format!(" {}-{} ", &digits[..4], &digits[4..]).parse::<Phone>(), Ok(phone));
        if phone.is_mobile() {
            assert_eq!(format!("+86 {digits}").parse::<Phone>(), Ok(phone));
        }
        let masked = phone.masked();
        assert!(masked.contains("****") && !masked.contains(digits), "{masked}");
        let shown = masked.bytes().filter(u8::is_ascii_digit).count();
        assert!(digits.len() - shown >= 3, "{masked} shows {shown} of {}", digits.len());
        assert!(!format!("{phone:?}").contains(digits), "not in a log");
    }
}

/// Masked once is masked for good; what was found lies in order; no run of digits that could be somebody's is left.
pub fn masking(bytes: &[u8]) {
    let given = text(bytes);
    let masked = mask_text(&given);
    let again = mask_text(&masked.text);
    assert_eq!((&again.text, again.found.len()), (&masked.text, 0), "idempotent");
    let digit = |letter: char| letter.is_ascii_digit() || ('０'..='９').contains(&letter);
    let longest = masked.text.split(|letter| !digit(letter)).map(|run| run.chars().count()).max();
    assert!(longest < Some(7), "{:?}", masked.text);
    let mut done = 0;
    for finding in &masked.found {
        assert!(
            finding.range.start >= done
                && given.get(finding.range.clone()).is_some_and(|found| !found.is_empty())
        );
        done = finding.range.end;
    }
    let name = mask_name(&given);
    assert_eq!(mask_name(&name), name);
    let number = format!("1{:010}", 3_000_000_000 + number(bytes) % 6_999_999_999);
    for around in [
        format!("电话{number}。"),
        format!("{number}找我"),
        format!("{}-{}-{}", &number[..3], &number[3..7], &number[7..]),
    ] {
        let masked = mask_text(&around).text;
        assert!(!masked.contains(&number[7..]) && !masked.contains(&number[3..7]), "{masked}");
    }
}

/// A `Content-Type`, a newline and a body, as they are sent to the upload. What comes out of the body is a part of it that
/// does not hold the delimiter; what is framed comes out again; and whatever file that is, it becomes a picture with
/// nothing in it but pixels, or is refused for what it is.
pub fn multipart(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (kind, body) = (text(&bytes[..line]), bytes.get(line + 1..).unwrap_or_default());
    let Ok(boundary) = boundary(&kind) else {
        picture(body);
        return;
    };
    assert!((1..=70).contains(&boundary.len()) && boundary.is_ascii(), "{boundary}");
    let delimiter = format!("\r\n--{boundary}");
    let holds = |file: &[u8]| file.windows(delimiter.len()).any(|part| part == delimiter.as_bytes());
    if let Ok(file) = one_file(&boundary, body) {
        assert!(file.len() + 2 * boundary.len() < body.len() && !holds(file));
        picture(file);
    }
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let framed =
        [&delimiter.as_bytes()[2..], b"\r\n", head.as_bytes(), body, delimiter.as_bytes(), b"--"].concat();
    match one_file(&boundary, &framed) {
        Ok(file) => assert_eq!(file, body),
        Err(fault) => assert!(holds(body), "{fault}"),
    }
}

fn picture(file: &[u8]) {
    let kind = PictureKind::of(file);
    let made = match renewed(file, BOUNDS) {
        Ok(made) => made,
        Err(fault) => {
            assert_eq!(fault == PictureFault::UnknownKind, kind.is_none(), "{fault}");
            return;
        }
    };
    assert!(kind.is_some());
    assert!(
        (1..=BOUNDS.side_longest).contains(&made.width) && (1..=BOUNDS.side_longest).contains(&made.height)
    );
    assert_eq!(PictureKind::of(&made.jpeg), Some(PictureKind::Jpeg));
    only_pixels(&made.jpeg);
    let again = renewed(&made.jpeg, BOUNDS).expect("what was made here is good");
    assert_eq!((again.width, again.height), (made.width, made.height));
}

/// Up to its scan a JPEG has tables, a frame and the mark of its kind: no comment, no Exif, no profile.
fn only_pixels(jpeg: &[u8]) {
    const JFIF: u8 = 0xe0;
    const SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        if *marker == SCAN {
            return;
        }
        assert!(*marker == JFIF || matches!(marker, 0xc0..=0xc4 | 0xdb | 0xdd), "segment {marker:#x}");
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    panic!("a picture without a scan");
}
