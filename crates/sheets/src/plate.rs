//! The sign plate (标识牌): what hangs in a grid for years, in the sun, and is read by people of every age.
//!
//! An A4 page, so that a village can print a spare one itself. From top to bottom: whose it is, which grid, the code to
//! scan, the same code in plain text, the hotline in plain text (for whoever has no smartphone), the emergency numbers,
//! and the address behind the code, so that a sticker pasted over it can be told.

use crate::drawing::{BLACK, Face, Line, Page, RED, WHITE};
use crate::qr::{AddressTooLong, Symbol};

/// Width of the plate in millimetres (A4).
pub const WIDTH_MM: f64 = 210.0;
/// Height of the plate in millimetres (A4).
pub const HEIGHT_MM: f64 = 297.0;
/// Side of the square that holds symbol and quiet zone. The symbol itself is then 100 to 120 mm wide for every address
/// of up to 86 bytes (versions 1 to 7), and is scanned from a good metre away.
const CODE_MM: f64 = 140.0;

/// What is printed on one sign plate. All texts are raw: [`svg`] escapes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plate<'a> {
    /// The hotline as people dial it, for example `0354-4122345`.
    pub hotline: &'a str,
    /// The sign code as people read it aloud; printed in upper case.
    pub code: &'a str,
    /// The grid's name, with as much of its village as a neighbour needs.
    pub grid_name: &'a str,
    /// The county's name.
    pub county_name: &'a str,
    /// The address that the QR code holds, for example `https://HOST/q/CODE`.
    pub url: &'a str,
}

/// The plate as an SVG document in physical units, ready for a print shop.
///
/// # Errors
/// [`AddressTooLong`] when the address exceeds what a symbol holds.
pub fn svg(plate: &Plate<'_>) -> Result<String, AddressTooLong> {
    let symbol = Symbol::new(plate.url)?;
    let mut page = Page::framed(WIDTH_MM, HEIGHT_MM, 14.0, 4.0);
    head(&mut page, plate);
    page.square(66.0, CODE_MM, symbol.modules, &symbol.content);
    plain_text(&mut page, plate);
    foot(&mut page, plate);
    Ok(page.finish(&format!("{} 标识牌 {}", plate.grid_name, plate.code.to_uppercase())))
}

fn head(page: &mut Page, plate: &Plate<'_>) {
    page.band(0.0, 48.0);
    let owner = format!("{}志愿服务", plate.county_name);
    page.line(&Line { text: &owner, baseline_mm: 18.0, size_mm: 9.0, fill: WHITE, face: Face::Sans });
    page.line(&Line { text: "幸福+码", baseline_mm: 40.0, size_mm: 20.0, fill: WHITE, face: Face::Sans });
    page.line(&Line {
        text: plate.grid_name,
        baseline_mm: 62.0,
        size_mm: 10.0,
        fill: BLACK,
        face: Face::Sans,
    });
}

fn plain_text(page: &mut Page, plate: &Plate<'_>) {
    page.line(&Line {
        text: "微信扫一扫 点单叫服务",
        baseline_mm: 214.0,
        size_mm: 8.5,
        fill: BLACK,
        face: Face::Sans,
    });
    let code = plate.code.to_uppercase();
    page.line(&Line { text: &code, baseline_mm: 228.0, size_mm: 12.0, fill: RED, face: Face::Mono });
    page.band(234.0, 36.0);
    page.line(&Line {
        text: "不用手机也能点单 请拨服务热线",
        baseline_mm: 244.5,
        size_mm: 7.0,
        fill: WHITE,
        face: Face::Sans,
    });
    page.line(&Line {
        text: plate.hotline,
        baseline_mm: 264.0,
        size_mm: 18.0,
        fill: WHITE,
        face: Face::Sans,
    });
}

fn foot(page: &mut Page, plate: &Plate<'_>) {
    page.line(&Line {
        text: "遇生命财产危险 请先拨 110 · 119 · 120",
        baseline_mm: 279.5,
        size_mm: 6.0,
        fill: BLACK,
        face: Face::Sans,
    });
    let address = format!("扫码后请核对网址 {}", plate.url);
    page.line(&Line { text: &address, baseline_mm: 288.0, size_mm: 4.5, fill: BLACK, face: Face::Sans });
}
