//! A real cluster of processes over UDP on the loopback interface.
//!
//! ```text
//! cargo run --release -p trellis-swim --example udp                    # 32 processes, ten are killed and return
//! cargo run --release -p trellis-swim --example udp -- drive 8 2       # 8 processes, two are killed
//! cargo run --release -p trellis-swim --example udp -- node n1 127.0.0.1:7501 127.0.0.1:7500
//! ```
//!
//! The driver starts the processes, waits until each says that it knows all, kills some with SIGKILL, waits until all
//! others say so, starts them again, and waits until each knows all again. It ends all that it started.

mod driver;
mod node;
mod packet;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] => driver::drive(32, 10),
        ["drive", count, killed] => match (count.parse(), killed.parse()) {
            (Ok(count), Ok(killed)) if killed < count => driver::drive(count, killed),
            _ => Err("drive takes two numbers, the second smaller than the first".into()),
        },
        ["node", name, addr, seeds @ ..] => node::run(name, addr, seeds),
        _ => Err("usage: udp [drive COUNT KILLED | node NAME ADDR SEED...]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;
