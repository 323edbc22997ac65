//! Two real nodes on loopback: what is written on either the other answers over DNS; a node found again at another
//! address; what a node answers that has never been in agreement with its network, and afterwards; one that is killed
//! while it streams everything; amended rules whose zones live on both; and nothing for a node of another network.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;
#[path = "common/node.rs"]
mod node;
#[path = "common/skip.rs"]
mod skip;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;

use edge::{Ask, TXT, udp};
use lfdns::api::json::Status;
use lfdns::api::{Entry, Lf, Remote, Token};
use lfdns::node::owners::Owners;
use lfdns::sync::engine::FAR_BEHIND;
use node::{Home, Node, until};
use serde_json::{Value, json};

/// Records of a network that whoever joins it streams instead of comparing.
const MANY: usize = 2 * FAR_BEHIND as usize;
const SOA: u16 = 6;
/// Response codes (RFC 1035 §4.1.1) and what goes with "I cannot know yet" (RFC 8914 §4.15).
const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;
const NOT_READY: [u8; 2] = [0, 14];

/// A home with a network and its node.
fn founded() -> (Home, Node) {
    let home = Home::new();
    home.run(["network", "new", "friends"]).well();
    let node = home.node();
    (home, node)
}

/// What a node answers over DNS.
#[derive(Debug, PartialEq)]
struct Answer {
    rcode: u8,
    count: u16,
    extended_error: Option<[u8; 2]>,
    bytes: Vec<u8>,
}

impl Answer {
    fn holds(&self, value: &str) -> bool {
        self.rcode == NOERROR && self.bytes.windows(value.len()).any(|part| part == value.as_bytes())
    }
}

fn ask_type(dns: SocketAddr, name: &str, rtype: u16) -> Answer {
    let bytes = udp(dns, &Ask::new(name, rtype).edns(1232, &[]).bytes()).expect("a node answers DNS");
    // The extended error is the only option here that begins so: 15, its length, its code (RFC 8914 §2).
    let extended_error = bytes.windows(6).find(|o| o[..3] == [0, 15, 0] && o[3] >= 2);
    Answer {
        rcode: bytes[3] & 15,
        count: u16::from_be_bytes([bytes[6], bytes[7]]),
        extended_error: extended_error.map(|option| [option[4], option[5]]),
        bytes,
    }
}

fn ask(node: &Node, name: &str) -> Answer {
    ask_type(node.dns[0], &format!("{name}.lf."), TXT)
}

fn awaits_answer(node: &Node, name: &str, value: &str) {
    until(|| ask(node, name), |answer| answer.holds(value));
}

fn remote(node: &Node) -> Remote {
    Remote::new(&[node.url()], Token::load(&node.home).unwrap()).unwrap()
}

/// A copy of the founder's owner, so that what is written here is served under the network's suffix too.
fn share_owner(from: &Home, to: &Home) {
    let file = from.path().join("owners/default.pem");
    to.run(["owner", "import", "founder", &file.display().to_string()]).well();
    to.run(["owner", "default", "founder"]).well();
}

fn connected(home: &Home) -> Vec<Value> {
    let peers = home.json(["peer", "list"]);
    peers.as_array().unwrap().iter().filter(|peer| !peer["Connection"].is_null()).cloned().collect()
}

fn key(home: &Home) -> Value {
    home.json(["status"])["Key"].clone()
}

fn synchronised(home: &Home) {
    until(|| home.json(["status"])["Synchronised"].clone(), |synchronised| *synchronised == true);
}

#[test]
fn what_is_written_on_either_node_the_other_answers_over_dns() {
    let (one, first) = founded();
    let two = Home::new();
    two.run(["network", "join", &first.url()]).well();
    share_owner(&one, &two);
    let second = two.node();
    synchronised(&two);
    one.run(["set", "there", "from one"]).well();
    awaits_answer(&second, "there", "from one");
    two.run(["set", "back", "from two"]).well();
    awaits_answer(&first, "back", "from two");
    // Changed and deleted, too.
    two.run(["set", "there", "from two now"]).well();
    awaits_answer(&first, "there", "from two now");
    one.run(["set", "back", "--delete"]).well();
    until(|| ask(&second, "back").rcode, |rcode| *rcode == NXDOMAIN);
    // Each lists the other, by the key it says it has.
    for (home, other) in [(&one, &two), (&two, &one)] {
        let peers = until(|| connected(home), |peers| peers.len() == 1);
        assert_eq!(peers[0]["Key"], key(other));
    }
    if skip::has("dig") {
        let port = second.dns[0].port().to_string();
        let dig = ["@127.0.0.1", "-p", &port, "there.lf", "TXT", "+short", "+norec"];
        let output = Command::new("dig").args(dig).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "\"from two now\"");
    }
    // A node that was away hears what it missed.
    assert_eq!(second.stop().code(), Some(0));
    one.run(["set", "meanwhile", "missed"]).well();
    let second = two.node();
    awaits_answer(&second, "meanwhile", "missed");
}

