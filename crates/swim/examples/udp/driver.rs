//! Starts processes, kills some, and waits for what all others say.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::Outcome;

/// `count` processes form a cluster, `killed` of them are killed and return.
pub(crate) fn drive(count: usize, killed: usize) -> Outcome {
    let mut cluster = Cluster::new(count)?;
    (0..count).try_for_each(|index| cluster.start(index))?;
    let took = cluster.await_all("know all", |said, cluster| said.up == cluster.running().len())?;
    println!("{count} processes know each other after {:.1} s", took.as_secs_f64());

    let victims: Vec<usize> = (0..killed).map(|step| (step * count / killed + 1) % count).collect();
    for victim in &victims {
        cluster.kill(*victim)?;
    }
    println!("killed with SIGKILL: {}", names(&victims));
    let took = cluster.await_all("know who is dead", |said, cluster| said.up == cluster.running().len())?;
    println!("the {} others know that they are dead after {:.1} s", count - killed, took.as_secs_f64());
    let dead: BTreeSet<String> = victims.iter().map(|victim| format!("n{victim}")).collect();
    for index in cluster.running() {
        if cluster.said[index].dead != dead {
            return Err(format!("n{index} called dead: {:?}, not {dead:?}", cluster.said[index].dead).into());
        }
    }
    println!("each of them called these dead and nobody else");

    victims.iter().try_for_each(|victim| cluster.start(*victim))?;
    let took = cluster.await_all("know all again", |said, cluster| said.up == cluster.running().len())?;
    println!("the killed are back: all {count} know each other after {:.1} s", took.as_secs_f64());
    for index in cluster.running() {
        if cluster.said[index].dead.len() > killed {
            return Err(format!("n{index} called others dead: {:?}", cluster.said[index].dead).into());
        }
    }
    Ok(())
}

/// Ends all processes when it goes.
struct Cluster {
    ports: Vec<u16>,
    processes: Vec<Option<Child>>,
    said: Vec<Said>,
    lines: Receiver<(usize, u64, String)>,
    sender: Sender<(usize, u64, String)>,
    started: u64,
}

/// What a process has said so far.
#[derive(Clone, Debug, Default)]
struct Said {
    /// Which of the processes of this member says so.
    start: u64,
    up: usize,
    dead: BTreeSet<String>,
}

impl Cluster {
    fn new(count: usize) -> Result<Self, Box<dyn std::error::Error>> {
        // All are bound at once, so that they differ, and free again before anybody is started.
        let sockets = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = sockets
            .iter()
            .map(|socket| Ok(socket.local_addr()?.port()))
            .collect::<Result<_, std::io::Error>>()?;
        let (sender, lines) = mpsc::channel();
        let processes = (0..count).map(|_| None).collect();
        Ok(Self { ports, processes, said: vec![Said::default(); count], lines, sender, started: 0 })
    }

    fn start(&mut self, index: usize) -> Outcome {
        let addr = |index: usize| format!("127.0.0.1:{}", self.ports[index]);
        let mut process = Command::new(std::env::current_exe()?)
            .args(["node", &format!("n{index}"), &addr(index), &addr(0), &addr(2 % self.ports.len())])
            .stdout(Stdio::piped())
            .spawn()?;
        self.started += 1;
        let (start, sender) = (self.started, self.sender.clone());
        let output = process.stdout.take().ok_or("a process without an output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send((index, start, line)).is_err() {
                    return;
                }
            }
        });
        self.said[index] = Said { start, ..Said::default() };
        self.processes[index] = Some(process);
        Ok(())
    }

    fn kill(&mut self, index: usize) -> Outcome {
        if let Some(mut process) = self.processes[index].take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    fn running(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|index| self.processes[*index].is_some()).collect()
    }

    /// Waits until all that run have said something that `holds`; returns how long that took.
    fn await_all(
        &mut self,
        what: &str,
        holds: impl Fn(&Said, &Self) -> bool,
    ) -> Result<Duration, Box<dyn std::error::Error>> {
        let began = Instant::now();
        loop {
            let running = self.running();
            if running.iter().all(|index| holds(&self.said[*index], self)) {
                return Ok(began.elapsed());
            }
            let left = PATIENCE.checked_sub(began.elapsed());
            match left.map(|left| self.lines.recv_timeout(left)) {
                Some(Ok((index, start, line))) => self.hear(index, start, &line),
                None | Some(Err(RecvTimeoutError::Timeout)) => {
                    let late = running.into_iter().filter(|index| !holds(&self.said[*index], self));
                    let late = names(&late.collect::<Vec<_>>());
                    return Err(format!("after {PATIENCE:?} these do not {what}: {late}").into());
                }
                Some(Err(RecvTimeoutError::Disconnected)) => return Err("all outputs are closed".into()),
            }
        }
    }

    fn hear(&mut self, index: usize, start: u64, line: &str) {
        let said = &mut self.said[index];
        if said.start != start {
            return;
        }
        match line.split_once(' ') {
            Some(("up", count)) => said.up = count.parse().unwrap_or(0),
            Some(("dead", name)) => drop(said.dead.insert(name.to_owned())),
            _ => println!("n{index} says: {line}"),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            // Nothing is left to do about one that has ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn names(indices: &[usize]) -> String {
    indices.iter().map(|index| format!("n{index}")).collect::<Vec<_>>().join(" ")
}

const PATIENCE: Duration = Duration::from_secs(60);
