//! What can be bought: a price of a product, charged once.

use serde_json::{Value, json};

/// A price as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// `price_…`.
    pub id: String,
    /// The product's name, as the buyer sees it.
    pub product_name: String,
    /// In the currency's minor unit; 0 is free.
    pub unit_amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    /// Whether it can still be bought.
    pub active: bool,
}

impl Price {
    /// An active price.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        product_name: impl Into<String>,
        unit_amount: i64,
        currency: impl Into<String>,
    ) -> Self {
        let (id, product_name, currency) = (id.into(), product_name.into(), currency.into());
        Self { id, product_name, unit_amount: unit_amount.max(0), currency, active: true }
    }

    /// Archived: nobody can buy it any more.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.active = false;
        self
    }

    fn product_id(&self) -> String {
        format!("prod_{}", self.id.trim_start_matches("price_"))
    }

    /// `expand_product`: the whole product in place of its id.
    pub(crate) fn json(&self, created: i64, expand: Expand) -> Value {
        let product = match expand {
            Expand::Nothing => json!(self.product_id()),
            Expand::Product => json!({
                "id": self.product_id(),
                "object": "product",
                "active": true,
                "created": created,
                "default_price": self.id,
                "description": null,
                "images": [],
                "livemode": false,
                "metadata": {},
                "name": self.product_name,
                "updated": created,
            }),
        };
        json!({
            "id": self.id,
            "object": "price",
            "active": self.active,
            "billing_scheme": "per_unit",
            "created": created,
            "currency": self.currency,
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": null,
            "metadata": {},
            "nickname": self.product_name,
            "product": product,
            "recurring": null,
            "tax_behavior": "unspecified",
            "tiers_mode": null,
            "transform_quantity": null,
            "type": "one_time",
            "unit_amount": self.unit_amount,
            "unit_amount_decimal": self.unit_amount.to_string(),
        })
    }
}

/// What of a price is shown in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expand {
    Nothing,
    Product,
}
