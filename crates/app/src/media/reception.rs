//! Files on their way in: how many at once, and how much memory they may take.
//!
//! A file is small until it has shown that it is large: up to [`SMALL`] anybody may send at any pace, because that costs
//! little; what grows beyond needs a place among the large ones. So somebody who sends a byte a second takes no place from
//! those who send a photo, and the memory of all files together is bounded: `large_at_once` times the largest file, and
//! 512 times [`SMALL`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::{App, AppError, Caller};

/// A file up to this size needs no place among the large ones, in bytes.
pub const SMALL: usize = 64 * 1024;
/// Files that one process receives at once.
const UNDER_WAY_MOST: usize = 512;
/// Files that one account sends at once; a phone sends ten.
const OF_ONE_ACCOUNT_MOST: usize = 12;
/// How long a file waits for a place among the large ones.
const PLACE_WITHIN: Duration = Duration::from_secs(15);
/// When to come again.
const AGAIN_SECONDS: u64 = 5;

/// Files on their way in.
#[derive(Debug)]
pub struct Reception {
    under_way: Arc<Mutex<HashMap<Uuid, usize>>>,
    large: Arc<Semaphore>,
}

/// A file that was admitted. Its places are free again when this is dropped.
#[derive(Debug)]
pub struct Upload {
    account: Uuid,
    under_way: Arc<Mutex<HashMap<Uuid, usize>>>,
    large: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

impl Reception {
    pub(crate) fn new(large_at_once: usize) -> Reception {
        Reception { under_way: Arc::default(), large: Arc::new(Semaphore::new(large_at_once)) }
    }

    fn admit(&self, account: Uuid) -> Result<Upload, AppError> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.values().sum::<usize>() >= UNDER_WAY_MOST {
            return Err(AppError::Unavailable("uploads"));
        }
        let own = under_way.entry(account).or_default();
        if *own >= OF_ONE_ACCOUNT_MOST {
            return Err(AppError::TooMany { retry_after: AGAIN_SECONDS });
        }
        *own += 1;
        Ok(Upload { account, under_way: self.under_way.clone(), large: self.large.clone(), place: None })
    }
}

impl Upload {
    /// Called before the file is more than [`SMALL`]: waits for a place among the large ones, once.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when none gets free in time.
    pub async fn grows(&mut self) -> Result<(), AppError> {
        if self.place.is_none() {
            let place = tokio::time::timeout(PLACE_WITHIN, self.large.clone().acquire_owned()).await;
            let place = place.map_err(|_| AppError::Unavailable("uploads"))?;
            self.place = Some(place.map_err(|_| AppError::Unavailable("stopping"))?);
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = under_way.get_mut(&self.account) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.account);
            }
        }
    }
}

impl App {
    /// Admits a file of the caller's, before any of it is read.
    ///
    /// # Errors
    /// [`AppError::TooMany`] above his limit, or with too many on their way; [`AppError::Unavailable`] when the process
    /// receives as many as it can, or has nowhere to keep them.
    pub async fn admit_upload(&self, caller: &Caller) -> Result<Upload, AppError> {
        if !self.shelf.exists() {
            return Err(AppError::Unavailable("media"));
        }
        self.count_upload(caller).await?;
        self.media.reception.admit(caller.actor.person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_takes_so_many_places_and_gives_them_back() {
        let reception = Reception::new(1);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held: Vec<Upload> =
            (0..OF_ONE_ACCOUNT_MOST).map(|_| reception.admit(one).expect("a place")).collect();
        assert!(matches!(reception.admit(one), Err(AppError::TooMany { .. })));
        assert!(reception.admit(other).is_ok());
        drop(held);
        assert!(reception.admit(one).is_ok());
        assert!(
            reception.under_way.lock().expect("whole").is_empty(),
            "nothing is kept of those who are done"
        );
    }

    #[test]
    fn a_process_receives_so_many() {
        let reception = Reception::new(1);
        let all: Vec<Upload> = (0..UNDER_WAY_MOST)
            .map(|n| reception.admit(Uuid::from_u128(n as u128)).expect("a place"))
            .collect();
        assert!(matches!(reception.admit(Uuid::max()), Err(AppError::Unavailable(_))));
        drop(all);
        assert!(reception.admit(Uuid::max()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn large_ones_wait_for_each_other_and_not_for_ever() {
        let reception = Reception::new(1);
        let mut first = reception.admit(Uuid::from_u128(1)).expect("a place");
        let mut second = reception.admit(Uuid::from_u128(2)).expect("a place");
        first.grows().await.expect("free");
        first.grows().await.expect("it has one already");
        assert!(matches!(second.grows().await, Err(AppError::Unavailable(_))));
        drop(first);
        second.grows().await.expect("free again");
    }
}
