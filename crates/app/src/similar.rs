//! `GET /orders/similar`: what may be the same as something that is about to be placed, or as an order that is there.

use chrono::TimeDelta;
use uuid::Uuid;
use xingfuma_domain::access::{Action, Role, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::similar::{Alike, LOOK_BACK_SECONDS, Likeness, WORTH_A_LOOK, alike};
use xingfuma_store::orders::{self, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{people, similar};

use crate::clock::first_id_at;
use crate::text::Fields;
use crate::view::OrderSeen;
use crate::{App, AppError, Caller};

/// Orders that are compared at most.
const COMPARED_AT_MOST: u64 = 300;
/// Suggestions at most.
const SUGGESTED_AT_MOST: usize = 10;

/// What duplicates are looked for of.
#[derive(Clone, Default)]
pub struct LikeWhat {
    /// An order that is there; then nothing else is needed.
    pub order: Option<Uuid>,
    /// Or: the scanned sign.
    pub sign: Option<String>,
    /// Or: the chosen area.
    pub area: Option<String>,
    /// The category's code.
    pub category: Option<String>,
    /// What is needed.
    pub description: Option<String>,
    /// A caller's phone, in the hands of those who may place or dispatch for others.
    pub phone: Option<String>,
}

impl std::fmt::Debug for LikeWhat {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LikeWhat").field("order", &self.order).finish_non_exhaustive()
    }
}

/// A suggestion.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The order, as the caller may see it.
    pub seen: OrderSeen,
    /// How alike it is, and why.
    pub alike: Alike,
}

/// What is compared, with texts of its own.
struct Compared {
    id: Option<Uuid>,
    area: AreaCode,
    category: String,
    requester: Option<Uuid>,
    at: chrono::DateTime<chrono::Utc>,
    words: String,
}

impl Compared {
    fn likeness(&self) -> Likeness<'_> {
        Likeness {
            area: self.area,
            category: &self.category,
            requester: self.requester,
            at: self.at,
            words: &self.words,
        }
    }
}

impl App {
    /// Orders of the last two weeks, of those that the caller may see, that may be the same; the likeliest first.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an order that is not there for the caller, [`AppError::Forbidden`] for a phone in the
    /// hands of somebody who may not ask by it, [`AppError::Invalid`] for fields that are not as they should be.
    pub async fn similar(&self, caller: &Caller, what: LikeWhat) -> Result<Vec<Suggestion>, AppError> {
        let compared = match what.order {
            Some(order) => self.order_to_compare(caller, order).await?,
            None => self.wish_to_compare(caller, &what).await?,
        };
        let since = first_id_at(compared.at - TimeDelta::seconds(LOOK_BACK_SECONDS));
        let village = compared.area.ancestor_at(Level::Village).unwrap_or(compared.area);
        let scope = Scope::of(&caller.actor);
        let (pool, requester) = (self.store.pool(), compared.requester);
        let found = similar::candidates(pool, &scope, village, requester, since, COMPARED_AT_MOST).await?;
        let mut suggestions: Vec<(Alike, StoredOrder)> = found
            .into_iter()
            .filter(|stored| Some(stored.order.id) != compared.id)
            .map(|stored| (alike(&compared.likeness(), &likeness_of(&stored)), stored))
            .filter(|(alike, _)| alike.score >= WORTH_A_LOOK)
            .collect();
        suggestions.sort_by_key(|(alike, stored)| (std::cmp::Reverse(alike.score), stored.order.id));
        suggestions.truncate(SUGGESTED_AT_MOST);
        let seen = suggestions.into_iter().filter_map(|(alike, stored)| {
            Some(Suggestion { seen: self.seen_in_list(&caller.actor, stored, None)?, alike })
        });
        Ok(seen.collect())
    }

    async fn order_to_compare(&self, caller: &Caller, order: Uuid) -> Result<Compared, AppError> {
        let found = orders::find(self.store.pool(), &Scope::of(&caller.actor), order).await?;
        let stored = found.ok_or(AppError::NotFound)?;
        self.seen_in_list(&caller.actor, stored.clone(), None).ok_or(AppError::NotFound)?;
        Ok(Compared {
            id: Some(order),
            area: stored.order.placed.area,
            category: stored.order.placed.category,
            requester: Some(stored.order.placed.requester),
            at: stored.order.placed_at,
            words: stored.description,
        })
    }

    async fn wish_to_compare(&self, caller: &Caller, what: &LikeWhat) -> Result<Compared, AppError> {
        let directory = self.directory();
        let mut fields = Fields::default();
        let area =
            crate::place::place_of(&directory, what.sign.as_deref(), what.area.as_deref(), &mut fields);
        let category = what.category.clone().unwrap_or_default();
        if directory.category(&category).is_none() {
            fields.fault("categoryCode", "category_unknown");
        }
        let words =
            fields.optional("description", what.description.as_deref(), crate::place::DESCRIPTION_LONGEST);
        let phone = fields.phone("phone", what.phone.as_deref());
        let county = self.settings.county;
        let asks_for_others =
            allow(&caller.actor, Action::PlaceForCaller, county) || caller.actor.is(Role::Dispatcher);
        if what.phone.is_some() && !asks_for_others {
            return Err(AppError::Forbidden);
        }
        fields.check()?;
        let known = caller.known_words()?;
        let requester = match phone {
            // By the blind index: the phone itself stands nowhere in clear.
            Some(phone) => {
                let index = self.keys.phone_index(phone.as_str());
                people::find_by_phone(self.store.pool(), county, &index).await?.map(|known| known.id)
            }
            None if asks_for_others => None,
            None => Some(caller.actor.person),
        };
        Ok(Compared {
            id: None,
            area: area.ok_or(AppError::NotFound)?,
            category,
            requester,
            at: self.clock.now(),
            words: words.map(|words| known.masked(&words)).unwrap_or_default(),
        })
    }
}

fn likeness_of(stored: &StoredOrder) -> Likeness<'_> {
    Likeness {
        area: stored.order.placed.area,
        category: &stored.order.placed.category,
        requester: Some(stored.order.placed.requester),
        at: stored.order.placed_at,
        words: &stored.description,
    }
}
