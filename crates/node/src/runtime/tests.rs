//! A whole node in this process: what it does when a part of it ends.

use tempfile::TempDir;
use trellis_rpc::CertificateAuthority;

use super::*;
use crate::config::{ListenConfig, StatusConfig, TlsConfig};

#[tokio::test]
async fn a_node_stops_for_a_defect_of_any_task_that_it_cannot_do_without() {
    type Break = fn(&mut Running);
    let parts: [(&str, Break); 4] = [
        ("drives", |node| node.driving = panicking(&node.driving)),
        ("snapshots", |node| node.duty = panicking(&node.duty)),
        ("clients", |node| node.servers[0] = panicking(&node.servers[0])),
        ("peers", |node| node.servers[1] = panicking(&node.servers[1])),
    ];
    for (part, end) in parts {
        let directory = tempfile::tempdir().unwrap();
        let mut node = start(&directory).await;
        end(&mut node);
        let reason = tokio::time::timeout(PATIENCE, node.defect()).await.expect("it is noticed");
        assert!(reason.contains(part), "{reason}");
        let stopped =
            tokio::time::timeout(PATIENCE, node.stop(PATIENCE)).await.expect("it stops all the same");
        assert!(matches!(stopped, Err(ServeError::Defect)), "{part}: {stopped:?}");
    }
}

#[tokio::test]
async fn a_defect_while_the_node_stops_is_told_as_well() {
    type Break = fn(&mut Running);
    let parts: [(&str, Break); 3] = [
        ("drives", |node| node.driving = panicking_at_the_drain(node)),
        ("clients", |node| node.servers[0] = panicking_at_the_drain(node)),
        ("peers", |node| node.servers[1] = panicking_at_the_drain(node)),
    ];
    for (part, end) in parts {
        let directory = tempfile::tempdir().unwrap();
        let mut node = start(&directory).await;
        end(&mut node);
        let stopped = tokio::time::timeout(PATIENCE, node.stop(PATIENCE)).await.expect("it stops");
        assert!(matches!(stopped, Err(ServeError::Defect)), "{part}: {stopped:?}");
    }
}

#[tokio::test]
async fn a_node_in_order_runs_until_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = start(&directory).await;
    let snapshots = node.snapshots.clone();
    tokio::select! {
        reason = node.defect() => panic!("{reason}"),
        taken = snapshots.take() => assert!(taken.is_ok(), "{taken:?}"),
    }
    let stopped = tokio::time::timeout(PATIENCE, node.stop(PATIENCE)).await.expect("it stops");
    assert!(stopped.is_ok(), "{stopped:?}");
}

/// A task that panics in the place of this one.
fn panicking<T: Send + 'static>(task: &JoinHandle<T>) -> JoinHandle<T> {
    task.abort();
    tokio::spawn(async { panic!("a defect of the test") })
}

/// A task that panics once nothing is written any more.
fn panicking_at_the_drain<T: Send + 'static>(node: &Running) -> JoinHandle<T> {
    let core = Arc::clone(&node.core);
    tokio::spawn(async move {
        while core.phase() == Phase::Serving {
            tokio::task::yield_now().await;
        }
        panic!("a defect of the test")
    })
}

/// A founder in this directory, on ports that are free.
async fn start(directory: &TempDir) -> Running {
    let file = |name: &str| directory.path().join(name);
    let authority = CertificateAuthority::create(Some("garden")).unwrap();
    authority.save(directory.path()).unwrap();
    authority.issue_node("n1", &[]).unwrap().save(directory.path()).unwrap();
    let any_port = || ListenConfig { listen: "127.0.0.1:0".to_owned(), advertise: None };
    let config = Config {
        name: "n1".to_owned(),
        data_dir: file("data"),
        client: any_port(),
        peer: any_port(),
        status: StatusConfig { listen: "127.0.0.1:0".to_owned() },
        tls: TlsConfig { ca: file("ca.crt"), cert: file("n1.crt"), key: file("n1.key") },
        ..Config::default()
    };
    Running::start(&config, false, &Board::default()).await.unwrap().expect("nobody cancels it")
}

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
