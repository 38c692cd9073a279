//! Making a payment: what it costs, whether it may be made at all, and that a double click makes one.

use super::completion::{apply, complete, displace_payments};
use super::coupon::{Coupon, CouponCode, CouponHold, HoldState};
use super::id::{OrderId, PaymentId};
use super::machine::PaymentEvent;
use super::state::{DERIVED_KEY, ExpireReason, Flags, How, Method, Payment, PaymentState};
use super::terms::{Terms, Users};
use crate::checkout::{Caller, Checkout, CheckoutId, Owner};
use crate::id::digest_of;
use crate::ledger::{Books, CheckoutKey, Decision, Draft, Note, PaymentKey, Plan, Reads, Record, Write};
use crate::login::UserId;
use crate::money::{Minor, Price};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::user::UserUuid;

/// What a buyer, or a backend for one, wants to pay.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// In whole major units, as the application's pages send it; `None` leaves it to the checkout's price.
    pub amount: Option<i64>,
    /// Who pays.
    pub user: Option<String>,
    /// Where they are written to.
    pub email: String,
    /// What they typed.
    pub coupon: Option<String>,
    /// What it pays for; `None` buys the tier.
    pub checkout: Option<CheckoutId>,
    /// The caller's `Idempotency-Key`.
    pub key: Option<String>,
}

/// A payment that was made, or that was there.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its row.
    pub payment: Payment,
    /// The coupon that was applied.
    pub coupon: Option<Coupon>,
}

/// Why no payment was made. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Not an amount, or not one that this caller may name.
    #[error("Invalid amount")]
    InvalidAmount,
    /// A browser pays only for the user who is signed in.
    #[error("Authentication required")]
    NotSignedIn,
    /// Malformed, or unknown where only known users pay.
    #[error("User not found")]
    UserNotFound,
    /// They have it.
    #[error("User already has premium access")]
    AlreadyEntitled,
    /// No such checkout, somebody else's, or not active any more.
    #[error("This checkout session is no longer valid.")]
    CheckoutNotLive,
    /// Money for this checkout is on its way.
    #[error("A payment for this checkout is being processed")]
    InProgress,
    /// The key was used for another request.
    #[error("this Idempotency-Key was used for another request; send a new one")]
    KeyReused,
    /// The outcome is unknown; the same request again is safe.
    #[error("the ledger did not answer")]
    Unavailable(#[source] StoreError),
}

impl From<StoreError> for CreateError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// A request, checked as far as that goes without the ledger.
#[derive(Clone)]
pub(super) struct Wish {
    caller: Caller,
    user: UserId,
    email: String,
    amount: Option<Minor>,
    code: Option<CouponCode>,
    checkout: Option<CheckoutId>,
    key: String,
    request: String,
}

/// Ids for a row that may be needed.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) payment: PaymentId,
    pub(super) order: OrderId,
}

impl Wish {
    pub(super) fn new(caller: &Caller, new: NewPayment) -> Result<Self, CreateError> {
        let amount = match new.amount {
            Some(amount) => Some(Minor::from_major(amount).filter(|amount| !amount.is_zero())),
            None if new.checkout.is_some() => None,
            None => Some(None),
        };
        let amount = match amount {
            Some(None) => return Err(CreateError::InvalidAmount),
            Some(amount) => amount,
            None => None,
        };
        let asked = new.user.as_deref().filter(|user| !user.is_empty());
        let user = match caller {
            Caller::Browser(Owner { user: Some(user), .. }) => {
                if asked.is_some_and(|asked| asked != user.as_str()) {
                    return Err(CreateError::NotSignedIn);
                }
                user.as_str()
            }
            Caller::Browser(_) => return Err(CreateError::NotSignedIn),
            Caller::Backend(_) | Caller::Operator => asked.ok_or(CreateError::NotSignedIn)?,
        };
        let uuid = UserUuid::parse(user).ok_or(CreateError::UserNotFound)?;
        let user = UserId::parse(uuid.as_str()).ok_or(CreateError::UserNotFound)?;
        let code = new.coupon.as_deref().and_then(CouponCode::parse);
        let parts = [
            user.as_str().to_owned(),
            amount.map_or_else(String::new, |amount| amount.get().to_string()),
            code.as_ref().map_or_else(String::new, |code| code.as_str().to_owned()),
            new.checkout.as_ref().map_or_else(String::new, |id| id.as_str().to_owned()),
        ];
        let request = digest_of(&parts.each_ref().map(String::as_str));
        let key = match &new.key {
            Some(key) => format!("key:{}", digest_of(&[&caller.to_string(), key])),
            None => format!("{DERIVED_KEY}{request}"),
        };
        let (email, checkout, caller) = (new.email, new.checkout, caller.clone());
        Ok(Self { caller, user, email, amount, code, checkout, key, request })
    }

