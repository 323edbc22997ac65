//! Invitations: what a node hands to one that wants to join, made and read. Pure; `GET /invitation` and the
//! command line share it.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::json::Invitation;
use crate::record::{Kind, NetworkId, Record, network_of};
use crate::sync::PeerAddress;

/// The version of the form.
const VERSION: u32 = 1;
/// Genesis records in an invitation at most: a network has as many as its records have links at least.
pub const INVITED_GENESIS_MAX: usize = 16;
/// Peers in it at most; those behind them are not looked at.
pub const INVITED_PEERS_MAX: usize = 16;
/// Bytes of an invitation's text.
pub const INVITATION_MAX: usize = 4 << 20;

/// What an invitation says.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The network.
    pub network: NetworkId,
    /// Its founding records.
    pub genesis: Vec<Record>,
    /// Who has the rest.
    pub peers: Vec<PeerAddress>,
}

/// A text that invites nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Another version.
    #[error("the invitation's version is {0}, this program reads {VERSION}: update it")]
    Version(u32),
    /// Too much in it.
    #[error("the invitation holds {0} genesis records; there are at most {INVITED_GENESIS_MAX}")]
    TooMany(usize),
    /// Its records.
    #[error("the invitation is damaged: genesis record {0} {1}")]
    Genesis(usize, String),
    /// Nothing founds the network.
    #[error("the invitation holds no founding record")]
    NoFounding,
    /// Its peers.
    #[error("the invitation is damaged: {0}")]
    Peer(#[from] crate::sync::address::AddressError),
}

impl Invitation {
    /// An invitation to the network that `genesis` founds.
    pub fn new(name: &str, genesis: &[Record], peers: &[PeerAddress]) -> Invitation {
        let mut named: Vec<String> = Vec::new();
        for peer in peers.iter().map(ToString::to_string) {
            if !named.contains(&peer) && named.len() < INVITED_PEERS_MAX {
                named.push(peer);
            }
        }
        Invitation {
            invitation: VERSION,
            name: name.to_owned(),
            genesis: genesis.iter().map(|record| STANDARD.encode(record.encode())).collect(),
            peers: named,
        }
    }

    /// What it says. Signatures are checked where a store is made of it.
    pub fn read(&self) -> Result<Invited, InvitationError> {
        if self.invitation != VERSION {
            return Err(InvitationError::Version(self.invitation));
        }
        if self.genesis.len() > INVITED_GENESIS_MAX {
            return Err(InvitationError::TooMany(self.genesis.len()));
        }
        let record = |(at, text): (usize, &String)| {
            let wrong = |why: String| InvitationError::Genesis(at + 1, why);
            let bytes = STANDARD.decode(text).map_err(|e| wrong(format!("is not base64: {e}")))?;
            Record::decode(&bytes).map_err(|e| wrong(format!("is none: {e}")))
        };
        let genesis: Vec<Record> = self.genesis.iter().enumerate().map(record).collect::<Result<_, _>>()?;
        if let Some(at) = genesis.iter().position(|record| record.header.kind != Kind::Genesis) {
            return Err(InvitationError::Genesis(at + 1, "is one of another kind".into()));
        }
        let first = genesis.first().filter(|first| first.is_founding());
        let network = network_of(first.ok_or(InvitationError::NoFounding)?);
        let peers = self.peers.iter().take(INVITED_PEERS_MAX).map(|text| text.parse());
        Ok(Invited { network, genesis, peers: peers.collect::<Result<_, _>>()? })
    }
}

/// Where an invitation is going to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Perhaps on this machine.
    Here,
    /// On another one.
    Elsewhere,
}

/// Whom an invitation names: the node itself, then those its operator named, then those of the rules. Another
/// machine's loopback is not ours, whoever named it.
pub fn invited(
    own: Vec<PeerAddress>,
    named: Vec<PeerAddress>,
    seeds: Vec<PeerAddress>,
    reader: Reader,
) -> Vec<PeerAddress> {
    let useful = |peer: &PeerAddress| {
        reader == Reader::Here || peer.socket().is_none_or(|at| !at.ip().to_canonical().is_loopback())
    };
    [own, named, seeds].into_iter().flatten().filter(useful).collect()
}

/// The addresses under which somebody may reach a node that listens at `bound`, if this machine is known there
/// as each of `ours`. A node that listens on loopback alone is reached from this machine alone.
pub fn reachable(bound: &[SocketAddr], ours: &[IpAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for address in bound {
        if address.ip().is_unspecified() {
            // An IPv6 socket of ours takes IPv4 too.
            let fits = |ip: &&IpAddr| address.is_ipv6() || ip.is_ipv4();
            found.extend(ours.iter().filter(fits).map(|ip| SocketAddr::new(*ip, address.port())));
        } else {
            found.push(*address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Millis, Owner, Rules, found};

    fn invitation() -> Invitation {
        let (_, genesis) =
            found(&Owner::from_seed(&[1; 32]), &Rules::private(&[7; 32], "n"), Millis(1_000)).unwrap();
        Invitation::new("n", &genesis, &["192.0.2.1:9908".parse().unwrap()])
    }

    #[test]
    fn an_invitation_says_what_was_put_into_it() {
        let text = serde_json::to_string(&invitation()).unwrap();
        let read: Invitation = serde_json::from_str(&text).unwrap();
        let said = read.read().unwrap();
        assert_eq!(said.genesis.len(), 2);
        assert_eq!(said.network, network_of(&said.genesis[0]));
        assert_eq!(said.peers, ["192.0.2.1:9908".parse().unwrap()]);
    }

    #[test]
    fn a_damaged_one_is_refused_in_words() {
        let wrong = |change: fn(&mut Invitation), words: &str| {
            let mut invitation = invitation();
            change(&mut invitation);
            let error = invitation.read().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        wrong(|i| i.invitation = 2, "version");
        wrong(|i| i.genesis.clear(), "no founding");
        wrong(|i| i.genesis = vec![String::new(); 17], "17 genesis");
        wrong(|i| i.genesis[0].truncate(80), "damaged");
        wrong(|i| i.genesis[1].insert(0, '!'), "genesis record 2");
        wrong(|i| drop(i.genesis.remove(0)), "no founding");
        wrong(|i| i.peers.push("nowhere".into()), "nowhere");
    }

    #[test]
    fn who_reads_elsewhere_is_told_of_no_loopback_not_even_the_rules_own() {
        let all = |texts: &[&str]| PeerAddress::list(texts);
        let told = |reader| {
            let (own, named) = (all(&["127.0.0.1:1", "192.0.2.1:1"]), all(&["h.example:2", "[::1]:2"]));
            let told =
                invited(own, named, all(&["127.0.0.2:3", "[::ffff:127.0.0.1]:3", "192.0.2.3:3"]), reader);
            told.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(Reader::Elsewhere), ["192.0.2.1:1", "h.example:2", "192.0.2.3:3"]);
        assert_eq!(told(Reader::Here).len(), 7);
    }

    #[test]
    fn a_node_that_listens_everywhere_is_named_by_the_machine_s_addresses() {
        let bound = ["0.0.0.0:7".parse().unwrap()];
        let ours = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(reachable(&bound, &ours), ["192.0.2.1:7".parse().unwrap()]);
        assert_eq!(reachable(&["[::]:7".parse().unwrap()], &ours).len(), 2);
        assert_eq!(reachable(&["127.0.0.1:7".parse().unwrap()], &ours).len(), 1);
    }
}
