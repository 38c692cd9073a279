//! A Checkout Session: what was asked for, what became of it, and how the API shows it.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

use super::price::{Expand, Price};

/// What a buyer who gives no address is called.
pub(crate) const BUYER: &str = "buyer@example.com";

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// Can be paid.
    Open,
    /// The buyer is done; the money may still be on its way.
    Complete,
    /// Nobody can pay it any more.
    Expired,
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        })
    }
}

/// Where the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Not there, or not yet.
    Unpaid,
    /// There.
    Paid,
    /// The total is 0.
    NoPaymentRequired,
}

/// What is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineItem {
    /// `li_…`.
    pub id: String,
    /// The price as it was then.
    pub price: Price,
    /// How many.
    pub quantity: i64,
}

impl LineItem {
    /// In the currency's minor unit.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.price.unit_amount.saturating_mul(self.quantity)
    }

    fn json(&self, created: i64) -> Value {
        json!({
            "id": self.id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": self.amount(),
            "amount_tax": 0,
            "amount_total": self.amount(),
            "currency": self.price.currency,
            "description": self.price.product_name,
            "metadata": {},
            "price": self.price.json(created, Expand::Nothing),
            "quantity": self.quantity,
        })
    }
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// `cs_test_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// Where it stands.
    pub status: SessionStatus,
    /// Where the money is.
    pub payment_status: PaymentStatus,
    /// What is bought.
    pub line_items: Vec<LineItem>,
    /// In the currency's minor unit.
    pub amount_total: i64,
    /// Three letters, lower case.
    pub currency: String,
    /// The application's own name for it.
    pub client_reference_id: Option<String>,
    /// What the application attached to the session.
    pub metadata: BTreeMap<String, String>,
    /// What the application attached to the payment.
    pub payment_intent_metadata: BTreeMap<String, String>,
    /// `pi_…`, from the first attempt to pay on.
    pub payment_intent: Option<String>,
    /// Where the buyer goes after paying, as it was given.
    pub success_url: String,
    /// Where the buyer goes who does not pay.
    pub cancel_url: Option<String>,
    /// Known in advance or given on the page.
    pub email: Option<String>,
    /// The address of its payment page.
    pub url: String,
    /// The Idempotency-Key it was created with.
    pub idempotency_key: Option<String>,
}

impl CheckoutSession {
    /// Where the buyer goes after paying: `{CHECKOUT_SESSION_ID}` is its id.
    #[must_use]
    pub fn success_redirect(&self) -> String {
        self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id)
    }

    pub(crate) fn line_items_json(&self) -> Value {
        let items: Vec<Value> = self.line_items.iter().map(|item| item.json(self.created)).collect();
        let url = format!("/v1/checkout/sessions/{}/line_items", self.id);
        json!({ "object": "list", "data": items, "has_more": false, "url": url })
    }

    /// Without what has to be asked for with `expand`.
    pub(crate) fn json(&self) -> Value {
        let open = self.status == SessionStatus::Open;
        let details = (!open).then(|| {
            let email = self.email.as_deref().unwrap_or(BUYER);
            json!({
                "address": null, "email": email, "name": "Demo Buyer", "phone": null, "tax_exempt": "none",
                "tax_ids": [],
            })
        });
        let mut object = json!({
            "id": self.id,
            "object": "checkout.session",
            "after_expiration": null,
            "allow_promotion_codes": null,
            "amount_subtotal": self.amount_total,
            "amount_total": self.amount_total,
            "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
            "billing_address_collection": null,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "client_secret": null,
            "consent": null,
            "consent_collection": null,
            "created": self.created,
            "currency": self.currency,
            "currency_conversion": null,
            "custom_fields": [],
        });
        let rest = json!({
            "customer": null,
            "customer_creation": "if_required",
            "customer_details": details,
            "customer_email": self.email.as_ref().filter(|_| open),
            "expires_at": self.expires_at,
            "invoice": null,
            "livemode": false,
            "locale": null,
            "metadata": self.metadata,
            "mode": "payment",
            "payment_intent": self.payment_intent,
            "payment_link": null,
            "payment_method_collection": "if_required",
            "payment_method_options": {},
            "payment_method_types": ["card", "us_bank_account"],
            "payment_status": self.payment_status,
            "recovered_from": null,
            "setup_intent": null,
            "shipping_cost": null,
            "shipping_options": [],
            "status": self.status,
            "submit_type": null,
            "subscription": null,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": "hosted",
            "url": open.then_some(&self.url),
        });
        if let (Value::Object(object), Value::Object(rest)) = (&mut object, rest) {
            object.extend(rest);
        }
        object
    }
}
