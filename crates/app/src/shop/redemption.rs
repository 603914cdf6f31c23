//! 兑换: reserve, fetch with a one-time code, or not.
//!
//! Reserving puts points and goods aside in one transaction: the points by the ledger's own rule that nobody spends what
//! he does not have, the goods by a conditional update. The code follows from the redemption's id under a key of this
//! program: it is stored nowhere, and its owner can be shown it again. Whoever ends the redemption (the shopkeeper, the
//! person, the sweep) does so by one guarded update, so exactly one of them moves points and goods.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, Role, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{PostedTransaction, Reservation, release, reserve, spend};
use xingfuma_domain::shop::{
    CodeRefusal, FETCH_WITHIN, QUANTITY_LARGEST, RedemptionCode, RedemptionStatus, check_code,
};
use xingfuma_store::ledger::{self, Booked, Booking};
use xingfuma_store::orders::Notification;
use xingfuma_store::shop::redemptions::{self, Filter, RedemptionRow};
use xingfuma_store::shop::{self, GoodsRow, Movement, MovementKind};
use xingfuma_store::{DatabaseTransaction, StoreError, idempotency, inbox, transact};

use super::{Render, ShopPart};
use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

/// Redemptions that one round of the sweep ends.
const OVERDUE_AT_ONCE: u64 = 200;

/// Everything that a reservation writes.
#[derive(Clone, Debug)]
pub struct Reserving {
    /// The line of the exchange book.
    pub row: RedemptionRow,
    /// The points.
    pub booking: Booking,
    /// The goods.
    pub movement: Movement,
}

/// Everything that ends a redemption.
struct Ending {
    row: RedemptionRow,
    booking: Booking,
    /// Goods that go back.
    back: Option<Movement>,
    told: Notification,
}

/// Writes a reservation. Points first: the goods' row is shared by all who want them, and is locked last.
///
/// # Errors
/// [`StoreError::Overdrawn`], [`StoreError::Stock`]; the transaction must then be rolled back.
pub async fn write_reservation(
    conn: &DatabaseTransaction,
    county: AreaCode,
    reserving: &Reserving,
) -> Result<(), StoreError> {
    if ledger::book(conn, &reserving.booking).await? == Booked::Known {
        return Err(StoreError::Conflict);
    }
    redemptions::insert(conn, &reserving.row).await?;
    shop::move_stock(conn, county, &reserving.movement, Some(reserving.row.price)).await
}

async fn write_ending(
    conn: &DatabaseTransaction,
    county: AreaCode,
    ending: &Ending,
) -> Result<(), StoreError> {
    redemptions::end(conn, &ending.row).await?;
    if ledger::book(conn, &ending.booking).await? == Booked::Known {
        return Err(StoreError::Answered);
    }
    if let Some(back) = &ending.back {
        shop::move_stock(conn, county, back, None).await?;
    }
    let at = ending.row.ended_at.unwrap_or_default();
    inbox::tell(conn, ending.row.id, county, at, std::slice::from_ref(&ending.told)).await
}

impl App {
    /// The code of a redemption: the same at every process, and good for whoever shows it, once.
    pub fn redemption_code(&self, redemption: Uuid) -> RedemptionCode {
        let hash = self.keys.request_hash(&[b"redemption code", redemption.as_bytes()]);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        RedemptionCode::from_random(u64::from_be_bytes(bytes))
    }

    fn code_hash(&self, code: RedemptionCode) -> Vec<u8> {
        self.keys.request_hash(&[b"redemption", code.as_str().as_bytes()])
    }

