//! The number plate (号牌): what a volunteer wears. 亮码亮证: whoever scans it learns that its bearer is a volunteer in
//! good standing, so the print says no more than the scan does: surname, team and number, no full name and no phone.

use crate::drawing::{BLACK, Face, Line, Page, RED, WHITE};
use crate::qr::{AddressTooLong, Symbol};

/// Width of the badge in millimetres: a common lanyard holder.
pub const WIDTH_MM: f64 = 90.0;
/// Height of the badge in millimetres.
pub const HEIGHT_MM: f64 = 130.0;
/// Side of the square that holds symbol and quiet zone: scanned from half a metre away.
const CODE_MM: f64 = 56.0;

/// What is printed on one badge. All texts are raw: [`svg`] escapes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Badge<'a> {
    /// The badge number, for example `05-00127-X`.
    pub number: &'a str,
    /// The bearer's surname alone, one or two characters.
    pub surname: &'a str,
    /// The name of his volunteer service team.
    pub team: &'a str,
    /// The county's name.
    pub county_name: &'a str,
    /// The address that the QR code holds, for example `https://HOST/b/05-00127-X`.
    pub url: &'a str,
}

/// The badge as an SVG document in physical units.
///
/// # Errors
/// [`AddressTooLong`] when the address exceeds what a symbol holds.
pub fn svg(badge: &Badge<'_>) -> Result<String, AddressTooLong> {
    let symbol = Symbol::new(badge.url)?;
    let mut page = Page::framed(WIDTH_MM, HEIGHT_MM, 6.0, 1.5);
    page.band(0.0, 24.0);
    let owner = format!("{} 幸福+码", badge.county_name);
    page.line(&Line { text: &owner, baseline_mm: 9.0, size_mm: 5.0, fill: WHITE, face: Face::Sans });
    page.line(&Line {
        text: "志愿者号牌", baseline_mm: 19.5, size_mm: 8.0, fill: WHITE, face: Face::Sans
    });
    let bearer = format!("{} · 志愿者", badge.surname);
    page.line(&Line { text: &bearer, baseline_mm: 37.0, size_mm: 10.0, fill: BLACK, face: Face::Sans });
    page.line(&Line { text: badge.team, baseline_mm: 47.0, size_mm: 5.5, fill: BLACK, face: Face::Sans });
    page.square(51.0, CODE_MM, symbol.modules, &symbol.content);
    page.line(&Line { text: badge.number, baseline_mm: 115.5, size_mm: 10.0, fill: RED, face: Face::Mono });
    page.line(&Line {
        text: "扫码可核验本人志愿者身份",
        baseline_mm: 124.0,
        size_mm: 4.5,
        fill: BLACK,
        face: Face::Sans,
    });
    Ok(page.finish(&format!("志愿者号牌 {}", badge.number)))
}
