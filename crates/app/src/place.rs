//! 点: placing an order, and the writer that lets placements which arrive together share one commit.
//!
//! The writer's data: a channel of placements, each with the change to write and a place for the answer. The first one
//! goes at once; what arrives while a commit is under way rides with the next. A batch that fails is written again one
//! by one, so that nobody fails for his neighbour. A crash loses only what was not answered yet; a client that asks
//! again with its key gets the same order or places it for the first time.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use xingfuma_domain::access::{Action, Role, allow, view};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::masking::surname;
use xingfuma_domain::media::Purpose;
use xingfuma_domain::order::{By, Channel, Event, Hat, Order, Placed, Record};
use xingfuma_domain::phone::Phone;
use xingfuma_domain::sign::SignCode;
use xingfuma_store::orders::{Change, StoredOrder, WholeOrder};
use xingfuma_store::people::{self, NewPerson};
use xingfuma_store::{StoreError, placing, transact};

use crate::command::{Keyed, Render, Reply};
use crate::directory::Directory;
use crate::keys::DataKey;
use crate::limits::{Address, PlacementNames};
use crate::privacy::{OrderPrivate, PersonPrivate, Private};
use crate::text::{Fields, KnownWords};
use crate::{App, AppError, Caller};

/// Longest description, in characters.
pub const DESCRIPTION_LONGEST: usize = 1_000;
/// Longest name, in characters.
pub const NAME_LONGEST: usize = 40;
/// Longest address, in characters.
pub const ADDRESS_LONGEST: usize = 200;
/// Most placements in one commit.
const BATCH: usize = 256;

/// Who needs help, or whom to call.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ContactGiven {
    /// The name.
    pub name: Option<String>,
    /// The phone as it was typed.
    pub phone: Option<String>,
}

/// What a resident, an operator or a volunteer on patrol sends.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The scanned sign; it or `area` must be there, not both.
    pub sign: Option<String>,
    /// The chosen area.
    pub area: Option<String>,
    /// The category's code.
    pub category: String,
    /// What is needed.
    pub description: String,
    /// Whom to call.
    pub contact: Option<ContactGiven>,
    /// Where exactly.
    pub address: Option<String>,
    /// How pressing, if not as usual for the category.
    pub urgency: Option<Urgency>,
    /// When the resident would like it.
    pub wished_from: Option<DateTime<Utc>>,
    /// Until when.
    pub wished_to: Option<DateTime<Utc>>,
    /// Photos that were uploaded before.
    pub media: Vec<Uuid>,
    /// How it comes in.
    pub channel: Option<Channel>,
    /// The caller for whom an operator enters it.
    pub on_behalf_of: Option<ContactGiven>,
}

impl std::fmt::Debug for PlaceRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PlaceRequest").field("category", &self.category).finish_non_exhaustive()
    }
}

/// What was checked of a request.
struct Checked {
    placed: Placed,
    private: OrderPrivate,
    wished: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    caller_person: Option<ContactChecked>,
}

impl Checked {
    /// What the placement is counted by.
    fn names<'a>(&'a self, sign: Option<&'a str>) -> PlacementNames<'a> {
        let caller_phone = self.caller_person.as_ref().and_then(|contact| contact.phone.as_ref());
        PlacementNames {
            by_operator: self.caller_person.is_some(),
            phone: caller_phone.map(Phone::as_str).or(self.private.phone.as_deref()),
            sign,
        }
    }

    /// The words by which the description may give somebody away.
    fn known_words(&self, caller: &Caller) -> Result<KnownWords, AppError> {
        let caller_name = self.caller_person.as_ref().and_then(|contact| contact.name.clone());
        let for_whom = PersonPrivate { name: caller_name, phone: None };
        Ok(caller.known_words()?.and_order(&self.private).and_person(&for_whom))
    }
}

struct ContactChecked {
    name: Option<String>,
    phone: Option<Phone>,
}

