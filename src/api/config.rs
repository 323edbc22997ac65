//! What an operator may set about the API, and its defaults.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// LF's port.
pub const PORT: u16 = 9980;

/// The API's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Beyond loopback every request needs the token; there is no TLS.
    pub listen: SocketAddr,
    /// Names, beside loopback's own, by which requests may call this node in their `Host` header. Others are
    /// refused: a web page whose name was made to point here could else read through its visitor's browser.
    pub hosts: Vec<String>,
    /// Whether programs on this machine may write without the token, as LF's clients do. Web pages may not.
    pub trust_loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            hosts: Vec::new(),
            trust_loopback: false,
        }
    }
}
