//! What an IP address says of who owns it and from where it can be reached.

use std::net::IpAddr;

/// Addresses that one party easily has many of: an IPv4 /16 or an IPv6 /32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// The first two bytes of an IPv4 address.
    V4([u8; 2]),
    /// The first four bytes of an IPv6 address.
    V6([u8; 4]),
}

impl Prefix {
    /// The prefix of an address.
    pub fn of(ip: IpAddr) -> Prefix {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                Prefix::V4([a, b])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                Prefix::V6([a, b, c, d])
            }
        }
    }
}

/// From where an address can be reached. A peer is believed, and told, only what is at least as far as the
/// peer itself: who calls from the internet has no business to have this node dial its own machine or its
/// local network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// From nowhere: unspecified, multicast, broadcast.
    Nowhere,
    /// From this machine.
    Loopback,
    /// From a local network (RFC 1918, 3927, 6598, 4193).
    Local,
    /// From everywhere.
    Global,
}

impl Scope {
    /// The scope of an address.
    pub fn of(ip: IpAddr) -> Scope {
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() {
            return Scope::Nowhere;
        }
        if ip.is_loopback() {
            return Scope::Loopback;
        }
        let local = match ip {
            IpAddr::V4(ip) if ip.is_broadcast() => return Scope::Nowhere,
            // 100.64.0.0/10 is RFC 6598.
            IpAddr::V4(ip) => {
                ip.is_private()
                    || ip.is_link_local()
                    || (ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64)
            }
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        if local { Scope::Local } else { Scope::Global }
    }
}
