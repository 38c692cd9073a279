//! What timers, operators and the dashboard ask for: due rows, pages, counts. No lock is taken.

use super::columns::{Line, Stored, read_list};
use super::engine::Engine;
use super::loads::query;
use crate::ledger::derived::contradiction;
use crate::postgres::connect::{Query, Value};
use crate::postgres::wire::Moment;
use sessile_core::checkout::{Checkout, CheckoutId, GuestHash, Owner};
use sessile_core::ledger::{
    Census, Cursor, Due, Kind, PAGE_MAX, Page, PaymentFilter, PaymentKey, Record, RecordKey,
};
use sessile_core::login::UserId;
use sessile_core::payment::{Coupon, Grant, Payment, PaymentId, Refund, RefundId};
use sessile_core::{StoreError, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Rows that one question for due ones may be answered with.
const DUE_MAX: usize = 1000;

/// How lists name a coupon that may be used, and one that may not.
pub(super) const COUPON_STATES: [&str; 2] = ["active", "inactive"];
/// How lists name a grant that stands, and one that was taken back.
pub(super) const GRANT_STATES: [&str; 2] = ["granted", "revoked"];

/// The statements.
#[derive(Debug)]
pub(super) struct Lists {
    schema: String,
    checkouts: Query,
    payments: Query,
    asks: Query,
    refunds: Query,
    purges: Query,
    without_email: Query,
    census: Query,
    owner: String,
}

impl Lists {
    pub(super) fn new(s: &str) -> Self {
        let at = |sql: String| query(sql, vec![Type::TIMESTAMPTZ, Type::INT8]);
        Self {
            schema: s.to_owned(),
            checkouts: at(due_checkouts(s)),
            payments: at(due_payments(s)),
            asks: at(due_asks(s)),
            refunds: query(
                format!(
                    "select id from {s}.refunds where status = 'requested' and created_at <= $1
                     order by created_at, id limit $2"
                ),
                vec![Type::TIMESTAMPTZ, Type::INT8],
            ),
            purges: at(due_purges(s)),
            without_email: at(format!(
                "select id::text from {s}.payment_sessions
                 where coalesce(trim(user_email), '') = '' and created_at <= $1
                 order by created_at, id limit $2"
            )),
            census: census(s),
            owner: format!("select user_id::text, guest_hash from {s}.checkout_sessions where id = $1"),
        }
    }

    pub(super) async fn owner_of(
        &self,
        engine: &Engine,
        checkout: &CheckoutId,
    ) -> Result<Option<Owner>, StoreError> {
        let rows = engine.database.query(&self.owner, &[(&checkout.as_str(), Type::TEXT)]).await?;
        Ok(rows.first().map(|row| Owner {
            user: row.get::<_, Option<String>>(0).and_then(UserId::parse),
            guest: row.get::<_, Option<&str>>(1).and_then(GuestHash::parse),
        }))
    }

    pub(super) async fn payer_of(
        &self,
        engine: &Engine,
        payment: &PaymentKey,
    ) -> Result<Option<Owner>, StoreError> {
        let (column, name) = match payment {
            PaymentKey::Id(id) => ("id", id.as_str()),
            PaymentKey::Order(order) => ("merchant_trans_id", order.as_str()),
            PaymentKey::Idempotency(key) => ("idempotency_key", key.as_str()),
        };
        let s = &self.schema;
        let sql = format!(
            "select coalesce(user_id::text, 'unknown') from {s}.payment_sessions where {column} = $1"
        );
        let rows = engine.database.query(&sql, &[(&name, Type::TEXT)]).await?;
        Ok(rows.first().map(|row| Owner { user: UserId::parse(row.get::<_, String>(0)), guest: None }))
    }

    pub(super) async fn due(
        &self,
        engine: &Engine,
        due: Due,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RecordKey>, StoreError> {
        let limit = i64::try_from(limit.min(DUE_MAX)).unwrap_or(0);
        let checkout = |id: &str| CheckoutId::parse(id).map(RecordKey::Checkout);
        let payment = |id: &str| PaymentId::parse(id).map(RecordKey::Payment);
        let refund = |id: &str| RefundId::parse(id).map(RecordKey::Refund);
        let at = |moment| -> Vec<Value<'static>> { vec![Box::new(Moment(moment)), Box::new(limit)] };
        match due {
            Due::Checkouts => Ok(keys(&engine.ask(&self.checkouts, at(now)).await?, checkout)),
            Due::Payments => Ok(keys(&engine.ask(&self.payments, at(now)).await?, payment)),
            Due::Asks => Ok(keys(&engine.ask(&self.asks, at(now)).await?, payment)),
            Due::Refunds => Ok(keys(&engine.ask(&self.refunds, at(now)).await?, refund)),
            Due::WithoutEmail => Ok(keys(&engine.ask(&self.without_email, at(now)).await?, payment)),
            Due::Purges { left_before } => {
                Ok(keys(&engine.ask(&self.purges, at(left_before)).await?, checkout))
            }
        }
    }

    pub(super) async fn page(
        &self,
        engine: &Engine,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let s = &self.schema;
        let of =
            |record: &str| format!("(select p.user_id from {s}.payment_sessions p where p.id = t.{record})");
        let status = || "t.status".to_owned();
        let named = |names: [&str; 2], first: &str| {
            format!("case when {first} then '{}' else '{}' end", names[0], names[1])
        };
        let ask = |list| Ask { engine, list, filter, after, limit: limit.clamp(1, PAGE_MAX) };
        match kind {
            Kind::Checkout => {
                let list =
                    List::of::<Checkout>(s, kind, "created_at", status(), Some("t.user_id".to_owned()));
                ask(list).page(Record::Checkout).await
            }
            Kind::Payment => {
                let list = List::of::<Payment>(s, kind, "created_at", status(), Some("t.user_id".to_owned()));
                ask(list).page(Record::Payment).await
            }
            Kind::Coupon => {
                let state = named(COUPON_STATES, "t.is_active");
                ask(List::of::<Coupon>(s, kind, "created_at", state, None)).page(Record::Coupon).await
            }
            Kind::Grant => {
                let state = named(GRANT_STATES, "t.revoked_at is null");
                let list = List::of::<Grant>(s, kind, "granted_at", state, Some("t.user_id".to_owned()));
                ask(list).page(Record::Grant).await
            }
            Kind::Refund => {
                let list = List::of::<Refund>(s, kind, "created_at", status(), Some(of("payment_id")));
                ask(list).page(Record::Refund).await
            }
        }
    }

    pub(super) async fn census(&self, engine: &Engine, now: Timestamp) -> Result<Census, StoreError> {
        let rows = engine.ask(&self.census, vec![Box::new(Moment(now))]).await?;
        let mut census = Census::default();
        for row in &rows {
            let what: &str = row.try_get(0).map_err(StoreError::unavailable)?;
            let state: &str = row.try_get(1).map_err(StoreError::unavailable)?;
            let count: i64 = row.try_get(2).map_err(StoreError::unavailable)?;
            match what {
                "checkout" => census.counts.push((Kind::Checkout, state.to_owned(), count)),
                "payment" => census.counts.push((Kind::Payment, state.to_owned(), count)),
                "coupon" => census.counts.push((Kind::Coupon, state.to_owned(), count)),
                "grant" => census.counts.push((Kind::Grant, state.to_owned(), count)),
                "refund" => census.counts.push((Kind::Refund, state.to_owned(), count)),
                "overdue" => census.overdue_payments = count,
                "stale" => census.stale_payments = count,
                "no_email" => census.without_email = count,
                "effect" if state == "dead" => census.effects_dead = count,
                "effect" => census.effects_pending = count,
                _ => {}
            }
        }
        let manual =
            |(kind, state, _): &&(Kind, String, i64)| *kind == Kind::Refund && state == "needs_manual";
        census.manual_refunds = census.counts.iter().find(manual).map_or(0, |(_, _, count)| *count);
        Ok(census)
    }
}

fn keys(rows: &[Row], key: impl Fn(&str) -> Option<RecordKey>) -> Vec<RecordKey> {
    rows.iter().filter_map(|row| key(row.try_get(0).ok()?)).collect()
}

/// How rows of one kind are listed.
struct List {
    select: String,
    contradiction: String,
    from: String,
    key: &'static str,
    created: &'static str,
    state: String,
    user: Option<String>,
}

impl List {
    fn of<R: Stored>(
        s: &str,
        kind: Kind,
        created: &'static str,
        state: String,
        user: Option<String>,
    ) -> Self {
        let from = format!("{s}.{}", R::TABLE);
        let contradiction = contradiction(kind).replace("{s}", &format!("{s}."));
        Self { select: read_list::<R>(), contradiction, from, key: R::KEY, created, state, user }
    }
}

struct Ask<'a> {
    engine: &'a Engine,
    list: List,
    filter: &'a PaymentFilter,
    after: Option<&'a Cursor>,
    limit: usize,
}

impl Ask<'_> {
    /// Rows of an older application have microseconds, a cursor has milliseconds: it goes on from the row itself,
    /// as long as that is there. Rows that do not say when they were made are not listed.
    fn query(&self) -> (Query, Vec<Value<'_>>) {
        let List { select, contradiction, from, key, created, state, user } = &self.list;
        let mut sql = format!(
            "select {select}, {contradiction} as contradicts from {from} t where t.{created} is not null"
        );
        let more = i64::try_from(self.limit + 1).unwrap_or(i64::MAX);
        let (mut values, mut types): (Vec<Value<'_>>, Vec<Type>) = (vec![Box::new(more)], vec![Type::INT8]);
        if let Some(status) = &self.filter.status {
            values.push(Box::new(status.as_str()));
            types.push(Type::TEXT);
            sql.push_str(&format!(" and {state} = ${}", values.len()));
        }
        if let (Some(user), Some(wanted)) = (user, &self.filter.user) {
            values.push(Box::new(wanted.as_str()));
            types.push(Type::TEXT);
            sql.push_str(&format!(" and {user} = ${}", values.len()));
        }
        if let Some(cursor) = self.after {
            values.push(Box::new(Moment(cursor.created_at)));
            values.push(Box::new(cursor.id.as_str()));
            types.extend([Type::TIMESTAMPTZ, Type::TEXT]);
            let (at, id) = (values.len() - 1, values.len());
            sql.push_str(&format!(
                " and (t.{created}, t.{key}) <
                  (coalesce((select l.{created} from {from} l where l.{key} = ${id}), ${at}), ${id})"
            ));
        }
        sql.push_str(&format!(" order by t.{created} desc, t.{key} desc limit $1"));
        (query(sql, types), values)
    }

    async fn page<R: Stored>(&self, record: fn(R) -> Record) -> Result<Page<Record>, StoreError> {
        let (query, values) = self.query();
        let found = self.engine.ask(&query, values).await?;
        let shown = &found[..found.len().min(self.limit)];
        let (mut rows, mut contradicting) = (Vec::new(), Vec::new());
        for row in shown {
            let Some(found) = self.engine.unreadable.read::<R>(&Line(row)).map(record) else { continue };
            contradicting.extend((Line(row).flag("contradicts") == Some(true)).then(|| found.key()));
            rows.push(found);
        }
        let cursor = |row| {
            let line = Line(row);
            Some(Cursor {
                created_at: line.time(self.list.created)?,
                id: line.text(self.list.key)?.to_owned(),
            })
        };
        let next = if found.len() > self.limit { shown.last().and_then(cursor) } else { None };
        Ok(Page { rows, contradicting, next })
    }
}

/// A checkout whose payment is under way is held, however late it is. Old rows end a day after they were made.
fn due_checkouts(s: &str) -> String {
    let free = format!(
        "c.status = 'active' and not exists (
           select 1 from {s}.payment_sessions p where p.checkout_id = c.id and p.status = 'processing')"
    );
    format!(
        "select id from (
           (select c.id::text, c.expires_at as at from {s}.checkout_sessions c
            where {free} and c.expires_at <= $1 order by c.expires_at limit $2)
           union all
           (select c.id::text, c.created_at + interval '24 hours' from {s}.checkout_sessions c
            where {free} and c.expires_at is null and c.created_at <= $1 - interval '24 hours'
            order by c.created_at limit $2)
         ) d order by at, id limit $2"
    )
}