#[test]
fn a_node_that_comes_back_at_another_address_is_found_again() {
    let (one, first) = founded();
    let two = Home::new();
    two.run(["network", "join", &first.url()]).well();
    let second = two.node();
    synchronised(&two);
    // Node one has reached node two, so it knows where that is; nobody knows where node one will be.
    let called = |peers: &Vec<Value>| peers.iter().any(|peer| peer["ReachedMillis"].is_u64());
    until(|| one.json(["peer", "list"]).as_array().unwrap().clone(), called);
    let before = first.quic;
    assert_eq!(first.stop().code(), Some(0));
    // Its port is taken meanwhile, so that it cannot come back to it.
    let _taken = UdpSocket::bind(before).unwrap();
    let first = one.node();
    assert_ne!(first.quic, before);
    one.run(["set", "moved", "here now"]).well();
    until(|| two.run(["get", "moved"]).out, |out| out.trim() == "here now");
    let peers = until(|| connected(&two), |peers| !peers.is_empty());
    assert_eq!(peers[0]["Key"], key(&one));
    // And the other one likewise, by what it wrote down of where node one is now.
    let (place, file) = (first.quic.to_string(), two.path().join("peers.json"));
    until(|| std::fs::read_to_string(&file).unwrap(), |saved| saved.contains(&place));
    let before = second.quic;
    second.kill();
    let _taken = UdpSocket::bind(before).unwrap();
    let second = two.node();
    assert_ne!(second.quic, before);
    two.run(["set", "moved too", "there now"]).well();
    until(|| one.run(["get", "moved too"]).out, |out| out.trim() == "there now");
}

#[test]
fn a_node_never_in_agreement_denies_nothing_and_afterwards_it_always_does() {
    let (one, first) = founded();
    one.run(["set", "known", "to one"]).well();
    let two = Home::new();
    let invitation = two.file("friend.json", one.json(["network", "show"]).to_string());
    assert_eq!(first.stop().code(), Some(0));
    two.run(["network", "join", &invitation.display().to_string()]).well();
    share_owner(&one, &two);

    let second = two.node();
    let status = two.json(["status"]);
    assert_eq!((&status["Ready"], &status["Synchronised"]), (&json!(false), &json!(false)), "{status}");
    // What it has it answers; what it lacks may exist.
    two.run(["set", "own", "of two"]).well();
    awaits_answer(&second, "own", "of two");
    assert_eq!(ask_type(second.dns[0], "lf.", SOA).count, 1);
    for name in ["known", "absent"] {
        let answer = ask(&second, name);
        assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, Some(NOT_READY)), "{name}: {answer:?}");
    }
    // A restart does not make it know more.
    assert_eq!(second.stop().code(), Some(0));
    let second = two.node();
    assert_eq!(ask(&second, "absent").rcode, SERVFAIL);

    let first = one.node();
    two.run(["peer", "add", &first.quic.to_string()]).well();
    synchronised(&two);
    awaits_answer(&second, "known", "to one");
    until(|| ask(&second, "absent").rcode, |rcode| *rcode == NXDOMAIN);
    awaits_answer(&first, "own", "of two");

    // Its only peer goes, and it is restarted: it answers all the same.
    first.kill();
    second.kill();
    let second = two.node();
    assert!(ask(&second, "known").holds("to one"));
    assert_eq!(ask(&second, "absent").rcode, NXDOMAIN);
    assert_eq!(two.json(["status"])["Ready"], true);
}

/// Stands between a node and whoever calls it, and lets only so much of what the node says through: whoever is called
/// by way of it takes as long as is wanted, on whatever machine.
struct Relay {
    address: SocketAddr,
    /// Bytes that may still pass.
    may_pass: Arc<AtomicUsize>,
}

impl Relay {
    fn before(node: SocketAddr) -> Relay {
        let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
        // From an address at which nobody listens: the node shall not call back past the relay.
        let outside = UdpSocket::bind("127.0.0.2:0").unwrap();
        outside.connect(node).unwrap();
        let address = inside.local_addr().unwrap();
        let (may_pass, caller) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (back, forth) = (inside.try_clone().unwrap(), outside.try_clone().unwrap());
        let (left, known) = (Arc::clone(&may_pass), Arc::clone(&caller));
        // Both threads end with the test's process.
        thread::spawn(move || {
            let mut packet = [0; 2_048];
            loop {
                // A node that was killed leaves errors behind.
                let Ok((len, from)) = inside.recv_from(&mut packet) else { continue };
                *known.lock().unwrap() = Some(from);
                let _ = forth.send(&packet[..len]);
            }
        });
        thread::spawn(move || {
            let mut packet = [0; 2_048];
            loop {
                let Ok(len) = outside.recv(&mut packet) else { continue };
                let to: Option<SocketAddr> = *caller.lock().unwrap();
                let pass = |left: usize| left.checked_sub(len);
                if let (Some(to), Ok(_)) = (to, left.fetch_update(Relaxed, Relaxed, pass)) {
                    let _ = back.send_to(&packet[..len], to);
                }
            }
        });
        Relay { address, may_pass }
    }
}

