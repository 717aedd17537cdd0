//! The command line: every command, flag and environment variable.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use humantime_serde::re::humantime;
use trellis_wal::tools::Verdict;

use crate::exit::Exit;
use crate::output::Format;

/// A distributed in-memory database of values that merge.
#[derive(Debug, Parser)]
#[command(name = "trellis", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The context to use: a cluster, its nodes, and who you are there.
    #[arg(short, long, global = true, env = "TRELLIS_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Client addresses of nodes, instead of those of the context.
    #[arg(
        short,
        long,
        global = true,
        env = "TRELLIS_ENDPOINTS",
        value_name = "HOST:PORT,...",
        value_delimiter = ','
    )]
    pub(crate) endpoints: Vec<String>,
    /// Ask this node and no other.
    #[arg(long, global = true, env = "TRELLIS_NODE", value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// The certificate of the cluster's authority.
    #[arg(long, global = true, env = "TRELLIS_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Your certificate.
    #[arg(long, global = true, env = "TRELLIS_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of your certificate.
    #[arg(id = "key_file", long = "key", global = true, env = "TRELLIS_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How long a call may take, all attempts together.
    #[arg(long, global = true, env = "TRELLIS_TIMEOUT", value_name = "TIME", default_value = "5s")]
    #[arg(value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// How answers and errors are printed.
    #[arg(short, long, global = true, env = "TRELLIS_OUTPUT", value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node.
    Serve(Serve),
    /// Add to a counter and print its value.
    Incr(Increment),
    /// Subtract from a counter and print its value.
    Decr(Increment),
    /// Print the value of a key; exit with 1 if it is absent.
    Get(Get),
    /// Write a register.
    Set(Set),
    /// Delete keys and print how many there were.
    Del(Del),
    /// List keys, in no order.
    Keys(Keys),
    /// Show the members and what they hold, as one node sees it.
    Status,
    /// Show the members, watch them, have one leave.
    #[command(subcommand)]
    Member(Member),
    /// Make and show certificates.
    #[command(subcommand)]
    Certs(Certs),
    /// List and choose clusters to talk to.
    #[command(subcommand)]
    Context(Context),
    /// Look at the log of a node that is stopped, verify it, cut off what is damaged.
    #[command(subcommand, after_help = LOG_EXITS)]
    Wal(Wal),
    /// Have a node take a snapshot; look at those it has and verify them.
    #[command(subcommand, after_help = LOG_EXITS)]
    Snapshot(Snapshot),
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration, in TOML.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Found a cluster, although there are seeds; refused when one of them answers.
    #[arg(long)]
    pub(crate) found: bool,
    /// A setting, such as wal.segment_bytes=128MiB; wins over file and environment.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// How log lines look.
    #[arg(long, env = "TRELLIS_LOG_FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// What is logged, such as debug, or info,trellis_swim=debug.
    #[arg(long, env = "TRELLIS_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Increment {
    pub(crate) key: String,
    /// How much; may be negative.
    #[arg(default_value_t = 1, value_name = "N", allow_negative_numbers = true)]
    pub(crate) amount: i64,
    /// Which counter to make.
    #[arg(long, value_parser = PossibleValuesParser::new(COUNTERS))]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    pub(crate) key: String,
    /// Which value, when the key holds several.
    #[arg(long, value_parser = kinds())]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    pub(crate) key: String,
    /// The value; - reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    /// Which register to make.
    #[arg(long, value_parser = PossibleValuesParser::new(REGISTERS))]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Debug, Args)]
pub(crate) struct Del {
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Which value; all of them otherwise.
    #[arg(long, value_parser = kinds())]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// Only keys that begin with it.
    #[arg(default_value = "")]
    pub(crate) prefix: String,
    /// Only keys of this kind.
    #[arg(long, value_parser = kinds())]
    pub(crate) kind: Option<String>,
    /// The most keys to list.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
}

/// When a write is done.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Write {
    /// What the node that answers must have done with it.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: Durability,
    /// How many nodes must hold it durably, the one that answers included.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) replicas: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// In memory; a crash right after the answer may lose it.
    Memory,
    /// In the synced log.
    #[default]
    Synced,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Make the authority of a cluster: ca.crt and ca.key.
    Init {
        #[command(flatten)]
        place: CertsDir,
        /// The cluster's id; a random one otherwise.
        #[arg(long, value_name = "ID")]
        cluster: Option<String>,
    },
    /// Make the certificate of a node: NAME.crt and NAME.key.
    Node {
        name: String,
        /// A DNS name or address of the node, beside localhost; may be repeated.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[command(flatten)]
        place: CertsDir,
    },
    /// Make the certificate of someone who calls nodes: NAME.crt and NAME.key.
    Client {
        name: String,
        /// What it may do.
        #[arg(long, value_enum, default_value_t)]
        role: ClientRole,
        #[command(flatten)]
        place: CertsDir,
    },
    /// Show whose certificate it is and until when it holds; check that its key and authority fit.
    Show {
        /// One in the directory; the one in use otherwise.
        name: Option<String>,
        #[command(flatten)]
        place: CertsDir,
    },
}

