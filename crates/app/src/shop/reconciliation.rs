//! The month of a shop that adds up.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::scoring::YearMonth;
use xingfuma_store::shop;
use xingfuma_store::shop::books::{GoodsBook, PointsBook};

use crate::{App, AppError, Caller};

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

impl App {
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
