//! A file from anybody becomes a picture of ours.
//!
//! How large it is stands in its first bytes, and is looked at before anything is decoded: a file of a hundred bytes can
//! claim 50,000 × 50,000 pixels, and a few kilobytes can unpack to gigabytes. What a decoder may allocate is bounded
//! besides. Decoding takes a processor for up to a second: callers bound how many do so at once.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use xingfuma_domain::picture::{Look, PictureKind};

/// How large a picture may come in, and how large it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most pixels of what comes in. A decoder needs up to 9 bytes for each.
    pub pixels_most: u64,
    /// Longest side of what goes out, in pixels.
    pub side_longest: u32,
}

/// Longest side of what comes in, in pixels: nobody photographs stripes.
const SIDE_LONGEST: u32 = 16_384;
/// What a decoder may allocate for each pixel that is allowed, in bytes: 16 bits in each of four channels, and as much
/// again to work in.
const BYTES_A_PIXEL: u64 = 16;
/// Quality of the JPEG, of 100.
const QUALITY: u8 = 82;
/// What is seen through: paper.
const PAPER: u32 = 255;

/// Why a file does not become a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureFault {
    /// Neither JPEG, PNG nor WebP by its first bytes.
    #[error("not a JPEG, PNG or WebP")]
    UnknownKind,
    /// It claims more pixels than are allowed; nothing was decoded.
    #[error("too many pixels")]
    TooLarge,
    /// It cannot be decoded: cut off, or damaged.
    #[error("it cannot be decoded")]
    Broken,
}

/// A picture that was made here.
#[derive(Clone, PartialEq, Eq)]
pub struct Renewed {
    /// A JPEG with nothing in it but pixels.
    pub jpeg: Vec<u8>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// How it looks; none where it shows nothing.
    pub look: Option<Look>,
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Renewed")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

/// Makes a picture anew: decoded, turned upright, made smaller, encoded.
///
/// # Errors
/// [`PictureFault`].
pub fn renewed(file: &[u8], bounds: Bounds) -> Result<Renewed, PictureFault> {
    let upright = decoded(file, bounds)?;
    let flat = on_paper(smaller(upright, bounds.side_longest));
    let (width, height) = flat.dimensions();
    let grey: Vec<u8> = flat.pixels().map(|pixel| luma(pixel.0)).collect();
    let look = Look::of(&grey, width as usize, height as usize);
    drop(grey);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&flat)
        .map_err(|_| PictureFault::Broken)?;
    Ok(Renewed { jpeg, width, height, look })
}

fn decoded(file: &[u8], bounds: Bounds) -> Result<DynamicImage, PictureFault> {
    let format = match PictureKind::of(file).ok_or(PictureFault::UnknownKind)? {
        // The decoder makes do with what there is, and paints the rest grey.
        PictureKind::Jpeg if is_cut_off(file) => return Err(PictureFault::Broken),
        PictureKind::Jpeg => ImageFormat::Jpeg,
        PictureKind::Png => ImageFormat::Png,
        PictureKind::WebP => ImageFormat::WebP,
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_LONGEST);
    limits.max_image_height = Some(SIDE_LONGEST);
    limits.max_alloc = Some(bounds.pixels_most * BYTES_A_PIXEL);
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > bounds.pixels_most {
        return Err(PictureFault::TooLarge);
    }
    decoder.set_limits(limits).map_err(fault)?;
    // A file without it, or with one that cannot be read, lies as it is.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Whether a JPEG's picture (not the smaller one in its Exif) has no end. The end's two bytes stand nowhere else in it.
fn is_cut_off(jpeg: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        if *marker == SCAN {
            return !jpeg[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        // A marker may be preceded by any number of fill bytes.
        at += if *marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([*high, *low])) };
    }
    // No scan was reached: there is none, or the decoder knows better how to read it.
    at >= jpeg.len()
}

fn fault(error: ImageError) -> PictureFault {
    match error {
        ImageError::Limits(_) => PictureFault::TooLarge,
        _ => PictureFault::Broken,
    }
}