#[test]
fn a_first_synchronisation_that_was_cut_short_goes_on() {
    let (one, first) = founded();
    let owner = Owners::of(&first.home).signer(None).unwrap();
    let entry = |n: usize| Entry::new(&[(b"many", n as u64)], b"value");
    let made = remote(&first).make_all(&owner, &mut (0..MANY).map(entry), &mut |_| {}).unwrap();
    assert_eq!(made.accepted as usize, MANY);
    let total = remote(&first).status().unwrap().db_record_count;
    let two = Home::new();
    let relay = Relay::before(first.quic);
    let mut invitation = one.json(["network", "show"]);
    invitation["peers"] = json!([format!("{}#{}", relay.address, key(&one).as_str().unwrap())]);
    let invitation = two.file("friend.json", invitation.to_string());
    two.run(["network", "join", &invitation.display().to_string()]).well();

    let streaming = |status: &Status| status.catching_up.is_some();
    let founding = total - MANY as u64;
    // Killed when it has begun, and once more when something of it is there.
    for (pass, some) in [(64 << 10, 0), (640 << 10, founding + 1)] {
        relay.may_pass.store(pass, Relaxed);
        let second = two.node();
        assert_eq!(ask(&second, "absent").rcode, SERVFAIL);
        let status = || remote(&second).status().unwrap();
        let had = until(status, |status| streaming(status) && status.db_record_count >= some);
        second.kill();
        let checked = two.json(["check"]);
        assert_eq!(checked["whole"], true, "{checked}");
        println!("killed when it had {} of {total}; it has {}", had.db_record_count, checked["records"]);
    }
    relay.may_pass.store(usize::MAX, Relaxed);
    let second = two.node();
    let done = |status: &Status| status.db_record_count == total && status.synchronised;
    until(|| remote(&second).status().unwrap(), done);
    // Who gave it all is not told of it.
    let peers = until(|| connected(&one), |peers| peers.len() == 1);
    assert_eq!(peers[0]["Connection"]["Duplicates"], 0, "{peers:?}");
    until(|| ask(&second, "absent").rcode, |rcode| *rcode == NXDOMAIN);
    assert_eq!(two.json(["check"]), one.json(["check"]));
}

#[test]
fn a_zone_that_the_founder_adds_is_served_by_the_other_node() {
    let (one, first) = founded();
    let two = Home::new();
    two.run(["network", "join", &first.url()]).well();
    let second = two.node();
    synchronised(&two);
    assert_eq!(ask_type(second.dns[0], "friends.", SOA).rcode, REFUSED);
    let mut zones = one.json(["network", "show"])["rules"]["zones"].as_array().unwrap().clone();
    let mut zone = zones[0].clone();
    zone["suffix"] = "friends.".into();
    zones.push(zone);
    let amendment = one.file("amend.json", json!({ "zones": zones }).to_string());
    one.run(["network", "amend", &amendment.display().to_string()]).well();
    let lives = |answer: &Answer| answer.rcode == NOERROR && answer.count == 1;
    until(|| ask_type(second.dns[0], "friends.", SOA), lives);
    until(|| ask_type(first.dns[0], "friends.", SOA), lives);
    assert_eq!(two.json(["network", "show"])["rules"], one.json(["network", "show"])["rules"]);
}

#[test]
fn a_node_of_another_network_learns_nothing() {
    let (one, first) = founded();
    let (two, second) = founded();
    one.run(["set", "secret", "of one"]).well();
    two.run(["peer", "add", &first.quic.to_string()]).well();
    one.run(["peer", "add", &second.quic.to_string()]).well();
    for home in [&one, &two] {
        // It tried, and gave it up at the handshake.
        let tried = |peers: &Vec<Value>| peers.iter().any(|peer| peer["Failures"].as_u64() >= Some(2));
        let peers = until(|| home.json(["peer", "list"]).as_array().unwrap().clone(), tried);
        assert!(peers.iter().all(|peer| peer["Connection"].is_null()), "{peers:?}");
        assert!(peers.iter().all(|peer| peer["ReachedMillis"].is_null()), "{peers:?}");
        let status = home.json(["status"]);
        assert_eq!(
            (&status["PeerCount"], &status["RecordsInPerSecond"]),
            (&json!(0), &json!(0.0)),
            "{status}"
        );
    }
    assert_eq!(ask(&second, "secret").rcode, NXDOMAIN);
    let addresses = |home: &Home| home.json(["peer", "list"]).as_array().unwrap().len();
    assert_eq!((addresses(&one), addresses(&two)), (1, 1), "nobody was told of anybody");
}
