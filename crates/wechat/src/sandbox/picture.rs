//! A picture in place of a mini-program code: a real PNG of the wished width, with a pattern of its own for each
//! scene. No telephone can read it; the real one cannot be drawn by anybody but WeChat.

use sha1::{Digest, Sha1};

/// The pattern has so many squares a side: 144 of the 160 bits of a hash.
const SQUARES: usize = 12;

/// A square PNG, one bit a pixel, `width` pixels wide.
pub(super) fn png(scene: &str, width: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = width.to_be_bytes();
    // One bit a pixel, grey, and the only compression, filter and interlace there are.
    let header = [size.as_slice(), &size, &[1, 0, 0, 0, 0]].concat();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"IDAT", &stored(&pixels(scene, width as usize)));
    chunk(&mut file, b"IEND", &[]);
    file
}

/// The rows, each with its filter byte in front; a set bit is white.
fn pixels(scene: &str, width: usize) -> Vec<u8> {
    let pattern = Sha1::digest(scene.as_bytes());
    let is_black = |x: usize, y: usize| {
        // Outside there is a margin of one square.
        let square =
            |at: usize| (at * (SQUARES + 2) / width).checked_sub(1).filter(|square| *square < SQUARES);
        let (Some(column), Some(row)) = (square(x), square(y)) else { return false };
        let bit = row * SQUARES + column;
        pattern[bit / 8] >> (bit % 8) & 1 == 1
    };
    let mut rows = Vec::with_capacity(width * (width / 8 + 2));
    for y in 0..width {
        rows.push(0);
        for start in (0..width).step_by(8) {
            let bits = (0..8).map(|i| u8::from(start + i >= width || !is_black(start + i, y)) << (7 - i));
            rows.push(bits.sum());
        }
    }
    rows
}

/// `data` as a zlib stream that stores it as it is.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = data.chunks(usize::from(u16::MAX));
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = block.len() as u16;
        stream.push(u8::from(index == last));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    // At most 1280 rows of 161 bytes.
    let length = data.len() as u32;
    let named = [name.as_slice(), data].concat();
    file.extend(length.to_be_bytes());
    file.extend(&named);
    file.extend(crc32(&named).to_be_bytes());
}

/// The check sum of RFC 1950.
fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % MODULUS;
        (low, (high + low) % MODULUS)
    });
    high << 16 | low
}

/// The check sum of RFC 1952, bit by bit: a code a minute does not need a table.
fn crc32(data: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sums_are_the_known_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn the_file_says_its_size_and_holds_all_rows() {
        for width in [280_u32, 431, 1280] {
            let file = png("a=1", width);
            assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
            assert_eq!(file[16..20], width.to_be_bytes());
            assert_eq!(file[20..24], width.to_be_bytes());
            let width = width as usize;
            assert_eq!(pixels("a=1", width).len(), width * (width.div_ceil(8) + 1));
        }
        assert_ne!(png("a=1", 280), png("a=2", 280));
    }
}
