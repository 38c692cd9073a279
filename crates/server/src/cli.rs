//! The command line: what can be asked for, and the help that says so.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it could not be done: the store does not answer, a check failed
  2  it was asked for wrongly: arguments, configuration, a port in use

Settings come from the environment, and from sessile.toml (the same names in lower case).
The first steps:  sessile dev       then, before production:  sessile doctor";

/// Sessions that stay put: through restarts, redeploys, races and outages.
#[derive(Debug, Parser)]
#[command(name = "sessile", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file; without it, sessile.toml is read where it exists
    #[arg(long, global = true, value_name = "FILE", env = "SESSILE_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve; production unless SESSILE_ENV (or NODE_ENV) says development
    #[command(after_help = EXIT_CODES)]
    Serve,
    /// Try it out: serve in development with a stand-in for Whop and a data folder
    #[command(after_help = EXIT_CODES)]
    Dev,
    /// Work without serving: the outbox, reconciliation and sweeps, beside servers or where nothing serves for long
    #[command(after_help = EXIT_CODES)]
    Worker,
    /// Remove expired sessions, in batches, then stop: for cron and serverless functions
    #[command(after_help = EXIT_CODES)]
    Sweep(SweepArgs),
    /// Check that nobody changed checkouts and payments behind our back
    #[command(after_help = EXIT_CODES)]
    Audit(AuditArgs),
    /// Show one payment, checkout, refund or paid job, how it came to be, and what would mend it
    #[command(after_help = EXIT_CODES)]
    Inspect(InspectArgs),
    /// Check the configuration against reality and say what to do
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Create or update the tables; or show how they are
    #[command(after_help = EXIT_CODES)]
    Migrate(MigrateArgs),
}

/// `sessile sweep`.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Sweep until nothing is left, then stop (the only way there is: `serve` sweeps continuously by itself)
    #[arg(long, required = true)]
    pub once: bool,
    /// Sessions that one statement removes at most
    #[arg(long, default_value_t = crate::sweeper::BATCH, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
}

/// `sessile audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// What to do
    #[command(subcommand)]
    pub action: AuditAction,
}

/// `sessile audit verify`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum AuditAction {
    /// Verify the whole audit log, and every row against it
    #[command(after_help = EXIT_CODES)]
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `sessile inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A payment's id, its order (merchant_trans_id), a checkout's id, a refund's id, or a paid job's (cs_… or gen_…)
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Put back what is safe to put back: failed videos that are paid for, and messages of Stripe that wait
    #[arg(long)]
    pub retry: bool,
}

/// `sessile doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sessile migrate`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MigrateArgs {
    /// Print the SQL and change nothing
    #[arg(long)]
    pub print_sql: bool,
    /// Move every WhatsApp device to files of this machine, or back to the configured database, while no server runs them
    #[arg(long, value_enum, conflicts_with = "print_sql")]
    pub to: Option<DevicesTo>,
    /// What to do
    #[command(subcommand)]
    pub action: Option<MigrateAction>,
}

/// Where WhatsApp devices are to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DevicesTo {
    /// Files of this machine, in SESSION_PATH
    Files,
    /// What DATABASE_URL names, or the Supabase project
    Database,
}

/// `sessile migrate up` and its sibling.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum MigrateAction {
    /// Create what is missing (the default)
    Up,
    /// Show what is there
    Status,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["sessile", "sweep"]).is_err());
        let sweep = Cli::try_parse_from(["sessile", "sweep", "--once", "--batch", "10"]).unwrap();
        assert!(matches!(sweep.command, Command::Sweep(SweepArgs { batch: 10, .. })));
        assert!(Cli::try_parse_from(["sessile", "migrate", "--print-sql", "up"]).is_err());
        assert!(Cli::try_parse_from(["sessile", "migrate", "--to", "files"]).is_ok());
        assert!(Cli::try_parse_from(["sessile", "migrate", "--to", "elsewhere"]).is_err());
    }
}
