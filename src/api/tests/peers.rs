//! Peers, invitations and dumps.

use super::*;
use crate::api::json::{PeersChange, Status};
use crate::store::ExportReader;
use crate::sync::face::{Origin, Peer, Peers, PeersError, Progress, Traffic};
use crate::sync::{NodeKey, PeerAddress};

/// Stands for replication.
#[derive(Default)]
pub(super) struct Neighbours {
    pub(super) added: Mutex<Vec<PeerAddress>>,
    pub(super) progress: Mutex<Option<Progress>>,
    pub(super) busy: Mutex<bool>,
}

impl Peers for Neighbours {
    fn progress(&self) -> Progress {
        let told = self.progress.lock().clone();
        told.unwrap_or(Progress { synchronised: true, ..Progress::default() })
    }

    fn peers(&self) -> Result<Vec<Peer>, PeersError> {
        if *self.busy.lock() {
            return Err(PeersError::Busy);
        }
        let peer = |address: &PeerAddress| Peer {
            address: Some(address.clone()),
            key: address.key,
            origin: Origin::Operator,
            reached: Some(Millis(START)),
            failures: 0,
            shunned: None,
            traffic: Some(Traffic {
                remote: "192.0.2.1:9908".parse().unwrap(),
                outgoing: true,
                since: Millis(START),
                rtt_us: 1_500,
                bytes_in: 1,
                bytes_out: 2,
                records_in: 3,
                records_out: 4,
                duplicates: 5,
                refused: 6,
                dropped: 7,
                agreed: None,
            }),
        };
        Ok(self.added.lock().iter().map(peer).collect())
    }

    fn add(&self, address: PeerAddress) -> Result<(), PeersError> {
        self.added.lock().push(address);
        Ok(())
    }

    fn remove(&self, who: &str) -> Result<(), PeersError> {
        let mut added = self.added.lock();
        let at = added.iter().position(|address| address.to_string() == who);
        added.remove(at.ok_or_else(|| PeersError::Unknown(who.to_owned()))?);
        Ok(())
    }
}

#[test]
fn peers_are_listed_added_and_removed() {
    let bed = Bed::new();
    let node = bed.remote();
    assert!(node.peers().unwrap().is_empty());
    let now = node.change_peers(&PeersChange::Add("h.example:9908".into())).unwrap();
    assert_eq!(now[0].address.as_deref(), Some("h.example:9908"));
    assert_eq!(now[0].connection.as_ref().unwrap().rtt_micros, 1_500);
    let listed = bed.get("/peers").json();
    assert_eq!(listed[0]["Connection"]["RTTMicros"], 1_500);
    assert_eq!(listed[0]["Origin"], "operator");
    assert!(node.change_peers(&PeersChange::Remove("h.example:9908".into())).unwrap().is_empty());
    let error = node.change_peers(&PeersChange::Remove("h.example:9908".into())).unwrap_err();
    assert!(error.to_string().contains("peer list"), "{error}");
    assert_eq!(bed.post("/peers", "application/json", br#"{"Add":"nowhere"}"#).status, 400);
    assert_eq!(bed.request("POST", "/peers", &[], br#"{"Add":"h:1"}"#).status, 401);
    assert_eq!(bed.request("DELETE", "/peers", &[], b"").status, 405);
}

#[test]
fn replication_that_is_busy_is_not_told_as_no_peers() {
    let bed = Bed::new();
    *bed.neighbours.busy.lock() = true;
    for path in ["/peers", "/invitation"] {
        assert_eq!(bed.get(path).status, 503, "{path}");
    }
    let error = bed.remote().peers().unwrap_err();
    assert!(error.to_string().contains("busy"), "{error}");
}

#[test]
fn a_peer_is_added_in_lf_s_way() {
    let bed = Bed::new();
    let body = br#"{"IP":"192.0.2.9","Port":9908,"Identity":null}"#;
    let answer = bed.post("/connect", "application/json", body);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(bed.neighbours.added.lock()[0].to_string(), "192.0.2.9:9908");
    let body = format!(r#"{{"IP":"::1","Port":1,"Identity":{:?}}}"#, [7; 32]);
    assert_eq!(bed.post("/connect", "application/json", body.as_bytes()).status, 200);
    assert_eq!(bed.neighbours.added.lock()[1].key, Some(NodeKey([7; 32])));
    for wrong in
        [r#"{"IP":"::1","Port":1,"Identity":[1]}"#, r#"{"IP":"::1","Port":0}"#, r#"{"IP":"x","Port":1}"#]
    {
        assert_eq!(bed.post("/connect", "application/json", wrong.as_bytes()).status, 400, "{wrong}");
    }
    assert_eq!(bed.request("POST", "/connect", &[], body.as_bytes()).status, 401);
}

#[test]
fn the_status_says_how_replication_is() {
    let bed = Bed::new();
    let status: Status = bed.remote().status().unwrap();
    assert!(status.synchronised && status.db_fully_synchronized);
    *bed.neighbours.progress.lock() = Some(Progress {
        key: Some(NodeKey([7; 32])),
        synchronised: false,
        connected: 3,
        missing: 4,
        lag_ms: Some(5),
        catching_up: Some((6, 7)),
        tenth_records_in: 85,
        tenth_records_out: 90,
    });
    let status = bed.get("/status").json();
    assert_eq!(status["DBFullySynchronized"], false);
    assert_eq!(status["PeerCount"], 3);
    assert_eq!(status["Key"], NodeKey([7; 32]).to_string());
    assert_eq!((&status["Missing"], &status["LagMillis"]), (&4.into(), &5.into()));
    assert_eq!(status["CatchingUp"], serde_json::json!({"Done": 6, "Total": 7}));
    assert_eq!((&status["RecordsInPerSecond"], &status["RecordsOutPerSecond"]), (&8.5.into(), &9.0.into()));
}

#[test]
fn a_dump_is_an_export_and_only_readers_get_it() {
    let bed = Bed::new();
    let local = bed.local();
    for number in 0..200 {
        local.set(&owner(1), &[(b"key", number)], &[7; 500]).unwrap();
    }
    let mut dump = ExportReader::open(bed.remote().dump().unwrap()).unwrap();
    assert_eq!(dump.network(), bed.network);
    let mut count = 0;
    while dump.next_record().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 202);
    assert_eq!(bed.request("GET", "/dumprecords", &["Authorization: Bearer x"], b"").status, 401);
    assert_eq!(bed.request("HEAD", "/dumprecords", &[], b"").status, 200);
    bed.assert_alive();
}

#[test]
fn an_invitation_names_the_network_and_who_is_in_it() {
    let bed =
        Bed::with(Config::default(), |rules| rules.seed_peers = vec!["seed.example:9908".into(), "?".into()]);
    bed.neighbours.add("h.example:9908".parse().unwrap()).unwrap();
    let invited = bed.remote().invitation().unwrap().read().unwrap();
    assert_eq!(invited.network, bed.network);
    assert_eq!(invited.genesis.len(), 2);
    let peers: Vec<String> = invited.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["h.example:9908", "seed.example:9908"]);
    let home = tempfile::tempdir().unwrap();
    let clock: Clock = Arc::new(|| Millis(START));
    let store = Store::create(home.path(), &invited.genesis, &store::Config::default(), clock).unwrap();
    assert_eq!(store.network(), bed.network);
}
