//! How peers are named: a node by its key, a place to reach one by `HOST:PORT[#KEY]`. DESIGN "Replication":
//! without a key the first one seen there is pinned.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::record::OwnerKey;

/// Bytes of a host name at most (RFC 1035 §2.3.4).
const HOST_MAX: usize = 253;

/// An address as people write it: IPv4 as such, not within IPv6.
pub fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What counts as one place: an IPv4 address; of IPv6 a /64, as that is the least a customer has.
pub fn place(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A node's Ed25519 public key. Written in z-base-32, 52 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&OwnerKey(self.0).label())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &self.to_string()[..8])
    }
}

impl FromStr for NodeKey {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let key = OwnerKey::from_label(text.as_bytes());
        key.map(|key| NodeKey(key.0)).ok_or_else(|| AddressError::Key(text.to_owned()))
    }
}

/// A text that names no peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a key.
    #[error("'{0}' is not a node's key: expected 52 characters of z-base-32, such as `lfdns status` prints")]
    Key(String),
    /// Not a place.
    #[error(
        "'{0}' is not a peer: expected HOST:PORT or HOST:PORT#KEY, such as 192.0.2.1:9908 or [2001:db8::1]:9908"
    )]
    Place(String),
}

/// Where a peer is to be found, and who it must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
    /// Who must answer there; `None`: whoever did the first time.
    pub key: Option<NodeKey>,
}

impl PeerAddress {
    /// A socket address and whose it is.
    pub fn of(address: SocketAddr, key: Option<NodeKey>) -> PeerAddress {
        PeerAddress { host: plain(address).ip().to_string(), port: address.port(), key }
    }

    /// Those of the texts that name peers: the rules' list is not checked when they are admitted.
    pub fn list<S: AsRef<str>>(texts: &[S]) -> Vec<PeerAddress> {
        texts.iter().filter_map(|text| text.as_ref().parse().ok()).collect()
    }

    /// The place, if it is written as an IP address.
    pub fn socket(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        self.key.map_or(Ok(()), |key| write!(f, "#{key}"))
    }
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError::Place(text.to_owned());
        let (place, key) = match text.split_once('#') {
            Some((place, key)) => (place, Some(key.parse()?)),
            None => (text, None),
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(v6) => v6.parse::<Ipv6Addr>().map_err(|_| wrong())?.to_string(),
            None if host.is_empty() || host.len() > HOST_MAX || host.contains([':', '/', '@', ' ']) => {
                return Err(wrong());
            }
            None => host.to_ascii_lowercase(),
        };
        Ok(PeerAddress { host, port, key })
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_prints() {
        let key = NodeKey([9; 32]);
        for text in ["192.0.2.1:9908", "[2001:db8::1]:1", "node.example:9908", &format!("h:1#{key}")] {
            assert_eq!(text.parse::<PeerAddress>().unwrap().to_string(), *text);
        }
    }

    #[test]
    fn a_place_is_an_address_or_a_64() {
        let at = |text: &str| place(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for text in ["", "host", "host:0", "host:70000", ":1", "2001:db8::1:1", "[x]:1", "a/b:1", "h:1#abc"] {
            let error = text.parse::<PeerAddress>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
    }
}
