//! Certificates of a cluster: one authority, and what it issues to nodes and clients.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::role::{self, PeerCertificate, Role, SCHEME};

/// The certificate authority of one cluster. Who holds its key decides who is a member.
///
/// Its certificate carries the cluster id as the URI `trellis://CLUSTER`, and is valid for ten years.
#[derive(Debug)]
pub struct CertificateAuthority {
    cluster: String,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// Makes an authority with a key of its own (ECDSA P-256) for `cluster`; `None` makes up an id that ends in
    /// random digits.
    ///
    /// # Errors
    ///
    /// When the id is not 1 to 63 letters, digits, dots, dashes and underscores.
    pub fn create(cluster: Option<&str>) -> Result<Self, CertsError> {
        let cluster = cluster.map_or_else(|| format!("trellis-{:08x}", rand::random::<u32>()), str::to_owned);
        check_name(&cluster)?;
        let mut params = params(&cluster, &format!("{cluster} certificate authority"), AUTHORITY_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(format!("{SCHEME}{cluster}"))?];
        let key = KeyPair::generate()?;
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { cluster, certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// Reads `ca.crt` and `ca.key` in `directory`.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or they are not an authority that [`create`](Self::create) made.
    pub fn load(directory: &Path) -> Result<Self, CertsError> {
        let path = directory.join(AUTHORITY_CERTIFICATE);
        let certificate_pem = read(&path)?;
        let key = KeyPair::from_pem(&read(&directory.join(AUTHORITY_KEY))?)?;
        let foreign = || CertsError::NotAnAuthority { path: path.clone() };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| foreign())?;
        let uris = role::trellis_uris(&der).map_err(|_| foreign())?;
        let [uri] = uris.as_slice() else {
            return Err(foreign());
        };
        let cluster =
            uri.strip_prefix(SCHEME).filter(|id| role::is_valid_name(id)).ok_or_else(foreign)?.to_owned();
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { cluster, certificate_pem, issuer })
    }

    /// Issues the certificate of a node, valid for a year, to serve and to call with.
    ///
    /// It is good for `localhost`, the loopback addresses and `hosts` (names or addresses): for clients that check
    /// host names. Nodes and this crate's client check the role, cluster and name in it, and dial by any address.
    ///
    /// # Errors
    ///
    /// When `name` or a host cannot stand in a certificate.
    pub fn issue_node(&self, name: &str, hosts: &[String]) -> Result<Issued, CertsError> {
        let mut alternatives = vec![
            dns("localhost")?,
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ];
        for host in hosts {
            let alternative = match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => dns(host)?,
            };
            if !alternatives.contains(&alternative) {
                alternatives.push(alternative);
            }
        }
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(name, Role::Node, alternatives, usages)
    }

    /// Issues a certificate for one who only calls, valid for a year.
    ///
    /// # Errors
    ///
    /// When `name` cannot stand in a certificate, or `role` is that of a node.
    pub fn issue_client(&self, name: &str, role: Role) -> Result<Issued, CertsError> {
        if role == Role::Node {
            return Err(CertsError::NodeRole);
        }
        self.issue(name, role, Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// Writes `ca.crt` and `ca.key` (readable by the owner only) into `directory`.
    ///
    /// # Errors
    ///
    /// When one of them exists already (it is left alone), or cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), CertsError> {
        let key = self.issuer.key().serialize_pem();
        create_both(
            (&directory.join(AUTHORITY_CERTIFICATE), &self.certificate_pem),
            (&directory.join(AUTHORITY_KEY), &key),
        )
    }

    /// Returns the cluster id.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns the certificate that everyone in the cluster trusts, in PEM form.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    fn issue(
        &self,
        name: &str,
        role: Role,
        mut alternatives: Vec<SanType>,
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<Issued, CertsError> {
        check_name(name)?;
        let holder = PeerCertificate { cluster: self.cluster.clone(), role, name: name.to_owned() };
        alternatives.push(uri(holder.to_string())?);
        let mut params = params(&self.cluster, name, LEAF_LIFETIME);
        params.subject_alt_names = alternatives;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { holder, certificate_pem, key_pem: key.serialize_pem() })
    }
}

