//! Every bound of the HTTP side, with its name.

use std::time::Duration;

/// Bytes of a JSON body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a request's head that are read.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers in one request.
pub const HEADERS_MAX: usize = 100;
/// How long a client may take to send a request's head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests under way at once; beyond that the answer is 503.
pub const REQUESTS_MAX: usize = 4096;
/// Connections open at once; beyond that they wait to be accepted.
pub const CONNECTIONS_MAX: usize = 16_384;
/// How long a stop waits for requests under way.
pub const STOP_GRACE: Duration = Duration::from_secs(20);
/// Characters of a client's own `x-request-id`.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// How long the store may take to answer `/readyz`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long revoking a refresh token at logout may take; nobody waits for it.
pub const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `GET /api/click/wait-payment/…` waits for a payment.
pub const PAYMENT_WAIT: Duration = Duration::from_secs(15);
/// The pause between its first two looks; each next one is half as long again.
pub const PAYMENT_LOOK_FIRST: Duration = Duration::from_millis(250);
/// The longest pause between two looks.
pub const PAYMENT_LOOK_MAX: Duration = Duration::from_secs(2);
/// Requests that wait for a payment at once; beyond that they are answered at their first look.
pub const PAYMENT_WAITERS_MAX: usize = 256;
/// Bytes of `POST /api/create-checkout`: a prompt of a MiB, each byte escaped as JSON may escape it, and the rest.
pub const CREATE_CHECKOUT_BODY_BYTES_MAX: usize = 6 * 1024 * 1024 + 64 * 1024;
/// Such requests under way at once: each may hold a whole prompt, more than once.
pub const CREATE_CHECKOUTS_MAX: usize = 128;
/// How long one may take, Stripe's answers included.
pub const CREATE_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(25);
/// Characters of a tool's name.
pub const TOOL_CHARS_MAX: usize = 200;
/// Bytes of an address that a buyer comes back to.
pub const RETURN_URL_CHARS_MAX: usize = 2000;
/// Pages that watch a job over a stream at once; beyond that they ask.
pub const STATUS_STREAMS_MAX: usize = 512;
/// How often a stream looks at its job.
pub const STATUS_LOOK: Duration = Duration::from_secs(1);
/// A stream that has nothing to say gives a sign of life this often.
pub const STATUS_HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts; the page opens the next one.
pub const STATUS_STREAM_MAX: Duration = Duration::from_secs(10 * 60);
/// Bytes of a provider's callback that are read before it is refused; one above CLICK's limit is answered with -8.
pub const CALLBACK_BYTES_READ_MAX: usize = 64 * 1024;
/// Coupon codes that one address, or one buyer, may try in a row.
pub const COUPON_TRIES_BURST: u32 = 20;
/// How long until one more may be tried.
pub const COUPON_TRY_EVERY: Duration = Duration::from_secs(3);
/// Operator's tokens that one address may try in a row.
pub const OPERATOR_TRIES_BURST: u32 = 8;
/// How long until one more may be tried.
pub const OPERATOR_TRY_EVERY: Duration = Duration::from_secs(15);
/// Addresses and buyers whose tries are remembered.
pub const THROTTLED_MAX: usize = 20_000;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Rows of a list when nobody says how many.
pub const LIST_ROWS: usize = 50;
/// Audit rows that are shown with a payment.
pub const HISTORY_ROWS_MAX: usize = 100;
/// Characters of an operator's note.
pub const NOTE_CHARS_MAX: usize = 500;
/// Bytes of a form that an operator sends.
pub const OPERATOR_FORM_BYTES_MAX: usize = 64 * 1024;
/// Characters that an operator may search for.
pub const SEARCH_CHARS_MAX: usize = 255;
/// Paid jobs that a search looks through for what no index knows.
pub const SEARCHED_JOBS_MAX: usize = 500;
/// Rows of the audit log on one page.
pub const AUDIT_ROWS: usize = 100;
/// Rows of the audit log that are looked through for what was done to a login session.
pub const REMARKS_LOOKED_AT: usize = 500;
/// How old the counts on the dashboard may be.
pub const COUNTS_AGE: Duration = Duration::from_secs(2);
/// How long a store may take to be counted.
pub const COUNT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request for a QR code waits for the first one.
pub const QR_PATIENCE: Duration = Duration::from_secs(3);
