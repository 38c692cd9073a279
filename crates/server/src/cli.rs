//! The command line: what can be asked for, and the help that says so.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and what was checked holds
  1  it could not be done: a store does not answer, a check failed, there is no such row, something is left to do
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
    /// Try it out: a tour in development, with stand-ins for the providers and a data folder
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
    /// Copy every session of a kind from one engine to another; stopped and started again, it goes on
    #[command(after_help = EXIT_CODES)]
    Copy(CopyArgs),
    /// Rotate the keys that seal what is stored
    #[command(after_help = EXIT_CODES)]
    Keys(KeysArgs),
    /// Print what makes a shell complete the names of commands and arguments
    #[command(after_help = EXIT_CODES)]
    Completions {
        /// Of which shell; put what is printed where that shell looks for it
        #[arg(value_enum)]
        shell: CompletedShell,
    },
}

/// `sessile keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do
    #[command(subcommand)]
    pub action: KeysAction,
}

/// `sessile keys rotate`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum KeysAction {
    /// Seal anew, under the first key of SESSILE_SEALING_KEY, what is sealed under the others; say which may be dropped
    #[command(after_help = EXIT_CODES)]
    Rotate {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Shells whose completions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CompletedShell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

impl CompletedShell {
    /// Writes the script.
    pub fn write(self, out: &mut impl std::io::Write) {
        use clap::CommandFactory as _;
        let shell = match self {
            Self::Bash => clap_complete::Shell::Bash,
            Self::Zsh => clap_complete::Shell::Zsh,
            Self::Fish => clap_complete::Shell::Fish,
        };
        clap_complete::generate(shell, &mut Cli::command(), "sessile", out);
    }
}

/// `sessile copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Where the sessions are: sqlite:FILE, postgres://… or redis://…
    #[arg(long, value_name = "URL", env = "SESSILE_COPY_FROM", hide_env_values = true)]
    pub from: String,
    /// Where they are to be, too; its tables are made if missing
    #[arg(long, value_name = "URL", env = "SESSILE_COPY_TO", hide_env_values = true)]
    pub to: String,
    /// Which kind of session
    #[arg(long, value_enum, default_value_t = CopyKind::Login)]
    pub kind: CopyKind,
    /// Login sessions at --from: shared (plain ids) or stand-alone (hashed); SQLite always has hashed ones
    #[arg(long, value_enum, value_name = "LAYOUT")]
    pub from_layout: Option<CopyLayout>,
    /// The same at --to
    #[arg(long, value_enum, value_name = "LAYOUT")]
    pub to_layout: Option<CopyLayout>,
    /// The table of login sessions at --from, where it is not the usual one
    #[arg(long, value_name = "TABLE")]
    pub from_table: Option<String>,
    /// The same at --to
    #[arg(long, value_name = "TABLE")]
    pub to_table: Option<String>,
    /// Rows that travel at once, at most
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub batch: u32,
    /// Begin anew, whatever an earlier run has done
    #[arg(long)]
    pub fresh: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Kinds of session that are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CopyKind {
    /// Login sessions: SQLite, Postgres, Redis
    Login,
    /// Checkouts, payments and all that belongs to them, users too: SQLite, Postgres
    CheckoutPayment,
    /// Paid jobs: SQLite, Postgres, Redis
    Generation,
    /// WhatsApp devices, which move and do not stay behind: SQLite, Postgres
    Whatsapp,
    /// Each of them that both ends hold
    All,
}

impl CopyKind {
    /// The kinds that are meant, one by one.
    #[must_use]
    pub fn each(self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::Login, Self::CheckoutPayment, Self::Generation, Self::Whatsapp],
            one => vec![one],
        }
    }
}

/// How login sessions are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CopyLayout {
    /// By their ids, as Express does
    Shared,
    /// By hashes of them
    StandAlone,
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
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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
    #[command(after_help = EXIT_CODES)]
    Up,
    /// Show what is there
    #[command(after_help = EXIT_CODES)]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
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
        assert!(Cli::try_parse_from(["sessile", "copy", "--from", "sqlite:a"]).is_err());
        assert_eq!(CopyKind::All.each().len(), 4);
    }

    #[test]
    fn every_command_tells_its_exit_codes() {
        fn check(command: &clap::Command) {
            let told = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let leads_on = command.get_subcommands().next().is_some();
            assert!(leads_on || told.contains("Exit codes:"), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn completions_know_every_command() {
        for shell in [CompletedShell::Bash, CompletedShell::Zsh, CompletedShell::Fish] {
            let mut script = Vec::new();
            shell.write(&mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?} lacks {}", command.get_name());
            }
            assert!(script.contains("to-layout"), "{shell:?}");
        }
    }
}
