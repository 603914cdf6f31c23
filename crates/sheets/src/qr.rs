//! QR codes: for a terminal (the demo), for a page, and as the part of a plate that is scanned.

use std::fmt::Write as _;

use qrcode::render::unicode::Dense1x2;
use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode};

use crate::drawing::{BLACK, WHITE, escape};

/// Light modules that ISO/IEC 18004 asks for around the symbol, on each side.
pub const QUIET_MODULES: usize = 4;

/// The address does not fit: at level Q the largest symbol holds 1,663 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address of {bytes} bytes does not fit into a QR code")]
pub struct AddressTooLong {
    /// Length of the refused address in bytes.
    pub bytes: usize,
}

/// A code for a terminal with a dark ground, two modules to a character.
///
/// Light modules are drawn with blocks in the terminal's (light) text colour and dark ones are left out, so the symbol
/// comes out the right way round; its quiet zone of [`QUIET_MODULES`] is part of the text. Level L, because a screen
/// does not get scratched and a smaller symbol fits more windows. Lines end with `\n`.
///
/// # Errors
/// [`AddressTooLong`] when `url` exceeds what a symbol holds.
pub fn terminal(url: &str) -> Result<String, AddressTooLong> {
    let mut text = encode(url, EcLevel::L)?
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    text.push('\n');
    Ok(text)
}

/// A code as an SVG document that fills whatever box holds it, at level Q (a quarter of it may be lost).
///
/// One unit is one module; the ground is white whatever the page's colour, and the quiet zone is inside.
///
/// # Errors
/// [`AddressTooLong`] when `url` exceeds what a symbol holds.
pub fn svg(url: &str) -> Result<String, AddressTooLong> {
    let symbol = Symbol::new(url)?;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\">\n\
         <title>{title}</title>\n{content}\n</svg>\n",
        side = symbol.modules,
        title = escape(url),
        content = symbol.content,
    ))
}

/// A level Q symbol with its quiet zone, as SVG elements in units of one module.
pub(crate) struct Symbol {
    /// Side of the drawing in modules, quiet zone included.
    pub(crate) modules: usize,
    /// A white ground and one path.
    pub(crate) content: String,
}

impl Symbol {
    /// Encodes `url` at level Q, for things that get dirty, bent and bleached.
    pub(crate) fn new(url: &str) -> Result<Self, AddressTooLong> {
        let code = encode(url, EcLevel::Q)?;
        let modules = code.width() + 2 * QUIET_MODULES;
        let content = format!(
            r#"<rect width="{modules}" height="{modules}" fill="{WHITE}"/><path shape-rendering="crispEdges" fill="{BLACK}" d="{}"/>"#,
            dark_runs(&code)
        );
        Ok(Self { modules, content })
    }
}

fn encode(url: &str, level: EcLevel) -> Result<QrCode, AddressTooLong> {
    match QrCode::with_error_correction_level(url, level) {
        Ok(code) => Ok(code),
        Err(QrError::DataTooLong) => Err(AddressTooLong { bytes: url.len() }),
        // The others concern a version, a segment or an ECI that somebody chose by hand; here the crate chooses.
        Err(error) => unreachable!("encoding bytes into a symbol of free size: {error}"),
    }
}

/// The dark modules as one path: a closed box for each horizontal run, which keeps the file small and leaves no hair
/// lines between neighbours.
fn dark_runs(code: &QrCode) -> String {
    let mut path = String::new();
    for y in 0..code.width() {
        let mut x = 0;
        while x < code.width() {
            let run = (x..code.width()).take_while(|&column| code[(column, y)] == Color::Dark).count();
            if run > 0 {
                let (left, top) = (x + QUIET_MODULES, y + QUIET_MODULES);
                let _infallible = write!(path, "M{left} {top}h{run}v1h-{run}z");
            }
            x += run.max(1);
        }
    }
    path
}
