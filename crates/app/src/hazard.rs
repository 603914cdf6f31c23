//! Hazards: what comes back again and again in a grid is found, told to its station, and answered by it with a cause and
//! a measure.
//!
//! Looking is cheap: only grids in which something was placed since the last look are counted. Looks overlap, because an
//! order may be stored a little later than its id says, and looking twice finds nothing twice: each hazard of a grid and
//! category has a number, which a unique index lets one writer take.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::hazard::{Found, Threshold, counts_for};
use xingfuma_store::hazards::{self, HazardRow};
use xingfuma_store::orders::Notification;
use xingfuma_store::{StoreError, inbox, transact};

use crate::clock::first_id_at;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// The thresholds of the default county.
const SAMPLE: &str = include_str!("../data/hazards.csv");
/// How far a look goes back behind the last one.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Longest cause or measure, in characters.
const WORDS_LONGEST: usize = 500;

/// The thresholds of the default county.
pub fn sample_thresholds() -> Vec<Threshold> {
    Threshold::read_all(SAMPLE).expect("the sample's thresholds are good, which a test makes sure of")
}

impl App {
    /// Looks for hazards among what was placed since the last look; answers how many were found.
    ///
    /// # Errors
    /// When the database fails; the next look begins where this one did.
    pub async fn look_for_hazards(&self) -> Result<usize, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let categories: Vec<String> = self.settings.hazards.iter().map(|one| one.category.clone()).collect();
        let longest = self.settings.hazards.iter().map(Threshold::span).max().unwrap_or_default();
        let last = hazards::looked_until(self.store.pool(), county).await?;
        let last = last.and_then(DateTime::from_timestamp_millis);
        let since = last.map_or(now - longest, |last| last.min(now) - OVERLAP);
        let touched = hazards::touched(self.store.pool(), county, &categories, first_id_at(since)).await?;
        let grids: BTreeSet<(AreaCode, String)> = touched
            .into_iter()
            .filter_map(|(area, category)| Some((area.ancestor_at(Level::Grid)?, category)))
            .collect();
        let mut found = 0;
        for (grid, category) in grids {
            found += usize::from(self.look_in(grid, &category).await?);
        }
        let noted: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { hazards::note_looked(conn, county, now.timestamp_millis()).await })
        })
        .await;
        noted?;
        Ok(found)
    }

    async fn look_in(&self, grid: AreaCode, category: &str) -> Result<bool, AppError> {
        let Some(threshold) = self.settings.hazards.iter().find(|one| one.category == category) else {
            return Ok(false);
        };
        let last = hazards::last(self.store.pool(), grid, category).await?;
        let now = self.clock.now();
        // Twice the span: a look after a long downtime still finds what a look in time would have.
        let since = first_id_at(now - threshold.span() * 2);
        let orders = hazards::orders(self.store.pool(), grid, category, since).await?;
        let counted = orders.iter().filter(|order| counts_for(order) == Some(grid));
        let placed: Vec<DateTime<Utc>> = counted.map(|order| order.placed_at).collect();
        match threshold.found(&placed, last.as_ref().map(|last| last.last_at)) {
            Some(found) => self.record(grid, category, last.map_or(1, |last| last.number + 1), found).await,
            None => Ok(false),
        }
    }

    async fn record(
        &self,
        grid: AreaCode,
        category: &str,
        number: i32,
        found: Found,
    ) -> Result<bool, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let times = i32::try_from(found.times).unwrap_or(i32::MAX);
        let hazard = HazardRow {
            id: self.ids.id(now),
            area_code: grid.to_string(),
            category: category.to_owned(),
            number,
            times,
            first_at: found.first_at,
            last_at: found.last_at,
            found_at: now,
            cause: None,
            measure: None,
            answered_at: None,
        };
        let data = serde_json::json!({ "category": category, "area": grid, "times": times }).to_string();
        let stations =
            [Level::Village, Level::Township].into_iter().filter_map(|level| grid.ancestor_at(level));
        let told: Vec<Notification> = stations
            .map(|area| Notification {
                audience: format!("station:{area}"),
                topic: "hazard_found",
                data: data.clone(),
                about: None,
            })
            .collect();
        let written: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let new = hazards::insert(conn, county, &hazard).await?;
                if new {
                    inbox::tell(conn, hazard.id, county, now, &told).await?;
                }
                Ok(new)
            })
        })
        .await;
        Ok(written?)
    }

    /// Hazards of the caller's areas, newest first; those that nobody has answered, if `open`.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody who watches over no area, or not over this one.
    pub async fn hazards(
        &self,
        caller: &Caller,
        area: Option<AreaCode>,
        open: bool,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<HazardRow>, AppError> {
        let areas = caller.areas_asked(Action::ReadBoard, area)?;
        Ok(hazards::list(self.store.pool(), &areas, open, before, limit).await?)
    }

    /// The station says where a hazard comes from and what is done about it, once.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for one of another area, [`AppError::Forbidden`] for somebody who only watches,
    /// [`AppError::Invalid`] without words, [`AppError::Conflict`] `hazard_answered` when it was answered before.
    pub async fn answer_hazard(
        &self,
        caller: &Caller,
        id: Uuid,
        cause: &str,
        measure: &str,
    ) -> Result<HazardRow, AppError> {
        let found = hazards::find(self.store.pool(), self.settings.county, id).await?;
        let found = found.ok_or(AppError::NotFound)?;
        let area: AreaCode = found.area_code.parse().map_err(|_| AppError::NotFound)?;
        if !allow(&caller.actor, Action::ReadBoard, area) {
            return Err(AppError::NotFound);
        }
        if !allow(&caller.actor, Action::AnswerHazard, area) {
            return Err(AppError::Forbidden);
        }
        let known = caller.known_words()?;
        let mut fields = Fields::default();
        let cause = known.masked(&fields.text("cause", cause, WORDS_LONGEST));
        let measure = known.masked(&fields.text("measure", measure, WORDS_LONGEST));
        fields.check()?;
        let (by, now) = (caller.actor.person, self.clock.now());
        let (given_cause, given_measure) = (cause.clone(), measure.clone());
        let answered: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { hazards::answer(conn, id, &given_cause, &given_measure, by, now).await })
        })
        .await;
        if !answered? {
            return Err(AppError::Conflict("hazard_answered"));
        }
        Ok(HazardRow { cause: Some(cause), measure: Some(measure), answered_at: Some(now), ..found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_thresholds_are_good() {
        assert!(sample_thresholds().iter().any(|one| one.category == "hazard" && one.times == 3));
    }
}
