//! What trellis-swim does beside foca and chitchat: the same histories in the same simulated network.
//!
//! Every kind of cluster goes through the same crashes, cuts and starts of the same seeds. The network is the one of
//! trellis-swim's own tests: one-way delays of 0.5 to 1.5 ms, and each message is lost for itself. Exchanges of state
//! between members of ours travel over a stream that repeats what is lost, as their host is told to do it; the others
//! send datagrams only.

#[path = "../../../crates/swim/tests/simulation/agenda.rs"]
mod agenda;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/name.rs"]
mod name;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/network.rs"]
mod network;
#[path = "../../../crates/swim/tests/simulation/node.rs"]
mod node;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/record.rs"]
mod record;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/tap.rs"]
mod tap;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../../crates/swim/tests/simulation/view.rs"]
mod view;

#[path = "../../yardsticks/src/machine.rs"]
mod machine;

mod bootstrap;
mod contender;
mod contenders;
mod crash;
mod partition;
mod quiet;
mod table;

use std::time::Instant;

use clap::Parser;

use crate::contender::Kind;
use crate::contenders::KINDS;
use crate::machine::Watch;
use crate::table::{Row, Scale, print_header, print_row};

/// Measures trellis-swim, foca and chitchat in one simulation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench swim", max_term_width = 100)]
struct Cli {
    /// More runs, and clusters of 1,000 members. Most of the time is chitchat's.
    #[arg(long)]
    full: bool,
    /// One table only.
    #[arg(long, value_name = "TABLE", value_parser = ["crash", "quiet", "partition", "bootstrap"])]
    only: Option<String>,
    /// Clusters of this size only.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    sizes: Option<Vec<usize>>,
    /// Contenders beside trellis-swim, by words that their names contain; all without it.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    against: Option<Vec<String>>,
}

fn main() {
    let cli = Cli::parse();
    let watch = Watch::start();
    println!("configured to:");
    for kind in cli.kinds() {
        println!("- {}: {}", kind.name, kind.settings);
    }
    cli.table("crash", "One member crashes", crash::HEADER, crash::cells, crash::measure);
    cli.table("quiet", "Nothing happens, per member", quiet::HEADER, quiet::cells, quiet::measure);
    let (header, cells) = (partition::HEADER, partition::cells);
    cli.table("partition", "Halves that were cut", header, cells, partition::measure);
    let (header, cells) = (bootstrap::HEADER, bootstrap::cells);
    cli.table("bootstrap", "All start within one second", header, cells, bootstrap::measure);
    println!("\n{}", watch.tell());
}

impl Cli {
    fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        let is_chosen = |kind: &&Kind| {
            let is_named = |words: &Vec<String>| words.iter().any(|word| kind.name.contains(word));
            kind.name.starts_with("trellis-swim") || self.against.as_ref().is_none_or(is_named)
        };
        KINDS.iter().filter(is_chosen)
    }

    fn table<C: Cell>(
        &self,
        name: &str,
        title: &str,
        header: &[&str],
        cells: fn(Scale) -> &'static [C],
        measure: fn(&Kind, C) -> Row,
    ) {
        if self.only.as_deref().is_some_and(|only| only != name) {
            return;
        }
        print_header(title, header);
        for cell in cells(if self.full { Scale::Full } else { Scale::Quick }) {
            if self.sizes.as_ref().is_some_and(|sizes| !sizes.contains(&cell.count())) {
                continue;
            }
            for kind in self.kinds().filter(|kind| cell.count() <= kind.size_max) {
                let began = Instant::now();
                print_row(&measure(kind, *cell));
                let taken = began.elapsed().as_secs_f64();
                eprintln!("{name} of {} x {}: {taken:.1} s", cell.count(), kind.name);
            }
        }
    }
}

/// One line of a table but for the contender; the first number is that of the members.
trait Cell: Copy + 'static {
    fn count(&self) -> usize;
}

impl<T: Copy + 'static> Cell for (usize, T, u64) {
    fn count(&self) -> usize {
        self.0
    }
}
