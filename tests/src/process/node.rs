//! One node: its configuration, its process, its log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::awaiting::await_until;
use super::binary::trellis_binary;
use super::command::Outcome;
use super::place::Place;
use super::ports::Ports;
use super::readiness::{Readiness, get};
use super::sighting::Sighting;

/// A node that can be started, hurt and looked at. Its process ends with it at the latest.
#[derive(Debug)]
pub struct Node {
    name: String,
    place: Place,
    ports: Ports,
    folder: PathBuf,
    /// Setting → TOML value; written to the configuration at each start.
    settings: BTreeMap<String, toml::Value>,
    process: Option<Child>,
    /// Where the log of the running or latest process begins.
    log_start: usize,
}

impl Node {
    pub(super) fn new(name: &str, place: Place, ports: Ports, folder: PathBuf) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            place,
            ports,
            folder,
            settings: BTreeMap::new(),
            process: None,
            log_start: 0,
        };
        node.set("name", name);
        node.set("data_dir", path_text(&node.data_dir()));
        node.set("client.listen", node.client_address());
        node.set("peer.listen", node.peer_address());
        node.set("status.listen", node.local(ports.status));
        node
    }

    /// Changes a setting, such as `wal.segment_bytes`, from the next start on.
    pub fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// Starts the process; `flags` follow `trellis serve -f FILE`.
    ///
    /// # Errors
    ///
    /// When it runs already or cannot be started. That it ends at once is no error here.
    pub fn start(&mut self, flags: &[&str]) -> Result<()> {
        ensure!(!self.is_running()?, "{} runs already", self.name);
        fs::create_dir_all(&self.folder)?;
        let config = self.folder.join("node.toml");
        fs::write(&config, self.config())?;
        self.log_start = self.whole_log().len();
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.place.command(trellis_binary()?);
        command.arg("serve").arg("-f").arg(config).args(flags);
        command
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.process = Some(command.spawn().context("a node cannot be started")?);
        Ok(())
    }

    /// Starts a node that must not run, and returns how it ended; `stderr` is its log.
    ///
    /// # Errors
    ///
    /// When it did not end by itself; it is killed.
    pub fn start_in_vain(&mut self, flags: &[&str]) -> Result<Outcome> {
        self.start(flags)?;
        let exit = self.await_exit();
        if exit.is_err() {
            self.kill()?;
        }
        Ok(Outcome { code: exit?.code(), stdout: String::new(), stderr: self.log() })
    }

    /// Ends the process with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("{} does not run", self.name))?;
        process
            .kill()
            .and_then(|()| process.wait())
            .with_context(|| format!("{} cannot be killed", self.name))?;
        Ok(())
    }

    /// Asks the process to stop, with SIGTERM, and returns at once.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Stops the process where it is, with SIGSTOP: its connections stay, and nobody is told.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a process that was paused go on, with SIGCONT.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn wake(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    ///
    /// When it still runs after 30 s.
    pub fn await_exit(&mut self) -> Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} was not started", self.name))?;
        let what = format!("{} ends", self.name);
        let (status, _) = await_until(&what, EXIT_PATIENCE, || Ok(process.try_wait()?))?;
        self.process = None;
        Ok(status)
    }

    /// Stops the process with SIGTERM, and holds it to its promise: exit code 0, and no panic on the way.
    ///
    /// # Errors
    ///
    /// When it does not run, or ends otherwise.
    pub fn stop(&mut self) -> Result<()> {
        self.terminate()?;
        self.confirm_stop()
    }

    pub(super) fn confirm_stop(&mut self) -> Result<()> {
        let status = self.await_exit()?;
        ensure!(
            status.success(),
            "{} ended with {:?}, signal {:?}; its log:\n{}",
            self.name,
            status.code(),
            status.signal(),
            self.log()
        );
        let log = self.whole_log();
        ensure!(!log.contains("panicked at"), "{} panicked; its log:\n{log}", self.name);
        Ok(())
    }

    /// Removes the data directory.
    ///
    /// # Errors
    ///
    /// When the node runs.
    pub fn wipe(&mut self) -> Result<()> {
        ensure!(!self.is_running()?, "{} runs: its data cannot be removed", self.name);
        fs::remove_dir_all(self.data_dir()).with_context(|| format!("{} has no data to remove", self.name))
    }

    /// Waits until the node takes reads and writes, and returns how long that took.
    ///
    /// # Errors
    ///
    /// When it ended, or is not ready after a minute: what it says instead, and its log.
    pub fn await_ready(&mut self) -> Result<Duration> {
        self.await_readiness("is ready", |readiness| *readiness == Readiness::Ready)
            .map(|(_, elapsed)| elapsed)
    }

    /// Waits until the status port says what is wanted, and returns that and how long it took.
    ///
    /// # Errors
    ///
    /// When the process ended, or a minute passed.
    pub fn await_readiness(
        &mut self,
        what: &str,
        mut is_wanted: impl FnMut(&Readiness) -> bool,
    ) -> Result<(Readiness, Duration)> {
        let event = format!("{} {what}", self.name);
        let mut last = Readiness::Silent("it was not asked".to_owned());
        let waited = await_until(&event, READY_PATIENCE, || {
            last = self.readiness();
            let is_over = is_wanted(&last) || !self.is_running()?;
            Ok(is_over.then(|| last.clone()))
        });
        match waited {
            Ok((readiness, elapsed)) if is_wanted(&readiness) => Ok((readiness, elapsed)),
            Ok(_) => bail!("the process ended before {event}; its log:\n{}", self.log()),
            Err(error) => {
                Err(error.context(format!("{} says {last:?}; its log:\n{}", self.name, self.log())))
            }
        }
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> Readiness {
        Readiness::ask(&self.place, self.ports.status)
    }

    /// The text at `path` of the status port.
    ///
    /// # Errors
    ///
    /// When nobody answers, or not with 200.
    pub fn page(&self, path: &str) -> Result<String> {
        let (code, body) = get(&self.place, self.ports.status, path)?;
        ensure!(code == 200, "{path} of {} answers {code}: {body}", self.name);
        Ok(body)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Where clients find it.
    pub fn client_address(&self) -> String {
        self.local(self.ports.client)
    }

    /// Where other nodes find it.
    pub fn peer_address(&self) -> String {
        self.local(self.ports.peer)
    }

    /// The directory of its identity and its log.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the running or latest process wrote to its log.
    pub fn log(&self) -> String {
        self.whole_log().get(self.log_start..).unwrap_or_default().to_owned()
    }

    /// How it saw the other members over the time of the running or latest process, from its log.
    pub fn sightings(&self) -> Vec<Sighting> {
        Sighting::all(&self.log())
    }

    /// Whether its process runs.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn whole_log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        ensure!(self.is_running()?, "{} does not run; its log:\n{}", self.name, self.log());
        let process = self.process.as_ref().expect("a node that runs has a process");
        let pid =
            i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("a process id is positive")?;
        kill_process(pid, signal).with_context(|| format!("{} cannot be signalled", self.name))
    }

    fn local(&self, port: u16) -> String {
        format!("{}:{port}", self.place.address)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Dotted keys, so that each setting is a line of its own.
    fn config(&self) -> String {
        self.settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub(super) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A node that stops gives its peers 10 s to take what they lack, and its clients some more to hear their answers.
const EXIT_PATIENCE: Duration = Duration::from_secs(30);
/// Enough for a first start on a busy machine.
const READY_PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_a_line_for_each_setting() {
        let ports = Ports { client: 1, peer: 2, status: 3 };
        let mut node = Node::new("n1", Place::here(), ports, PathBuf::from("/t/a \"b\""));
        node.set("seeds", vec!["127.0.0.1:4".to_owned()]);
        let config: toml::Table = node.config().parse().unwrap();
        assert_eq!(config["data_dir"].as_str(), Some("/t/a \"b\"/data"));
        assert_eq!(config["peer"]["listen"].as_str(), Some("127.0.0.1:2"));
        assert_eq!(config["seeds"][0].as_str(), Some("127.0.0.1:4"));
    }
}
