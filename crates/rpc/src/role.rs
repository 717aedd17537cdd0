//! Who the other side of a connection is, by the URI in its certificate, and what its role may call.

use std::fmt;
use std::str::FromStr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pb;

/// What a certificate says of its holder.
///
/// Its form in the certificate is the URI `trellis://CLUSTER/ROLE/NAME`, of which there must be exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The cluster that the holder belongs to.
    pub cluster: String,
    /// What the holder may do.
    pub role: Role,
    /// The holder's name: of a node its member id.
    pub name: String,
}

impl PeerCertificate {
    /// Reads a certificate in DER form. Its signature is not checked here.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or does not name exactly one role.
    pub fn from_der(der: &[u8]) -> Result<Self, RoleError> {
        let mut found = None;
        for uri in trellis_uris(der)? {
            if found.replace(uri.parse()?).is_some() {
                return Err(RoleError::Several);
            }
        }
        found.ok_or(RoleError::None)
    }
}

impl fmt::Display for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, self.role, self.name)
    }
}

impl FromStr for PeerCertificate {
    type Err = RoleError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let malformed = || RoleError::Malformed { uri: uri.to_owned() };
        let rest = uri.strip_prefix(SCHEME).ok_or_else(malformed)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [cluster, role, name] = parts.as_slice() else {
            return Err(malformed());
        };
        if !is_valid_name(cluster) || !is_valid_name(name) {
            return Err(malformed());
        }
        let role = Role::from_word(role).ok_or_else(malformed)?;
        Ok(Self { cluster: (*cluster).to_owned(), role, name: (*name).to_owned() })
    }
}

/// What the holder of a certificate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A member of the cluster: speaks to other nodes and to nobody else.
    Node,
    /// An application: reads and writes.
    Client,
    /// An application that only reads.
    Reader,
    /// An administrator: reads, writes, and changes the cluster.
    Admin,
}

impl Role {
    const ALL: [Self; 4] = [Self::Node, Self::Client, Self::Reader, Self::Admin];

    /// Returns the word for it in a certificate.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Client => "client",
            Self::Reader => "reader",
            Self::Admin => "admin",
        }
    }

    /// Returns the role with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a certificate names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// It is not a certificate, or a broken one.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It holds no trellis URI.
    #[error("the certificate names no role: it has no URI that begins with {SCHEME}")]
    None,
    /// It holds more than one trellis URI.
    #[error("the certificate names more than one role")]
    Several,
    /// Its URI is not of the form `trellis://CLUSTER/ROLE/NAME`.
    #[error("{uri} is not of the form {SCHEME}CLUSTER/ROLE/NAME")]
    Malformed {
        /// What it says.
        uri: String,
    },
}

/// What a service method asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) service: Service,
    pub(crate) time: CallTime,
    audience: Audience,
}

impl Method {
    /// Returns the method of an HTTP path, `None` for every path that is not in the table: what is not listed is
    /// denied.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let timed = |service, audience, time| Some(Self { service, time, audience });
        let streaming = |service, audience| timed(service, audience, CallTime::Unlimited);
        let unary = |service, audience| timed(service, audience, CallTime::Limited);
        match (service, method) {
            (
                pb::v1::client_service_server::SERVICE_NAME,
                "GetCounter" | "GetRegister" | "GetKey" | "ListKeys" | "GetClusterStatus",
            ) => unary(Service::Client, Audience::Readers),
            (pb::v1::client_service_server::SERVICE_NAME, "Increment" | "SetRegister" | "DeleteKey") => {
                unary(Service::Client, Audience::Writers)
            }
            (pb::v1::admin_service_server::SERVICE_NAME, "TakeSnapshot") => {
                timed(Service::Admin, Audience::Admins, CallTime::Callers)
            }
            (pb::v1::admin_service_server::SERVICE_NAME, "Leave") => unary(Service::Admin, Audience::Admins),
            (pb::peer::node_service_server::SERVICE_NAME, "Ping" | "Gossip") => {
                unary(Service::Node, Audience::Nodes)
            }
            (pb::peer::node_service_server::SERVICE_NAME, "PushDelta" | "SyncState") => {
                streaming(Service::Node, Audience::Nodes)
            }
            ("grpc.health.v1.Health", "Check") => unary(Service::Health, Audience::Anyone),
            ("grpc.health.v1.Health", "Watch") => streaming(Service::Health, Audience::Anyone),
            ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo") => {
                streaming(Service::ReflectionV1, Audience::Readers)
            }
            ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo") => {
                streaming(Service::ReflectionV1Alpha, Audience::Readers)
            }
            _ => None,
        }
    }

    pub(crate) fn allows(&self, role: Role) -> bool {
        self.audience.includes(role)
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallTime {
    /// What its caller gives it, and no more than the node does.
    Limited,
    /// What its caller gives it, and the node's limit if it names no time: it takes as long as there is data.
    Callers,
    /// It is a stream.
    Unlimited,
}

/// The services that a listener may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Client,
    Admin,
    Node,
    Health,
    ReflectionV1,
    ReflectionV1Alpha,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every role but that of a node.
    Readers,
    /// Who may change keys.
    Writers,
    /// Who may look after nodes.
    Admins,
    /// Other nodes.
    Nodes,
    /// Every role.
    Anyone,
}