    pub(super) fn reads(&self) -> Reads {
        let reads = Reads::none()
            .payment(PaymentKey::Idempotency(self.key.clone()))
            .code(self.code.clone())
            .user(self.user.clone());
        match &self.checkout {
            Some(id) => reads.checkout(CheckoutKey::Id(id.clone())),
            None => reads,
        }
    }

    /// Decides on the request.
    pub(super) fn decide(
        &self,
        books: &Books,
        terms: &Terms,
        names: &Names,
        now: Timestamp,
    ) -> Decision<Result<Created, CreateError>> {
        match books.payment_by_key(&self.key) {
            Some(known) if known.request != self.request => {
                return Decision::only(Err(CreateError::KeyReused));
            }
            // A derived key is given up with the open states; here it is open, and may be overdue.
            Some(known) if !(self.is_derived() && known.is_overdue(now)) => {
                return Decision::only(Ok(created(books, known.clone())));
            }
            _ => {}
        }
        let note = Note {
            event: "payment.created",
            actor: self.caller.to_string(),
            payment: Some(names.payment.clone()),
            checkout: self.checkout.clone(),
        };
        let mut draft = Draft::new(books, now, note);
        // First, because what gives way may give back a use of the very coupon that is asked for.
        self.displace(&mut draft, terms);
        match self.price(&draft, terms) {
            Ok(priced) => {
                let (plan, made) = self.make(draft, terms, names, priced);
                Decision::write(plan, Ok(made))
            }
            Err(refused) => Decision::only(Err(refused)),
        }
    }

    fn is_derived(&self) -> bool {
        self.key.starts_with(DERIVED_KEY)
    }

    /// What it costs, in the order in which the application checks things.
    fn price(&self, draft: &Draft<'_>, terms: &Terms) -> Result<Priced, CreateError> {
        let (books, now) = (draft.books, draft.now);
        let row = match &self.checkout {
            Some(id) => Some(
                books
                    .checkout(id)
                    .filter(|row| self.caller.may_touch(&row.owner) && row.is_live(now))
                    .ok_or(CreateError::CheckoutNotLive)?,
            ),
            None => None,
        };
        let full = self.full_price(row, terms)?;
        if terms.users == Users::Strict && books.tier(&self.user).is_none() {
            return Err(CreateError::UserNotFound);
        }
        let Some(row) = row else {
            let entitled = books.tier(&self.user) == Some(&terms.tier)
                || books.grants_of(&self.user).any(|grant| grant.tier.as_deref() == Some(&terms.tier));
            if entitled {
                return Err(CreateError::AlreadyEntitled);
            }
            return Ok(self.with_coupon(draft, full));
        };
        if books.payments_of(&row.id).any(|payment| payment.state.is_processing()) {
            return Err(CreateError::InProgress);
        }
        Ok(match &row.coupon {
            Some(hold) => {
                let hold = CouponHold { coupon: hold.coupon.clone(), state: HoldState::OfCheckout };
                Priced { price: full, hold: Some(hold), reserve: None }
            }
            None => self.with_coupon(draft, full),
        })
    }

