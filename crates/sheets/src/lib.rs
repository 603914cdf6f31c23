//! What the county prints and shows: QR codes, sign plates (标识牌), number plates (号牌) and certificates of
//! service (志愿服务记录证明).
//!
//! This is the only crate that names `qrcode`. Everything here is a pure function from text to text: the drawings are
//! SVG, in millimetres, with no script, no font file and no link to anything outside, so that a print shop, a browser
//! and an archive all show the same thing. Whatever comes from the database is escaped on its way in.

mod drawing;

pub mod badge;
pub mod certificate;
pub mod plate;
pub mod qr;

pub use qr::AddressTooLong;
