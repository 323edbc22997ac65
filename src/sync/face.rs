//! What the rest of the program sees of replication: who the peers are, how far behind this node is, and the
//! few things one may ask for. The service in `net` is behind it; a store without a network has
//! [`Alone`].

use std::net::SocketAddr;

use super::address::{NodeKey, PeerAddress};
use crate::record::Millis;

/// How an address became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration, the command line or `peer add`: never forgotten.
    Operator,
    /// The network's rules.
    Rules,
    /// Long known, kept across restarts.
    Anchor,
    /// Another node told of it, or it called us.
    Heard,
}

/// What a connected peer costs and gives, since it connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Where it is.
    pub remote: SocketAddr,
    /// Whether this node dialled it.
    pub outgoing: bool,
    /// Since when.
    pub since: Millis,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
    /// Bytes received, transport included.
    pub bytes_in: u64,
    /// Bytes sent, transport included.
    pub bytes_out: u64,
    /// Records it gave that were new here.
    pub records_in: u64,
    /// Records sent to it.
    pub records_out: u64,
    /// Records it gave that were here before.
    pub duplicates: u64,
    /// Records it gave that were not let in.
    pub refused: u64,
    /// Times something for it was dropped because its queue was full.
    pub dropped: u64,
    /// When this node and it last found their sets equal.
    pub agreed: Option<Millis>,
}

/// A peer this node knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// How to reach it; `None` for one that called and cannot be called back.
    pub address: Option<PeerAddress>,
    /// Who it is, once known.
    pub key: Option<NodeKey>,
    /// How it became known.
    pub origin: Origin,
    /// When it was last reached.
    pub reached: Option<Millis>,
    /// Attempts that failed since.
    pub failures: u32,
    /// Not dialled, nor let in, before this time.
    pub shunned: Option<Millis>,
    /// While it is connected.
    pub traffic: Option<Traffic>,
}

/// How far replication is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The node's key, if it has one.
    pub key: Option<NodeKey>,
    /// Whether this node has once been in agreement with a peer, or need not be.
    pub synchronised: bool,
    /// Peers connected.
    pub connected: u32,
    /// What this node knows it lacks: missing links, announced records, and values of records that came without them.
    pub missing: u64,
    /// Milliseconds since this node last found its set equal to a peer's; `None` before the first time.
    pub lag_ms: Option<u64>,
    /// While a long synchronisation runs: records done and, as far as the peer says, in all.
    pub catching_up: Option<(u64, u64)>,
    /// Records a second that came in from peers, over the last ten seconds, times 10.
    pub tenth_records_in: u64,
    /// Records a second that went out to peers, likewise.
    pub tenth_records_out: u64,
}

/// A request concerning peers that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// There is no such peer.
    #[error("there is no peer '{0}': `lfdns peer list` shows those there are")]
    Unknown(String),
    /// It stands in the rules or the configuration.
    #[error("peer '{0}' stands in {1}: remove it there")]
    Fixed(String, &'static str),
    /// It has this node's own key.
    #[error("'{0}' is this node itself")]
    Itself(String),
    /// The table is full of peers the operator added.
    #[error("{0} peers were added by hand: that is the most there may be")]
    Full(usize),
    /// This node keeps no peers.
    #[error("this program keeps no peers")]
    Alone,
    /// Replication has too much to do to answer.
    #[error(
        "replication is busy and has not answered; what was asked may still be done: look with `lfdns peer list`"
    )]
    Busy,
    /// They could not be written down.
    #[error("the peers could not be written down: {0}")]
    Storage(String),
}

/// Replication, as others see it.
pub trait Peers: Send + Sync {
    /// How far it is, or was a moment ago; never waits.
    fn progress(&self) -> Progress;
    /// Everybody known, connected ones first.
    fn peers(&self) -> Result<Vec<Peer>, PeersError>;
    /// Adds a peer for good and dials it soon.
    fn add(&self, address: PeerAddress) -> Result<(), PeersError>;
    /// Forgets a peer that was added, by its address or key, and disconnects it.
    fn remove(&self, who: &str) -> Result<(), PeersError>;
}

/// No replication at all.
#[derive(Debug)]
pub struct Alone;

impl Peers for Alone {
    fn progress(&self) -> Progress {
        Progress { synchronised: true, ..Progress::default() }
    }

    fn peers(&self) -> Result<Vec<Peer>, PeersError> {
        Ok(Vec::new())
    }

    fn add(&self, _: PeerAddress) -> Result<(), PeersError> {
        Err(PeersError::Alone)
    }

    fn remove(&self, _: &str) -> Result<(), PeersError> {
        Err(PeersError::Alone)
    }
}
