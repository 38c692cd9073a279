//! Coupons as their makers and users see them: asking what one would take off, making one, switching it.

use super::coupon::{Coupon, CouponCode, Discount, Standing};
use super::id::CouponId;
use super::service::Payments;
use crate::checkout::Caller;
use crate::ledger::{Decision, Draft, Note, Reads, Record, transact};
use crate::money::{Minor, Price};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Characters of a coupon's description.
pub const DESCRIPTION_CHARS_MAX: usize = 500;

/// A coupon that somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCoupon {
    /// What people type.
    pub code: String,
    /// For people.
    pub description: Option<String>,
    /// What it takes off.
    pub discount: Discount,
    /// For display.
    pub original_price: Option<Minor>,
    /// How often; `None` is without limit.
    pub max_uses: Option<i64>,
    /// Not before.
    pub valid_from: Option<Timestamp>,
    /// Not from then on.
    pub valid_until: Option<Timestamp>,
}

/// Why a coupon was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CouponError {
    /// Something about it is wrong; the sentence says what is right.
    #[error("{0}")]
    Wrong(&'static str),
    /// Another coupon has that code.
    #[error("a coupon with this code exists; choose another code")]
    Taken,
    /// The key was used for another coupon.
    #[error("this Idempotency-Key was used for another request; send a new one")]
    KeyReused,
    /// No such coupon.
    #[error("that coupon does not exist")]
    NotFound,
    /// The outcome is unknown; the same again is safe.
    #[error("the ledger did not answer")]
    Unavailable(#[source] StoreError),
}

impl From<StoreError> for CouponError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// What a coupon would take off.
#[derive(Debug, Clone)]
pub struct Quote {
    /// The coupon.
    pub coupon: Coupon,
    /// The price with it; `None` when no amount was named.
    pub price: Option<Price>,
}

impl NewCoupon {
    fn checked(&self) -> Result<CouponCode, CouponError> {
        let wrong = |what| Err(CouponError::Wrong(what));
        let Some(code) = CouponCode::parse(&self.code) else {
            return wrong("`code` is 1 to 64 letters, digits, - and _");
        };
        match self.discount {
            Discount::Percentage(1..=100) => {}
            Discount::Percentage(_) => return wrong("a percentage is between 1 and 100"),
            Discount::Fixed(value) if value.is_zero() => {
                return wrong("a fixed discount is more than nothing");
            }
            Discount::Fixed(_) => {}
        }
        if self.max_uses.is_some_and(|max| !(1..=i64::from(i32::MAX)).contains(&max)) {
            return wrong("`maxUses` is at least 1");
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.len() > DESCRIPTION_CHARS_MAX || text.contains('\0'))
        {
            return wrong("`description` is at most 500 characters, without NUL");
        }
        match (self.valid_from, self.valid_until) {
            (Some(from), Some(until)) if until <= from => wrong("`validUntil` is after `validFrom`"),
            _ => Ok(code),
        }
    }
}

impl NewCoupon {
    /// Whether this request made `known`.
    fn is_like(&self, known: &Coupon, code: &CouponCode) -> bool {
        known.code == *code
            && known.description == self.description
            && known.discount == self.discount
            && known.original_price == self.original_price
            && known.max_uses == self.max_uses
            && (known.valid_from, known.valid_until) == (self.valid_from, self.valid_until)
    }
}

impl Payments {
    /// What a code would take off `amount`; `None` for a code that cannot be used, whatever the reason: a stranger
    /// learns nothing by guessing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn quote(&self, code: &str, amount: Option<Minor>) -> Result<Option<Quote>, StoreError> {
        let Some(code) = CouponCode::parse(code) else { return Ok(None) };
        let books = self.ledger().look(&Reads::none().code(Some(code.clone()))).await?;
        let now = self.now();
        let usable = books.coupon_by_code(&code).filter(|coupon| coupon.is_available(now));
        Ok(usable.map(|coupon| {
            let amount = amount.or(coupon.original_price);
            let price = amount.map(|original| Price {
                original,
                discount: coupon.discount.off(original),
                currency: self.terms().currency,
            });
            Quote { coupon: coupon.clone(), price }
        }))
    }

    /// Makes a coupon. The same key is the same coupon.
    ///
    /// # Errors
    /// [`CouponError`]; nothing changed then.
    pub async fn create_coupon(
        &self,
        caller: &Caller,
        new: NewCoupon,
        key: &str,
    ) -> Result<Coupon, CouponError> {
        let code = new.checked()?;
        let (id, now, actor) = (CouponId::of_key(&caller.to_string(), key), self.now(), caller.to_string());
        let reads = Reads { coupons: vec![id.clone()], ..Reads::none() }.code(Some(code.clone()));
        transact(&**self.ledger(), reads, now, move |books| {
            if let Some(known) = books.coupon(&id) {
                let same = new.is_like(known, &code);
                return Decision::only(if same { Ok(known.clone()) } else { Err(CouponError::KeyReused) });
            }
            if books.coupon_by_code(&code).is_some() {
                return Decision::only(Err(CouponError::Taken));
            }
            let coupon = Coupon {
                id: id.clone(),
                code: code.clone(),
                description: new.description.clone(),
                discount: new.discount,
                original_price: new.original_price,
                max_uses: new.max_uses,
                used: 0,
                reserved: 0,
                valid_from: new.valid_from,
                valid_until: new.valid_until,
                standing: Standing::Active,
                created_by: Some(actor.clone()),
                created_at: now,
                version: 1,
            };
            let mut draft = Draft::new(books, now, note_of("coupon.created", &actor));
            draft.put(Record::Coupon(coupon.clone()));
            Decision::write(draft.finish(), Ok(coupon))
        })
        .await?
    }

    /// Switches a coupon on or off.
    ///
    /// # Errors
    /// [`CouponError::NotFound`], [`CouponError::Unavailable`].
    pub async fn switch_coupon(
        &self,
        caller: &Caller,
        id: &CouponId,
        standing: Standing,
    ) -> Result<Coupon, CouponError> {
        let reads = Reads { coupons: vec![id.clone()], ..Reads::none() };
        let (id, now, actor) = (id.clone(), self.now(), caller.to_string());
        transact(&**self.ledger(), reads, now, move |books| {
            let Some(coupon) = books.coupon(&id) else { return Decision::only(Err(CouponError::NotFound)) };
            if coupon.standing == standing {
                return Decision::only(Ok(coupon.clone()));
            }
            let switched = Coupon { standing, version: coupon.version + 1, ..coupon.clone() };
            let mut draft = Draft::new(books, now, note_of("coupon.switched", &actor));
            draft.put(Record::Coupon(switched.clone()));
            Decision::write(draft.finish(), Ok(switched))
        })
        .await?
    }
}

fn note_of(event: &'static str, actor: &str) -> Note {
    Note { event, actor: actor.to_owned(), payment: None, checkout: None }
}
