//! The donation book: what was given, and by whom.

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::shop::{STOCK_LARGEST, donor_in_book};
use xingfuma_store::people;
use xingfuma_store::people::{NewPerson, PersonRow};
use xingfuma_store::shop::{self, DonationRow, GoodsRow, MovementKind};

use super::{NAME_LONGEST, Render, ShopPart};
use crate::command::{Keyed, Reply};
use crate::privacy::{PersonPrivate, Private};
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

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

impl App {
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
}
