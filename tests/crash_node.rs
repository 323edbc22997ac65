//! The real program killed with -9 while it is written to over HTTP: it starts again on the same home, and every
//! name whose writing it had acknowledged answers over DNS.
#![allow(clippy::unwrap_used)]

#[path = "common/edge.rs"]
mod edge;
#[path = "common/node.rs"]
mod node;
#[path = "common/seed.rs"]
mod seed;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use edge::{Ask, TXT, udp};
use lfdns::api::{Lf, Remote, Token};
use lfdns::node::owners::Owners;
use lfdns::record::Owner;
use node::{Home, Node, READY};
use seed::Dice;

const ROUNDS: usize = 8;
/// Programs that write at the same time.
const WRITERS: usize = 3;
/// How long after its first acknowledgement a node lives at most.
const LIFE_MAX: Duration = Duration::from_millis(400);

/// The name of the n-th write.
fn name(n: u64) -> String {
    format!("name-{n}")
}

/// Its value.
fn value(n: u64) -> String {
    format!("value number {n}.")
}

/// Writes one new name after the other until the node is gone, and says which were acknowledged.
fn write(node: &Remote, owner: &Owner, next: &AtomicU64, acknowledged: &Sender<u64>) {
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if node.set(owner, &[(name(n).as_bytes(), 0)], value(n).as_bytes()).is_err() {
            return;
        }
        // Nobody listens any more only when the test has failed.
        let _ = acknowledged.send(n);
    }
}

/// Writes until a random instant and then kills the node; what was acknowledged.
fn round(node: Node, owner: &Owner, next: &AtomicU64, dice: &mut Dice) -> Vec<u64> {
    let token = Token::load(&node.home).expect("a readable token").expect("a node has a token");
    let (say, acknowledged): (Sender<u64>, Receiver<u64>) = channel();
    let url = node.url();
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            let (say, remote) = (say.clone(), Remote::new(&[&url], Some(token.clone())).expect("a URL"));
            scope.spawn(move || write(&remote, owner, next, &say));
        }
        drop(say);
        let mut done = vec![acknowledged.recv_timeout(READY).expect("something is acknowledged")];
        let end = Instant::now() + dice.within(LIFE_MAX);
        while let Ok(n) = acknowledged.recv_timeout(end.saturating_duration_since(Instant::now())) {
            done.push(n);
        }
        node.kill();
        done.extend(acknowledged.iter());
        done
    })
}

/// Those that do not answer with their value.
fn silent(dns: SocketAddr, names: &[u64]) -> Vec<u64> {
    let answers = |n: &u64| {
        let query = Ask::new(&format!("{}.lf.", name(*n)), TXT).bytes();
        let wanted = value(*n).into_bytes();
        udp(dns, &query).is_some_and(|answer| answer.windows(wanted.len()).any(|part| part == wanted))
    };
    names.iter().copied().filter(|n| !answers(n)).collect()
}

#[test]
fn what_a_killed_node_had_acknowledged_answers_after_its_next_start() {
    let mut dice = Dice::new(seed::seed());
    let home = Home::new();
    let next = AtomicU64::new(0);
    let mut acknowledged = vec![];
    for n in 0..=ROUNDS {
        let node = home.node();
        assert_eq!(silent(node.dns[0], &acknowledged), [0; 0], "after {n} kills");
        assert_eq!(silent(node.dns[0], &[u64::MAX]), [u64::MAX], "nobody ever wrote this name");
        home.run(["check"]).well();
        if n < ROUNDS {
            let owner = Owners::of(&node.home).signer(None).expect("the first start made an owner");
            acknowledged.extend(round(node, &owner, &next, &mut dice));
        }
    }
    assert_eq!(silent(home.node().dns[0], &[u64::MAX]), [u64::MAX], "a name never written has no answer");
    println!("{ROUNDS} kills, {} writes acknowledged", acknowledged.len());
}
