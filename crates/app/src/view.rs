//! An order as one caller may see it: what the API turns into JSON.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{self, Actor, View, Words};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::masking::mask_name;
use xingfuma_domain::order::{Hat, Order, Record, Verb, allowed_actions};
use xingfuma_domain::phone::Phone;
use xingfuma_store::orders::{StoredOrder, WholeOrder};

use crate::App;
use crate::directory::Directory;
use crate::error::AppError;
use crate::keys::DataKey;
use crate::privacy::{OrderPrivate, Private};

/// A name and a phone in the clear, for somebody who may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Whom to ask for.
    pub name: Option<String>,
    /// The phone.
    pub phone: Option<String>,
    /// Where exactly.
    pub address: Option<String>,
}

/// An order with what the caller may see of it.
#[derive(Clone, Debug)]
pub struct OrderSeen {
    /// The order.
    pub order: Order,
    /// The number that is read over the phone.
    pub number: i64,
    /// The description, whole or masked.
    pub description: String,
    /// Contact and address; absent where they are not the caller's to see.
    pub contact: Option<Contact>,
    /// When the resident would like it.
    pub wished_from: Option<DateTime<Utc>>,
    /// Until when.
    pub wished_to: Option<DateTime<Utc>>,
    /// What the caller may do now.
    pub allowed: Vec<Verb>,
    /// The volunteer's surname, once there is one.
    pub volunteer_surname: Option<String>,
    /// The events, in full for a single order; empty in lists.
    pub records: Vec<Record>,
    /// Names of the county.
    pub directory: Arc<Directory>,
    /// Calls to departments and corrective notices may be seen.
    pub coordination: bool,
    /// What the caller may do now with each of them.
    pub actions_on_parts: Vec<(Uuid, Vec<Verb>)>,
    /// The moment at which this was true.
    pub now: DateTime<Utc>,
}

impl OrderSeen {
    /// The names from the county down to the order's area.
    pub fn area_path(&self) -> Vec<String> {
        self.directory.path(self.order.placed.area)
    }

    /// The order's area.
    pub fn area(&self) -> AreaCode {
        self.order.placed.area
    }
}

impl App {
    /// What a list shows: never contact, never a whole description, unless it is the caller's own.
    pub(crate) fn seen_in_list(
        &self,
        actor: &Actor,
        stored: StoredOrder,
        surname: Option<String>,
    ) -> Option<OrderSeen> {
        access::view(actor, &stored.order)?;
        Some(self.seen(actor, stored, Vec::new(), surname))
    }

    /// What a single order shows. `key` is the requester's; without it nothing sealed is shown.
    pub(crate) fn seen_whole(
        &self,
        actor: &Actor,
        whole: WholeOrder,
        surname: Option<String>,
    ) -> Result<Option<(OrderSeen, View)>, AppError> {
        let Some(view) = access::view(actor, &whole.stored.order) else { return Ok(None) };
        let requester = whole.stored.order.placed.requester;
        let key = whole.requester_key.as_deref().map(|key| self.keys.data_key(requester, key)).transpose()?;
        let private = match &key {
            Some(key) if view.contact || view.description == Words::Whole => {
                Some(OrderPrivate::open(key, whole.stored.order.id, &whole.stored.private)?)
            }
            _ => None,
        };
        let mut seen = self.seen(actor, whole.stored, whole.records, surname);
        disclose(&mut seen, view, private);
        Ok(Some((seen, view)))
    }

    fn seen(
        &self,
        actor: &Actor,
        stored: StoredOrder,
        records: Vec<Record>,
        volunteer_surname: Option<String>,
    ) -> OrderSeen {
        let context = self.context();
        let hats = access::hats(actor, &stored.order);
        OrderSeen {
            allowed: allowed_actions(&stored.order, hats, actor.person, &context),
            number: stored.number,
            description: stored.description,
            contact: None,
            wished_from: stored.wished_from,
            wished_to: stored.wished_to,
            volunteer_surname,
            records,
            directory: self.directory(),
            coordination: access::view(actor, &stored.order).is_some_and(|view| view.coordination),
            actions_on_parts: crate::beside::actions_on_parts(actor, &stored.order),
            now: context.now,
            order: stored.order,
        }
    }
}

/// Opens what the view allows.
pub(crate) fn disclose(seen: &mut OrderSeen, view: View, private: Option<OrderPrivate>) {
    let Some(private) = private else { return };
    if view.description == Words::Whole {
        seen.description = private.description;
    }
    if view.contact {
        seen.contact = Some(Contact { name: private.name, phone: private.phone, address: private.address });
    } else if view.contact_masked {
        let name = private.name.as_deref().map(mask_name);
        seen.contact =
            Some(Contact { name, phone: private.phone.as_deref().and_then(masked_phone), address: None });
    }
}

/// The order's sealed part, opened with its requester's key.
pub(crate) fn open_private(key: &DataKey, order: Uuid, sealed: &[u8]) -> Result<OrderPrivate, AppError> {
    OrderPrivate::open(key, order, sealed)
}

/// A phone as it may be shown to somebody who must not know it.
pub fn masked_phone(phone: &str) -> Option<String> {
    phone.parse::<Phone>().ok().map(|phone| phone.masked())
}

/// Whether the caller wears a hat on this order.
pub(crate) fn wears(actor: &Actor, order: &Order, hat: Hat) -> bool {
    access::hats(actor, order).has(hat)
}