impl App {
    /// Places an order and answers when it is stored. Whether the queue is there makes no difference.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for an order on somebody's behalf by one who is no operator; [`AppError::Invalid`] with
    /// every field that is not as it should be; [`AppError::TooMany`] above a limit; [`AppError::KeyReused`] when the
    /// key was used for another body.
    pub async fn place(
        &self,
        caller: &Caller,
        from: Option<Address>,
        request: PlaceRequest,
        keyed: Keyed,
        render: Render,
    ) -> Result<Reply, AppError> {
        let checked = match self.check(caller, &request) {
            Ok(checked) => checked,
            Err(error @ AppError::Forbidden) => return Err(error),
            // What was possible before may not be any more, such as a sign since revoked: the first answer stands.
            Err(error) => return self.replay(Some(&keyed)).await?.ok_or(error),
        };
        if checked.caller_person.is_some()
            && let Some(reply) = self.replay(Some(&keyed)).await?
        {
            // A second answer must not make a second person of a caller who gave no phone.
            return Ok(reply);
        }
        let media = match self.attachment(caller, &request.media, Purpose::Placed).await {
            Ok(media) => media,
            Err(error) => return self.replay(Some(&keyed)).await?.ok_or(error),
        };
        let admission =
            match self.count_placement(caller, from, &checked.names(request.sign.as_deref())).await {
                Ok(admission) => admission,
                // The same request again, because its answer was lost on the way, is not one more.
                Err(refused) => return self.replay(Some(&keyed)).await?.ok_or(refused),
            };
        let (mut change, reply) = self.prepare_placement(caller, checked, &keyed, &render).await?;
        change.media = media;
        let order = change.after.order.clone();
        if self.write(change).await? {
            self.metrics.count_event("placed");
            self.hint(&order);
            self.announce(&order);
            return Ok(reply);
        }
        self.give_back(admission).await;
        self.replay(Some(&keyed)).await?.ok_or(AppError::Unavailable("twin"))
    }

    fn check(&self, caller: &Caller, request: &PlaceRequest) -> Result<Checked, AppError> {
        let directory = self.directory();
        let mut fields = Fields::default();
        let area = check_place(&directory, request, &mut fields);
        let category = directory.category(&request.category);
        if category.is_none() {
            fields.fault("categoryCode", "category_unknown");
        }
        let description = fields.text("description", &request.description, DESCRIPTION_LONGEST);
        let address = fields.optional("address", request.address.as_deref(), ADDRESS_LONGEST);
        let contact = check_contact(request.contact.as_ref(), ["contact.name", "contact.phone"], &mut fields);
        let names = ["onBehalfOf.name", "onBehalfOf.phone"];
        let on_behalf = check_contact(request.on_behalf_of.as_ref(), names, &mut fields);
        if let (Some(from), Some(to)) = (request.wished_from, request.wished_to)
            && from > to
        {
            fields.fault("wishedTo", "before_wished_from");
        }
        let operator = allow(&caller.actor, Action::PlaceForCaller, self.settings.county);
        let channel = channel(request, operator);
        if !operator && (on_behalf.is_some() || channel == Channel::Hotline) {
            return Err(AppError::Forbidden);
        }
        let serves = caller.actor.is(Role::Volunteer) || caller.actor.is(Role::GridLeader);
        if channel == Channel::Patrol && !serves {
            return Err(AppError::Forbidden);
        }
        fields.check()?;
        let (Some(area), Some(category)) = (area, category) else { return Err(AppError::NotFound) };
        let urgency = request.urgency.unwrap_or(category.urgency);
        let limits = category.limits(urgency);
        let context = self.context();
        let contact = contact.unwrap_or(ContactChecked { name: None, phone: None });
        let placed = Placed {
            kind: category.kind,
            category: category.code.clone(),
            skill: category.skill.clone(),
            needs_arrival: category.needs_arrival,
            area,
            urgency,
            channel,
            requester: caller.actor.person,
            placed_by: caller.actor.person,
            dispatch_by: context.after_at(urgency, limits.dispatch),
            limits,
        };
        // Whoever called is whom to call back, unless somebody else is named.
        let for_whom = on_behalf.as_ref();
        let phone = contact.phone.or_else(|| for_whom.and_then(|caller| caller.phone));
        let private = OrderPrivate {
            description,
            name: contact.name.clone().or_else(|| for_whom.and_then(|caller| caller.name.clone())),
            phone: phone.map(|phone| phone.as_str().to_owned()),
            address,
        };
        let caller_person = (channel == Channel::Hotline).then(|| on_behalf.unwrap_or(contact));
        Ok(Checked { placed, private, wished: (request.wished_from, request.wished_to), caller_person })
    }

