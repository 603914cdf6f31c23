//! 爱心超市: shops, their goods and their stock. The donation book is in `donation`, the month that adds up in
//! `reconciliation`, what is bought in [`redemption`].

use std::sync::Arc;

use uuid::Uuid;
use xingfuma_domain::access::{Action, Grant, Role, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::shop::{PRICE_LARGEST, STOCK_LARGEST};
use xingfuma_store::audit::AuditEntry;
use xingfuma_store::people::{NewGrant, NewPerson};
use xingfuma_store::shop::{self, DonationRow, GoodsRow, Movement, MovementKind, ShopRow};
use xingfuma_store::{StoreError, audit, idempotency, people, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

mod donation;
mod reconciliation;
pub mod redemption;

pub use donation::{DonationRequest, DonationSeen};
pub use reconciliation::Reconciliation;

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
}
