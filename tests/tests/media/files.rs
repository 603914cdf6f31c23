//! Pictures made by code: with places and times hidden in them, damaged, lying about their size, and more than one thing
//! at once.

use std::{io::Cursor, process::Command};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// What is hidden in every file, and must be nowhere afterwards.
pub(crate) const SECRET: &str = "XFM-SECRET-37.6093N-113.7014E";

/// A photo; each seed shows something else.
pub(crate) fn scene(seed: u32, width: u32, height: u32) -> RgbImage {
    // Squares of brightness by a small generator: 12 across and 9 down.
    let bright = |column: u32, row: u32| {
        let mut state =
            seed.wrapping_mul(2_654_435_761) ^ column.wrapping_mul(40_503) ^ row.wrapping_mul(9_973_117);
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // Without it neighbours would compare alike whatever the seed is.
            state = state.wrapping_mul(0x9e37_79b1);
        }
        (state >> 8) as u8
    };
    RgbImage::from_fn(width, height, |x, y| {
        let value = bright(x * 12 / width, y * 9 / height);
        Rgb([value, value / 2 + 40, 255 - value])
    })
}

pub(crate) fn encoded(picture: RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).expect("it is encoded");
    bytes.into_inner()
}

pub(crate) fn jpeg(seed: u32) -> Vec<u8> {
    encoded(scene(seed, 640, 480), ImageFormat::Jpeg)
}

/// Exif: to be turned by a quarter (orientation 6), a description with the secret, and a place (a GPS directory).
pub(crate) fn exif() -> Vec<u8> {
    let text = format!("{SECRET}\0");
    // Eight bytes of header; a directory of three entries; a directory of one entry; the text.
    let (first, gps) = (8_u32, 8_u32 + 2 + 3 * 12 + 4);
    let text_at = gps + 2 + 12 + 4;
    let mut tiff = b"MM\0\x2a".to_vec();
    let entry = |tiff: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        tiff.extend(tag.to_be_bytes());
        tiff.extend(kind.to_be_bytes());
        tiff.extend(count.to_be_bytes());
        tiff.extend(value);
    };
    tiff.extend(first.to_be_bytes());
    tiff.extend(3_u16.to_be_bytes());
    entry(&mut tiff, 0x010e, 2, text.len() as u32, text_at.to_be_bytes());
    entry(&mut tiff, 0x0112, 3, 1, [0, 6, 0, 0]);
    entry(&mut tiff, 0x8825, 4, 1, gps.to_be_bytes());
    tiff.extend([0; 4]);
    tiff.extend(1_u16.to_be_bytes());
    entry(&mut tiff, 0x0001, 2, 2, *b"N\0\0\0");
    tiff.extend([0; 4]);
    tiff.extend(text.as_bytes());
    tiff
}

/// A segment of a JPEG.
fn segment(marker: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len() + 2).expect("a short segment");
    [&[0xff, marker], length.to_be_bytes().as_slice(), contents].concat()
}

/// A JPEG with Exif, XMP and a comment.
pub(crate) fn telltale_jpeg(seed: u32) -> Vec<u8> {
    let plain = jpeg(seed);
    let xmp = format!("http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>{SECRET}</x:xmpmeta>");
    let exif = [b"Exif\0\0".as_slice(), &exif()].concat();
    let added =
        [segment(0xe1, &exif), segment(0xe1, xmp.as_bytes()), segment(0xfe, SECRET.as_bytes())].concat();
    [&plain[..2], &added, &plain[2..]].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A chunk of a PNG.
pub(crate) fn chunk(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), contents].concat();
    [&(contents.len() as u32).to_be_bytes(), named.as_slice(), &crc32(&named).to_be_bytes()].concat()
}

/// Where a PNG's first chunk, its header, ends.
const PNG_HEADER: usize = 8 + 25;

/// A PNG with `eXIf` and a text.
pub(crate) fn telltale_png(seed: u32) -> Vec<u8> {
    let plain = encoded(scene(seed, 640, 480), ImageFormat::Png);
    let text = [b"Comment\0".as_slice(), SECRET.as_bytes()].concat();
    let added = [chunk(b"eXIf", &exif()), chunk(b"tEXt", &text)].concat();
    [&plain[..PNG_HEADER], &added, &plain[PNG_HEADER..]].concat()
}

/// A WebP in the extended container, with `EXIF` and `XMP `.
pub(crate) fn telltale_webp(seed: u32) -> Vec<u8> {
    let plain = encoded(scene(seed, 640, 480), ImageFormat::WebP);
    let riff = |name: &[u8; 4], contents: &[u8]| {
        let mut chunk = [name.as_slice(), &(contents.len() as u32).to_le_bytes(), contents].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    // Flags: Exif and XMP; then width and height less one, in 24 bits each.
    let mut header = vec![0x0c, 0, 0, 0];
    header.extend(&639_u32.to_le_bytes()[..3]);
    header.extend(&479_u32.to_le_bytes()[..3]);
    let parts = [
        riff(b"VP8X", &header),
        plain[12..].to_vec(),
        riff(b"EXIF", &exif()),
        riff(b"XMP ", SECRET.as_bytes()),
    ];
    riff(b"RIFF", &[b"WEBP".to_vec(), parts.concat()].concat())
}

/// A PNG that claims a size, with hardly anything in it.
pub(crate) fn claiming_png(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes(), height.to_be_bytes().as_slice(), &[8, 6, 0, 0, 0]].concat();
    let data = b"\x78\x9c\x63\x00\x00\x00\x01\x00\x01";
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", data), chunk(b"IEND", &[])]
        .concat()
}

/// A PNG that really has this many black pixels a side, packed as tightly as it goes.
pub(crate) fn bomb(side: u32) -> Vec<u8> {
    const PACK: &str = "import sys, zlib\nside = int(sys.argv[1])\npacker = zlib.compressobj(9)\n\
        row = bytes(1 + side)\nout = sys.stdout.buffer\n\
        for _ in range(side): out.write(packer.compress(row))\nout.write(packer.flush())";
    let packed =
        Command::new("python3").args(["-c", PACK, &side.to_string()]).output().expect("python3 runs");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let header = [&side.to_be_bytes(), side.to_be_bytes().as_slice(), &[8, 0, 0, 0, 0]].concat();
    let parts = [chunk(b"IHDR", &header), chunk(b"IDAT", &packed.stdout), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

/// A JPEG whose frame claims 65,500 pixels a side.
pub(crate) fn claiming_jpeg() -> Vec<u8> {
    let mut file = jpeg(1);
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline frame");
    for at in [frame + 5, frame + 7] {
        file[at..at + 2].copy_from_slice(&65_500_u16.to_be_bytes());
    }
    file
}

/// A lossless WebP that claims 16,384 pixels a side, as many as can be claimed.
pub(crate) fn claiming_webp() -> Vec<u8> {
    let mut file = encoded(scene(1, 64, 64), ImageFormat::WebP);
    let data = file.windows(4).position(|name| name == b"VP8L").expect("lossless") + 8;
    file[data + 1..data + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    file
}
