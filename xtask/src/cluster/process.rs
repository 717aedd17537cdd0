//! The process of a node: started apart from the terminal, recognized before it is signalled.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};

use super::layout::{Cluster, Layout, Node};

/// Starts a node in a process group of its own, so that Ctrl-C reaches it by way of this program only, and returns its
/// process id.
pub(super) fn spawn(layout: &Layout, cluster: &Cluster, node: &Node, is_founder: bool) -> Result<u32> {
    let log_path = layout.log(&node.name);
    let open = || -> io::Result<(File, File)> {
        let log = File::options().create(true).append(true).open(&log_path)?;
        Ok((log.try_clone()?, log))
    };
    let (out, err) = open().with_context(|| format!("{} cannot be opened", log_path.display()))?;
    let mut command = Command::new(&cluster.binary);
    command.arg("serve").arg("-f").arg(layout.config(&node.name));
    if is_founder {
        command.arg("--found");
    }
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let child = command.spawn().with_context(|| format!("{} cannot be started", cluster.binary.display()))?;
    let pid_path = layout.pid(&node.name);
    fs::write(&pid_path, format!("{}\n", child.id()))
        .with_context(|| format!("{} cannot be written", pid_path.display()))?;
    await_recognized(layout, cluster, node, child.id());
    Ok(child.id())
}

/// Waits until a process that has just been started shows its program and its arguments, which takes a moment: until
/// then it would be taken for one that has ended. Returns at once if it has.
fn await_recognized(layout: &Layout, cluster: &Cluster, node: &Node, pid: u32) {
    let deadline = Instant::now() + RECOGNIZED_MAX;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    while find(layout, cluster, node).is_none()
        && pid.is_some_and(|pid| test_kill_process(pid).is_ok())
        && Instant::now() < deadline
    {
        thread::sleep(POLL_INTERVAL);
    }
}

/// The process id of a node that runs.
pub(super) fn running(layout: &Layout, cluster: &Cluster, node: &Node) -> Option<u32> {
    find(layout, cluster, node).map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
}

/// How a node came to an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It drained and ended by itself.
    Gracefully,
    /// It was killed after [`STOP_MAX`].
    ByForce,
    /// It did not run.
    Before,
}

/// Asks a node to stop and waits for it.
pub(super) fn stop(layout: &Layout, cluster: &Cluster, node: &Node) -> Result<Stopped> {
    let Some(pid) = find(layout, cluster, node) else { return Ok(Stopped::Before) };
    signal(pid, Signal::TERM, node)?;
    if await_end(layout, cluster, node, STOP_MAX) {
        return Ok(Stopped::Gracefully);
    }
    kill(layout, cluster, node)?;
    Ok(Stopped::ByForce)
}

/// Kills a node and waits until it is gone. Returns whether it ran.
pub(super) fn kill(layout: &Layout, cluster: &Cluster, node: &Node) -> Result<bool> {
    let Some(pid) = find(layout, cluster, node) else { return Ok(false) };
    signal(pid, Signal::KILL, node)?;
    ensure!(await_end(layout, cluster, node, STOP_MAX), "{} is still there after SIGKILL", node.name);
    Ok(true)
}

fn signal(pid: Pid, signal: Signal, node: &Node) -> Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be signalled", node.name)),
    }
}

fn await_end(layout: &Layout, cluster: &Cluster, node: &Node, max: Duration) -> bool {
    let deadline = Instant::now() + max;
    while find(layout, cluster, node).is_some() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

fn find(layout: &Layout, cluster: &Cluster, node: &Node) -> Option<Pid> {
    let pid = fs::read_to_string(layout.pid(&node.name)).ok()?.trim().parse().ok().and_then(Pid::from_raw)?;
    // A child that has ended stays in the table of processes until its parent asks; for the child of someone else
    // this call fails and changes nothing.
    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    is_node(pid, &cluster.binary, &layout.config(&node.name)).then_some(pid)
}

/// Whether this process runs this program with this configuration: process ids are used again.
fn is_node(pid: Pid, binary: &Path, config: &Path) -> bool {
    let process = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    if !Path::new("/proc/self").exists() {
        return test_kill_process(pid).is_ok();
    }
    let (Ok(program), Ok(arguments)) =
        (fs::read_link(process.join("exe")), fs::read(process.join("cmdline")))
    else {
        return false;
    };
    // A program that was built again while it runs shows with this mark.
    let program = program.to_string_lossy();
    let program = program.strip_suffix(" (deleted)").unwrap_or(&program);
    let config = config.as_os_str().as_encoded_bytes();
    Path::new(program) == binary && arguments.split(|byte| *byte == 0).any(|argument| argument == config)
}

/// Many times what a process takes to show its arguments.
const RECOGNIZED_MAX: Duration = Duration::from_secs(1);
/// A node drains for 10 s at most.
const STOP_MAX: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_process_is_a_node_only_by_its_program_and_its_configuration() {
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        let program = std::env::current_exe().unwrap();
        let argument = PathBuf::from(std::env::args_os().next().unwrap());
        assert!(is_node(own, &program, &argument));
        assert!(!is_node(own, &program, Path::new("/other/node.toml")));
        assert!(!is_node(own, Path::new("/bin/true"), &argument));
    }

    #[test]
    fn a_process_id_that_belongs_to_someone_else_is_never_signalled() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(directory.path())).unwrap();
        let node = Node { name: "n1".to_owned(), client: 1, peer: 2, status: 3 };
        let cluster =
            Cluster { binary: PathBuf::from("/bin/trellis"), is_founded: true, nodes: vec![node.clone()] };
        fs::create_dir_all(layout.node("n1")).unwrap();
        fs::write(layout.pid("n1"), std::process::id().to_string()).unwrap();
        assert_eq!(running(&layout, &cluster, &node), None);
        assert!(!kill(&layout, &cluster, &node).unwrap());
        assert_eq!(stop(&layout, &cluster, &node).unwrap(), Stopped::Before);
    }
}
