//! What an operator may set about peers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::PeerAddress;

/// The part of the configuration that is about peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where this node awaits its peers (QUIC, so UDP); port 0 takes any free one.
    pub listen: SocketAddr,
    /// Peers to keep a connection to: `HOST:PORT` or `HOST:PORT#KEY`.
    pub peers: Vec<PeerAddress>,
}

impl Default for Config {
    fn default() -> Self {
        Config { listen: SocketAddr::from(([127, 0, 0, 1], 9908)), peers: Vec::new() }
    }
}