    async fn prepare_placement(
        &self,
        caller: &Caller,
        mut checked: Checked,
        keyed: &Keyed,
        render: &Render,
    ) -> Result<(Change, Reply), AppError> {
        let found = match &checked.caller_person {
            Some(contact) => Some(self.person_of_caller(contact).await?),
            None => None,
        };
        let key = match &found {
            Some((person, key)) => {
                checked.placed.requester = *person;
                key
            }
            None => caller.data_key.as_ref(),
        };
        let known = checked.known_words(caller)?;
        let now = self.clock.now();
        let id = self.ids.id(now);
        let hat = if found.is_some() { Hat::Operator } else { Hat::Requester };
        let by = By { person: Some(caller.actor.person), hat };
        let record = Record { at: now, by, event: Event::Placed(checked.placed) };
        let order =
            Order::from_first(id, &record).ok_or_else(|| AppError::Internal("no order".to_owned()))?;
        let stored = StoredOrder {
            order,
            number: self.next_number().await?,
            description: known.masked(&checked.private.description),
            private: checked.private.seal(key, id, &self.ids),
            wished_from: checked.wished.0,
            wished_to: checked.wished.1,
        };
        let (status, body) = self.render_placed(caller, &stored, &record, checked.private, render)?;
        let change = Change {
            after: stored,
            before_version: 0,
            answered: Vec::new(),
            at_most: None,
            records: vec![record],
            decision: None,
            notifications: Vec::new(),
            scoring: Vec::new(),
            watched: None,
            guards: self.settings.guards,
            known: None,
            answer: self.answer(Some(keyed), id, status, &body),
            disclosure: None,
            media: None,
        };
        Ok((change, Reply { status, body, replayed: false }))
    }

    fn render_placed(
        &self,
        caller: &Caller,
        stored: &StoredOrder,
        record: &Record,
        private: OrderPrivate,
        render: &Render,
    ) -> Result<(u16, Vec<u8>), AppError> {
        let view = view(&caller.actor, &stored.order).ok_or(AppError::NotFound)?;
        let whole = WholeOrder {
            stored: stored.clone(),
            records: vec![record.clone()],
            requester_key: None,
            requester_private: None,
            engaged: None,
        };
        let (mut seen, _) = self.seen_whole(&caller.actor, whole, None)?.ok_or(AppError::NotFound)?;
        crate::view::disclose(&mut seen, view, Some(private));
        Ok(render(&seen))
    }

    /// The person behind a phone call: found by the phone, or made.
    async fn person_of_caller(&self, contact: &ContactChecked) -> Result<(Uuid, DataKey), AppError> {
        let county = self.settings.county;
        let index = contact.phone.map(|phone| self.keys.phone_index(phone.as_str()));
        if let Some(index) = &index
            && let Some(known) = people::find_by_phone(self.store.pool(), county, index).await?
            && let Some(wrapped) = &known.data_key
        {
            return Ok((known.id, self.keys.data_key(known.id, wrapped)?));
        }
        let private = PersonPrivate {
            name: contact.name.clone(),
            phone: contact.phone.map(|phone| phone.as_str().to_owned()),
        };
        let (id, key, new) = self.new_person(&private, index.clone());
        let inserted: Result<u64, StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { people::insert(conn, &[new]).await }))
                .await;
        if inserted? == 1 {
            return Ok((id, key));
        }
        // Somebody else entered the same phone at this very moment.
        let index = index.ok_or(AppError::Unavailable("person"))?;
        let known = people::find_by_phone(self.store.pool(), county, &index).await?;
        let known = known.ok_or(AppError::Unavailable("person"))?;
        let wrapped = known.data_key.ok_or(AppError::Unavailable("person"))?;
        Ok((known.id, self.keys.data_key(known.id, &wrapped)?))
    }

    /// A person with a fresh data key, ready to be stored.
    pub(crate) fn new_person(
        &self,
        private: &PersonPrivate,
        phone_index: Option<Vec<u8>>,
    ) -> (Uuid, DataKey, NewPerson) {
        let created_at = self.clock.now();
        let id = self.ids.id(created_at);
        let (key, data_key) = self.keys.new_data_key(id, &self.ids);
        let new = NewPerson {
            id,
            county: self.settings.county,
            surname: private.name.as_deref().map(surname).unwrap_or_default().to_owned(),
            data_key,
            private: private.seal(&key, id, &self.ids),
            phone_index,
            created_at,
        };
        (id, key, new)
    }

    /// Hands a placement to the writer. Answers `false` when its key was taken by a twin.
    async fn write(&self, change: Change) -> Result<bool, AppError> {
        if change.media.is_some() {
            return Ok(placing::place_with_media(&self.store, change).await?);
        }
        let (done, answer) = oneshot::channel();
        let placement = Placement { change, done };
        self.placements.send(placement).await.map_err(|_| AppError::Unavailable("stopping"))?;
        answer.await.map_err(|_| AppError::Unavailable("stopping"))?
    }
}