    /// A browser never names a price: it is the checkout's, or one of the catalogue's.
    fn full_price(&self, row: Option<&Checkout>, terms: &Terms) -> Result<Price, CreateError> {
        let priced = match (row, &terms.catalogue) {
            (Some(Checkout { price: Some(price), .. }), _) => Some(*price),
            // A row of the time before there was a catalogue: today's price.
            (Some(row), Some(catalogue)) => {
                Some(catalogue.price_of(&row.data).map_err(|_| CreateError::InvalidAmount)?)
            }
            _ => None,
        };
        if let Some(price) = priced {
            let shown = [price.original, price.payable()];
            return match self.amount {
                Some(amount) if !shown.contains(&amount) => Err(CreateError::InvalidAmount),
                _ => Ok(price),
            };
        }
        let amount = self.amount.ok_or(CreateError::InvalidAmount)?;
        let trusted = !matches!(self.caller, Caller::Browser(_));
        match &terms.catalogue {
            Some(catalogue) if catalogue.sells_at(amount) => Ok(Price::full(amount, catalogue.currency)),
            None if trusted => Ok(Price::full(amount, terms.currency)),
            Some(_) | None => Err(CreateError::InvalidAmount),
        }
    }

    /// A coupon that cannot be used is ignored.
    fn with_coupon(&self, draft: &Draft<'_>, full: Price) -> Priced {
        let known = self.code.as_ref().and_then(|code| draft.books.coupon_by_code(code));
        let current = known.and_then(|coupon| draft.coupon(&coupon.id));
        match current.filter(|coupon| coupon.is_available(draft.now)) {
            Some(coupon) => Priced {
                price: Price { discount: coupon.discount.off(full.original), ..full },
                hold: Some(CouponHold { coupon: coupon.id.clone(), state: HoldState::Reserved }),
                reserve: Some(coupon.clone()),
            },
            None => Priced { price: full, hold: None, reserve: None },
        }
    }

    fn make(
        &self,
        mut draft: Draft<'_>,
        terms: &Terms,
        names: &Names,
        Priced { price, hold, reserve }: Priced,
    ) -> (Plan, Created) {
        if let Some(coupon) = reserve {
            draft.put(Record::Coupon(coupon.reserve()));
        }
        if matches!(self.caller, Caller::Backend(_)) && draft.books.tier(&self.user).is_none() {
            let email = (!self.email.is_empty()).then(|| self.email.clone());
            draft.write(Write::Vouch { user: self.user.clone(), email });
        }
        let row = self.row(names, price, hold, terms, &draft);
        draft.put(Record::Payment(row.clone()));
        if price.payable().is_zero() {
            complete(&mut draft, terms, &row, How::Free);
        }
        let payment = draft.payment(&row.id).cloned().unwrap_or(row);
        let used = payment.coupon.as_ref().and_then(|hold| draft.coupon(&hold.coupon).cloned());
        (draft.finish(), Created { payment, coupon: used })
    }

    /// One open payment per checkout, and one per derived key: an older one that nobody has begun gives way.
    fn displace(&self, draft: &mut Draft<'_>, terms: &Terms) {
        let overdue = draft.books.payment_by_key(&self.key).map(|payment| payment.id.clone());
        if let Some(id) = overdue {
            apply(draft, terms, &id, &PaymentEvent::Expire);
        }
        if let Some(checkout) = &self.checkout {
            displace_payments(draft, terms, checkout, ExpireReason::Superseded, None);
        }
    }

    fn row(
        &self,
        names: &Names,
        price: Price,
        coupon: Option<CouponHold>,
        terms: &Terms,
        draft: &Draft<'_>,
    ) -> Payment {
        let now = draft.now;
        let own = now.plus(terms.lifetime);
        let row = self.checkout.as_ref().and_then(|id| draft.checkout(id));
        Payment {
            id: names.payment.clone(),
            order: names.order.clone(),
            user: self.user.clone(),
            email: self.email.clone(),
            price,
            coupon,
            checkout: self.checkout.clone(),
            method: if price.payable().is_zero() { Method::Coupon } else { Method::Click },
            idempotency_key: self.key.clone(),
            request: self.request.clone(),
            state: PaymentState::Pending,
            ask: None,
            flags: Flags::default(),
            created_at: now,
            updated_at: now,
            expires_at: row.map_or(own, |row| own.min(row.expires_at)),
            version: 1,
        }
    }
}

struct Priced {
    price: Price,
    hold: Option<CouponHold>,
    reserve: Option<Coupon>,
}

fn created(books: &Books, payment: Payment) -> Created {
    let coupon = payment.coupon.as_ref().and_then(|hold| books.coupon(&hold.coupon).cloned());
    Created { payment, coupon }
}
