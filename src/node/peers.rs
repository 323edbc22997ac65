//! What lies in a home about its peers: `peers.json`, which the peer table is restored from, the mark of a node
//! that has not completed a synchronisation yet, and who is handed out in an invitation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::ifaddrs::getifaddrs;

use super::home::JOINING;
use crate::sync::PeerAddress;
use crate::sync::table::{Saved, Scope};

/// The peers of a home. It names keys, none of them secret; who the peers are is nobody else's business.
pub(super) const PEERS_JSON: &str = "peers.json";
/// A table of peers is a few hundred lines.
const FILE_MAX: u64 = 4 << 20;

/// What was written down; nothing if nothing was.
pub fn load(home: &Path) -> io::Result<Saved> {
    let path = home.join(PEERS_JSON);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Saved::default()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > FILE_MAX => {
            return Err(io::Error::other(format!("longer than {FILE_MAX} bytes")));
        }
        Ok(_) => {}
    }
    serde_json::from_slice(&fs::read(&path)?).map_err(io::Error::other)
}

/// Writes it down, whole: a power cut leaves the old one or the new one.
pub fn save(home: &Path, saved: &Saved) -> io::Result<()> {
    let part = home.join(".peers.json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    serde_json::to_writer_pretty(&mut file, saved)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&part, home.join(PEERS_JSON))?;
    File::open(home)?.sync_all()
}

/// Forgets the peers of a home that did not become a node.
pub fn forget(home: &Path) {
    let _ = fs::remove_file(home.join(PEERS_JSON));
}

/// Whether the node of `home` has still to complete its first synchronisation.
pub fn is_joining(home: &Path) -> bool {
    home.join(JOINING).exists()
}

/// Notes that it has, or that it has not.
pub fn set_joining(home: &Path, joining: bool) -> io::Result<()> {
    let path = home.join(JOINING);
    if joining {
        File::create(&path)?.sync_all()?;
    } else {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(home)?.sync_all()
}

/// This machine's addresses by which others may know it: no loopback, nothing that needs an interface's name.
pub fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let mut found: Vec<IpAddr> = Vec::new();
    for address in interfaces.filter_map(|interface| interface.address) {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())));
        let Some(ip) = ip.filter(|ip| !found.contains(ip)) else { continue };
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if Scope::of(ip) >= Scope::Local && !link_local {
            found.push(ip);
        }
    }
    found
}

/// Peers to begin with, as the table keeps those that were added by hand.
pub fn added(peers: Vec<PeerAddress>) -> Saved {
    Saved { peers, ..Saved::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_written_down_and_read_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(load(home.path()).unwrap(), Saved::default());
        let saved = added(vec!["h.example:9908".parse().unwrap()]);
        save(home.path(), &saved).unwrap();
        assert_eq!(load(home.path()).unwrap(), saved);
        fs::write(home.path().join(PEERS_JSON), "{").unwrap();
        assert!(load(home.path()).is_err());
    }

    #[test]
    fn a_node_that_joins_is_marked_until_it_has() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_joining(home.path()));
        set_joining(home.path(), true).unwrap();
        assert!(is_joining(home.path()));
        set_joining(home.path(), false).unwrap();
        set_joining(home.path(), false).unwrap();
        assert!(!is_joining(home.path()));
    }
}
