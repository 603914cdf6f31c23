//! Cursors of lists: the id of the last item, in a form that stands in an address. Whoever changes one gets another page
//! or is told that it is none; what he may see is decided by his scope, as always.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The cursor behind an item that has an id.
pub fn encode(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The item before the page; `None` for a text that no page has answered.
pub fn decode(cursor: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    Uuid::from_slice(&bytes).ok()
}

/// The cursor behind a numbered line.
pub fn encode_number(number: i64) -> String {
    URL_SAFE_NO_PAD.encode(number.to_be_bytes())
}

/// The number of the line before the page; `None` for a text that no page has answered.
pub fn decode_number(cursor: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    bytes.try_into().map(i64::from_be_bytes).ok()
}
