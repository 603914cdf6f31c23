//! Reading orders: one, a list, the dispatcher's board; and revealing a contact with a reason.

use uuid::Uuid;
use xingfuma_domain::access::{self, Action};
use xingfuma_domain::area::AreaCode;
use xingfuma_store::orders::{self, Filter, Part, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{StoreError, audit, due, inbox, people, transact};

use crate::dispatch::REASON_LONGEST;
use crate::session_reader::OrderFound;
use crate::text::Fields;
use crate::view::{Contact, OrderSeen, open_private};
use crate::{App, AppError, Caller};

/// An order on the board.
#[derive(Clone, Debug)]
pub struct BoardItem {
    /// The order.
    pub seen: OrderSeen,
    /// It is past what is due.
    pub late: bool,
    /// Why it stands still.
    pub stuck: Option<String>,
}

impl App {
    /// One order, with its events; `found` is what was read of it with the caller's session.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn order(
        &self,
        caller: &Caller,
        id: Uuid,
        found: Option<OrderFound>,
    ) -> Result<OrderSeen, AppError> {
        let whole = self.load_whole(&caller.actor, id, false, found).await?;
        let surname = self.surname_of(caller, &whole.stored.order, whole.engaged.as_ref()).await?;
        let (seen, view) = self.seen_whole(&caller.actor, whole, surname)?.ok_or(AppError::NotFound)?;
        if view.log_contact && seen.contact.is_some() {
            self.note_read(caller, "contact_read", id, seen.order.placed.requester).await;
        }
        Ok(seen)
    }

    /// A page of the caller's orders, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orders(
        &self,
        caller: &Caller,
        part: Part,
        filter: &Filter,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<OrderSeen>, AppError> {
        let scope = Scope::of(&caller.actor);
        let page = orders::list(self.store.pool(), &scope, part, filter, before, limit).await?;
        self.seen_with_surnames(caller, page).await
    }

    async fn seen_with_surnames(
        &self,
        caller: &Caller,
        page: Vec<StoredOrder>,
    ) -> Result<Vec<OrderSeen>, AppError> {
        let volunteer = |stored: &StoredOrder| stored.order.assignment().and_then(|held| held.volunteer);
        let mut ids: Vec<Uuid> = page.iter().filter_map(volunteer).collect();
        ids.sort_unstable();
        ids.dedup();
        let known = people::find_all(self.store.pool(), self.settings.county, &ids).await?;
        let surname =
            |id: Uuid| known.iter().find(|person| person.id == id).map(|person| person.surname.clone());
        Ok(page
            .into_iter()
            .filter_map(|stored| {
                let of = volunteer(&stored).and_then(surname);
                self.seen_in_list(&caller.actor, stored, of)
            })
            .collect())
    }

    /// What waits, what is late, what stands still and why, in the caller's areas; oldest first.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody without an area to watch over.
    pub async fn board(
        &self,
        caller: &Caller,
        area: Option<AreaCode>,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<BoardItem>, AppError> {
        let areas = caller.areas_asked(Action::ReadBoard, area)?;
        let rows = due::board(self.store.pool(), &areas, after, limit).await?;
        let scope = Scope::of(&caller.actor);
        let ids: Vec<Uuid> = rows.iter().map(|row| row.order_id).collect();
        let page = orders::find_readable(self.store.pool(), &scope, &ids).await?;
        let seen = self.seen_with_surnames(caller, page).await?;
        let now = self.clock.now();
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let seen = seen.iter().find(|seen| seen.order.id == row.order_id)?.clone();
                Some(board_item(seen, row.dead, now))
            })
            .collect())
    }

    /// Shows contact and address to a dispatcher or an administrator, and notes who looked and why.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], or [`AppError::Invalid`] without a reason;
    /// [`AppError::TooMany`] above the limit; [`AppError::Gone`] when the person was erased.
    pub async fn reveal_contact(&self, caller: &Caller, id: Uuid, reason: &str) -> Result<Contact, AppError> {
        let scope = Scope::of(&caller.actor);
        let whole = orders::find_whole(self.store.pool(), &scope, id, None).await?;
        let whole = whole.ok_or(AppError::NotFound)?;
        let order = &whole.stored.order;
        let view = access::view(&caller.actor, order).ok_or(AppError::NotFound)?;
        if !view.reveal {
            return Err(AppError::Forbidden);
        }
        let mut fields = Fields::default();
        let reason = self.known_words(caller, &whole)?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        self.count_reveal(caller).await?;
        let wrapped = whole.requester_key.as_deref().ok_or(AppError::Gone("person"))?;
        let key = self.keys.data_key(order.placed.requester, wrapped)?;
        let private = open_private(&key, order.id, &whole.stored.private)?;
        let entry = self.disclosure(caller, order, "contact_revealed", Some(reason));
        let noted: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { audit::append(conn, &[entry]).await }))
                .await;
        noted?;
        Ok(Contact { name: private.name, phone: private.phone, address: private.address })
    }

    /// The caller's messages, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<inbox::Message>, AppError> {
        Ok(inbox::list(self.store.pool(), caller.actor.person, before, limit).await?)
    }

    /// Marks the caller's messages up to one as read; answers how many were new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_inbox_read(&self, caller: &Caller, up_to: Uuid) -> Result<u64, AppError> {
        let (person, now) = (caller.actor.person, self.clock.now());
        let marked: Result<u64, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { inbox::mark_read(conn, person, up_to, now).await })
        })
        .await;
        Ok(marked?)
    }
}

fn board_item(seen: OrderSeen, dead: Option<String>, now: chrono::DateTime<chrono::Utc>) -> BoardItem {
    let late = seen.order.is_late(now);
    let stuck = match &seen.order.state {
        xingfuma_domain::order::State::Placed { stuck, .. } => stuck.clone(),
        _ => None,
    };
    BoardItem { late, stuck: dead.map(|dead| format!("处理失败：{dead}")).or(stuck), seen }
}

impl App {
    /// What a badge says to a passer-by, under its number as it is printed.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a number that nobody ever had.
    pub async fn badge(&self, number: &str) -> Result<(String, people::BadgeRow), AppError> {
        let number: xingfuma_domain::badge::BadgeNumber = number.parse().map_err(|_| AppError::NotFound)?;
        let number = number.to_string();
        let row = people::badge(self.store.pool(), self.settings.county, &number).await?;
        Ok((number, row.ok_or(AppError::NotFound)?))
    }
}
