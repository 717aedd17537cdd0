//! `trellis certs`: the authority of a cluster, and what it signs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use humantime_serde::re::humantime;
use serde_json::{Value, json};
use trellis_rpc::{CertificateAuthority, CertsError, PeerCertificate, Role, TlsFiles, TlsReloader};

use crate::args::{self, ClientRole, Global};
use crate::context::Contexts;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Report, columns};
use crate::target::Target;

pub(crate) fn run(command: args::Certs, global: &Global) -> Result<Answer, Failure> {
    match command {
        args::Certs::Init { place, cluster } => init(&place.dir, cluster.as_deref()),
        args::Certs::Node { name, hosts, place } => {
            let authority = load(&place.dir)?;
            let issued = authority.issue_node(&name, &hosts).map_err(failed)?;
            issued.save(&place.dir).map_err(failed)?;
            Ok(made(issued.holder(), &place.dir))
        }
        args::Certs::Client { name, role, place } => {
            let authority = load(&place.dir)?;
            let issued = authority.issue_client(&name, role.into()).map_err(failed)?;
            issued.save(&place.dir).map_err(failed)?;
            Ok(made(issued.holder(), &place.dir))
        }
        args::Certs::Show { name: Some(name), place } => show(TlsFiles {
            ca: place.dir.join("ca.crt"),
            cert: place.dir.join(format!("{name}.crt")),
            key: place.dir.join(format!("{name}.key")),
        }),
        args::Certs::Show { name: None, .. } => {
            let Target { ca, cert, key, .. } = Target::resolve(global, Contexts::of_this_user)?;
            show(TlsFiles { ca, cert, key })
        }
    }
}

fn init(directory: &Path, cluster: Option<&str>) -> Result<Answer, Failure> {
    let authority = CertificateAuthority::create(cluster).map_err(failed)?;
    authority.save(directory).map_err(failed)?;
    let cluster = authority.cluster().to_owned();
    Ok(Answer::new(Authority {
        cluster,
        certificate: directory.join("ca.crt"),
        key: directory.join("ca.key"),
    }))
}

fn load(directory: &Path) -> Result<CertificateAuthority, Failure> {
    CertificateAuthority::load(directory)
        .map_err(|error| failed(error).hint(format!("trellis certs init --dir {}", directory.display())))
}

fn made(holder: &PeerCertificate, directory: &Path) -> Answer {
    let file = |suffix: &str| directory.join(format!("{}.{suffix}", holder.name));
    Answer::new(Certificate {
        holder: holder.clone(),
        certificate: file("crt"),
        key: file("key"),
        expires_at: None,
    })
}

fn show(files: TlsFiles) -> Result<Answer, Failure> {
    let tls = TlsReloader::load(files.clone()).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let expires_at = Some(tls.expires_at());
    Ok(Answer::new(Certificate { holder: tls.own(), certificate: files.cert, key: files.key, expires_at }))
}

fn failed(error: CertsError) -> Failure {
    let failure = Failure::of(Exit::Usage, &error);
    match error {
        CertsError::Exists { .. } => failure.hint("remove it first, or choose another --dir"),
        _ => failure,
    }
}

impl From<ClientRole> for Role {
    fn from(role: ClientRole) -> Self {
        match role {
            ClientRole::Client => Self::Client,
            ClientRole::Reader => Self::Reader,
            ClientRole::Admin => Self::Admin,
        }
    }
}

/// An authority that was made.
struct Authority {
    cluster: String,
    certificate: PathBuf,
    key: PathBuf,
}

impl Report for Authority {
    fn plain(&self) -> String {
        let Self { cluster, certificate, key } = self;
        format!(
            "cluster      {cluster}\ncertificate  {}\nkey          {}\n",
            certificate.display(),
            key.display()
        )
    }

    fn table(&self) -> String {
        let Self { cluster, certificate, key } = self;
        let row = [cluster.clone(), certificate.display().to_string(), key.display().to_string()];
        columns(["CLUSTER", "CERTIFICATE", "KEY"], [row])
    }

    fn json(&self) -> Value {
        json!({ "cluster": self.cluster, "certificate": self.certificate, "key": self.key })
    }
}

/// A certificate that was made or is shown.
struct Certificate {
    holder: PeerCertificate,
    certificate: PathBuf,
    key: PathBuf,
    /// Unknown when it was just made.
    expires_at: Option<SystemTime>,
}

impl Certificate {
    fn expires_at(&self) -> Option<String> {
        self.expires_at.map(|time| humantime::format_rfc3339_seconds(time).to_string())
    }
}

impl Report for Certificate {
    fn plain(&self) -> String {
        let Self { holder, certificate, key, .. } = self;
        let (certificate, key) = (certificate.display(), key.display());
        let expires = self.expires_at().map(|time| format!("expires      {time}\n")).unwrap_or_default();
        format!("holder       {holder}\ncertificate  {certificate}\nkey          {key}\n{expires}")
    }

    fn table(&self) -> String {
        let Self { holder, certificate, .. } = self;
        let row = [
            holder.cluster.clone(),
            holder.role.to_string(),
            holder.name.clone(),
            self.expires_at().unwrap_or_default(),
            certificate.display().to_string(),
        ];
        columns(["CLUSTER", "ROLE", "NAME", "EXPIRES", "CERTIFICATE"], [row])
    }

    fn json(&self) -> Value {
        let Self { holder, certificate, key, .. } = self;
        json!({
            "cluster": holder.cluster,
            "role": holder.role.word(),
            "name": holder.name,
            "uri": holder.to_string(),
            "certificate": certificate,
            "key": key,
            "expiresAt": self.expires_at(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CertsDir;

    #[test]
    fn what_is_made_is_shown_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let made = init(directory.path(), Some("dev")).unwrap();
        assert_eq!(made.json()["cluster"], "dev");
        let client = || args::Certs::Client {
            name: "ann".to_owned(),
            role: ClientRole::Reader,
            place: place(&directory),
        };
        let issued = run(client(), &args::tests::flags()).unwrap();
        assert_eq!(issued.json()["uri"], "trellis://dev/reader/ann");

        let show = args::Certs::Show { name: Some("ann".to_owned()), place: place(&directory) };
        let shown = run(show, &args::tests::flags()).unwrap().json();
        assert_eq!((&shown["role"], &shown["name"]), (&json!("reader"), &json!("ann")));
        assert!(shown["expiresAt"].is_string());

        for failure in
            [run(client(), &args::tests::flags()).unwrap_err(), init(directory.path(), None).unwrap_err()]
        {
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("exists already"), "{failure:?}");
        }
    }

    #[test]
    fn without_an_authority_the_next_step_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let node = args::Certs::Node { name: "n1".to_owned(), hosts: Vec::new(), place: place(&directory) };
        let failure = run(node, &args::tests::flags()).unwrap_err();
        assert!(failure.hint.is_some_and(|hint| hint.starts_with("trellis certs init --dir ")));
    }

    fn place(directory: &tempfile::TempDir) -> CertsDir {
        CertsDir { dir: directory.path().to_owned() }
    }
}