    /// What a reservation of these goods writes.
    ///
    /// # Errors
    /// [`AppError::Invalid`] where price and quantity make no amount.
    pub fn reserving(
        &self,
        goods: &GoodsRow,
        quantity: i64,
        person: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Reserving, AppError> {
        let [id, transaction, movement] = [(); 3].map(|()| self.ids.id(now));
        let wanted = Reservation {
            redemption: id,
            person,
            area: goods.area()?,
            price: goods.price,
            quantity,
            at: now,
        };
        let posting = reserve(&wanted).map_err(|_| AppError::invalid("quantity", "out_of_range"))?;
        let row = RedemptionRow {
            id,
            county: goods.county.clone(),
            shop_id: goods.shop_id,
            area_code: goods.area_code.clone(),
            goods_id: goods.id,
            goods_name: goods.name.clone(),
            person_id: person,
            quantity,
            price: goods.price,
            status: RedemptionStatus::Reserved.as_str().to_owned(),
            code_hash: self.code_hash(self.redemption_code(id)),
            transaction_id: transaction,
            made_at: now,
            expires_at: now + FETCH_WITHIN,
            ended_at: None,
            ended_by: None,
            reason: None,
        };
        let movement = Movement {
            id: movement,
            shop: goods.shop_id,
            goods: goods.id,
            kind: MovementKind::Reservation,
            quantity: -quantity,
            source: id,
            at: now,
            by: Some(person),
            reason: None,
        };
        Ok(Reserving {
            row,
            booking: Booking::Posting { id: transaction, posting: Box::new(posting) },
            movement,
        })
    }

    /// Reserves goods for the caller's own points.
    ///
    /// # Errors
    /// [`AppError::Invalid`]; [`AppError::Conflict`] `out_of_stock`; [`StoreError::Overdrawn`] when he has not got as
    /// many points.
    pub async fn redeem(
        &self,
        caller: &Caller,
        goods: Uuid,
        quantity: i64,
        keyed: &Keyed,
        render: Render<RedemptionRow>,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let found = shop::find_goods(self.store.pool(), county, goods).await?.filter(|goods| goods.active);
        let mut fields = Fields::default();
        if found.is_none() {
            fields.fault("goodsId", "unknown");
        }
        if !(1..=QUANTITY_LARGEST).contains(&quantity) {
            fields.fault("quantity", "out_of_range");
        }
        fields.check()?;
        let goods = found.ok_or(AppError::NotFound)?;
        // Whoever finds nothing left need not queue up for the row.
        if goods.stock < quantity {
            return Err(AppError::Conflict("out_of_stock"));
        }
        let reserving = self.reserving(&goods, quantity, caller.actor.person, now)?;
        let (status, body) = render(&reserving.row);
        let answer = self.answer(Some(keyed), reserving.row.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                idempotency::keep(conn, answer.as_ref()).await?;
                write_reservation(conn, county, &reserving).await
            })
        })
        .await;
        match written {
            Err(StoreError::Stock) => Err(AppError::Conflict("out_of_stock")),
            written => self.reply(written, keyed, status, body, "busy").await,
        }
    }

    /// The caller's redemptions, and those of the shops whose books he may read; newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redemptions(&self, caller: &Caller, part: ShopPart) -> Result<Vec<RedemptionRow>, AppError> {
        let areas = caller.areas(Action::ReadShopBooks);
        let filter = Filter {
            county: self.settings.county,
            person: caller.actor.person,
            areas: &areas,
            shop: part.shop,
            before: part.before,
            limit: part.limit,
        };
        Ok(redemptions::list(self.store.pool(), &filter).await?)
    }

    /// One redemption: one's own, or of a shop whose books one may read.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn redemption(&self, caller: &Caller, id: Uuid) -> Result<RedemptionRow, AppError> {
        let row = redemptions::find(self.store.pool(), self.settings.county, id).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let own = row.person_id == caller.actor.person;
        if own || allow(&caller.actor, Action::ReadShopBooks, row.area()?) {
            Ok(row)
        } else {
            Err(AppError::NotFound)
        }
    }

    /// Hands goods over for a code. The keeper of a shop cannot hand over to himself: two persons, always.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever keeps no shop; [`AppError::Invalid`] `code` for a text that is none, or that
    /// nobody was given; [`AppError::Conflict`] `code_foreign`, `code_used`, `code_voided`, `code_expired`;
    /// [`AppError::NotAllowed`] `own_decision`.
    pub async fn hand_over_goods(
        &self,
        caller: &Caller,
        code: &str,
        keyed: &Keyed,
        render: Render<RedemptionRow>,
    ) -> Result<Reply, AppError> {
        let (county, now, me) = (self.settings.county, self.clock.now(), caller.actor.person);
        if !caller.actor.is(Role::Shopkeeper) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let code: RedemptionCode = code.parse().map_err(|_| AppError::invalid("code", "code_invalid"))?;
        let row = redemptions::find_by_code(self.store.pool(), county, &self.code_hash(code)).await?;
        let row = row.ok_or(AppError::invalid("code", "code_unknown"))?;
        if !allow(&caller.actor, Action::KeepShop, row.area()?) {
            return Err(AppError::Conflict("code_foreign"));
        }
        if row.person_id == me {
            return Err(AppError::NotAllowed("own_decision"));
        }
        check_code(row.status()?, row.expires_at, now).map_err(|refusal| {
            AppError::Conflict(match refusal {
                CodeRefusal::Used => "code_used",
                CodeRefusal::Expired => "code_expired",
                CodeRefusal::Voided => "code_voided",
            })
        })?;
        let of = self.reservation_of(&row).await?;
        let posting = spend(&of, row.shop_id, now, me)
            .map_err(|fault| AppError::Internal(format!("a reservation that cannot be spent: {fault}")))?;
        let ending = self.ending(row, RedemptionStatus::HandedOver, Some(me), None, now, posting);
        self.end_and_answer(ending, keyed, render, "code_used").await
    }

    /// Calls a redemption off: points and goods go back. The person himself, or whoever keeps the shop, with a reason.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for those who may only read; [`AppError::Invalid`];
    /// [`AppError::Conflict`] `redemption_ended`.
    pub async fn void_redemption(
        &self,
        caller: &Caller,
        id: Uuid,
        reason: &str,
        keyed: &Keyed,
        render: Render<RedemptionRow>,
    ) -> Result<Reply, AppError> {
        let (now, me) = (self.clock.now(), caller.actor.person);
        let row = self.redemption(caller, id).await?;
        if row.person_id != me && !allow(&caller.actor, Action::KeepShop, row.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        if row.status()? != RedemptionStatus::Reserved {
            return Err(AppError::Conflict("redemption_ended"));
        }
        let ending = self.giving_back(row, RedemptionStatus::Voided, Some(me), Some(reason), now).await?;
        self.end_and_answer(ending, keyed, render, "redemption_ended").await
    }

    /// Ends what nobody fetched in time; answers how many. Safe to run anywhere, at any time, twice.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_redemptions(&self) -> Result<usize, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let mut ended = 0;
        for row in redemptions::overdue(self.store.pool(), county, now, OVERDUE_AT_ONCE).await? {
            let ending = self.giving_back(row, RedemptionStatus::Expired, None, None, now).await?;
            let written: Result<(), StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move { write_ending(conn, county, &ending).await })
            })
            .await;
            match written {
                Ok(()) => ended += 1,
                // Somebody else was quicker: the keeper, the person, or another process.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ended)
    }

    async fn reservation_of(&self, row: &RedemptionRow) -> Result<PostedTransaction, AppError> {
        let of = ledger::find(self.store.pool(), self.settings.county, row.transaction_id).await?;
        of.ok_or_else(|| AppError::Internal("a redemption without its reservation".to_owned()))
    }

    async fn giving_back(
        &self,
        row: RedemptionRow,
        status: RedemptionStatus,
        by: Option<Uuid>,
        reason: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Ending, AppError> {
        let of = self.reservation_of(&row).await?;
        let posting = release(&of, status.as_str(), now, by)
            .map_err(|fault| AppError::Internal(format!("a reservation that cannot go back: {fault}")))?;
        let back = Movement {
            id: self.new_id(),
            shop: row.shop_id,
            goods: row.goods_id,
            kind: MovementKind::Return,
            quantity: row.quantity,
            source: row.id,
            at: now,
            by,
            reason: reason.clone(),
        };
        let ending = self.ending(row, status, by, reason, now, posting);
        Ok(Ending { back: Some(back), ..ending })
    }

    fn ending(
        &self,
        row: RedemptionRow,
        status: RedemptionStatus,
        by: Option<Uuid>,
        reason: Option<String>,
        now: DateTime<Utc>,
        posting: xingfuma_domain::scoring::Posting,
    ) -> Ending {
        let data = serde_json::json!({ "goods": row.goods_name, "quantity": row.quantity });
        let topic = match status {
            RedemptionStatus::HandedOver => "redemption_handed_over",
            RedemptionStatus::Expired => "redemption_expired",
            _ => "redemption_voided",
        };
        let audience = format!("person:{}", row.person_id);
        let told = Notification { audience, topic, data: data.to_string(), about: None };
        let row = RedemptionRow {
            status: status.as_str().to_owned(),
            ended_at: Some(now),
            ended_by: by,
            reason,
            ..row
        };
        let booking = Booking::Posting { id: self.new_id(), posting: Box::new(posting) };
        Ending { row, booking, back: None, told }
    }

    async fn end_and_answer(
        &self,
        ending: Ending,
        keyed: &Keyed,
        render: Render<RedemptionRow>,
        taken: &'static str,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let (status, body) = render(&ending.row);
        let answer = self.answer(Some(keyed), ending.row.id, status, &body);
        let id = ending.row.id;
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                write_ending(conn, county, &ending).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        if !matches!(written, Err(StoreError::Conflict)) {
            return self.reply(written, keyed, status, body, taken).await;
        }
        // Somebody was quicker: what he did says what the code is worth now.
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let row = redemptions::find(self.store.pool(), county, id).await?;
        let ended = row.map(|row| row.status()).transpose()?;
        Err(AppError::Conflict(match ended {
            Some(RedemptionStatus::Expired) if taken == "code_used" => "code_expired",
            Some(RedemptionStatus::Voided) if taken == "code_used" => "code_voided",
            _ => taken,
        }))
    }
}
