//! What things cost. Where a catalogue is registered the server computes the price and stores a snapshot of it; a
//! browser never names a price.
//!
//! The rule of the application being replaced: the first item at full price, every later one at a discount (25 %),
//! rounded up to whole major units.

use crate::money::{Currency, Minor, Price};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Items that one checkout may hold.
pub const ITEMS_MAX: usize = 100;

/// Packages and their prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Of all prices.
    pub currency: Currency,
    /// What an item after the first costs less, in percent.
    #[serde(default = "usual_discount")]
    pub later_discount_percent: u8,
    /// By package id.
    pub packages: BTreeMap<String, Package>,
}

/// One thing that can be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// In minor units.
    pub price: Minor,
    /// What people read; the id where it is absent.
    #[serde(default)]
    pub name: Option<String>,
    /// One sentence about it.
    #[serde(default)]
    pub description: Option<String>,
}

const fn usual_discount() -> u8 {
    25
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The catalogue has no such package.
    #[error("there is no package {0:?}; choose one of the catalogue's")]
    Unknown(String),
    /// `selectedPackages` is neither an object nor a list of package ids.
    #[error("`selectedPackages` is a list of package ids, or an object whose values are package ids")]
    Shape,
    /// More than [`ITEMS_MAX`], or a sum beyond every limit.
    #[error("a checkout holds at most {ITEMS_MAX} items")]
    TooMany,
}

impl Catalogue {
    /// What `selected` costs: a list of package ids, or a map from track index to package id, taken by ascending
    /// index.
    ///
    /// # Errors
    /// [`Unpriced`] says what is wrong.
    pub fn price(&self, selected: &Value) -> Result<Price, Unpriced> {
        let mut sum = Minor::ZERO;
        for (at, id) in package_ids(selected)?.into_iter().enumerate() {
            let package = self.packages.get(id).ok_or_else(|| Unpriced::Unknown(id.to_owned()))?;
            let cost = if at == 0 { package.price } else { self.reduced(package.price) };
            sum = sum.plus(cost).ok_or(Unpriced::TooMany)?;
        }
        Ok(Price::full(sum, self.currency))
    }

    /// What the choice that a checkout keeps costs today.
    ///
    /// # Errors
    /// [`Unpriced`] says what is wrong.
    pub fn price_of(&self, data: &str) -> Result<Price, Unpriced> {
        let data: Value = serde_json::from_str(data).map_err(|_| Unpriced::Shape)?;
        self.price(&data["selectedPackages"])
    }

    /// Whether some package costs exactly this, so that a browser may ask for it.
    #[must_use]
    pub fn sells_at(&self, amount: Minor) -> bool {
        self.packages.values().any(|package| package.price == amount)
    }

    fn reduced(&self, price: Minor) -> Minor {
        price.minus(price.percent(self.later_discount_percent)).round_up_to_major()
    }
}

fn package_ids(selected: &Value) -> Result<Vec<&str>, Unpriced> {
    let mut items: Vec<(&str, &Value)> = match selected {
        Value::Array(list) => list.iter().map(|id| ("", id)).collect(),
        Value::Object(map) => map.iter().map(|(index, id)| (index.as_str(), id)).collect(),
        _ => return Err(Unpriced::Shape),
    };
    if items.len() > ITEMS_MAX {
        return Err(Unpriced::TooMany);
    }
    // "10" comes after "9"; a list keeps its order because the sort is stable.
    items.sort_by_key(|(index, _)| (index.len(), *index));
    items.into_iter().map(|(_, id)| id.as_str().ok_or(Unpriced::Shape)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalogue() -> Catalogue {
        serde_json::from_value(json!({
            "currency": "UZS",
            "packages": { "basic": { "price": 1_000_100 }, "pro": { "price": 5_000_000 } },
        }))
        .unwrap()
    }

    #[test]
    fn later_items_cost_a_quarter_less_rounded_up() {
        let one = catalogue().price(&json!({ "0": "basic" })).unwrap();
        assert_eq!(one.payable().get(), 1_000_100);
        // 10001.00 less 25 % is 7500.75, rounded up to 7501.
        let three = catalogue().price(&json!({ "10": "basic", "9": "pro", "2": "basic" })).unwrap();
        assert_eq!(three.payable().get(), 1_000_100 + 3_750_000 + 750_100);
        assert_eq!(catalogue().price(&json!(["pro", "basic"])).unwrap().payable().get(), 5_750_100);
    }

    #[test]
    fn what_is_not_for_sale_has_no_price() {
        assert_eq!(catalogue().price(&json!(["gold"])), Err(Unpriced::Unknown("gold".into())));
        assert_eq!(catalogue().price(&json!("basic")), Err(Unpriced::Shape));
        assert_eq!(catalogue().price(&json!([1])), Err(Unpriced::Shape));
        assert_eq!(catalogue().price(&json!(vec!["pro"; 101])), Err(Unpriced::TooMany));
        assert!(catalogue().sells_at(Minor::new(5_000_000).unwrap()));
        assert!(serde_json::from_value::<Catalogue>(json!({"currency": "uzs", "packages": {}})).is_err());
    }
}
