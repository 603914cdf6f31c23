//! Files that are not what they say: refused by name, without a crash, without the memory that they ask for.

use image::ImageFormat;
use xingfuma_tests::client::{Answer, Client};

use crate::Place;
use crate::files::{
    bomb, chunk, claiming_jpeg, claiming_png, claiming_webp, encoded, jpeg, scene, telltale_jpeg,
    telltale_png, telltale_webp,
};

/// More than this a process never holds beyond what it held, whatever is sent: two decodes of the largest picture that is
/// allowed, and files on their way.
const GROWS_AT_MOST_MIB: u64 = 400;

/// The one field's code of a 422, or the problem's own.
fn code(answer: &Answer) -> String {
    let problem = answer.problem(answer.status);
    match problem.as_str() {
        "invalid_fields" => answer.json()["errors"][0]["code"].as_str().expect("a code").to_owned(),
        _ => problem,
    }
}

pub(crate) fn all(place: &Place<'_>) {
    let resident = Client::log_in(&place.base, place.accounts.one("resident"));
    let before = place.resident_mib();
    bombs(&resident);
    let after = place.resident_mib();
    println!("bombs: {before} MiB before, {after} MiB after");
    assert!(after < before + GROWS_AT_MOST_MIB, "{before} MiB before, {after} MiB after");
    not_pictures(&resident);
    damaged(&resident);
    polyglots(&resident);
    too_many_bytes(&resident);
    let after = place.resident_mib();
    assert!(after < before + GROWS_AT_MOST_MIB, "{before} MiB before, {after} MiB at the end");
}

fn bombs(resident: &Client) {
    let packed = bomb(20_000);
    assert!(packed.len() < 1024 * 1024, "{} bytes", packed.len());
    for (name, file) in [
        ("a PNG that claims 50,000 a side", claiming_png(50_000, 50_000)),
        ("a PNG that claims 2^31 - 1 a side", claiming_png(i32::MAX as u32, i32::MAX as u32)),
        ("a stripe", claiming_png(1, 17_000)),
        ("a JPEG that claims 65,500 a side", claiming_jpeg()),
        ("400 million black pixels", packed),
        ("one row of pixels too many", claiming_png(6_000, 4_001)),
    ] {
        let answer = resident.upload(&file);
        assert_eq!((answer.status, code(&answer).as_str()), (422, "picture_too_large"), "{name}");
    }
    // Its two headers contradict each other, which is seen first.
    let answer = resident.upload(&claiming_webp());
    assert_eq!((answer.status, code(&answer).as_str()), (422, "picture_broken"), "16,384 a side");
    // A text that unpacks to 200 MB beside a small picture.
    let small = encoded(scene(2, 64, 64), ImageFormat::Png);
    let text = bomb(14_000);
    let idat = text.windows(4).position(|name| name == b"IDAT").expect("data") + 4;
    let ztxt = [b"Comment\0\0".as_slice(), &text[idat..text.len() - 16]].concat();
    let profile = [b"profile\0\0".as_slice(), &text[idat..text.len() - 16]].concat();
    for added in [chunk(b"zTXt", &ztxt), chunk(b"iCCP", &profile)] {
        let answer = resident.upload(&[&small[..33], &added, &small[33..]].concat());
        assert!([201, 422].contains(&answer.status), "{}", answer.text());
    }
}

fn not_pictures(resident: &Client) {
    let gif = b"GIF89a/*\x01\0\x01\0\x80\0\0*/=1;alert(document.domain)//".to_vec();
    for (name, file) in [
        ("nothing", Vec::new()),
        ("a GIF that is a script", gif),
        ("a page", b"<!DOCTYPE html><script>alert(1)</script>".to_vec()),
        ("a drawing", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec()),
        ("a document", b"%PDF-1.7\n".to_vec()),
        ("an archive", b"PK\x03\x04".to_vec()),
        ("a picture of a phone", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        ("a bitmap", b"BM\x36\0\0\0".to_vec()),
        ("a text", "幸福".repeat(100).into_bytes()),
    ] {
        let answer = resident.upload(&file);
        assert_eq!((answer.status, code(&answer).as_str()), (415, "unsupported_media"), "{name}");
    }
}

fn damaged(resident: &Client) {
    for whole in [jpeg(3), telltale_jpeg(3), telltale_png(3), telltale_webp(3)] {
        assert_eq!(resident.upload(&whole).status, 201);
        for length in [4, 12, 20, 40, whole.len() / 8] {
            let answer = resident.upload(&whole[..length]);
            assert!([415, 422].contains(&answer.status), "{length}: {}", answer.text());
        }
        // Cut near its end, or with bytes that are not its own: a decoder may make do, and never fails us.
        for spoil in 1..12 {
            let mut file = whole.clone();
            let step = file.len() / 12;
            for at in (spoil * step..file.len()).step_by(97) {
                file[at] ^= 0x5a;
            }
            let answer = resident.upload(&file);
            assert!([201, 415, 422].contains(&answer.status), "{spoil}: {}", answer.text());
            let answer = resident.upload(&whole[..whole.len() - spoil * 7]);
            assert!([201, 422].contains(&answer.status), "{spoil}: {}", answer.text());
        }
    }
}

/// Two things at once come out as one: the picture.
fn polyglots(resident: &Client) {
    const PAGE: &[u8] = b"<html><body><script>alert(document.domain)</script></body></html>";
    let archive = b"PK\x03\x04evil.exe PK\x01\x02 PK\x05\x06".as_slice();
    let in_comment = {
        let plain = jpeg(4);
        let comment = [&[0xff, 0xfe, 0, PAGE.len() as u8 + 2], PAGE].concat();
        [&plain[..2], &comment, &plain[2..]].concat()
    };
    let png = encoded(scene(4, 300, 200), ImageFormat::Png);
    for (name, file) in [
        ("a JPEG and a page", [jpeg(4).as_slice(), PAGE].concat()),
        ("a page in a JPEG's comment", in_comment),
        ("a PNG and an archive", [png.as_slice(), archive].concat()),
        ("a PNG and a page", [png.as_slice(), PAGE].concat()),
        ("a WebP and an archive", [telltale_webp(4).as_slice(), archive].concat()),
    ] {
        let made = resident.upload(&file);
        let id = made.expect(201)["id"].as_str().expect("an id").to_owned();
        let shown = resident.get(&format!("/media/{id}"));
        assert_eq!(shown.status, 200, "{name}");
        assert_eq!(shown.header("content-type"), Some("image/jpeg"), "{name}");
        let holds = |wanted: &[u8]| shown.bytes.windows(wanted.len()).any(|part| part == wanted);
        for wanted in [b"<script".as_slice(), b"<html", b"PK\x03\x04", b"evil.exe", b"xmpmeta"] {
            assert!(!holds(wanted), "{name}: {}", String::from_utf8_lossy(wanted));
        }
        assert!(shown.bytes.ends_with(&[0xff, 0xd9]), "{name}: nothing stands behind its end");
    }
}

fn too_many_bytes(resident: &Client) {
    let large = [jpeg(5), vec![0; 8 * 1024 * 1024]].concat();
    assert_eq!(resident.upload(&large).problem(413), "payload_too_large");
    let fits = [jpeg(5), vec![0; 7 * 1024 * 1024]].concat();
    resident.upload(&fits).expect(201);
}
