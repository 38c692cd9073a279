//! What the dashboard says of checkouts and payments: what was bought, and the order that is still open.

use super::wizard;
use crate::app::App;
use crate::money::Money;
use crate::pages::{self, Purchase, Purchases};
use sessile::UserId;
use sessile_core::StoreError;
use sessile_core::checkout::{Catalogue, CheckoutId, DEFAULT_SLOT, Owner};
use sessile_core::ledger::{Books, CheckoutKey, Kind, PaymentFilter, Reads, Record};
use sessile_core::payment::{Disposition, Payment, PaymentState};

/// Purchases that the dashboard shows.
const SHOWN_MAX: usize = 10;

/// `None` where nothing is sold, or while that cannot be known.
pub(crate) async fn of(app: &App, user: &UserId) -> Option<Purchases> {
    let (money, catalogue) = wizard::parts(app)?;
    match read(app, money, catalogue, user).await {
        Ok(purchases) => Some(purchases),
        Err(error) => {
            tracing::error!(
                error = crate::stores::reason_of(&error),
                "the ledger did not answer the dashboard"
            );
            None
        }
    }
}

async fn read(
    app: &App,
    money: &Money,
    catalogue: &Catalogue,
    user: &UserId,
) -> Result<Purchases, StoreError> {
    let filter = PaymentFilter { status: Some("completed".to_owned()), user: Some(user.clone()) };
    let page = money.ledger.page(Kind::Payment, &filter, None, SHOWN_MAX).await?;
    let payments: Vec<&Payment> = page
        .rows
        .iter()
        .filter_map(|record| match record {
            Record::Payment(payment) => Some(payment),
            _ => None,
        })
        .collect();
    let owner = Owner::user(user.clone());
    let mut reads = Reads::none().checkout(CheckoutKey::Active(owner.clone(), DEFAULT_SLOT.to_owned()));
    for id in payments.iter().filter_map(|payment| payment.checkout.as_ref()) {
        reads = reads.checkout(CheckoutKey::Id(id.clone()));
    }
    let books = money.ledger.look(&reads).await?;
    let now = app.clock.now();
    let open = books.active(&owner, DEFAULT_SLOT).into_iter().find(|row| row.is_live(now));
    let open = open.map(|row| row.id.as_str().to_owned());
    let paid = payments.into_iter().filter_map(|payment| purchase(payment, &books, catalogue));
    Ok(Purchases { paid: paid.collect(), open })
}

fn purchase(payment: &Payment, books: &Books, catalogue: &Catalogue) -> Option<Purchase> {
    let PaymentState::Completed { at, disposition, .. } = &payment.state else { return None };
    Some(Purchase {
        order: payment.order.as_str().to_owned(),
        what: what(payment.checkout.as_ref(), books, catalogue),
        price: payment.price,
        at: *at,
        refunded: matches!(disposition, Disposition::Refunded { .. }),
    })
}

fn what(checkout: Option<&CheckoutId>, books: &Books, catalogue: &Catalogue) -> String {
    let Some(id) = checkout else { return "Premium access".to_owned() };
    let lines = books.checkout(id).map(|row| pages::lines(&row.data, catalogue)).unwrap_or_default();
    let names: Vec<String> = lines.iter().map(|line| format!("{} ({})", line.title, line.package)).collect();
    if names.is_empty() { "An order".to_owned() } else { names.join(", ") }
}
