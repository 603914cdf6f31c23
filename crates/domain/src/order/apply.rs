//! Folding events into an order: `Order::apply`. What may happen is decided elsewhere; here it has happened.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::clocks::{Stage, Told};
use super::correction::{Correction, Inspection};
use super::event::{Event, Record};
use super::following::{Follower, Revisit};
use super::helping::Helper;
use super::promise::{Engagement, Offer};
use super::state::{Order, State};
use super::whistle::{Conclusion, Whistle, WhistleRating};

fn placed(since: DateTime<Utc>, dispatch_by: DateTime<Utc>) -> State {
    State::Placed { since, dispatch_by, stuck: None, clock_from: None }
}

impl Order {
    fn remember_told(&mut self, people: impl IntoIterator<Item = Uuid>) {
        for person in people {
            if !self.invited.contains(&person) {
                self.invited.push(person);
            }
        }
    }

    /// Folds one record into the order. Records come from [`super::decide`] and fit the state they were decided on;
    /// one that does not leaves the state alone and still counts as a version.
    pub fn apply(&mut self, record: &Record) {
        self.version += 1;
        self.apply_event(record);
        self.forget_old_clocks();
    }

    fn apply_event(&mut self, record: &Record) {
        let at = record.at;
        match record.event.clone() {
            Event::Placed(_) => {}
            Event::Dispatched { to, accept_by, complete_by, invited, .. } => {
                self.epoch += 1;
                // Whoever is asked now is reminded for himself.
                self.told.retain(|told| told.stage != Stage::Accept);
                self.remember_told(invited.iter().copied().chain(to.volunteer));
                if !self.asked.contains(&to.team) {
                    self.asked.push(to.team);
                }
                let told = self.engagement().is_some_and(|promise| promise.overdue_told)
                    || matches!(&self.state, State::Dispatched { offer } if offer.overdue_told);
                let overdue_told = complete_by.is_some() && told;
                let declined = Vec::new();
                let offer = Offer { to, at, accept_by, complete_by, overdue_told, declined, invited };
                self.state = State::Dispatched { offer };
            }
            Event::NoTeamLeft { reason, level, dispatch_by } => {
                self.level = level;
                self.state = State::Placed { since: at, dispatch_by, stuck: Some(reason), clock_from: None };
            }
            Event::Accepted { engagement } => self.state = State::Accepted { engagement },
            Event::Declined { by, whole_team, returned_by, .. } => {
                self.remember_told([by]);
                let team = self.assignment().map(|held| held.team).filter(|_| whole_team);
                self.refused.extend(team.filter(|team| !self.refused.contains(team)));
                match (returned_by, &mut self.state) {
                    (Some(dispatch_by), state) => {
                        *state = placed(at, dispatch_by);
                    }
                    (None, State::Dispatched { offer }) => offer.declined.push(by),
                    (None, _) => {}
                }
            }
            Event::Arrived { .. } => {
                if let State::Accepted { engagement } = &self.state {
                    let mut engagement = engagement.clone();
                    engagement.arrived_at = Some(at);
                    self.state = State::InService { engagement };
                }
            }
            Event::Completed { completion } => {
                if let State::Merged { into, .. } = self.state {
                    self.merged_into = Some(into);
                }
                self.complete_with(completion);
            }
            Event::WaitStarted { question, until } => {
                if let State::Accepted { engagement } | State::InService { engagement } = &self.state {
                    let engagement = engagement.clone();
                    self.state = State::Waiting { engagement, since: at, until, question };
                }
            }
            Event::Answered { arrive_by, complete_by, .. } => {
                if let State::Waiting { engagement, .. } = &self.state {
                    let mut engagement = engagement.clone();
                    (engagement.arrive_by, engagement.complete_by) = (arrive_by, complete_by);
                    engagement.clock_from = Some(at);
                    self.state = match engagement.arrived_at {
                        Some(_) => State::InService { engagement },
                        None => State::Accepted { engagement },
                    };
                }
            }
            Event::Rated { rating, revisit_by } => {
                self.revisit = revisit_by.map(|revisit_by| Revisit {
                    opened_at: at,
                    revisit_by,
                    outcome: None,
                    note: None,
                    recorded_at: None,
                });
                if let State::Completed { completion } = &self.state {
                    self.state = State::Rated { completion: completion.clone(), rating };
                }
            }
            Event::Reopened { dispatch_by, .. } => {
                self.reopened += 1;
                let asked = std::mem::take(&mut self.asked);
                self.asked_before.extend(asked);
                self.asked_before.sort_unstable();
                self.asked_before.dedup();
                self.level = self.placed.area.level();
                self.urged_at = None;
                self.invited.clear();
                self.refused.clear();
                self.extended = false;
                self.merged_into = None;
                self.revisit = None;
                self.state = placed(at, dispatch_by);
            }
            Event::Cancelled { reason } => {
                self.end_helpers(|_| true, false, at);
                self.state = State::Cancelled { cancelled_at: at, reason, released: self.assignment() };
            }
            Event::Closed => {
                if let Some(completion) = self.completion().cloned() {
                    let rating = self.rating().cloned();
                    self.state = State::Closed { completion, rating, closed_at: at };
                }
            }
            Event::Escalated { level, dispatch_by, .. } => {
                self.level = level;
                match &mut self.state {
                    State::Placed { dispatch_by: due, clock_from, .. } => {
                        *clock_from = dispatch_by.map(|_| at).or(*clock_from);
                        *due = dispatch_by.unwrap_or(*due);
                    }
                    State::Accepted { engagement } | State::InService { engagement } => {
                        engagement.overdue_told |= engagement.complete_by <= at;
                    }
                    _ => {}
                }
            }
            Event::Urged => self.urged_at = Some(at),
            Event::Shown { .. } => self.shown = true,
            Event::Unshown { .. } => self.shown = false,
            Event::Warned { clock } => {
                self.told.push(Told { stage: clock.stage, of: clock.of, due: clock.due, over: false });
            }
            Event::Overdue { clock } => {
                self.told.push(Told { stage: clock.stage, of: clock.of, due: clock.due, over: true });
            }
            Event::Extended { complete_by, .. } => {
                self.extended = true;
                self.move_promise(complete_by, Some(at));
            }
            Event::Merged { into } => {
                let released = self.assignment();
                self.state = State::Merged { into, merged_at: at, released };
            }
            Event::Followed { order, requester } => self.followers.push(Follower { order, requester }),
            Event::Helps { lead } => self.helps = Some(lead),
            Event::Helped { order, team, .. } => {
                self.helpers.push(Helper { order, team, ended_at: None, completed: false });
            }
            Event::HelpEnded { order, completed } => {
                self.end_helpers(|helper| helper.order == order, completed, at);
            }
            Event::Parted { dispatch_by } => self.state = placed(at, dispatch_by),
            Event::Revisited { outcome, note } => {
                if let Some(revisit) = &mut self.revisit {
                    (revisit.outcome, revisit.note) = (Some(outcome), note);
                    revisit.recorded_at = Some(at);
                }
            }
            event => self.apply_to_others(event, record),
        }
    }

