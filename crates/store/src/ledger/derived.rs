//! Columns that are there for people and for older applications: whole amounts beside the exact ones, a truth value
//! beside a status. No decision reads them, so whoever changes one alone deceives only its readers; a page says in
//! which rows that has happened, and the audit's verification looks. One text for both engines.

use sessile_core::ledger::Kind;

/// Whether such a column says something else than those that count, for a row of the kind that a list reads. Rows that
/// no change of ours has touched have only the columns for people. `{s}` is the schema's name with its dot.
pub(super) const fn contradiction(kind: Kind) -> &'static str {
    match kind {
        Kind::Payment => {
            "(original_minor is not null and (amount_minor is distinct from original_minor - discount_minor \
             or amount is distinct from amount_minor / 100 or original_amount is distinct from original_minor / 100 \
             or discount_amount is distinct from discount_minor / 100))"
        }
        Kind::Checkout => {
            "((version > 1 or expires_at is not null) and is_used is distinct from (status = 'completed'))"
        }
        Kind::Coupon => {
            "((discount_type = 'fixed' and discount_minor is not null \
             and discount_value is distinct from discount_minor / 100) \
             or (original_price_minor is not null and original_price is distinct from original_price_minor / 100))"
        }
        Kind::Refund => {
            "(currency is distinct from coalesce((select p.currency from {s}payment_sessions p \
             where p.id = payment_id), currency))"
        }
        Kind::Grant => "(1 = 0)",
    }
}
