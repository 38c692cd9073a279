//! Logs: one line each on standard error, as JSON or for people. Standard output belongs to the commands' answers.

use crate::config::{LogConfig, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts logging for the process. A second call changes nothing. An unusable filter falls back to `info`, and says so.
pub(crate) fn start(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter);
    let refused = filter.is_err();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    if refused && started.is_ok() {
        tracing::warn!("SESSILE_LOG is no filter such as `info` or `warn,sessile=debug`; using `info`");
    }
}
