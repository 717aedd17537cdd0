//! TLS in both directions: who may connect, whom to trust, and certificates that change while the node runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::role::{PeerCertificate, RoleError};

mod verifier;

use self::verifier::NodeVerifier;
pub use self::verifier::WrongPeer;

/// Where the PEM files of one holder are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the cluster's authority.
    pub ca: PathBuf,
    /// The holder's certificate, followed by what lies between it and the authority, if anything does.
    pub cert: PathBuf,
    /// The holder's private key.
    pub key: PathBuf,
}

/// The certificates that this process shows and trusts, to be loaded again without a restart.
///
/// Connections keep what they were made with; every later one uses what was loaded last. TLS 1.2 and 1.3 by ring;
/// sessions are never resumed, so that nobody gets in with a certificate that is no longer trusted.
#[derive(Debug)]
pub struct TlsReloader {
    files: TlsFiles,
    current: ArcSwap<Material>,
}

impl TlsReloader {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// When one cannot be read or understood, or the key is not that of the certificate, or the certificate names
    /// no role.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let material = Material::load(&files)?;
        Ok(Self { files, current: ArcSwap::from_pointee(material) })
    }

    /// Loads the files again for the connections to come.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and when the certificate is of another cluster, role or name; what was loaded
    /// before then stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let material = Material::load(&self.files)?;
        let own = self.own();
        if material.own != own {
            return Err(TlsError::AnotherHolder { loaded: material.own, current: own });
        }
        self.current.store(Arc::new(material));
        Ok(())
    }

    /// Returns who this process is.
    pub fn own(&self) -> PeerCertificate {
        self.current.load().own.clone()
    }

    /// Returns when the certificate in use becomes invalid.
    pub fn expires_at(&self) -> SystemTime {
        self.current.load().expires_at
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server)
    }

    /// Returns what to dial a node with; `name` is the one that it must show, if that is known.
    pub(crate) fn client_config(&self, name: Option<&str>) -> Arc<ClientConfig> {
        Arc::new(self.current.load().client(name))
    }
}

/// What was read from the files at one time.
#[derive(Debug)]
struct Material {
    own: PeerCertificate,
    expires_at: SystemTime,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    key: Arc<SingleCertAndKey>,
    server: Arc<ServerConfig>,
}

impl Material {
    fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(&files.ca)? {
            roots.add(certificate).map_err(|source| TlsError::Config { source })?;
        }
        let chain = read_certificates(&files.cert)?;
        let [leaf, ..] = chain.as_slice() else {
            return Err(TlsError::NoCertificate { path: files.cert.clone() });
        };
        let own = PeerCertificate::from_der(leaf)
            .map_err(|source| TlsError::Role { path: files.cert.clone(), source })?;
        let expires_at = expiry(leaf).ok_or_else(|| TlsError::NoCertificate { path: files.cert.clone() })?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|source| TlsError::Read { path: files.key.clone(), source })?;
        let key =
            CertifiedKey::from_der(chain, key, &provider).map_err(|source| TlsError::Config { source })?;
        let key = Arc::new(SingleCertAndKey::from(key));
        let roots = Arc::new(roots);
        let server = server_config(&provider, &roots, &key)?;
        Ok(Self { own, expires_at, provider, roots, key, server: Arc::new(server) })
    }

    fn client(&self, name: Option<&str>) -> ClientConfig {
        let verifier = NodeVerifier::new(&self.provider, &self.roots, &self.own.cluster, name);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .expect("ring serves the default protocol versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&self.key) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// The holder's certificate names no role.
    #[error("{} is of no use here", path.display())]
    Role {
        /// Which.
        path: PathBuf,
        /// Why.
        source: RoleError,
    },
    /// Key, certificate and authority do not fit.
    #[error("key, certificate and authority do not fit")]
    Config {
        /// Why.
        source: rustls::Error,
    },
    /// The files hold somebody else's certificate.
    #[error("the certificate is of {loaded}, this process runs as {current}")]
    AnotherHolder {
        /// In the file.
        loaded: PeerCertificate,
        /// In use.
        current: PeerCertificate,
    },
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let certificates = certificates.map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn expiry(leaf: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Every caller must show a certificate of the authority; its role is checked on each call.
fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    key: &Arc<SingleCertAndKey>,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Config { source: rustls::Error::General(error.to_string()) })?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Config { source })?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(key) as _);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

const ALPN: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::certs::CertificateAuthority;
    use crate::role::Role;

    #[test]
    fn reloading_takes_a_renewed_certificate_and_keeps_the_old_on_failure() {
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(Some("garden")).unwrap();
        authority.save(directory.path()).unwrap();
        authority.issue_node("n1", &[]).unwrap().save(directory.path()).unwrap();
        let file = |name: &str| directory.path().join(name);
        let files = TlsFiles { ca: file("ca.crt"), cert: file("n1.crt"), key: file("n1.key") };
        let tls = TlsReloader::load(files).unwrap();
        let first = tls.server_config();
        assert!(tls.expires_at() > SystemTime::now());

        authority.issue_node("n1", &[]).unwrap().replace(directory.path()).unwrap();
        tls.reload().unwrap();
        let second = tls.server_config();
        assert!(!Arc::ptr_eq(&first, &second));

        fs::write(file("n1.key"), authority.issue_client("x", Role::Client).unwrap().key_pem()).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Config { .. })));
        fs::write(file("n1.key"), "").unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
        let other = authority.issue_node("n2", &[]).unwrap();
        fs::write(file("n1.crt"), other.certificate_pem()).unwrap();
        fs::write(file("n1.key"), other.key_pem()).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::AnotherHolder { .. })));
        assert!(Arc::ptr_eq(&second, &tls.server_config()));
    }

    #[test]
    fn files_that_are_missing_or_empty_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let files = TlsFiles { ca: file("ca.crt"), cert: file("n1.crt"), key: file("n1.key") };
        let missing = TlsReloader::load(files.clone()).unwrap_err();
        assert!(matches!(missing, TlsError::Read { path, .. } if path == files.ca));
        fs::write(&files.ca, "").unwrap();
        let empty = TlsReloader::load(files.clone()).unwrap_err();
        assert!(matches!(empty, TlsError::NoCertificate { path } if path == files.ca));
    }
}
