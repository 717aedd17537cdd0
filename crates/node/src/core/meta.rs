//! What a node attaches to its SWIM membership.

use trellis_crdt::ReplicaId;
use trellis_crdt::codec::{Decode, DecodeError, Encode, Reader, write_bytes};
use trellis_replication::NodeId;

/// The metadata of a member: who the process behind the name is, and where clients reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMeta {
    /// The data directory.
    pub node: NodeId,
    /// The actor of its dots.
    pub replica: ReplicaId,
    /// The boot.
    pub boot_nonce: u64,
    /// True until it has adopted every slot.
    pub is_guest: bool,
    /// Host and port for clients.
    pub client_address: String,
}

impl Default for NodeMeta {
    fn default() -> Self {
        Self {
            node: NodeId::from_u64(0),
            replica: ReplicaId::from_u64(0),
            boot_nonce: 0,
            is_guest: false,
            client_address: String::new(),
        }
    }
}

impl NodeMeta {
    /// Encodes it: 26 bytes and the address.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.is_guest)];
        out.extend_from_slice(&self.node.as_u64().to_le_bytes());
        self.replica.encode(&mut out);
        out.extend_from_slice(&self.boot_nonce.to_le_bytes());
        write_bytes(&mut out, self.client_address.as_bytes());
        out
    }

    /// Decodes it; `None` for what another version wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let meta = Self::read(&mut input).ok()??;
        input.finish().ok()?;
        Some(meta)
    }

    fn read(input: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if input.u8()? != VERSION {
            return Ok(None);
        }
        let is_guest = input.u8()? != 0;
        let node = NodeId::from_u64(input.u64()?);
        let replica = ReplicaId::decode(input)?;
        let boot_nonce = input.u64()?;
        let client_address = std::str::from_utf8(input.bytes()?).unwrap_or_default().to_owned();
        Ok(Some(Self { node, replica, boot_nonce, is_guest, client_address }))
    }
}

const VERSION: u8 = 1;
