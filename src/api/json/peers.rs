//! `/peers`, `/connect`, `/invitation`: whom a node replicates with, and what lets another one in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::sync::PeerAddress;
use crate::sync::face::{Origin, Peer};

/// A peer that a node knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeerJson {
    /// `HOST:PORT#KEY`, or without the key while it is not known; `null` for one that cannot be called back.
    pub address: Option<String>,
    /// Its key, 52 characters.
    pub key: Option<String>,
    /// `operator`, `rules`, `anchor` or `heard`.
    pub origin: String,
    /// When this node last reached it, unix milliseconds.
    pub reached_millis: Option<u64>,
    /// Attempts that failed since.
    pub failures: u32,
    /// Not dialled, nor let in, before this time, unix milliseconds.
    pub shunned_until_millis: Option<u64>,
    /// The connection, while there is one.
    pub connection: Option<ConnectionJson>,
}

/// What a connected peer costs and gives, since it connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConnectionJson {
    /// Where it is.
    pub remote: String,
    /// Whether this node dialled it.
    pub outgoing: bool,
    /// Since when, unix milliseconds.
    pub since_millis: u64,
    /// Smoothed round trip, microseconds.
    #[serde(rename = "RTTMicros")]
    pub rtt_micros: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
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
    /// When this node and it last found their records equal, unix milliseconds.
    pub agreed_millis: Option<u64>,
}

const OPERATOR: &str = "operator";
const RULES: &str = "rules";

impl PeerJson {
    /// Where it is, if people named it, the operator or the network's rules: it is handed on in invitations.
    pub fn named(&self) -> Option<PeerAddress> {
        let named = self.origin == OPERATOR || self.origin == RULES;
        self.address.as_ref().filter(|_| named)?.parse().ok()
    }
}

impl From<Peer> for PeerJson {
    fn from(peer: Peer) -> PeerJson {
        let origin = match peer.origin {
            Origin::Operator => OPERATOR,
            Origin::Rules => RULES,
            Origin::Anchor => "anchor",
            Origin::Heard => "heard",
        };
        PeerJson {
            address: peer.address.map(|address| address.to_string()),
            key: peer.key.map(|key| key.to_string()),
            origin: origin.into(),
            reached_millis: peer.reached.map(|time| time.0),
            failures: peer.failures,
            shunned_until_millis: peer.shunned.map(|time| time.0),
            connection: peer.traffic.map(|traffic| ConnectionJson {
                remote: traffic.remote.to_string(),
                outgoing: traffic.outgoing,
                since_millis: traffic.since.0,
                rtt_micros: traffic.rtt_us,
                bytes_in: traffic.bytes_in,
                bytes_out: traffic.bytes_out,
                records_in: traffic.records_in,
                records_out: traffic.records_out,
                duplicates: traffic.duplicates,
                refused: traffic.refused,
                dropped: traffic.dropped,
                agreed_millis: traffic.agreed.map(|time| time.0),
            }),
        }
    }
}

/// What `POST /peers` is told: `{"Add": "HOST:PORT#KEY"}` or `{"Remove": "HOST:PORT"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeersChange {
    /// Add a peer, for good.
    Add(String),
    /// Forget a peer that was added, by its address or key.
    Remove(String),
}

/// What LF's `POST /connect` is told: LF's own shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Connect {
    /// Where the peer is.
    #[serde(rename = "IP")]
    pub ip: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// Its key, 32 bytes; left out: the first one seen there.
    #[serde(default, deserialize_with = "super::null_is_default")]
    pub identity: Blob,
}

/// How long a synchronisation has to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatchingUp {
    /// Records done.
    pub done: u64,
    /// In all, as far as the peer says.
    pub total: u64,
}

/// What a new node needs to become part of a network: its founding and somebody who has the rest.
///
/// It holds the network id, which on a private network is the key to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Invitation {
    /// Version of this form: 1.
    pub invitation: u32,
    /// What people call the network; no more than a remark.
    #[serde(default)]
    pub name: String,
    /// The founding genesis records, each in base64, the first one first.
    pub genesis: Vec<String>,
    /// `HOST:PORT[#KEY]` of nodes that have its records.
    #[serde(default)]
    pub peers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lf_s_own_form_of_a_peer_is_understood() {
        let text = r#"{"IP":"192.0.2.1","Port":9908,"Identity":[1,2,3]}"#;
        let connect: Connect = serde_json::from_str(text).unwrap();
        assert_eq!((connect.port, connect.identity.0), (9908, vec![1, 2, 3]));
        let bare: Connect = serde_json::from_str(r#"{"IP":"2001:db8::1","Port":1,"Identity":null}"#).unwrap();
        assert!(bare.identity.0.is_empty());
        assert!(serde_json::from_str::<Connect>(r#"{"Port":1}"#).is_err());
    }

    #[test]
    fn a_change_has_one_of_two_forms() {
        let change: PeersChange = serde_json::from_str(r#"{"Add":"h:1"}"#).unwrap();
        assert_eq!(change, PeersChange::Add("h:1".into()));
        assert!(serde_json::from_str::<PeersChange>(r#"{"Both":"h:1"}"#).is_err());
    }
}
