//! What is around a message in a datagram: which request it is or answers, and who sends it.
//!
//! A link of UDP proves nobody's id. That is fine on one machine; elsewhere use a transport with mutual TLS.

/// `kind u8 · number u64 LE · length u8 · sender · message`.
pub(crate) struct Packet<'a> {
    pub(crate) kind: Kind,
    /// The sender's number of a request, or the number of the request that this answers.
    pub(crate) number: u64,
    pub(crate) sender: &'a str,
    pub(crate) message: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request = 0,
    Reply = 1,
    Refusal = 2,
}

impl<'a> Packet<'a> {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.clear();
        into.push(self.kind as u8);
        into.extend_from_slice(&self.number.to_le_bytes());
        into.push(self.sender.len() as u8);
        into.extend_from_slice(self.sender.as_bytes());
        into.extend_from_slice(self.message);
    }

    /// `None` for what is no packet.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(10)?;
        let kind = [Kind::Request, Kind::Reply, Kind::Refusal].get(usize::from(head[0])).copied()?;
        let number = u64::from_le_bytes(head[1..9].try_into().ok()?);
        let (sender, message) = rest.split_at_checked(usize::from(head[9]))?;
        Some(Self { kind, number, sender: std::str::from_utf8(sender).ok()?, message })
    }
}