/// Where certificates lie.
#[derive(Debug, Args)]
pub(crate) struct CertsDir {
    /// The directory of the authority and of what it signs.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientRole {
    /// Read and write.
    #[default]
    Client,
    /// Read.
    Reader,
    /// Read, write, administer.
    Admin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// List contexts; * marks the one in use.
    Ls,
    /// Show a context, the one in use by default.
    Show { name: Option<String> },
    /// Use a context from here on.
    Use { name: String },
    /// Add a context, with --ca, --cert and --key.
    Add {
        name: String,
        /// A node and its client address; may be repeated.
        #[arg(long = "member", value_name = "NAME=HOST:PORT", required = true)]
        members: Vec<String>,
        /// Use it from here on.
        #[arg(long = "use")]
        is_used: bool,
        /// Replace one of the same name.
        #[arg(long)]
        replace: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Wal {
    /// Show segments, snapshots and what else is there; judge nothing.
    ///
    /// Of the segments before the last only the headers are read; verify reads their records.
    Inspect {
        #[command(flatten)]
        place: LogDir,
    },
    /// Show the records, and the bytes between them that are none.
    Dump {
        #[command(flatten)]
        place: LogDir,
        /// The first record to show.
        #[arg(long, value_name = "LSN", default_value_t = 0)]
        from: u64,
        /// The last record to show; the last of the log otherwise.
        #[arg(long, value_name = "LSN")]
        to: Option<u64>,
        /// Show what the records hold as well, as hexadecimal digits.
        #[arg(long)]
        payload: bool,
    },
    /// Read all that a recovery needs and tell all that is wrong with it; change nothing.
    ///
    /// Exits with 0 if all is as it was written, 1 if the log ends with a torn tail, which the next start sets aside by
    /// itself, 2 if something durable is damaged, 3 if something cannot be read, 64 if it was asked wrongly.
    Verify {
        #[command(flatten)]
        place: LogDir,
    },
    /// Cut a log behind a record, so that the node starts again; what is cut off is kept in quarantine/.
    ///
    /// Nothing is deleted. What the log loses comes back from the other nodes, as far as they have it.
    Repair {
        #[command(flatten)]
        place: LogDir,
        /// The last record to keep; verify says which can be.
        #[arg(long, value_name = "LSN")]
        truncate_after: u64,
        /// Do it; without it, only tell what would be done.
        #[arg(long)]
        accept_data_loss: bool,
    },
}

/// Where a log lies.
#[derive(Debug, Args)]
pub(crate) struct LogDir {
    /// The data directory of a node, or the wal/ in it.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Have a node take one now, and wait until it is there; needs a certificate with the role admin.
    ///
    /// Nodes take snapshots by themselves: every five minutes, when the log has grown by 500 MB, and when they stop.
    Take,
    /// Read all of every snapshot and tell what is wrong; exit as wal verify does.
    Verify {
        #[command(flatten)]
        place: SnapshotPath,
    },
    /// Show what snapshots hold, chunk by chunk, up to what is damaged.
    Inspect {
        #[command(flatten)]
        place: SnapshotPath,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// List the members as one node sees them.
    Ls,
    /// Print the state of every member, and then each change that one node sees, until interrupted.
    Watch {
        /// End after this time.
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
        duration: Option<Duration>,
    },
    /// Have a node give its peers what they lack, say goodbye and stop; needs a certificate with the role admin.
    ///
    /// It stays a member, and comes back when it is started again.
    Leave {
        /// Which node.
        name: String,
    },
}

/// Where snapshots lie.
#[derive(Debug, Args)]
pub(crate) struct SnapshotPath {
    /// The data directory of a node, or the wal/ in it, or one snapshot.
    #[arg(value_name = "DIR|FILE")]
    pub(crate) path: PathBuf,
}

/// Returns what to exit with when these arguments were refused so.
///
/// The tools for the files of a log have codes of their own, as their 2 says that something is damaged.
pub(crate) fn refusal(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let lenient = Cli::command().ignore_errors(true).try_get_matches_from(arguments);
    match lenient.ok().as_ref().and_then(|matches| matches.subcommand_name()) {
        _ if error.exit_code() == 0 => Exit::Log(Verdict::Clean),
        Some("wal" | "snapshot") => Exit::LogUsage,
        _ => Exit::Usage,
    }
}

const LOG_EXITS: &str = "Exit codes: 0 clean or done, 1 torn tail, 2 damaged, 3 unreadable, 64 asked wrongly";

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(COUNTERS.iter().chain(REGISTERS))
}

const COUNTERS: &[&str] = &["pn-counter", "g-counter"];
const REGISTERS: &[&str] = &["lww-register", "mv-register"];

#[cfg(test)]
pub(crate) mod tests;
