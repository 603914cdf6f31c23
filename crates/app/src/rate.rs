//! 评: the resident rates, or says that it is not solved.

use xingfuma_domain::order::Command;

use crate::AppError;
use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, KnownWords};

/// Longest comment, in characters.
const COMMENT_LONGEST: usize = 500;
/// Longest tag, in characters, and how many there may be.
const TAG_LONGEST: usize = 12;
const TAGS_AT_MOST: usize = 8;

pub(crate) fn prepare_rate(
    stars: i64,
    solved: bool,
    tags: &[String],
    comment: Option<&str>,
    known: &KnownWords,
) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let comment = fields.optional("comment", comment, COMMENT_LONGEST).map(|comment| known.masked(&comment));
    if tags.len() > TAGS_AT_MOST {
        fields.fault("tags", "too_many");
    }
    let tags = tags.iter().map(|tag| known.masked(&fields.text("tags", tag, TAG_LONGEST))).collect();
    if !(1..=5).contains(&stars) {
        fields.fault("stars", "out_of_range");
    }
    fields.check()?;
    let stars = u8::try_from(stars).map_err(|_| AppError::invalid("stars", "out_of_range"))?;
    Ok(Command::Rate { stars, solved, tags, comment })
}

pub(crate) fn prepare_reopen(reason: &str, known: &KnownWords) -> Result<Command, AppError> {
    let mut fields = Fields::default();
    let reason = known.masked(&fields.text("reason", reason, REASON_LONGEST));
    fields.check()?;
    Ok(Command::Reopen { reason })
}
