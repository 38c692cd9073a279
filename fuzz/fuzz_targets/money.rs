//! Arbitrary numbers and choices: amounts stay within their bounds whatever is done to them, nothing is paid twice or
//! given away by rounding, and an amount that we ask for in a pay link is the amount that we read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use md5::{Digest, Md5};
use sessile_core::checkout::Catalogue;
use sessile_core::money::{MINOR_MAX, MINOR_PER_MAJOR, Minor};
use sessile_core::payment::Discount;
use sessile_providers::click::{Amount, Config, MerchantTransId, PayLink, parse};
use std::sync::LazyLock;

static LINK: LazyLock<PayLink> =
    LazyLock::new(|| PayLink::new(&Config::new(12345, 678, 9, vec!["hush".into()])).expect("good settings"));
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    serde_json::from_str(r#"{"currency":"UZS","packages":{"a":{"price":5000000},"b":{"price":1},"c":{"price":0}}}"#)
        .expect("a good catalogue")
});

fuzz_target!(|input: (i64, i64, u8, &str)| {
    let (one, other, percent, choice) = input;
    let given: Option<Minor> = serde_json::from_value(one.into()).ok();
    assert_eq!(given, Minor::new(one), "JSON and code agree about amounts");
    assert_eq!(Minor::from_major(one).map(Minor::whole), Minor::from_major(one).map(|_| one));
    if let Ok(chosen) = serde_json::from_str(choice)
        && let Ok(price) = CATALOGUE.price(&chosen)
    {
        assert!(price.payable() <= price.original && price.original.get() <= MINOR_MAX);
        assert_eq!(price.payable().get() + price.discount.get(), price.original.get());
    }
    let (Some(amount), Some(second)) = (Minor::new(one), Minor::new(other)) else { return };
    for discount in [Discount::Percentage(percent), Discount::Fixed(second)] {
        let off = discount.off(amount);
        assert!(off <= amount && off.get() >= 0);
        assert_eq!(amount.minus(off).get() + off.get(), amount.get());
    }
    assert!(amount.plus(second).is_none_or(|sum| sum.get() == one + other));
    let rounded = amount.round_up_to_major();
    assert!(rounded >= amount && rounded.get() % MINOR_PER_MAJOR == 0 && rounded.get() - amount.get() < MINOR_PER_MAJOR);
    if !amount.is_zero() {
        assert_eq!(read_back(amount), Amount::Tiyin(amount.get()));
    }
});

/// One order of ours.
const ORDER: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

/// The amount of our link, as CLICK sends it back.
fn read_back(amount: Minor) -> Amount {
    let order = MerchantTransId::parse(ORDER).expect("a good order");
    let link = LINK.url(&order, amount.get()).expect("a link");
    let (_, asked) = link.query_pairs().find(|(name, _)| name == "amount").expect("an amount");
    let time = "2026-11-21 10:00:00";
    let mut md5 = Md5::new();
    for part in ["1", "12345", "hush", ORDER, &asked, "0", time] {
        md5.update(part);
    }
    let sign: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("click_trans_id", "1"), ("service_id", "12345"), ("merchant_trans_id", ORDER)])
        .extend_pairs([("amount", asked.as_ref()), ("action", "0"), ("sign_time", time), ("sign_string", &sign)])
        .extend_pairs([("click_paydoc_id", "1"), ("error", "0"), ("error_note", "")])
        .finish();
    let callback = parse(Some("application/x-www-form-urlencoded"), body.as_bytes()).expect("well written");
    callback.verify(&["hush".into()], 12345).expect("signed").amount
}
