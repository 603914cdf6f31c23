//! 爱心超市: shops, their goods and stock, the donation book, and the month that adds up. What is bought is in
//! [`redemption`].

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, Grant, Role, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::scoring::YearMonth;
use xingfuma_domain::shop::{PRICE_LARGEST, STOCK_LARGEST, donor_in_book};
use xingfuma_store::audit::AuditEntry;
use xingfuma_store::people::{NewGrant, NewPerson, PersonRow};
use xingfuma_store::shop::books::{GoodsBook, PointsBook};
use xingfuma_store::shop::{self, DonationRow, GoodsRow, Movement, MovementKind, ShopRow};
use xingfuma_store::{StoreError, audit, idempotency, people, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::privacy::{PersonPrivate, Private};
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

pub mod redemption;

/// Longest name of a shop, of goods, or of a donor, in characters.
const NAME_LONGEST: usize = 60;
/// The most keepers of one shop.
const KEEPERS_AT_MOST: usize = 20;

/// Turns a row into an answer.
pub type Render<T> = Arc<dyn Fn(&T) -> (u16, Vec<u8>) + Send + Sync>;

/// Goods as they are to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodsRequest {
    /// What it is.
    pub name: String,
    /// Points for one piece.
    pub price: i64,
    /// Whether it is offered.
    pub active: bool,
}

/// A donation as it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DonationRequest {
    /// Which goods.
    pub goods: Uuid,
    /// Pieces.
    pub quantity: i64,
    /// Who gives them.
    pub donor: String,
    /// The donor is a person, not an organisation.
    pub donor_is_person: bool,
}

/// A line of the donation book, as its reader may see it.
#[derive(Clone)]
pub struct DonationSeen {
    /// The line.
    pub row: DonationRow,
    /// Who gave it: the whole name for those who keep the shop or watch over it, one character for everybody else.
    pub donor: String,
}

impl std::fmt::Debug for DonationSeen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DonationSeen").field("row", &self.row).finish_non_exhaustive()
    }
}

/// Which part of a shop's list.
#[derive(Clone, Copy, Debug)]
pub struct ShopPart {
    /// Only this shop's.
    pub shop: Option<Uuid>,
    /// Only what is behind this one.
    pub before: Option<Uuid>,
    /// Most.
    pub limit: u64,
}

/// A month of a shop, added up.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// The month.
    pub month: YearMonth,
    /// Its goods.
    pub goods: Vec<GoodsBook>,
    /// Its points.
    pub points: PointsBook,
}

impl Reconciliation {
    /// Whether everything comes out: every stock is the sum of its movements, the month leads from opening to closing,
    /// and ledger and exchange book name the same points.
    pub fn agrees(&self) -> bool {
        let goods = |book: &GoodsBook| {
            let moved = book.donated + book.counted - book.reserved + book.returned;
            book.stock == book.stock_by_movements && book.opening + moved == book.closing
        };
        self.goods.iter().all(goods)
            && self.points.spent_by_ledger == self.points.spent_by_redemptions
            && self.points.balance_by_ledger == self.points.balance_by_redemptions
    }
}

fn check_goods(request: &GoodsRequest) -> Result<String, AppError> {
    let mut fields = Fields::default();
    let name = masked(&fields.text("name", &request.name, NAME_LONGEST));
    if !(1..=PRICE_LARGEST).contains(&request.price) {
        fields.fault("price", "out_of_range");
    }
    fields.check()?;
    Ok(name)
}

impl App {
    /// Opens the shop of an area.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::Conflict`] `shop_exists`.
    pub async fn open_shop(
        &self,
        caller: &Caller,
        area: AreaCode,
        name: &str,
        keyed: &Keyed,
        render: Render<ShopRow>,
    ) -> Result<Reply, AppError> {
        if !allow(&caller.actor, Action::OpenShop, area) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let name = masked(&fields.text("name", name, NAME_LONGEST));
        if self.directory().area(area).is_none() || area.level() == Level::MicroGrid {
            fields.fault("areaCode", "unknown");
        }
        fields.check()?;
        let shop = ShopRow {
            id: self.new_id(),
            county: self.settings.county.to_string(),
            area_code: area.to_string(),
            name,
            opened_by: caller.actor.person,
            opened_at: self.clock.now(),
        };
        let (status, body) = render(&shop);
        let answer = self.answer(Some(keyed), shop.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                shop::open(conn, &shop).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "shop_exists").await
    }

