//! Pictures as far as nothing has to be decoded: what kind of file it is, and how a picture looks.
//!
//! A [`Look`] is a difference hash: the picture is averaged down to 9 by 8 grey squares, and each of the 64 bits says
//! whether a square is brighter than the one right of it. The same photo compressed anew, made smaller or a little
//! brighter differs in few bits; two photos of different things differ in about half of them.

/// What is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP
    WebP,
}

impl PictureKind {
    /// What a file is by its first bytes; never by its name or by what the sender calls it.
    pub fn of(bytes: &[u8]) -> Option<PictureKind> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(PictureKind::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(PictureKind::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(PictureKind::WebP),
            _ => None,
        }
    }
}

const COLUMNS: usize = 9;
const ROWS: usize = 8;
/// Darkest and brightest square of a picture that shows something differ by so much, of 255.
const CONTRAST_LEAST: u32 = 8;
/// Bits in which two pictures that look the same differ at most. What [`Look::nearby`] finds depends on it: of four
/// quarters, one differs in at most one bit.
pub const NEAR: u32 = 7;
const QUARTERS: i64 = 4;
const QUARTER_BITS: u32 = 16;

/// How a picture looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look(pub u64);

impl Look {
    /// The look of a picture given as rows of grey values; none for one that shows nothing, such as a white page, because
    /// all of these look the same.
    pub fn of(grey: &[u8], width: usize, height: usize) -> Option<Look> {
        if width == 0 || height == 0 || grey.len() != width * height {
            return None;
        }
        let squares: Vec<u32> = (0..ROWS * COLUMNS)
            .map(|square| mean(grey, width, height, square % COLUMNS, square / COLUMNS))
            .collect();
        let (darkest, brightest) = (squares.iter().min()?, squares.iter().max()?);
        if brightest - darkest < CONTRAST_LEAST * SCALE {
            return None;
        }
        let brighter = squares.chunks(COLUMNS).flat_map(|row| row.windows(2).map(|pair| pair[0] > pair[1]));
        Some(Look(brighter.fold(0, |bits, bit| bits << 1 | u64::from(bit))))
    }

    /// In how many bits two looks differ.
    pub fn distance(self, other: Look) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// The four quarters, each with its place, under which it is filed.
    pub fn filed(self) -> [i64; 4] {
        [0, 1, 2, 3].map(|quarter| self.quarter(quarter))
    }

    /// Every quarter under which a look is filed that differs in at most [`NEAR`] bits: its own quarters, and each with
    /// one bit changed.
    pub fn nearby(self) -> Vec<i64> {
        let one = |quarter| (0..QUARTER_BITS).map(move |bit| self.quarter(quarter) ^ 1 << bit);
        (0..QUARTERS).flat_map(|quarter| std::iter::once(self.quarter(quarter)).chain(one(quarter))).collect()
    }

    fn quarter(self, quarter: i64) -> i64 {
        let bits = (self.0 >> (i64::from(QUARTER_BITS) * quarter) & 0xffff) as i64;
        quarter << QUARTER_BITS | bits
    }
}

/// Means are kept in parts of a grey value, so that slow gradients count.
const SCALE: u32 = 16;

