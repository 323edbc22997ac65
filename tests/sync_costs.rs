//! What hostile peers may cost in CPU and memory. Both are those of this process, so the tests take turns, and both
//! ends of the connection count.
#![allow(clippy::unwrap_used)]

#[path = "common/wirepeer.rs"]
mod wirepeer;

use std::time::Duration;

use lfdns::record::{Link, Millis, Name, Record, RecordId};
use tokio::sync::Mutex;
use wirepeer::*;

/// One at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// Records with missing links sent, unless `LFDNS_HOSTILE_RECORDS` says otherwise: a million takes some minutes.
const ORPHANS: u64 = 60_000;
/// Bytes this process may grow by meanwhile.
const GROWTH_MAX: u64 = 64 << 20;

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().cast_unsigned())
            + Duration::from_micros(time.tv_usec().cast_unsigned())
    };
    of(usage.user_time()) + of(usage.system_time())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_bad_signatures_are_cut_off() {
    let _turn = TURN.lock().await;
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    let links = beside.network.links();
    let good = beside.network.record(1, now(), &links);
    let before = cpu();
    let mut sent = 0;
    for n in 0..10_000_u64 {
        let mut bad: Record = good.clone();
        bad.header.time = Millis(good.header.time.0 - n);
        bad.signature[5] ^= 1;
        if gossip.write_all(&record_frame(&bad)).await.is_err() {
            break;
        }
        sent += 1;
    }
    evil.thrown_out().await;
    let spent = cpu().saturating_sub(before);
    println!("{sent} sent, {spent:?} of CPU, both ends");
    assert!(spent < Duration::from_secs(1) * debug_factor(), "{spent:?} of CPU");
    assert!(!beside.target.holds(&good.id(&beside.network.id)));
    beside.is_served(1).await;
    // It knows the network, and is still not let in again.
    let again = Evil::enter(&beside.target, &beside.network.id, 66).await;
    again.thrown_out().await;
    assert!(!beside.keeps(66), "who sent invalid records is remembered");
}

/// Code that is not optimised is slower; what is bounded is the number of signatures looked at.
fn debug_factor() -> u32 {
    if cfg!(debug_assertions) { 4 } else { 1 }
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_missing_links_do_not_fill_the_memory() {
    let _turn = TURN.lock().await;
    let count = std::env::var("LFDNS_HOSTILE_RECORDS").map_or(ORPHANS, |text| text.parse().unwrap());
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    let selectors = [(Name::derive(&beside.network.id, b"orphan"), 0)];
    beside.is_served(0).await;
    let (before, mut most) = (resident(), 0);
    for n in 0..count {
        let mut id = [7; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let lost = Link { id: RecordId(id), time: Millis(1) };
        let links = [lost, beside.network.links()[0]];
        let orphan =
            mint(&beside.network.id, &beside.network.owner, &selectors, Millis(now().0 - 5_000), &links, "x");
        gossip.write_all(&record_frame(&orphan)).await.expect("what is not yet is nobody's fault");
        if n % (count / 8) == count / 16 {
            beside.is_served(n).await;
            most = most.max(resident());
        }
    }
    let grown = most.max(resident()).saturating_sub(before);
    println!("{count} records with missing links: resident {before} bytes before, {grown} more at most");
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    assert!(beside.target.store.stats().unwrap().orphans <= 10_000);
}