fn smaller(picture: DynamicImage, side_longest: u32) -> DynamicImage {
    if picture.width().max(picture.height()) <= side_longest {
        return picture;
    }
    picture.thumbnail(side_longest, side_longest)
}

/// JPEG has no transparency: what is seen through becomes white, not what the invisible pixels happen to hold.
fn on_paper(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let seen_through = picture.into_rgba8();
    RgbImage::from_fn(seen_through.width(), seen_through.height(), |x, y| {
        let [red, green, blue, alpha] = seen_through.get_pixel(x, y).0.map(u32::from);
        let over = |value: u32| ((value * alpha + PAPER * (255 - alpha)) / 255) as u8;
        image::Rgb([over(red), over(green), over(blue)])
    })
}

/// Brightness as an eye weighs it.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1_000) as u8
}

#[cfg(test)]
mod tests {
    use image::{ImageEncoder, Rgb, Rgba, RgbaImage};

    use super::*;

    const BOUNDS: Bounds = Bounds { pixels_most: 4_000_000, side_longest: 800 };

    fn scene(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let (u, v) = (x * 255 / width, y * 255 / height);
            Rgb([u as u8, v as u8, if x > width / 2 && y > height / 2 { 255 } else { 40 }])
        })
    }

    fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_kind_becomes_a_jpeg_that_looks_the_same() {
        let picture = DynamicImage::ImageRgb8(scene(1_200, 900));
        let looks: Vec<Look> = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP]
            .map(|format| renewed(&file(&picture, format), BOUNDS).unwrap())
            .into_iter()
            .map(|renewed| {
                assert_eq!((renewed.width, renewed.height), (800, 600));
                assert_eq!(PictureKind::of(&renewed.jpeg), Some(PictureKind::Jpeg));
                renewed.look.unwrap()
            })
            .collect();
        for look in &looks {
            assert!(look.distance(looks[0]) <= xingfuma_domain::picture::NEAR);
        }
    }

    #[test]
    fn what_is_seen_through_is_white() {
        let clear = RgbaImage::from_pixel(40, 40, Rgba([0, 0, 0, 0]));
        let renewed = renewed(&file(&DynamicImage::ImageRgba8(clear), ImageFormat::Png), BOUNDS).unwrap();
        let again =
            image::load_from_memory_with_format(&renewed.jpeg, ImageFormat::Jpeg).unwrap().into_rgb8();
        assert!(again.pixels().all(|pixel| pixel.0.iter().all(|value| *value > 250)));
        assert_eq!(renewed.look, None);
    }

    #[test]
    fn it_is_turned_upright_before_its_orientation_is_forgotten() {
        // Exif with one entry: orientation 6, to be turned a quarter clockwise.
        let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
        exif.extend([0, 0, 0, 0]);
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.encode_image(&scene(400, 300)).unwrap();
        let renewed = renewed(&bytes, BOUNDS).unwrap();
        assert_eq!((renewed.width, renewed.height), (300, 400));
        let mut again =
            ImageReader::with_format(Cursor::new(&renewed.jpeg), ImageFormat::Jpeg).into_decoder().unwrap();
        assert_eq!(again.exif_metadata().unwrap(), None);
        assert_eq!(again.icc_profile().unwrap(), None);
    }

    #[test]
    fn what_is_too_large_or_broken_is_refused() {
        let picture = DynamicImage::ImageRgb8(scene(2_001, 2_000));
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let whole = file(&picture, format);
            assert_eq!(renewed(&whole, BOUNDS), Err(PictureFault::TooLarge), "{format:?}");
            let small = file(&DynamicImage::ImageRgb8(scene(200, 200)), format);
            assert!(renewed(&small, BOUNDS).is_ok());
            for length in [12, 30, small.len() / 4] {
                assert_eq!(
                    renewed(&small[..length], BOUNDS),
                    Err(PictureFault::Broken),
                    "{format:?} {length}"
                );
            }
        }
        for other in [b"".as_slice(), b"GIF89a", b"<html>", b"\0\0\0\x18ftypheic"] {
            assert_eq!(renewed(other, BOUNDS), Err(PictureFault::UnknownKind));
        }
    }
}
