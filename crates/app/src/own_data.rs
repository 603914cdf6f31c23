//! A person's own data: his copy of all of it, and its erasure (个人信息保护法, articles 45 and 47).
//!
//! Erasing destroys the key under which his data was sealed. Orders, events, points and the audit log stay, because
//! they count for others; nothing in them tells who he was. It is refused while something is under way with him.

use uuid::Uuid;
use xingfuma_domain::message::Preferences;
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::consents::{self, WordRow};
use xingfuma_store::inbox::Message;
use xingfuma_store::ledger::{Balances, PassbookRow};
use xingfuma_store::media::{self, MediaRow};
use xingfuma_store::orders::{Filter, Part};
use xingfuma_store::own_data::{self, Disclosure};
use xingfuma_store::own_records::{self, OwnRecords};
use xingfuma_store::posts::PostRow;
use xingfuma_store::{StoreError, transact};

use crate::log_in::Me;
use crate::message::Offered;
use crate::view::OrderSeen;
use crate::{App, AppError, Caller};

/// Rows that are read at once.
const PAGE: u64 = 100;

/// Everything that is kept about a person.
#[derive(Clone, Debug)]
pub struct OwnData {
    /// His account.
    pub me: Me,
    /// The orders that he placed or entered, as he sees them.
    pub orders: Vec<OrderSeen>,
    /// The posts that he wrote or that show his service.
    pub posts: Vec<PostRow>,
    /// The photos that he uploaded.
    pub photos: Vec<MediaRow>,
    /// His points.
    pub balances: Balances,
    /// The lines of his passbook.
    pub lines: Vec<PassbookRow>,
    /// His messages.
    pub messages: Vec<Message>,
    /// How he wants to be told, and the messages that he has agreed to.
    pub preferences: (Preferences, Vec<Offered>),
    /// What the books keep of him: activities, trainings, patrols, stars, certificates and so on.
    pub records: OwnRecords,
    /// What he agreed to, and took back.
    pub consents: Vec<WordRow>,
    /// Who was shown what of him, and why.
    pub disclosures: Vec<Disclosure>,
}

impl App {
    /// Everything that is kept about the caller.
    ///
    /// # Errors
    /// [`AppError::TooMany`] above the limit; otherwise when the database fails.
    pub async fn export_own_data(&self, caller: &Caller) -> Result<OwnData, AppError> {
        self.count_export(caller).await?;
        let person = caller.actor.person;
        let entry = self.about_himself(caller, "data_exported");
        let noted: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { audit::append(conn, &[entry]).await }))
                .await;
        noted?;
        let (balances, lines) = self.whole_passbook(caller).await?;
        Ok(OwnData {
            me: self.me(caller).await?,
            orders: self.own_orders(caller).await?,
            posts: own_data::posts_of(self.store.pool(), person).await?,
            photos: media::of_person(self.store.pool(), person).await?,
            balances,
            lines,
            messages: self.all_messages(caller).await?,
            preferences: self.preferences(caller).await?,
            records: own_records::of_person(self.store.pool(), person).await?,
            consents: consents::history(self.store.pool(), person).await?,
            disclosures: own_data::disclosures(self.store.pool(), person).await?,
        })
    }

    async fn own_orders(&self, caller: &Caller) -> Result<Vec<OrderSeen>, AppError> {
        let (mut orders, mut before) = (Vec::new(), None);
        loop {
            let page = self.orders(caller, Part::Own, &Filter::default(), before, PAGE).await?;
            for seen in &page {
                orders.push(self.order(caller, seen.order.id, None).await?);
            }
            before = page.last().map(|seen| seen.order.id);
            if (page.len() as u64) < PAGE {
                return Ok(orders);
            }
        }
    }

    async fn whole_passbook(&self, caller: &Caller) -> Result<(Balances, Vec<PassbookRow>), AppError> {
        let mut book = self.passbook(caller, None, PAGE).await?;
        let mut all = std::mem::take(&mut book.lines);
        while !all.is_empty() && (all.len() as u64).is_multiple_of(PAGE) {
            let before = all.last().map(|line| line.id);
            let page = self.passbook(caller, before, PAGE).await?.lines;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        Ok((book.balances, all))
    }

    async fn all_messages(&self, caller: &Caller) -> Result<Vec<Message>, AppError> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = self.inbox(caller, before, PAGE).await?;
            before = page.last().map(|message| message.id);
            let full = page.len() as u64 >= PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    /// Erases the caller: his posts are withdrawn, his sessions and roles end, his data can be opened by nobody.
    ///
    /// # Errors
    /// [`AppError::Conflict`] `open_orders` while an order of his, or one that he promised to come to, is under way.
    pub async fn erase_own_data(&self, caller: &Caller) -> Result<(), AppError> {
        let person = caller.actor.person;
        if own_data::has_open_orders(self.store.pool(), person).await? {
            return Err(AppError::Conflict("open_orders"));
        }
        self.withdraw_posts(caller).await?;
        let (county, now) = (self.settings.county, self.clock.now());
        let entry = self.about_himself(caller, "person_erased");
        let erased: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                // Once more, inside: an order may have been placed meanwhile.
                if own_data::has_open_orders(conn, person).await? {
                    return Ok(false);
                }
                own_data::erase(conn, county, person, now).await?;
                audit::append(conn, &[entry]).await?;
                Ok(true)
            })
        })
        .await;
        if erased? { Ok(()) } else { Err(AppError::Conflict("open_orders")) }
    }

    fn about_himself(&self, caller: &Caller, action: &'static str) -> AuditEntry {
        let person = caller.actor.person;
        AuditEntry {
            id: self.new_id(),
            county: self.settings.county,
            at: self.clock.now(),
            person: Some(person),
            action,
            resource: person,
            subject: Some(person),
            reason: None,
        }
    }
}

/// Who made a disclosure: the person himself, or staff, who is not named.
pub fn is_own(disclosure: &Disclosure, person: Uuid) -> bool {
    disclosure.person_id == Some(person)
}