    /// What happens with departments and corrective notices.
    fn apply_to_others(&mut self, event: Event, record: &Record) {
        let (at, by) = (record.at, record.by.person.unwrap_or_default());
        match event {
            Event::Whistled { whistles } => self.whistles.extend(whistles),
            Event::CheckedIn { whistle } => {
                self.with_whistle(whistle, |whistle| whistle.checked_in = Some((at, by)));
            }
            Event::Concluded { whistle, result } => {
                self.with_whistle(whistle, |whistle| whistle.concluded = Some(Conclusion { at, by, result }));
            }
            Event::WhistleRated { whistle, stars, comment } => {
                self.with_whistle(whistle, |whistle| {
                    whistle.rating = Some(WhistleRating { stars, comment, at });
                });
            }
            Event::CorrectionOrdered { correction, complete_by } => {
                self.corrections.push(correction);
                self.outlast(complete_by, at);
            }
            Event::CorrectionInspected { correction, passed, findings, due_by, complete_by } => {
                self.with_correction(correction, |correction| {
                    correction.inspections.push(Inspection { at, by, passed, findings });
                    if let Some(due_by) = due_by {
                        (correction.term_from, correction.due_by) = (at, due_by);
                    }
                });
                self.outlast(complete_by, at);
            }
            _ => {}
        }
    }

    fn with_whistle(&mut self, id: Uuid, change: impl FnOnce(&mut Whistle)) {
        if let Some(whistle) = self.whistles.iter_mut().find(|whistle| whistle.id == id) {
            change(whistle);
        }
    }

    fn with_correction(&mut self, id: Uuid, change: impl FnOnce(&mut Correction)) {
        if let Some(correction) = self.corrections.iter_mut().find(|correction| correction.id == id) {
            change(correction);
        }
    }

    /// The promise runs on at least until then: nobody is late for a term that he does not set.
    fn outlast(&mut self, until: Option<DateTime<Utc>>, at: DateTime<Utc>) {
        let later = until.filter(|until| self.engagement().is_some_and(|held| held.complete_by < *until));
        if let Some(until) = later {
            // In a pause the clock stands still already, and goes on from its end.
            let from = (!matches!(self.state, State::Waiting { .. })).then_some(at);
            self.move_promise(until, from);
        }
    }

    fn move_promise(&mut self, complete_by: DateTime<Utc>, from: Option<DateTime<Utc>>) {
        if let Some(engagement) = self.promise_mut() {
            engagement.complete_by = complete_by;
            engagement.clock_from = from.or(engagement.clock_from);
            engagement.overdue_told = false;
        }
    }

    fn promise_mut(&mut self) -> Option<&mut Engagement> {
        match &mut self.state {
            State::Accepted { engagement }
            | State::InService { engagement }
            | State::Waiting { engagement, .. } => Some(engagement),
            _ => None,
        }
    }
}
