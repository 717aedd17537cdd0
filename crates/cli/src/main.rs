//! `trellis`: run a node, use a cluster, look after it.
//!
//! Parses, calls, prints. What a node does is `trellis-node`'s business, what goes over the wire `trellis-rpc`'s.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, Global};
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Format};

mod args;
mod certs;
mod cluster;
mod connect;
mod context;
mod data;
mod exit;
mod member;
mod output;
mod serve;
mod snapshot;
mod target;
mod version;
mod wal;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let Cli { global, command } = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(refused) => {
            // Help goes to standard output and a refusal to the other; when that is closed nobody is left to tell.
            let _ = refused.print();
            return args::refusal(&refused, &arguments).into();
        }
    };
    let outcome = run(command, &global).and_then(|answer| {
        tell(answer.notes());
        match answer.print(global.output, &mut io::stdout().lock()) {
            Ok(()) => Ok(answer.exit_code()),
            Err(error) => Err(Failure::new(Exit::Internal, "the answer cannot be printed").cause(error)),
        }
    });
    outcome.unwrap_or_else(|failure| {
        let text = match global.output {
            Format::Json => format!("{:#}", failure.to_json()),
            Format::Plain | Format::Table => failure.to_text(),
        };
        tell(&[text]);
        failure.exit.into()
    })
}

fn run(command: Command, global: &Global) -> Result<Answer, Failure> {
    match command {
        Command::Serve(serve) => serve::run(serve),
        Command::Certs(certs) => certs::run(certs, global),
        Command::Context(context) => context::run(context, global),
        Command::Wal(wal) => wal::run(wal, global),
        Command::Snapshot(snapshot) => snapshot::run(snapshot, global),
        Command::Version => Ok(Answer::new(version::Version)),
        Command::Member(member) => member::run(member, global),
        Command::Status => connect::call(global, cluster::status),
        Command::Incr(increment) => data::increment(&increment, global),
        Command::Decr(decrement) => data::decrement(&decrement, global),
        Command::Get(get) => data::get(&get, global),
        Command::Set(set) => data::set(&set, global),
        Command::Del(del) => data::delete(&del, global),
        Command::Keys(keys) => data::keys(&keys, global),
    }
}

/// Writes to standard error; when that is closed there is nobody left to tell.
fn tell(lines: &[String]) {
    let mut stderr = io::stderr().lock();
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
}