/// The mean grey of a square.
fn mean(grey: &[u8], width: usize, height: usize, column: usize, row: usize) -> u32 {
    let span = |at: usize, of: usize, length: usize| {
        let from = at * length / of;
        from..((at + 1) * length / of).max(from + 1).min(length)
    };
    let (columns, rows) = (span(column, COLUMNS, width), span(row, ROWS, height));
    let count = (columns.len() * rows.len()) as u64;
    let line =
        |y: usize| grey[y * width..][columns.clone()].iter().map(|value| u64::from(*value)).sum::<u64>();
    let sum: u64 = rows.map(line).sum();
    (sum * u64::from(SCALE) / count.max(1)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(PictureKind::of(b"\xff\xd8\xff\xe0rest"), Some(PictureKind::Jpeg));
        assert_eq!(PictureKind::of(b"\x89PNG\r\n\x1a\nrest"), Some(PictureKind::Png));
        assert_eq!(PictureKind::of(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some(PictureKind::WebP));
        for other in
            [b"".as_slice(), b"GIF89a", b"\xff\xd8", b"RIFF\0\0\0\0WAVE", b"<svg", b"BM", b"%PDF", b"<html>"]
        {
            assert_eq!(PictureKind::of(other), None, "{other:?}");
        }
    }

    /// A landscape: a gradient with a few bright spots that depend on the seed.
    fn painted(width: usize, height: usize, seed: u64) -> Vec<u8> {
        let value = |x: usize, y: usize| {
            let (u, v) = (x as f64 / width as f64, y as f64 / height as f64);
            let wave =
                |k: u64| ((u * (k % 5 + 1) as f64 + v * (k % 7 + 1) as f64 + k as f64).sin() + 1.0) * 60.0;
            (wave(seed) + wave(seed / 3 + 1)) as u8
        };
        (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect()
    }

    #[test]
    fn a_picture_looks_the_same_at_another_size_and_brightness() {
        let look = Look::of(&painted(640, 480, 3), 640, 480).unwrap();
        let smaller = Look::of(&painted(320, 240, 3), 320, 240).unwrap();
        let brighter: Vec<u8> = painted(640, 480, 3).iter().map(|value| value.saturating_add(10)).collect();
        assert!(look.distance(smaller) <= NEAR, "{}", look.distance(smaller));
        assert!(look.distance(Look::of(&brighter, 640, 480).unwrap()) <= NEAR);
        assert!(look.distance(Look::of(&painted(640, 480, 11), 640, 480).unwrap()) > NEAR);
    }

    #[test]
    fn what_shows_nothing_has_no_look() {
        assert_eq!(Look::of(&[255; 100 * 80], 100, 80), None);
        assert_eq!(Look::of(&[], 0, 0), None);
        assert_eq!(Look::of(&[1, 2, 3], 2, 2), None);
        let noise: Vec<u8> = (0..100 * 80).map(|at| 200 + (at % 3) as u8).collect();
        assert_eq!(Look::of(&noise, 100, 80), None);
        assert_eq!(
            Look::of(&[0, 255], 2, 1).map(|look| look.0.count_ones()),
            Some(0),
            "one step up, none down"
        );
    }

    #[test]
    fn a_known_picture_has_a_known_look() {
        let falling: Vec<u8> = (0..8).flat_map(|_| (0..9).map(|x| 240 - 20 * x)).collect();
        assert_eq!(Look::of(&falling, 9, 8), Some(Look(u64::MAX)));
        let rising: Vec<u8> = (0..8).flat_map(|_| (0..9).map(|x| 20 * x)).collect();
        assert_eq!(Look::of(&rising, 9, 8), Some(Look(0)));
        let mut one = rising.clone();
        one[0] = 250;
        assert_eq!(Look::of(&one, 9, 8), Some(Look(1 << 63)), "the first pair is the highest bit");
    }

    proptest! {
        /// What is near is found by its quarters, whichever bits differ.
        #[test]
        fn what_is_near_is_found(bits: u64, flips in proptest::collection::vec(0_u32..64, 0..=NEAR as usize)) {
            let look = Look(bits);
            let other = Look(flips.iter().fold(bits, |bits, flip| bits ^ 1 << flip));
            prop_assert!(look.distance(other) <= NEAR);
            let nearby = look.nearby();
            prop_assert!(other.filed().iter().any(|filed| nearby.contains(filed)));
        }

        #[test]
        fn distance_is_a_metric(a: u64, b: u64, c: u64) {
            let (a, b, c) = (Look(a), Look(b), Look(c));
            prop_assert_eq!(a.distance(a), 0);
            prop_assert_eq!(a.distance(b), b.distance(a));
            prop_assert!(a.distance(c) <= a.distance(b) + b.distance(c));
        }
    }
}