fn due_payments(s: &str) -> String {
    format!(
        "select id from (
           (select p.id::text, p.expires_at as at from {s}.payment_sessions p
            where p.status = 'pending' and p.expires_at <= $1 order by p.expires_at limit $2)
           union all
           (select p.id::text, p.created_at + interval '30 minutes' from {s}.payment_sessions p
            where p.status = 'pending' and p.expires_at is null and p.created_at <= $1 - interval '30 minutes'
            order by p.created_at limit $2)
         ) d order by at, id limit $2"
    )
}

/// An older application plans no questions: its processing rows are asked about a minute after they changed.
fn due_asks(s: &str) -> String {
    format!(
        "select id from (
           (select p.id::text, p.ask_at as at from {s}.payment_sessions p
            where p.ask_at <= $1 order by p.ask_at limit $2)
           union all
           (select p.id::text, p.updated_at + interval '1 minute' from {s}.payment_sessions p
            where p.status = 'processing' and p.ask_at is null and p.updated_at <= $1 - interval '1 minute'
            order by p.updated_at limit $2)
         ) d order by at, id limit $2"
    )
}

fn due_purges(s: &str) -> String {
    let free = format!(
        "c.status in ('expired', 'invalidated') and not exists (
           select 1 from {s}.payment_sessions p where p.checkout_id = c.id and (
             p.status in ('processing', 'completed') or exists (
               select 1 from {s}.refunds r
               where r.payment_id = p.id and r.status in ('requested', 'submitted', 'needs_manual'))))"
    );
    format!(
        "select id from (
           (select c.id::text, c.left_at as at from {s}.checkout_sessions c
            where {free} and c.left_at < $1 order by c.left_at limit $2)
           union all
           (select c.id::text, c.updated_at from {s}.checkout_sessions c
            where {free} and c.left_at is null and c.updated_at < $1 order by c.updated_at limit $2)
         ) d order by at, id limit $2"
    )
}

