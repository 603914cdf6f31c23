//! The orders' numbers: short ones, for the telephone. A process reserves blocks of serials in the database and gives them
//! out by itself; the last digit of a number checks the others.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use xingfuma_store::{StoreError, orders, transact};

use crate::{App, AppError};

/// Blocks of order numbers: a block is reserved in the database, its numbers are given out here.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    blocks: Mutex<VecDeque<Range<i64>>>,
    /// Held by whoever fetches a block, ahead or because there is no number left.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// Numbers reserved at once.
const NUMBER_BLOCK: i64 = 500;
/// The next block is fetched when fewer than these are left.
const NUMBERS_LEFT: i64 = 250;

impl App {
    /// The next order's number. Long before a block is used up, the next one is fetched beside the placements; only the
    /// first of all waits for one, and whoever comes when the database was slower than the placements.
    pub(crate) async fn next_number(&self) -> Result<i64, AppError> {
        if let Some((serial, left)) = self.numbers.take() {
            if left < NUMBERS_LEFT
                && let Some(alone) = self.numbers.alone()
            {
                let app = self.clone();
                self.runtime().spawn(async move {
                    let _alone = alone;
                    if let Err(error) = app.fetch_numbers().await {
                        tracing::warn!(%error, "order numbers were not fetched ahead");
                    }
                });
            }
            return Ok(spoken_number(serial));
        }
        let _alone = self.numbers.fetching.lock().await;
        loop {
            // Somebody else may have fetched them meanwhile.
            if let Some((serial, _)) = self.numbers.take() {
                return Ok(spoken_number(serial));
            }
            self.fetch_numbers().await?;
        }
    }

    async fn fetch_numbers(&self) -> Result<(), AppError> {
        let county = self.settings.county;
        let first: Result<i64, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { orders::reserve_numbers(conn, county, NUMBER_BLOCK).await })
        })
        .await;
        let first = first?;
        self.numbers.refill(first..first + NUMBER_BLOCK);
        Ok(())
    }
}

impl Numbers {
    fn blocks(&self) -> MutexGuard<'_, VecDeque<Range<i64>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number, and how many are left.
    fn take(&self) -> Option<(i64, i64)> {
        let mut blocks = self.blocks();
        let number = blocks.front_mut()?.next()?;
        if blocks.front().is_some_and(Range::is_empty) {
            blocks.pop_front();
        }
        Some((number, blocks.iter().map(|block| block.end - block.start).sum()))
    }

    fn refill(&self, block: Range<i64>) {
        self.blocks().push_back(block);
    }

    /// The right to fetch the next block, unless somebody is at it.
    fn alone(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.fetching).try_lock_owned().ok()
    }
}

/// The number that is read over the phone: the serial from 10,000 on, and a check digit (ISO 7064 MOD 11,10), so that
/// a misheard digit names no other order.
fn spoken_number(serial: i64) -> i64 {
    let base = serial + 10_000;
    let check = base.to_string().bytes().fold(10, |product, digit| {
        let sum = (i64::from(digit - b'0') + product) % 10;
        (if sum == 0 { 10 } else { sum } * 2) % 11
    });
    base * 10 + (11 - check) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misheard_digit_names_no_other_order() {
        for serial in 0..2_000 {
            let number = spoken_number(serial).to_string();
            for place in 0..number.len() {
                for digit in b'0'..=b'9' {
                    let mut heard = number.clone().into_bytes();
                    if heard[place] == digit {
                        continue;
                    }
                    heard[place] = digit;
                    let heard: i64 = String::from_utf8(heard).expect("digits").parse().expect("a number");
                    assert_ne!(spoken_number(heard / 10 - 10_000), heard, "{number} heard as {heard}");
                }
            }
        }
    }

    #[test]
    fn every_number_of_every_block_is_given_out_once() {
        let numbers = Numbers::default();
        assert_eq!(numbers.take(), None);
        numbers.refill(0..2);
        numbers.refill(7..8);
        assert_eq!([numbers.take(), numbers.take()], [Some((0, 2)), Some((1, 1))]);
        assert_eq!([numbers.take(), numbers.take()], [Some((7, 0)), None]);
    }

    #[test]
    fn one_at_a_time_fetches_ahead() {
        let numbers = Numbers::default();
        let alone = numbers.alone();
        assert!(alone.is_some() && numbers.alone().is_none());
        drop(alone);
        assert!(numbers.alone().is_some());
    }
}
