//! The steps of a start that can fail, in their order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpListener;
use trellis_crdt::ReplicaId;
use trellis_replication::{FoundingId, Identity, NodeId, Owner, Ping};
use trellis_rpc::{DialConfig, PeerClient, Role, TlsFiles, TlsReloader};
use trellis_storage::Config as StorageConfig;
use trellis_wal::{FileDisk, Log, OpenSeed, Records, RecoveryReport, SnapshotReader, Snapshots, Syncer};

use super::data_dir::DataDir;
use super::error::ServeError;
use super::startup::{Progress, Stage, Startup};
use super::{clock, report, settings};
use crate::Config;
use crate::core::{Core, Recovery, Settings};

/// Loads the certificates and holds them against the configuration.
pub(crate) fn load_certificates(config: &Config) -> Result<TlsReloader, ServeError> {
    let files =
        TlsFiles { ca: config.tls.ca.clone(), cert: config.tls.cert.clone(), key: config.tls.key.clone() };
    let tls = TlsReloader::load(files).map_err(ServeError::Certificates)?;
    let own = tls.own();
    if own.role != Role::Node || own.name != config.name {
        return Err(ServeError::WrongCertificate { certificate: own.to_string(), name: config.name.clone() });
    }
    Ok(tls)
}

/// The three sockets of a node; a port that is taken is an error.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) client: TcpListener,
    pub(crate) peer: TcpListener,
    pub(crate) status: TcpListener,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            client: bind("clients", config.client.bind_address()).await?,
            peer: bind("peers", config.peer.bind_address()).await?,
            status: bind("the status page", config.status.bind_address()).await?,
        })
    }
}

async fn bind(what: &'static str, address: String) -> Result<TcpListener, ServeError> {
    match TcpListener::bind(&address).await {
        Ok(listener) => Ok(listener),
        Err(source) => Err(ServeError::Listen { what, address, source }),
    }
}

/// A log that was read to its end, behind the snapshot it was read from.
#[derive(Debug)]
pub(crate) struct OpenedLog {
    pub(crate) recovery: Recovery,
    node: NodeId,
    path: PathBuf,
    log: Log,
    syncer: Syncer<FileDisk>,
    snapshots: Snapshots<FileDisk>,
    report: RecoveryReport,
    /// When the snapshot was.
    written: Option<SystemTime>,
    /// Of records, without their headers.
    replayed_bytes: u64,
}

/// Opens the data directory, restores the newest snapshot in it and replays the log behind that. Blocks on the disk.
///
/// Returns `None` if the start was cancelled meanwhile.
pub(crate) fn open_log(
    config: &Config,
    cluster: &str,
    startup: &Startup,
) -> Result<Option<OpenedLog>, ServeError> {
    let fresh = NodeId::from_u64(random()?);
    let directory = DataDir::open(&config.data_dir, cluster, &config.name, fresh)?;
    let path = directory.wal();
    let disk = FileDisk::new(path.clone())
        .map_err(|source| ServeError::FirstWrite { path: path.clone(), detail: source.to_string() })?;
    let mut log_uuid = [0; 16];
    log_uuid[..8].copy_from_slice(&random()?.to_le_bytes());
    log_uuid[8..].copy_from_slice(&random()?.to_le_bytes());
    let seed = OpenSeed { log_uuid, salt: random()? };
    let started = Instant::now();
    let recovered = trellis_wal::recover(disk, settings::wal(config), seed, |progress| {
        startup.on_progress(progress.into());
    })
    .map_err(|source| ServeError::Log { path: path.clone(), source: Box::new(source) })?;
    let mut recovery = Recovery::new(config.shards, cluster, &StorageConfig::default());
    if let Some(snapshot) = recovered.snapshot
        && !restore(&mut recovery, snapshot, &path, startup)?
    {
        return Ok(None);
    }
    let trellis_wal::Opened { log, syncer, mut records, report } = recovered.opened;
    let Some(replayed_bytes) = replay(&mut recovery, &mut records, &path, startup)? else {
        return Ok(None);
    };
    report::recovered(&report, recovery.snapshot_taken(), started.elapsed());
    let (node, snapshots) = (directory.node, recovered.snapshots);
    let written = report.snapshot.as_ref().and_then(|info| written(&path.join(&info.name)));
    Ok(Some(OpenedLog { recovery, node, path, log, syncer, snapshots, report, written, replayed_bytes }))
}

/// Returns when a file was written.
fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// Returns whether it came to the end.
fn restore(
    recovery: &mut Recovery,
    mut snapshot: SnapshotReader<FileDisk>,
    path: &Path,
    startup: &Startup,
) -> Result<bool, ServeError> {
    let file = path.join(&snapshot.info().name);
    let (mut bytes_done, bytes_total) = (0, snapshot.info().payload_bytes);
    let unreadable = |source| ServeError::Snapshot { path: file.clone(), source };
    while let Some(chunk) = snapshot.next_chunk().map_err(unreadable)? {
        startup.on_progress(Progress { stage: Stage::Restore, bytes_done, bytes_total });
        if startup.is_cancelled() {
            return Ok(false);
        }
        bytes_done += chunk.len() as u64;
        recovery.restore(chunk).map_err(|source| ServeError::Restore { path: file.clone(), source })?;
    }
    Ok(true)
}

