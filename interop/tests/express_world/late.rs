//! A request that has read its session and writes late, while somebody logs out in between.

use std::time::Duration;

use super::{Browser, Outcome, Reply};

/// The late request waits this long before it writes.
const DELAY_MS: u64 = 1500;
/// By now the late request has read its session.
const READ_BY: Duration = Duration::from_millis(500);
/// On a machine that is busy elsewhere the late request may begin after the logout; then it proves nothing.
const ATTEMPTS_MAX: usize = 3;

/// Signs in at `maker`, writes late at `writer`, logs out at `ender` in between. The answer is the late request's,
/// with the cookie that was logged out.
pub(crate) async fn logout_during_a_write(
    maker: &str,
    writer: &str,
    ender: &str,
) -> Outcome<(Reply, Browser)> {
    for _ in 0..ATTEMPTS_MAX {
        let mut browser = Browser::new()?;
        browser.post(maker, "/set", r#"{"userId":"ann"}"#).await?;
        // Warm, so that the late request has nothing to wait for.
        browser.get(writer, "/get").await?;
        let (mut late, kept) = (browser.clone(), browser.clone());
        let body = format!(r#"{{"delay_ms":{DELAY_MS},"set":{{"late":true}}}}"#);
        let writer = writer.to_owned();
        // Errors of a request are not `Send` here, so both run side by side in this task.
        let writing = async move { late.post(&writer, "/late", &body).await };
        let ending = async {
            tokio::time::sleep(READ_BY).await;
            browser.post(ender, "/destroy", "{}").await
        };
        let (written, ended) = tokio::join!(writing, ending);
        let (written, ended) = (written?, ended?);
        assert_eq!(ended.status, 200, "{}", ended.body);
        // A session that it never read: it began too late.
        if written.status != 200 || written.session()?.contains("ann") {
            return Ok((written, kept));
        }
    }
    Err("the late request never began before the logout".into())
}