/// A certificate and the key that belongs to it.
#[derive(Clone)]
pub struct Issued {
    holder: PeerCertificate,
    certificate_pem: String,
    key_pem: String,
}

impl Issued {
    /// Writes `NAME.crt` and `NAME.key` (readable by the owner only) into `directory`, which is made if it is not
    /// there.
    ///
    /// # Errors
    ///
    /// When one of them exists already (it is left alone), or cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), CertsError> {
        let (certificate, key) = self.paths(directory);
        create_both((&certificate, &self.certificate_pem), (&key, &self.key_pem))
    }

    /// Writes the same files as [`save`](Self::save) over those that are there, each by a rename.
    ///
    /// Who loads between the two renames finds a key that does not fit its certificate, and must try again.
    ///
    /// # Errors
    ///
    /// When one cannot be written; the other may have been.
    pub fn replace(&self, directory: &Path) -> Result<(), CertsError> {
        let (certificate, key) = self.paths(directory);
        for (path, content, mode) in
            [(&key, &self.key_pem, KEY_MODE), (&certificate, &self.certificate_pem, 0o644)]
        {
            let beside = path.with_extension("tmp");
            if let Err(source) = fs::remove_file(&beside)
                && source.kind() != io::ErrorKind::NotFound
            {
                return Err(CertsError::Write { path: beside, source });
            }
            create(&beside, content, mode)?;
            fs::rename(&beside, path).map_err(|source| CertsError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// Returns who it is for.
    pub fn holder(&self) -> &PeerCertificate {
        &self.holder
    }

    /// Returns the certificate in PEM form.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the key in PEM form.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    fn paths(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let name = &self.holder.name;
        (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")))
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// Why a certificate was not made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertsError {
    /// A cluster id or a name that cannot stand in a certificate's URI.
    #[error("{name:?} is not 1 to 63 letters, digits, dots, dashes and underscores")]
    InvalidName {
        /// What was asked for.
        name: String,
    },
    /// A host that is neither an address nor a name.
    #[error("{host:?} is neither a host name nor an address")]
    InvalidHost {
        /// What was asked for.
        host: String,
    },
    /// A node's certificate was asked for as a client's.
    #[error("the role of a node is not a client's")]
    NodeRole,
    /// The file would have been overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The file is no authority's certificate of this program.
    #[error("{} is not the certificate of a trellis authority", path.display())]
    NotAnAuthority {
        /// Which.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or certificate could not be made or understood.
    #[error("cannot make the certificate")]
    Encoding(#[from] rcgen::Error),
}

fn params(cluster: &str, name: &str, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, cluster);
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_TOLERANCE).into();
    params.not_after = (now + lifetime).into();
    params
}

fn check_name(name: &str) -> Result<(), CertsError> {
    if role::is_valid_name(name) { Ok(()) } else { Err(CertsError::InvalidName { name: name.to_owned() }) }
}

fn uri(text: String) -> Result<SanType, CertsError> {
    Ok(SanType::URI(text.try_into()?))
}

fn dns(host: &str) -> Result<SanType, CertsError> {
    let invalid = || CertsError::InvalidHost { host: host.to_owned() };
    rustls::pki_types::DnsName::try_from(host).map_err(|_| invalid())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| invalid())?))
}

fn read(path: &Path) -> Result<String, CertsError> {
    fs::read_to_string(path).map_err(|source| CertsError::Read { path: path.to_owned(), source })
}

fn create_both(certificate: (&Path, &str), key: (&Path, &str)) -> Result<(), CertsError> {
    for (path, _) in [certificate, key] {
        if path.exists() {
            return Err(CertsError::Exists { path: path.to_owned() });
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .map_err(|source| CertsError::Write { path: directory.to_owned(), source })?;
        }
    }
    create(key.0, key.1, KEY_MODE)?;
    create(certificate.0, certificate.1, 0o644)
}