fn channel(request: &PlaceRequest, operator: bool) -> Channel {
    match request.channel {
        Some(channel) => channel,
        None if operator => Channel::Hotline,
        None if request.sign.is_some() => Channel::Scan,
        None => Channel::App,
    }
}

fn check_place(directory: &Directory, request: &PlaceRequest, fields: &mut Fields) -> Option<AreaCode> {
    place_of(directory, request.sign.as_deref(), request.area.as_deref(), fields)
}

/// The place that a sign stands for, or that was chosen: one of the two.
pub(crate) fn place_of(
    directory: &Directory,
    sign: Option<&str>,
    area: Option<&str>,
    fields: &mut Fields,
) -> Option<AreaCode> {
    match (sign, area) {
        (Some(_), Some(_)) => {
            fields.fault("areaCode", "either_sign_or_area");
            None
        }
        (None, None) => {
            fields.fault("signCode", "sign_or_area_required");
            None
        }
        (Some(code), None) => match code.parse::<SignCode>().ok().and_then(|code| directory.sign(&code)) {
            None => {
                fields.fault("signCode", "sign_unknown");
                None
            }
            Some(sign) if !sign.active => {
                fields.fault("signCode", "sign_revoked");
                None
            }
            Some(sign) => Some(sign.area),
        },
        (None, Some(code)) => {
            let area = code.parse().ok().filter(|code| directory.area(*code).is_some());
            if area.is_none() {
                fields.fault("areaCode", "area_unknown");
            }
            area
        }
    }
}

fn check_contact(
    contact: Option<&ContactGiven>,
    [name, phone]: [&'static str; 2],
    fields: &mut Fields,
) -> Option<ContactChecked> {
    let contact = contact?;
    Some(ContactChecked {
        name: fields.optional(name, contact.name.as_deref(), NAME_LONGEST),
        phone: fields.phone(phone, contact.phone.as_deref()),
    })
}

/// A placement on its way to the writer.
pub(crate) struct Placement {
    change: Change,
    done: oneshot::Sender<Result<bool, AppError>>,
}

/// Starts the one task that writes placements.
pub(crate) fn start_writer(app: &App, mut waiting: mpsc::Receiver<Placement>) {
    // The writer holds the app weakly: when the last user lets go, the channel closes and the task ends.
    let store = app.store.clone();
    let batches = app.metrics.placement_batches.clone();
    app.runtime().spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            batches.fetch_add(1, Ordering::Relaxed);
            write_batch(&store, std::mem::take(&mut batch)).await;
        }
    });
}

async fn write_batch(store: &xingfuma_store::Store, batch: Vec<Placement>) {
    let (changes, waiting): (Vec<Change>, Vec<_>) =
        batch.into_iter().map(|placement| (placement.change, placement.done)).unzip();
    let alone = changes.len() == 1;
    match placing::place_all(store, changes.clone()).await {
        Ok(taken) => {
            for (n, done) in waiting.into_iter().enumerate() {
                // Whoever has hung up meanwhile finds his order under his key.
                let _ = done.send(Ok(!taken.contains(&n)));
            }
        }
        Err(error) if alone => {
            for done in waiting {
                let _ = done.send(Err(AppError::Unavailable("database")));
            }
            tracing::warn!(%error, "a placement was not written");
        }
        Err(error) => {
            tracing::warn!(%error, placements = changes.len(), "a batch failed and is written one by one");
            for (change, done) in changes.into_iter().zip(waiting) {
                let written = placing::place_all(store, vec![change]).await;
                let _ = done.send(written.map(|taken| taken.is_empty()).map_err(AppError::from));
            }
        }
    }
}
