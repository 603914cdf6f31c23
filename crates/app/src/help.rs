//! Several teams at one order: a helping order for each team that a dispatcher asks, made in the transaction that tells
//! the lead of it.

use uuid::Uuid;
use xingfuma_domain::order::{Assignment, By, Command, Order, helping};
use xingfuma_store::orders::{Change, StoredOrder};
use xingfuma_store::people;

use crate::privacy::{OrderPrivate, Private};
use crate::text::{Fields, KnownWords};
use crate::{App, AppError, notify};

/// Longest task, in characters.
const TASK_LONGEST: usize = 500;

impl App {
    pub(crate) fn prepare_help(
        &self,
        team: Uuid,
        task: &str,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        let task = known.masked(&fields.text("task", task, TASK_LONGEST));
        if self.directory().team(team).is_none() {
            fields.fault("teamId", "team_unknown");
        }
        fields.check()?;
        Ok(Command::Help { order: self.new_id(), team, task })
    }

    /// The helping order: where the lead is, for the same resident, with the contact sealed anew for its own row, and
    /// offered to its team.
    pub(crate) async fn helping_change(
        &self,
        lead: &StoredOrder,
        (id, team, task): (Uuid, Uuid, &str),
        by: By,
    ) -> Result<Change, AppError> {
        let requester = lead.order.placed.requester;
        let person = people::find(self.store.pool(), self.settings.county, requester).await?;
        let wrapped = person.and_then(|person| person.data_key).ok_or(AppError::Gone("person"))?;
        let key = self.keys.data_key(requester, &wrapped)?;
        let of_lead = OrderPrivate::open(&key, lead.order.id, &lead.private)?;
        let private = OrderPrivate { description: task.to_owned(), ..of_lead };
        let records = helping(&lead.order, team, by, task, &self.context());
        let order = Order::fold(id, &records).ok_or_else(|| AppError::Internal("no order".to_owned()))?;
        let to = Assignment { team, volunteer: None };
        let decision = self.decided_by_hand(to, task, by.person, order.epoch);
        Ok(Change {
            before_version: 0,
            notifications: notify::of(&order, &records),
            after: StoredOrder {
                number: self.next_number().await?,
                description: task.to_owned(),
                private: private.seal(&key, id, &self.ids),
                wished_from: lead.wished_from,
                wished_to: lead.wished_to,
                order,
            },
            records,
            decision: Some(decision),
            answered: Vec::new(),
            at_most: None,
            scoring: Vec::new(),
            watched: None,
            guards: self.settings.guards,
            known: None,
            media: None,
            answer: None,
            disclosure: None,
        })
    }
}