impl Audience {
    pub(crate) fn includes(self, role: Role) -> bool {
        match self {
            Self::Readers => role != Role::Node,
            Self::Writers => matches!(role, Role::Client | Role::Admin),
            Self::Admins => role == Role::Admin,
            Self::Nodes => role == Role::Node,
            Self::Anyone => true,
        }
    }
}

/// Returns every URI of the trellis scheme among the alternative names of a certificate.
pub(crate) fn trellis_uris(der: &[u8]) -> Result<Vec<String>, RoleError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| RoleError::Unreadable)?;
    let names = certificate.subject_alternative_name().map_err(|_| RoleError::Unreadable)?;
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some((*uri).to_owned()),
        _ => None,
    });
    Ok(uris.collect())
}

/// Tells whether `name` can stand in a certificate's URI: 1 to 63 letters, digits, dots, dashes and underscores.
pub(crate) fn is_valid_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

pub(crate) const SCHEME: &str = "trellis://";
pub(crate) const NAME_BYTES_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_uri_reads_back_as_it_was_written() {
        for role in Role::ALL {
            let certificate = PeerCertificate { cluster: "garden-1".to_owned(), role, name: "n1".to_owned() };
            assert_eq!(certificate.to_string().parse(), Ok(certificate));
        }
    }

    #[test]
    fn other_uris_name_no_role() {
        for uri in [
            "trellis://garden",
            "trellis://garden/node",
            "trellis://garden/node/",
            "trellis:///node/n1",
            "trellis://garden/node/n1/x",
            "trellis://garden/king/n1",
            "trellis://garden/Node/n1",
            "trellis://garden/node/n 1",
            "https://garden/node/n1",
        ] {
            assert_eq!(uri.parse::<PeerCertificate>(), Err(RoleError::Malformed { uri: uri.to_owned() }));
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_unreadable() {
        assert_eq!(PeerCertificate::from_der(b"trellis"), Err(RoleError::Unreadable));
        assert_eq!(PeerCertificate::from_der(b""), Err(RoleError::Unreadable));
    }

    #[test]
    fn every_method_of_the_protocol_files_is_in_the_table() {
        for path in all_paths() {
            assert!(Method::of_path(&path).is_some(), "{path} has no rule");
        }
        assert_eq!(Method::of_path("/trellis.v1.ClientService/Drop"), None);
        assert_eq!(Method::of_path("/trellis.v1.AdminService/Drain"), None);
        assert_eq!(Method::of_path(""), None);
    }

    #[test]
    fn only_nodes_call_the_node_service_and_they_call_nothing_else() {
        for path in all_paths() {
            let method = Method::of_path(&path).unwrap();
            let is_peer = path.starts_with("/trellis.peer.");
            assert_eq!(method.allows(Role::Node), is_peer, "{path}");
            assert_eq!(method.allows(Role::Admin), !is_peer, "{path}");
            let is_admin = path.starts_with("/trellis.v1.AdminService/");
            assert_eq!(method.allows(Role::Client), !is_peer && !is_admin, "{path}");
            assert!(!is_admin || !method.allows(Role::Reader), "{path}");
        }
    }

    #[test]
    fn readers_call_what_only_reads() {
        let readable: Vec<String> = all_paths()
            .into_iter()
            .filter(|path| Method::of_path(path).unwrap().allows(Role::Reader))
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(readable, ["GetCounter", "GetRegister", "GetKey", "ListKeys", "GetClusterStatus"]);
    }

    fn all_paths() -> Vec<String> {
        let set = prost_types::FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap();
        let mut paths = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }
}
