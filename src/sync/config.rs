//! What an operator may set about peers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The part of the configuration that is about peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where this node awaits its peers (QUIC, so UDP); port 0 takes any free one.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Config { listen: SocketAddr::from(([127, 0, 0, 1], 9908)) }
    }
}
