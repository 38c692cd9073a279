//! The stand-in as a process: `cargo run -p sessile-sandbox-whatsapp --example whatsapp`.
//!
//! Prints one line of JSON, `{"url": "ws://…", "control": "http://…"}`, and runs until Ctrl-C or until its standard
//! input, where that is a pipe, is closed: a test that dies takes it along.

use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::error::Error;
use std::io::{IsTerminal, Read, Write};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let whatsapp = FakeWhatsApp::start().await?;
    let addresses = serde_json::json!({ "url": whatsapp.url(), "control": whatsapp.control_url() });
    writeln!(std::io::stdout(), "{addresses}")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = input_closed() => {}
    }
    whatsapp.stop().await;
    Ok(())
}

/// Comes back when whoever started this is gone, if that can be seen.
async fn input_closed() {
    if std::io::stdin().is_terminal() {
        return std::future::pending().await;
    }
    let (closed, told) = tokio::sync::oneshot::channel();
    // A thread, as a read of standard input cannot be given up.
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = closed.send(());
    });
    let _ = told.await;
}
