//! Payment sessions: one attempt to pay, confirmed by a provider.
//!
//! [`Payment`] with [`Payment::on`] is the state machine, [`Payments`] the service that HTTP and the workers call.
//! Nothing that was paid is ever dropped silently, and nothing but the provider's word ends `processing`.

mod completion;
mod coupon;
mod coupons;
mod creation;
mod grant;
mod id;
mod machine;
mod service;
mod state;
mod terms;

pub(crate) use completion::{complete_checkout_unpaid, leave_active};
pub use coupon::{CODE_CHARS_MAX, Coupon, CouponCode, CouponHold, Discount, HoldState, Standing};
pub use coupons::{CouponError, DESCRIPTION_CHARS_MAX, NewCoupon, Quote};
pub use creation::{CreateError, Created, NewPayment};
pub use grant::{Grant, Refund, RefundEvent, RefundState};
pub use id::{CouponId, ORDER_CHARS, OrderId, PaydocId, PaymentId, PrepareId, RefundId, TransId};
pub use machine::{ASK_AFTER, ASK_EVERY, Consequence, PaymentEvent, Reply, Step, Verdict, Word};
pub use service::{Answered, PaymentError, Payments, ProviderMessage, ProviderStep};
pub use state::{
    Ask, Attempt, DERIVED_KEY, Disposition, ExpireReason, FailReason, Flags, How, Method, PAYMENT_LIFETIME,
    Payment, PaymentState, RefundReason,
};
pub use terms::{Telling, Terms, Users};