/// Returns the bytes of all records, without their headers; `None` if it was cancelled.
fn replay(
    recovery: &mut Recovery,
    records: &mut Records<FileDisk>,
    path: &Path,
    startup: &Startup,
) -> Result<Option<u64>, ServeError> {
    let mut replayed_bytes = 0;
    for count in 0_u64.. {
        if count.is_multiple_of(RECORDS_BETWEEN_LOOKS) {
            startup.on_progress(records.progress().into());
            if startup.is_cancelled() {
                return Ok(None);
            }
        }
        let Some(record) = records.next_record() else { break };
        let failed = |source| ServeError::Log { path: path.to_owned(), source: Box::new(source) };
        let (lsn, bytes) = record.map_err(failed)?;
        replayed_bytes += bytes.len() as u64;
        recovery.replay(lsn, bytes).map_err(|source| ServeError::Replay { path: path.to_owned(), source })?;
    }
    Ok(Some(replayed_bytes))
}

/// Decides whether an empty data directory founds a cluster, and draws its founding id.
pub(crate) async fn founding(
    config: &Config,
    found: bool,
    is_fresh: bool,
    tls: &TlsReloader,
) -> Result<Option<FoundingId>, ServeError> {
    if !is_fresh || !(found || config.seeds.is_empty()) {
        return Ok(None);
    }
    for seed in &config.seeds {
        let dial = DialConfig { connect_timeout: SEED_PATIENCE, ..DialConfig::default() };
        let Ok(client) = PeerClient::dial(seed, None, tls, &dial).await else { continue };
        if let Ok(pong) = client.ping(Ping::default(), SEED_PATIENCE).await
            && client.name() != config.name
            && pong.founding.is_some()
        {
            return Err(ServeError::SeedAnswers { seed: seed.clone(), name: client.name().to_owned() });
        }
    }
    Ok(Some(FoundingId::from_u64(random()?)))
}

/// What runs from here on.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) core: Core,
    pub(crate) syncer: Syncer<FileDisk>,
    pub(crate) snapshots: Snapshots<FileDisk>,
    pub(crate) report: RecoveryReport,
    pub(crate) written: Option<SystemTime>,
    pub(crate) replayed_bytes: u64,
}

/// Mints this process's replica, logs and syncs it before anything else, and makes the core.
pub(crate) fn start_core(
    config: &Config,
    cluster: &str,
    opened: OpenedLog,
    founding: Option<FoundingId>,
) -> Result<Started, ServeError> {
    let OpenedLog { mut recovery, node, path, log, mut syncer, snapshots, report, written, replayed_bytes } =
        opened;
    let now = clock::now();
    let replica = ReplicaId::from_u64(random()?);
    let epoch = recovery.epoch(node).saturating_add(1).max(now.wall_millis);
    let unwritten = |detail: String| ServeError::FirstWrite { path: path.clone(), detail };
    for record in recovery.start(&config.name, replica, Owner { node, epoch }, founding) {
        log.enqueue(&record.encode()).map_err(|error| unwritten(error.to_string()))?;
    }
    syncer.sync_once().map_err(|error| unwritten(error.to_string()))?;
    let local = Identity { name: config.name.clone(), node, replica, epoch, boot_nonce: random()?.max(1) };
    tracing::info!(%node, %replica, epoch, "identity");
    let settings = Settings {
        cluster: cluster.to_owned(),
        local,
        peer_address: config.peer.advertised().to_owned(),
        client_address: config.client.advertised().to_owned(),
        seeds: config.seeds.clone(),
        replication: settings::replication(config),
        swim: settings::swim(config),
        gossip_interval: config.replication.gossip_interval,
        gossip_fanout: config.replication.gossip_fanout,
        clock_skew_max: config.limits.clock_skew,
        seed: random()?,
    };
    let core = Core::new(settings, recovery.finish(), log, now)?;
    Ok(Started { core, syncer, snapshots, report, written, replayed_bytes })
}

fn random() -> Result<u64, ServeError> {
    clock::random().map_err(ServeError::Random)
}

/// Records replayed between two looks at whether the start is still wanted.
const RECORDS_BETWEEN_LOOKS: u64 = 1024;
/// How long a seed may take to be connected to, which is two round trips, and to show that there is a cluster already: on
/// the slowest network that membership has settings for a second cluster must not be founded either.
const SEED_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_is_given_up_ends_at_its_next_look_and_lets_go_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { name: "n1".into(), data_dir: folder.path().join("data"), ..Config::default() };
        let cancelled = Startup::default();
        cancelled.cancel();
        assert!(open_log(&config, "garden", &cancelled).unwrap().is_none());
        let opened = open_log(&config, "garden", &Startup::default()).unwrap().unwrap();
        assert!(opened.recovery.is_fresh());
        let locked = open_log(&config, "garden", &Startup::default()).unwrap_err();
        assert!(locked.hint().is_some_and(|hint| hint.contains("another process")), "{locked}");
    }

    #[test]
    fn a_snapshot_that_makes_no_sense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { name: "n1".into(), data_dir: folder.path().join("data"), ..Config::default() };
        let opened = open_log(&config, "garden", &Startup::default()).unwrap().unwrap();
        let mut writer = opened.snapshots.begin(opened.log.durable()).unwrap();
        writer.append_chunk(b"nonsense").unwrap();
        let name = writer.finish(&opened.log, opened.log.durable()).unwrap().name;
        drop(opened);
        let startup = Startup::default();
        let refused = open_log(&config, "garden", &startup).unwrap_err();
        assert!(matches!(&refused, ServeError::Restore { path, .. } if path.ends_with(&name)), "{refused}");
        assert_eq!(startup.to_string(), "restoring the snapshot: 0 % of 1 MiB");
        startup.cancel();
        let given_up = open_log(&config, "garden", &startup).unwrap();
        assert!(given_up.is_none(), "whoever stops meanwhile does not wait for the restoration");
    }
}
