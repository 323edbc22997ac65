//! What an operator may set about peers.

use std::net::{Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::PeerAddress;

/// The part of the configuration that is about peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where this node awaits its peers (QUIC, so UDP); port 0 takes any free one. Who calls is told nothing
    /// before he has proved that he knows the network. `[::]` is every address, IPv4 too.
    pub listen: SocketAddr,
    /// Peers to keep a connection to: `HOST:PORT` or `HOST:PORT#KEY`.
    pub peers: Vec<PeerAddress>,
}

impl Default for Config {
    fn default() -> Self {
        Config { listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9908)), peers: Vec::new() }
    }
}
