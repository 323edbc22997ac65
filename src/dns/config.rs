//! What can be set about the DNS server, and what is so where nothing is said.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The port we listen on unless told otherwise: 53 needs privileges, 5353 is multicast DNS.
pub const DEFAULT_PORT: u16 = 5354;

/// The table `[dns]` of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses to answer on, over UDP and TCP. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Threads (and sockets) for UDP at each address; 0 is one for each core.
    pub udp_threads: usize,
    /// Threads that answer what the cache cannot; 0 is one for each core, at least two.
    pub workers: usize,
    /// Octets of memory for kept answers; 0 keeps none.
    pub cache_bytes: usize,
    /// What this server calls itself where a client asks with the NSID option (RFC 5001); empty: nothing.
    pub nsid: String,
    /// The answer to `version.bind` and `version.server` CH TXT; empty: refused.
    pub version: String,
    /// The answer to `id.server` and `hostname.bind` CH TXT (RFC 4892); empty: refused.
    pub identity: String,
    /// Limits of TCP.
    pub tcp: Tcp,
}

/// The table `[dns.tcp]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// Seconds a connection may be silent before it is closed (RFC 7766 §6.2.3), and a client may take to read.
    pub idle_seconds: u64,
    /// Connections open at a time at each listen address.
    pub connections: usize,
    /// Connections open at a time from one client address.
    pub connections_per_client: usize,
    /// Queries of one connection being answered at a time; more wait in the client's socket.
    pub outstanding: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: Config::default_listen(),
            udp_threads: 0,
            workers: 0,
            cache_bytes: 64 << 20,
            nsid: String::new(),
            version: concat!("lfdns ", env!("CARGO_PKG_VERSION")).to_owned(),
            identity: String::new(),
            tcp: Tcp::default(),
        }
    }
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp { idle_seconds: 10, connections: 256, connections_per_client: 64, outstanding: 16 }
    }
}

impl Config {
    /// Loopback, both families: nobody else is answered unless somebody decides so.
    pub fn default_listen() -> Vec<SocketAddr> {
        vec![(Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(), (Ipv6Addr::LOCALHOST, DEFAULT_PORT).into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<Config>("lissten = []").unwrap_err();
        assert!(error.to_string().contains("lissten"), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }
}