    /// Shops of the county: no secret, whoever has points wants to know where.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shops(&self, part: ShopPart) -> Result<Vec<ShopRow>, AppError> {
        Ok(shop::list(self.store.pool(), self.settings.county, part.before, part.limit).await?)
    }

    async fn shop(&self, id: Uuid) -> Result<ShopRow, AppError> {
        shop::find(self.store.pool(), self.settings.county, id).await?.ok_or(AppError::NotFound)
    }

    /// Says who keeps a shop: these people and no others. Counts at their next request.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Invalid`] for people that are not of the county.
    pub async fn keep_shop(
        &self,
        caller: &Caller,
        id: Uuid,
        keepers: Vec<Uuid>,
    ) -> Result<Vec<Uuid>, AppError> {
        let shop = self.shop(id).await?;
        let area = shop.area()?;
        if !allow(&caller.actor, Action::OpenShop, area) {
            return Err(AppError::Forbidden);
        }
        let mut wanted = keepers;
        wanted.sort_unstable();
        wanted.dedup();
        let known = people::find_all(self.store.pool(), self.settings.county, &wanted).await?;
        if known.len() != wanted.len() {
            return Err(AppError::invalid("personIds", "unknown"));
        }
        if wanted.len() > KEEPERS_AT_MOST {
            return Err(AppError::invalid("personIds", "too_many"));
        }
        let (now, by, county) = (self.clock.now(), caller.actor.person, self.settings.county);
        let ids: Vec<(Uuid, Uuid)> = wanted.iter().map(|_| (self.new_id(), self.new_id())).collect();
        let leaving: Vec<Uuid> = (0..KEEPERS_AT_MOST).map(|_| self.new_id()).collect();
        let kept = wanted.clone();
        transact::<(), StoreError, _>(&self.store, move |conn| {
            Box::pin(async move {
                let before = shop::keepers(conn, area).await?;
                let line = |id, action, subject| AuditEntry {
                    id,
                    county,
                    at: now,
                    person: Some(by),
                    action,
                    resource: shop.id,
                    subject: Some(subject),
                    reason: None,
                };
                for (gone, id) in before.iter().filter(|one| !wanted.contains(one)).zip(leaving) {
                    shop::dismiss_keeper(conn, area, *gone, now).await?;
                    audit::append(conn, &[line(id, "dismiss_shopkeeper", *gone)]).await?;
                }
                for (person, (id, line_id)) in wanted.into_iter().zip(ids) {
                    if !before.contains(&person) {
                        let grant = Grant { role: Role::Shopkeeper, area, team: None };
                        people::insert_grants(conn, &[NewGrant { id, person, grant }], now).await?;
                        audit::append(conn, &[line(line_id, "appoint_shopkeeper", person)]).await?;
                    }
                }
                Ok(())
            })
        })
        .await?;
        Ok(kept)
    }

    /// Offers goods; there are none in stock until some are donated.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a shop that is not there; [`AppError::Forbidden`]; [`AppError::Invalid`].
    pub async fn offer_goods(
        &self,
        caller: &Caller,
        shop: Uuid,
        request: &GoodsRequest,
        keyed: &Keyed,
        render: Render<GoodsRow>,
    ) -> Result<Reply, AppError> {
        let shop = self.shop(shop).await?;
        if !allow(&caller.actor, Action::KeepShop, shop.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let goods = GoodsRow {
            id: self.new_id(),
            county: shop.county,
            shop_id: shop.id,
            area_code: shop.area_code,
            name: check_goods(request)?,
            price: request.price,
            stock: 0,
            active: request.active,
            created_at: self.clock.now(),
        };
        let (status, body) = render(&goods);
        let answer = self.answer(Some(keyed), goods.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                shop::insert_goods(conn, &goods).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "busy").await
    }

    async fn kept_goods(&self, caller: &Caller, id: Uuid) -> Result<GoodsRow, AppError> {
        let goods = shop::find_goods(self.store.pool(), self.settings.county, id).await?;
        let goods = goods.ok_or(AppError::NotFound)?;
        if allow(&caller.actor, Action::KeepShop, goods.area()?) {
            Ok(goods)
        } else {
            Err(AppError::Forbidden)
        }
    }

    /// Names and prices goods anew, or takes them off the shelf. What is reserved keeps its price.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Invalid`].
    pub async fn change_goods(
        &self,
        caller: &Caller,
        id: Uuid,
        request: &GoodsRequest,
    ) -> Result<GoodsRow, AppError> {
        self.kept_goods(caller, id).await?;
        let (name, price, active) = (check_goods(request)?, request.price, request.active);
        transact::<(), StoreError, _>(&self.store, move |conn| {
            Box::pin(async move { shop::change_goods(conn, id, &name, price, active).await })
        })
        .await?;
        self.kept_goods(caller, id).await
    }

    /// Writes down what a count of the shelf found, more or less than the stock says.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::Conflict`]
    /// `stock_out_of_range` when the stock would fall below zero or grow beyond what a shop keeps.
    pub async fn count_goods(
        &self,
        caller: &Caller,
        id: Uuid,
        change: i64,
        reason: &str,
        keyed: &Keyed,
        render: Render<GoodsRow>,
    ) -> Result<Reply, AppError> {
        let goods = self.kept_goods(caller, id).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        if change == 0 || !(-STOCK_LARGEST..=STOCK_LARGEST).contains(&change) {
            fields.fault("change", "out_of_range");
        }
        fields.check()?;
        let movement = self.movement(&goods, MovementKind::Count, change, None, caller, Some(reason));
        self.move_and_answer(goods, movement, None, keyed, render).await
    }

    fn movement(
        &self,
        goods: &GoodsRow,
        kind: MovementKind,
        quantity: i64,
        source: Option<Uuid>,
        caller: &Caller,
        reason: Option<String>,
    ) -> Movement {
        let id = self.new_id();
        Movement {
            id,
            shop: goods.shop_id,
            goods: goods.id,
            kind,
            quantity,
            source: source.unwrap_or(id),
            at: self.clock.now(),
            by: Some(caller.actor.person),
            reason,
        }
    }

    /// Changes a stock; the answer tells the stock as it was a moment ago and is changed by this.
    async fn move_and_answer(
        &self,
        goods: GoodsRow,
        movement: Movement,
        donation: Option<(DonationRow, NewPerson)>,
        keyed: &Keyed,
        render: Render<GoodsRow>,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        // The stock in the answer is the one under the row's lock, so the answer is written inside.
        let (app, keyed_inside) = (self.clone(), keyed.clone());
        let written: Result<(u16, Vec<u8>), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                shop::move_stock(conn, county, &movement, None).await?;
                if let Some((donation, donor)) = &donation {
                    people::insert(conn, std::slice::from_ref(donor)).await?;
                    shop::insert_donation(conn, donation).await?;
                }
                let after = shop::find_goods(conn, county, goods.id).await?.unwrap_or(goods);
                let (status, body) = render(&after);
                let answer = app.answer(Some(&keyed_inside), after.id, status, &body);
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok((status, body))
            })
        })
        .await;
        match written {
            Ok((status, body)) => Ok(Reply { status, body, replayed: false }),
            Err(StoreError::Stock) => Err(AppError::Conflict("stock_out_of_range")),
            Err(error) => self.reply(Err(error), keyed, 0, Vec::new(), "busy").await,
        }
    }

    /// Goods of the county, or of one shop: no secret either.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn goods(&self, part: ShopPart) -> Result<Vec<GoodsRow>, AppError> {
        let county = self.settings.county;
        Ok(shop::list_goods(self.store.pool(), county, part.shop, part.before, part.limit).await?)
    }

    /// Takes a donation in: the donation book and the stock, together. Goods only; there is no field for money.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for goods that are not there, or a quantity out of range; [`AppError::Forbidden`];
    /// [`AppError::Conflict`] `stock_out_of_range`.
    pub async fn donate(
        &self,
        caller: &Caller,
        request: &DonationRequest,
        keyed: &Keyed,
        render: Render<GoodsRow>,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let goods = match self.kept_goods(caller, request.goods).await {
            Err(AppError::NotFound) => return Err(AppError::invalid("goodsId", "unknown")),
            goods => goods?,
        };
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let donor = fields.text("donor", &request.donor, NAME_LONGEST);
        if !(1..=STOCK_LARGEST).contains(&request.quantity) {
            fields.fault("quantity", "out_of_range");
        }
        fields.check()?;
        let (donor_id, donor_row) = self.donor(&donor, request.donor_is_person);
        let donation = DonationRow {
            id: self.new_id(),
            county: county.to_string(),
            shop_id: goods.shop_id,
            area_code: goods.area_code.clone(),
            goods_id: goods.id,
            donor: donor_in_book(&masked(&donor)),
            donor_id: Some(donor_id),
            quantity: request.quantity,
            received_by: caller.actor.person,
            received_at: self.clock.now(),
        };
        let source = Some(donation.id);
        let movement = self.movement(&goods, MovementKind::Donation, request.quantity, source, caller, None);
        self.move_and_answer(goods, movement, Some((donation, donor_row)), keyed, render).await
    }

    /// Somebody who gave something: a person with a key of his own, whose name nobody reads in the database. What an
    /// organisation is called is sealed as well, because people are entered as organisations by mistake.
    fn donor(&self, name: &str, is_person: bool) -> (Uuid, NewPerson) {
        let private = PersonPrivate { name: Some(name.to_owned()), phone: None };
        let (id, _, mut row) = self.new_person(&private, None);
        if !is_person {
            row.surname = String::new();
        }
        (id, row)
    }

    /// The donation book: open to everybody who is logged in, as it hangs in the shop, but for the whole names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn donations(&self, caller: &Caller, part: ShopPart) -> Result<Vec<DonationSeen>, AppError> {
        let county = self.settings.county;
        let rows = shop::donations(self.store.pool(), county, part.shop, part.before, part.limit).await?;
        let mut readable = Vec::new();
        for row in &rows {
            let area: AreaCode = row.area_code.parse().map_err(|_| AppError::NotFound)?;
            readable.extend(row.donor_id.filter(|_| allow(&caller.actor, Action::ReadDonors, area)));
        }
        let donors = people::find_all(self.store.pool(), county, &readable).await?;
        rows.into_iter().map(|row| self.donation_seen(row, &donors)).collect()
    }

    /// With the whole name where its donor is among those that may be read.
    fn donation_seen(&self, row: DonationRow, donors: &[PersonRow]) -> Result<DonationSeen, AppError> {
        let donor = donors.iter().find(|donor| Some(donor.id) == row.donor_id);
        let name =
            match donor.and_then(|donor| Some((donor, donor.data_key.as_ref()?, donor.private.as_ref()?))) {
                Some((donor, wrapped, sealed)) => {
                    let key = self.keys.data_key(donor.id, wrapped)?;
                    PersonPrivate::open(&key, donor.id, sealed)?.name
                }
                None => None,
            };
        Ok(DonationSeen { donor: name.unwrap_or_else(|| row.donor.clone()), row })
    }

    /// A month of a shop, added up from its books and from the ledger, in one snapshot.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; when the database fails.
    pub async fn reconcile_shop(
        &self,
        caller: &Caller,
        id: Uuid,
        month: YearMonth,
    ) -> Result<Reconciliation, AppError> {
        let shop = self.shop(id).await?;
        if !allow(&caller.actor, Action::ReadShopBooks, shop.area()?) {
            return Err(AppError::Forbidden);
        }
        let (from, to): (DateTime<Utc>, DateTime<Utc>) = (month.begins(), month.next().begins());
        let snapshot = self.store.snapshot().await?;
        let goods = shop::books::goods(&snapshot, shop.id, from, to).await?;
        let points = shop::books::points(&snapshot, shop.id, from, to).await?;
        Ok(Reconciliation { month, goods, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_agrees_only_when_everything_comes_out() {
        let goods = GoodsBook {
            goods_id: Uuid::nil(),
            name: "大米".to_owned(),
            stock: 7,
            stock_by_movements: 7,
            opening: 4,
            donated: 10,
            counted: -1,
            reserved: 8,
            returned: 2,
            closing: 7,
        };
        let points = PointsBook {
            spent_by_ledger: 60,
            spent_by_redemptions: 60,
            balance_by_ledger: 90,
            balance_by_redemptions: 90,
            handed_over: 6,
            waiting: 0,
        };
        let month = "2026-03".parse().expect("a month");
        let book = |goods: &GoodsBook, points| Reconciliation { month, goods: vec![goods.clone()], points };
        assert!(book(&goods, points).agrees());
        for wrong in [
            GoodsBook { stock: 8, ..goods.clone() },
            GoodsBook { closing: 8, ..goods.clone() },
            GoodsBook { returned: 3, ..goods.clone() },
            GoodsBook { reserved: 9, ..goods.clone() },
            GoodsBook { counted: 0, ..goods.clone() },
        ] {
            assert!(!book(&wrong, points).agrees(), "{wrong:?}");
        }
        for wrong in [
            PointsBook { spent_by_ledger: 61, ..points },
            PointsBook { balance_by_redemptions: 89, ..points },
        ] {
            assert!(!book(&goods, wrong).agrees(), "{wrong:?}");
        }
    }
}
