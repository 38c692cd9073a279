//! `sessile copy`: everything of a kind from one engine to another.
//!
//! The engines give and take rows ([`sessile_core::portable`]); this only drives: batch after batch, a checkpoint after each,
//! and then every row of the source is compared with what lies under its name at the destination. Stopped at any moment and
//! started again it goes on. It overwrites nothing newer, and what has ended at the destination stays ended.

mod carry;
mod checkpoint;
mod devices;
mod ends;
mod money;
mod told;

use crate::cli::{CopyArgs, CopyKind};
use crate::config::Config;
use crate::exit::{Exit, Stop};
use carry::{Carried, Counts, Way};
use checkpoint::Checkpoint;
use ends::{Side, at};
use serde_json::json;
use sessile_core::ledger::portable::LedgerRow;
use sessile_core::login::PortableLogin;
use sessile_core::portable::{Portable, Porter};
use sessile_core::{Clock, SystemClock};
use sessile_store::generation::open_generation_end;
use sessile_store::{OpenError, StoreUrl};
use told::Told;

/// Rows that travel at once where one may hold a MiB.
const LARGE_ROWS_MAX: usize = 100;

/// Moves what was asked for. [`Exit::Failed`] when the ends do not agree afterwards.
///
/// # Errors
/// [`Stop`] says what to do; what has arrived stays.
pub(crate) async fn run(config: &Config, args: &CopyArgs) -> Result<Exit, Stop> {
    if args.from == args.to {
        return Err(Stop::usage("--from and --to name the same place; there is nothing to copy"));
    }
    let mut exit = Exit::Done;
    for kind in args.kind.each() {
        let job = Job { config, args, kind };
        if args.kind == CopyKind::All
            && let Some(why) = job.cannot()?
        {
            job.skipped(&why);
            continue;
        }
        let done = match kind {
            CopyKind::Login => Box::pin(job.logins()).await?,
            CopyKind::CheckoutPayment => Box::pin(job.money()).await?,
            CopyKind::Generation => Box::pin(job.generations()).await?,
            CopyKind::Whatsapp => Box::pin(job.devices()).await?,
            CopyKind::All => Exit::Done,
        };
        if done != Exit::Done {
            exit = done;
        }
    }
    Ok(exit)
}

/// One kind of what was asked for.
struct Job<'a> {
    config: &'a Config,
    args: &'a CopyArgs,
    kind: CopyKind,
}

impl Job<'_> {
    const fn name(&self) -> &'static str {
        match self.kind {
            CopyKind::Login => "login",
            CopyKind::CheckoutPayment => "checkout-payment",
            CopyKind::Generation => "generation",
            CopyKind::Whatsapp => "whatsapp",
            CopyKind::All => "all",
        }
    }

    /// Why this kind does not go this way, where one of the engines never holds it.
    fn cannot(&self) -> Result<Option<String>, Stop> {
        if !matches!(self.kind, CopyKind::CheckoutPayment | CopyKind::Whatsapp) {
            return Ok(None);
        }
        for (side, url) in [(Side::From, &self.args.from), (Side::To, &self.args.to)] {
            if matches!(StoreUrl::parse(url).map_err(at(side))?, StoreUrl::Redis(_)) {
                return Ok(Some(format!("{} is Redis, which does not hold this kind", side.name())));
            }
        }
        Ok(None)
    }

    fn skipped(&self, why: &str) {
        let way = Way { kind: self.name(), from: String::new(), to: String::new() };
        Told::quiet(&way, self.args.json)
            .fact(&format!("skipped: {why}"), &json!({ "step": "skipped", "why": why }));
    }

    /// Where everything is copied, a source without the tables of a kind has none of it.
    fn none_there(&self, error: OpenError) -> Result<Exit, Stop> {
        match &error {
            OpenError::Schema { .. } if self.args.kind == CopyKind::All => {
                self.skipped("--from has no tables of this kind");
                Ok(Exit::Done)
            }
            _ => Err(at(Side::From)(error)),
        }
    }

    async fn logins(&self) -> Result<Exit, Stop> {
        let (from, to) = ends::logins(self.config, self.args).await?;
        let way = Way { kind: self.name(), from: from.info().place, to: to.info().place };
        self.moved::<PortableLogin>(way, self.args.batch as usize, &*from, &*to).await.map(|(exit, ..)| exit)
    }

    async fn generations(&self) -> Result<Exit, Stop> {
        let (from, there) = match open_generation_end(&self.args.from, Side::From.create()).await {
            Ok(end) => end,
            Err(error) => return self.none_there(error),
        };
        let (to, here) = open_generation_end(&self.args.to, Side::To.create()).await.map_err(at(Side::To))?;
        let way = Way { kind: self.name(), from: there, to: here };
        let batch = LARGE_ROWS_MAX.min(self.args.batch as usize);
        self.moved(way, batch, &*from, &*to).await.map(|(exit, ..)| exit)
    }

    async fn money(&self) -> Result<Exit, Stop> {
        let from = match ends::ledger(self.config, &self.args.from, Side::From).await {
            Ok(end) => end,
            Err(error) => return self.none_there(error),
        };
        let to = ends::ledger(self.config, &self.args.to, Side::To).await.map_err(at(Side::To))?;
        money::check_chains(&*from, &*to).await?;
        let way = Way { kind: self.name(), from: from.place(), to: to.place() };
        let batch = LARGE_ROWS_MAX.min(self.args.batch as usize);
        let (exit, told, counts) = self.moved::<LedgerRow>(way, batch, &*from, &*to).await?;
        // A row of money that stays behind is not a copy that is done.
        let exit = if counts.unreadable > 0 { Exit::Failed } else { exit };
        let gone = money::forget_what_was_told(&*from, &*to, &SystemClock).await?;
        if exit == Exit::Done {
            let head = money::verify(&*to).await?;
            told.fact(
                &format!("the audit log holds at the destination: head {} {}", head.seq, head.hash),
                &json!({ "step": "audit", "seq": head.seq, "hash": head.hash, "told_meanwhile": gone }),
            );
        }
        Ok(exit)
    }

    async fn devices(&self) -> Result<Exit, Stop> {
        let never = || Stop::usage("WhatsApp devices live on SQLite and Postgres; name two of these");
        let from = match devices::end(&self.args.from, Side::From).await {
            Ok(end) => end.ok_or_else(never)?,
            Err(error) => return self.none_there(error),
        };
        let to = devices::end(&self.args.to, Side::To).await.map_err(at(Side::To))?.ok_or_else(never)?;
        let way = Way { kind: self.name(), from: from.info().place, to: to.info().place };
        let mut told = Told::of(&way, self.args.json);
        devices::moved(self.args, &*from, &*to, &mut told).await
    }

    async fn moved<R: Portable>(
        &self,
        way: Way,
        batch: usize,
        from: &dyn Porter<R>,
        to: &dyn Porter<R>,
    ) -> Result<(Exit, Told, Counts), Stop> {
        let mut checkpoint = Checkpoint::of(&self.config.data_dir, &way, self.args.fresh)?;
        let clock: &dyn Clock = &SystemClock;
        let mut told = Told::of(&way, self.args.json);
        let work = carry::Work { from, to, batch, clock };
        let carried: Carried = carry::carry(&work, &mut checkpoint, &mut told).await?;
        told.result(&carried);
        if carried.agrees() {
            checkpoint.remove();
            return Ok((Exit::Done, told, carried.counts));
        }
        Ok((Exit::Failed, told, carried.counts))
    }
}
