//! Whether the server that was dialled is a node of this cluster.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use crate::role::{PeerCertificate, Role, RoleError};

/// Accepts a server whose certificate is the authority's, meant for servers, and a node's of this cluster.
///
/// Host names decide nothing: nodes are dialled by whatever address gossip gives. The name in the certificate's
/// URI is checked where the caller knows whom it dials.
#[derive(Debug)]
pub(super) struct NodeVerifier {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    cluster: String,
    name: Option<String>,
}

impl NodeVerifier {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        roots: &Arc<RootCertStore>,
        cluster: &str,
        name: Option<&str>,
    ) -> Self {
        Self {
            provider: Arc::clone(provider),
            roots: Arc::clone(roots),
            cluster: cluster.to_owned(),
            name: name.map(str::to_owned),
        }
    }

    fn check_holder(&self, certificate: &CertificateDer<'_>) -> Result<(), WrongPeer> {
        let holder = PeerCertificate::from_der(certificate)?;
        if holder.cluster != self.cluster {
            return Err(WrongPeer::Cluster { theirs: holder.cluster, ours: self.cluster.clone() });
        }
        if holder.role != Role::Node {
            return Err(WrongPeer::NotANode { role: holder.role });
        }
        match &self.name {
            Some(expected) if *expected != holder.name => {
                Err(WrongPeer::Name { shown: holder.name, expected: expected.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        self.check_holder(end_entity).map_err(|wrong| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong))))
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a server with a valid certificate of the authority is not the one to talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongPeer {
    /// Its certificate names no role.
    #[error(transparent)]
    NoRole(#[from] RoleError),
    /// It belongs to another cluster.
    #[error("the server belongs to cluster {theirs}, this certificate to {ours}")]
    Cluster {
        /// Of the server.
        theirs: String,
        /// Of this process.
        ours: String,
    },
    /// It is no node.
    #[error("the server shows the certificate of a {role}, not of a node")]
    NotANode {
        /// What it is.
        role: Role,
    },
    /// It is another node than the one dialled.
    #[error("the server is node {shown}, not {expected}")]
    Name {
        /// In its certificate.
        shown: String,
        /// Whom the caller wanted.
        expected: String,
    },
}