/// Makes a file that must not be there yet; its mode is right before its first byte.
fn create(path: &Path, content: &str, mode: u32) -> Result<(), CertsError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => CertsError::Exists { path: path.to_owned() },
        _ => CertsError::Write { path: path.to_owned(), source },
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

const AUTHORITY_CERTIFICATE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const KEY_MODE: u32 = 0o600;
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);
const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Certificates are valid this long before they were made, for machines whose clocks are behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn an_issued_certificate_tells_cluster_role_and_name() {
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        let node = authority.issue_node("n1", &["db.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        assert_eq!(PeerCertificate::from_der(&der(node.certificate_pem())), Ok(node.holder().clone()));
        assert_eq!(node.holder().to_string(), "trellis://garden/node/n1");
        for role in [Role::Client, Role::Reader, Role::Admin] {
            let client = authority.issue_client("dev", role).unwrap();
            let read = PeerCertificate::from_der(&der(client.certificate_pem())).unwrap();
            assert_eq!(read, PeerCertificate { cluster: "garden".to_owned(), role, name: "dev".to_owned() });
        }
    }

    #[test]
    fn an_authority_reads_back_from_its_files_and_issues_for_the_same_cluster() {
        let directory = tempfile::tempdir().unwrap();
        let made = CertificateAuthority::create(None).unwrap();
        made.save(directory.path()).unwrap();
        let read = CertificateAuthority::load(directory.path()).unwrap();
        assert_eq!(read.cluster(), made.cluster());
        assert_eq!(read.certificate_pem(), made.certificate_pem());
        assert_eq!(read.issue_node("n1", &[]).unwrap().holder().cluster, made.cluster());
    }

    #[test]
    fn clusters_without_a_given_id_get_different_ones() {
        let one = CertificateAuthority::create(None).unwrap();
        let other = CertificateAuthority::create(None).unwrap();
        assert_ne!(one.cluster(), other.cluster());
    }

    #[test]
    fn files_are_never_overwritten_unless_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        let first = authority.issue_client("dev", Role::Client).unwrap();
        let second = authority.issue_client("dev", Role::Client).unwrap();
        first.save(directory.path()).unwrap();
        assert!(matches!(second.save(directory.path()), Err(CertsError::Exists { .. })));
        let path = directory.path().join("dev.crt");
        assert_eq!(fs::read_to_string(&path).unwrap(), first.certificate_pem());
        second.replace(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), second.certificate_pem());
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        authority.save(directory.path()).unwrap();
        let node = authority.issue_node("n1", &[]).unwrap();
        node.save(directory.path()).unwrap();
        node.replace(directory.path()).unwrap();
        for name in ["ca.key", "n1.key"] {
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn names_that_cannot_stand_in_a_uri_are_refused() {
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        for name in ["", "a/b", "n 1", "é", &"x".repeat(64)] {
            assert!(matches!(authority.issue_node(name, &[]), Err(CertsError::InvalidName { .. })), "{name}");
            assert!(matches!(CertificateAuthority::create(Some(name)), Err(CertsError::InvalidName { .. })));
        }
        let hosts = ["not a host".to_owned()];
        assert!(matches!(authority.issue_node("n1", &hosts), Err(CertsError::InvalidHost { .. })));
        assert!(matches!(authority.issue_client("n1", Role::Node), Err(CertsError::NodeRole)));
    }

    #[test]
    fn a_leaf_does_not_pass_for_an_authority() {
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        let node = authority.issue_node("n1", &[]).unwrap();
        fs::write(directory.path().join(AUTHORITY_CERTIFICATE), node.certificate_pem()).unwrap();
        fs::write(directory.path().join(AUTHORITY_KEY), node.key_pem()).unwrap();
        let loaded = CertificateAuthority::load(directory.path());
        assert!(matches!(loaded, Err(CertsError::NotAnAuthority { .. })));
    }
}