fn census(s: &str) -> Query {
    let [active, inactive] = COUPON_STATES;
    let [standing, revoked] = GRANT_STATES;
    let sql = format!(
        "select 'checkout', status::text, count(*) from {s}.checkout_sessions group by 2
         union all select 'payment', status::text, count(*) from {s}.payment_sessions group by 2
         union all select 'coupon', case when is_active then '{active}' else '{inactive}' end,
                          count(*) from {s}.coupons group by 2
         union all select 'grant', case when revoked_at is null then '{standing}' else '{revoked}' end,
                          count(*) from {s}.grants group by 2
         union all select 'refund', status, count(*) from {s}.refunds group by 2
         union all select 'overdue', '', count(*) from {s}.payment_sessions
                   where status = 'pending' and coalesce(expires_at, created_at + interval '30 minutes') <= $1
         union all select 'stale', '', count(*) from {s}.payment_sessions
                   where status = 'processing' and coalesce(state_at, updated_at) < $1 - interval '1 hour'
         union all select 'no_email', '', count(*) from {s}.payment_sessions
                   where coalesce(trim(user_email), '') = ''
         union all select 'effect', state, count(*) from {s}.outbox group by 2
         order by 1, 2"
    );
    query(sql, vec![Type::TIMESTAMPTZ])
}
