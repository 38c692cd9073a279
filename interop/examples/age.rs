//! Makes a checkout or a payment of an embedded ledger older than it is, so that a test meets one whose time is over
//! without waiting for it: `age FILE checkout|payment ID SECONDS`. The browser's tests run it beside a server.

use rusqlite::{Connection, OpenFlags};
use std::process::ExitCode;
use std::time::Duration;

/// How long the file may be busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const CHECKOUT: &str = "UPDATE checkout_sessions SET created_at = created_at - ?2, updated_at = updated_at - ?2, \
    expires_at = expires_at - ?2 WHERE id = ?1";
const PAYMENT: &str = "UPDATE payment_sessions SET created_at = created_at - ?2, updated_at = updated_at - ?2, \
    expires_at = expires_at - ?2 WHERE merchant_trans_id = ?1";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match age(&arguments) {
        Ok(1) => ExitCode::SUCCESS,
        Ok(rows) => {
            eprintln!("age: {rows} rows have that id");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("age: {why}");
            ExitCode::FAILURE
        }
    }
}

fn age(arguments: &[String]) -> Result<usize, String> {
    let [file, kind, id, seconds] = arguments else {
        return Err("usage: age FILE checkout|payment ID SECONDS".to_owned());
    };
    let statement = match kind.as_str() {
        "checkout" => CHECKOUT,
        "payment" => PAYMENT,
        other => return Err(format!("{other} is neither checkout nor payment")),
    };
    let seconds: i64 = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
    let changed = || -> rusqlite::Result<usize> {
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        database.execute(statement, (id, seconds * 1000))
    };
    changed().map_err(|error| format!("{file}: {error}"))
}
