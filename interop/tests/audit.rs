//! Somebody changes the database behind our back, with SQLite's own means: `sessile audit verify` names what does not
//! hold and exits 1. What nobody touched holds, and its head is named.

use rusqlite::Connection;
use sessile_core::checkout::Caller;
use sessile_core::payment::{NewPayment, Payments, Terms};
use sessile_core::{OsEntropy, SystemClock};
use sessile_store::ledger::{LedgerOptions, open_ledger};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Payments in the file.
const PAYMENTS: usize = 4;

/// A file with payments in it, that nobody has open.
struct Books {
    folder: TempDir,
}

impl Books {
    async fn kept() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", file(folder.path()).display());
        let ledger = open_ledger(&url, &LedgerOptions::default()).await?;
        let terms = Arc::new(Terms::default());
        let payments = Payments::new(ledger, terms, Arc::new(SystemClock), Arc::new(OsEntropy));
        for number in 0..PAYMENTS {
            let new = NewPayment {
                amount: Some(1000),
                user: Some(format!("00000000-0000-4000-8000-{number:012}")),
                email: "ada@shop.example".to_owned(),
                coupon: None,
                checkout: None,
                key: Some(format!("key-{number}")),
            };
            payments.create(&Caller::Backend("shop".to_owned()), new).await?;
        }
        drop(payments);
        Ok(Self { folder })
    }

    fn tamper(&self, sql: &str) -> Outcome {
        let db = Connection::open(file(self.folder.path()))?;
        db.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(db.execute_batch(sql)?)
    }

    /// `sessile audit verify`: its exit code and its words.
    async fn verify(&self) -> Outcome<(Option<i32>, String)> {
        let output = Command::new(program().await?)
            .args(["audit", "verify"])
            .env_clear()
            .env("SESSION_SECRET", "a-signing-secret-for-tests-of-forty-four-bytes")
            .env("SESSILE_DATA_DIR", self.folder.path())
            .current_dir(self.folder.path())
            .output()
            .await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("sessile.db")
}

/// The program as it is built beside the other binaries; built now when it is not.
async fn program() -> Outcome<PathBuf> {
    let file = Path::new(env!("CARGO_BIN_EXE_peer")).with_file_name("sessile");
    if !file.is_file() {
        let build = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "sessile-server"]).status();
        if !build.await?.success() || !file.is_file() {
            return Err(format!("{} is missing: run `cargo build -p sessile-server`", file.display()).into());
        }
    }
    Ok(file)
}

#[tokio::test]
async fn what_nobody_touched_holds() -> Outcome {
    let books = Books::kept().await?;
    let (code, said) = books.verify().await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("4 payment rows") && said.contains("head 4 "), "{said}");
    Ok(())
}

#[tokio::test]
async fn whatever_is_changed_is_named() -> Outcome {
    let cases = [
        (
            "a changed row of the log",
            "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET actor = 'nobody' WHERE seq = 2;",
            "row 2 is not what was written",
        ),
        (
            "a removed row of the log",
            "DROP TRIGGER audit_log_no_delete; DELETE FROM audit_log WHERE seq = 2;",
            "after row 1 comes row 3",
        ),
        (
            "the log's end, cut off",
            "DROP TRIGGER audit_log_no_delete; DELETE FROM audit_log WHERE seq >= 3;",
            "the log ends at row 2, and 4 were written",
        ),
        (
            "another price",
            "UPDATE payment_sessions SET original_minor = 100, amount_minor = 100, amount = 1 \
             WHERE rowid = (SELECT min(rowid) FROM payment_sessions);",
            "is not what its last change left",
        ),
        (
            "another whole amount, which only people read",
            "UPDATE payment_sessions SET amount = 1 WHERE rowid = (SELECT min(rowid) FROM payment_sessions);",
            "shows people something else than what counts",
        ),
        (
            "another exact amount beside the price that counts",
            "UPDATE payment_sessions SET amount_minor = 1 WHERE rowid = (SELECT min(rowid) FROM payment_sessions);",
            "shows people something else than what counts",
        ),
        (
            "another user",
            "UPDATE payment_sessions SET user_id = '00000000-0000-4000-8000-999999999999' \
             WHERE rowid = (SELECT min(rowid) FROM payment_sessions);",
            "is not what its last change left",
        ),
        (
            "a removed payment",
            "DELETE FROM payment_sessions WHERE rowid = (SELECT min(rowid) FROM payment_sessions);",
            "is not what its last change left",
        ),
    ];
    for (what, sql, sentence) in cases {
        let books = Books::kept().await?;
        books.tamper(sql).map_err(|error| format!("{what}: {error}"))?;
        let (code, said) = books.verify().await?;
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains("BROKEN") && said.contains(sentence), "{what}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_refuses_changes_by_itself() -> Outcome {
    let books = Books::kept().await?;
    for sql in ["UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log"] {
        let refused = books.tamper(sql).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(books.verify().await?.0, Some(0));
    Ok(())
}
