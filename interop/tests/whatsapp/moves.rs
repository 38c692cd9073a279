//! Devices that move between files and a database, by themselves and by hand; and old copies that are put back.

use super::hosts::{Host, Place};
use super::load::Outcome;
use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::path::{Path, PathBuf};

/// Where keys live, as a setting.
const STORE: &str = "SESSILE_WHATSAPP_STORE";

/// Linked once, and no key used twice.
fn check(whatsapp: &FakeWhatsApp) {
    let links = whatsapp.connections().into_iter().filter(|each| each.purpose == "link").count();
    assert_eq!(links, 1, "it was linked once and never again");
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
}

impl Host {
    /// Killed, and started with its keys wanted there.
    async fn restart_in(&mut self, store: &str) -> Outcome {
        self.server.kill_9().await?;
        self.server.set(STORE, Some(store));
        self.server.start().await
    }

    async fn engine(&self) -> Outcome<String> {
        let info = self.get("session-info").await?.body;
        Ok(info["data"]["storage"]["engine"].as_str().ok_or("no engine")?.to_owned())
    }

    /// One of the program's commands; what it printed, both ways.
    async fn command(&self, args: &[&str]) -> Outcome<(bool, String)> {
        let output = self.server.run(args).await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

/// Local files for a while, then a database: the device is there at the first start, the files refuse from then on; and
/// back, for an operator who asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_moves_by_itself_when_there_is_a_database_and_back_when_asked() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    // A server whose settings name a database; as long as files are asked for they are used.
    let mut host = Host::start_with(&whatsapp, Place::Postgres, &[(STORE, "file")]).await?;
    host.pair(&whatsapp).await?;
    for day in 0..5 {
        host.sends(&whatsapp, &format!("local day {day}")).await?;
    }
    assert_eq!(host.engine().await?, "file");

    host.restart_in("database").await?;
    host.ready().await?;
    assert_eq!(host.engine().await?, "postgres");
    host.sends(&whatsapp, "from the database").await?;

    // Somebody starts the local copy, with no database in the settings.
    host.server.kill_9().await?;
    let database = host.database.clone().ok_or("a database")?;
    host.server.set("DATABASE_URL", None);
    host.server.set(STORE, None);
    host.server.start().await?;
    host.is_refused("moved to postgres").await?;

    host.server.set("DATABASE_URL", Some(&database));
    host.restart_in("file").await?;
    host.ready().await?;
    assert_eq!(host.engine().await?, "file");
    host.sends(&whatsapp, "from files again").await?;
    check(&whatsapp);
    Ok(())
}

/// The same by the command line, which refuses while a server has the device.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_moves_by_a_command_both_ways() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Postgres).await?;
    host.pair(&whatsapp).await?;
    let (moved, said) = host.command(&["migrate", "--to", "files"]).await?;
    assert!(!moved && said.contains("another process owns this device"), "{said}");
    host.sends(&whatsapp, "it stayed where it was").await?;

    host.server.kill_9().await?;
    let (moved, said) = host.command(&["migrate", "--to", "files"]).await?;
    assert!(moved && said.contains("1 WhatsApp devices moved to") && said.contains("(file)"), "{said}");
    assert!(said.contains("[####################] 1/1 shop: moved"), "{said}");
    let (moved, said) = host.command(&["migrate", "--to", "files"]).await?;
    assert!(
        moved && said.contains("0 WhatsApp devices moved") && said.contains("1 had moved before"),
        "{said}"
    );
    host.restart_in("file").await?;
    host.ready().await?;
    assert_eq!(host.engine().await?, "file");
    host.sends(&whatsapp, "from files").await?;

    host.server.kill_9().await?;
    let (moved, said) = host.command(&["migrate", "--to", "database"]).await?;
    assert!(moved && said.contains("1 WhatsApp devices moved to") && said.contains("(postgres)"), "{said}");
    host.restart_in("database").await?;
    host.ready().await?;
    assert_eq!(host.engine().await?, "postgres");
    host.sends(&whatsapp, "from the database").await?;
    check(&whatsapp);
    Ok(())
}

fn files_of(folder: &Path) -> PathBuf {
    folder.join("whatsapp")
}

/// Copies files, not folders.
fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().ok_or("a name")?))?;
        }
    }
    Ok(())
}

/// An old journal is put back: refused, with what to do; the newer one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_files_is_refused() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Files).await?;
    host.pair(&whatsapp).await?;
    host.server.kill_9().await?;
    let (files, aside) = (files_of(&host.server.data()), tempfile::tempdir()?);
    let (old, new) = (aside.path().join("old"), aside.path().join("new"));
    copy(&files, &old)?;
    host.server.start().await?;
    host.ready().await?;
    for number in 0..3 {
        host.sends(&whatsapp, &format!("after the copy {number}")).await?;
    }
    host.server.kill_9().await?;
    copy(&files, &new)?;
    std::fs::copy(old.join("shop.journal"), files.join("shop.journal"))?;
    host.server.start().await?;
    host.is_refused("is an older copy").await?;
    host.is_refused("unlink the device on the phone").await?;
    let (_, said) = host.command(&["inspect", "shop"]).await?;
    assert!(said.contains("is an older copy") && said.contains("pair it anew"), "{said}");

    host.server.kill_9().await?;
    copy(&new, &files)?;
    host.server.start().await?;
    host.ready().await?;
    host.sends(&whatsapp, "from the newer one").await?;
    check(&whatsapp);
    Ok(())
}

/// The database is put back to an older state: this machine knows that it had more, and refuses.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_database_is_refused() -> Outcome {
    const PUT_ASIDE: &str = "drop table if exists {}_sessions; drop table if exists {}_keys;
        create table {}_sessions as table whatsapp_sessions; create table {}_keys as table whatsapp_keys;";
    const PUT_BACK: &str = "begin; delete from whatsapp_keys; delete from whatsapp_sessions;
        insert into whatsapp_sessions select * from {}_sessions; insert into whatsapp_keys select * from {}_keys; commit;";
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Postgres).await?;
    host.pair(&whatsapp).await?;
    host.server.kill_9().await?;
    host.sql(&PUT_ASIDE.replace("{}", "old")).await?;
    host.server.start().await?;
    host.ready().await?;
    for number in 0..3 {
        host.sends(&whatsapp, &format!("after the copy {number}")).await?;
    }
    host.server.kill_9().await?;
    host.sql(&PUT_ASIDE.replace("{}", "new")).await?;
    host.sql(&PUT_BACK.replace("{}", "old")).await?;
    host.server.start().await?;
    host.is_refused("it was put back to an older state").await?;
    host.is_refused("Put the newer database back").await?;

    host.server.kill_9().await?;
    host.sql(&PUT_BACK.replace("{}", "new")).await?;
    host.server.start().await?;
    host.ready().await?;
    host.sends(&whatsapp, "from the newer one").await?;
    check(&whatsapp);
    Ok(())
}
