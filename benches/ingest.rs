//! Letting many records in at full tilt, as a cold sync does: calls of 4,096 in order, several on their way at
//! once, verified and fsynced; then reading them all out again as they are sent. Prints rates and the CPU time
//! each kind of thread took for a record, beside what one core verifies. `LFDNS_BENCH_RECORDS` lists the sizes.
#![allow(clippy::unwrap_used)]

#[path = "common/filled.rs"]
mod filled;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use filled::{Filled, sizes};
use lfdns::record::{Millis, Record, RecordId, verify_signature};
use lfdns::store::{Config, FIRST, Source, Store};

/// Records of one call.
const CALL: usize = 4_096;
/// Records after which a line tells how the last so many went.
const LAP: u64 = 100_000;
/// Signatures verified for comparison.
const VERIFIED: usize = 10_000;
/// Calls handed in and not yet acknowledged.
const IN_FLIGHT: usize = 12;

fn main() {
    // What cargo adds for harnesses, `--bench` and filters, means nothing here.
    for size in sizes() {
        let mut bed = Filled::with(0);
        let mut records = Vec::new();
        while bed.made < size {
            let batch = bed.mint(8_192.min(size - bed.made));
            records.extend_from_slice(&batch);
            bed.ingest(batch);
        }
        let network = bed.network;
        records.sort_by_cached_key(|record| (record.header.time, record.id(&network)));
        println!("{:.0} strict verifications a second on one core", verifications(&bed, &records));
        let copied = copy(&bed, records);
        println!("{size} records let in:  {copied}");
        println!("{size} records read out: {}", read_out(&bed));
    }
}

/// What one core does: owners' signatures, one by one.
fn verifications(bed: &Filled, records: &[Record]) -> f64 {
    let sample: Vec<_> = records.iter().rev().take(VERIFIED).map(|r| (r, r.id(&bed.network))).collect();
    let begin = Instant::now();
    for (record, id) in &sample {
        assert!(verify_signature(&record.header.owner.0, &id.0, &record.signature));
    }
    sample.len() as f64 / begin.elapsed().as_secs_f64()
}

/// Lets `records` into a new store of the same network.
fn copy(bed: &Filled, records: Vec<Record>) -> Spent {
    let home = tempfile::tempdir().unwrap();
    let config = Config { min_free: 0, ..Config::default() };
    let store = Store::create(home.path(), &bed.genesis, &config, bed.clock()).unwrap();
    let count = records.len() as u64;
    let stored = Arc::new(AtomicU64::new(0));
    let (enter, leave) = sync_channel::<()>(IN_FLIGHT);
    let leave = Arc::new(parking_lot::Mutex::new(leave));
    let mut records = records.into_iter();
    let before = Clocks::read();
    let begin = Instant::now();
    let mut lap = (Clocks::read(), begin);
    let mut sent = 0;
    loop {
        let call: Vec<Record> = records.by_ref().take(CALL).collect();
        if call.is_empty() {
            break;
        }
        enter.send(()).unwrap();
        sent += call.len() as u64;
        if sent / LAP > (sent - call.len() as u64) / LAP {
            println!("  to {sent}: {}", Spent::since(lap.1, &lap.0, LAP));
            lap = (Clocks::read(), Instant::now());
        }
        let (stored, leave) = (Arc::clone(&stored), Arc::clone(&leave));
        let done = move |verdicts: Vec<lfdns::store::Verdict>| {
            let new = verdicts.iter().filter(|v| v.stored().is_some()).count();
            stored.fetch_add(new as u64, Ordering::Relaxed);
            leave.lock().recv().unwrap();
        };
        store.submit(call, Source::Import, Box::new(done)).unwrap();
    }
    store.flush();
    let spent = Spent::since(begin, &before, count);
    assert_eq!(stored.load(Ordering::Relaxed), count);
    spent
}

/// Reads every record of a store as it is sent to a peer that streams, a snapshot for each call.
fn read_out(bed: &Filled) -> Spent {
    let end = (Millis(u64::MAX), RecordId([0xFF; 32]));
    let points = bed.store.ranges().unwrap().list(&FIRST, &end, usize::MAX).unwrap();
    let ends = points.iter().skip(CALL).step_by(CALL).chain([&end]);
    let (before, begin) = (Clocks::read(), Instant::now());
    let (mut count, mut bytes) = (0, 0);
    for (low, high) in points.iter().step_by(CALL).zip(ends) {
        let sent = black_box(bed.store.snapshot().unwrap().sent_from(low, high, usize::MAX).unwrap());
        bytes += sent.iter().map(|sent| sent.bytes.len()).sum::<usize>();
        count += sent.len() as u64;
    }
    assert_eq!(count, points.len() as u64);
    assert!(bytes as u64 > count);
    Spent::since(begin, &before, count)
}

/// CPU time by the names of threads, in nanoseconds.
struct Clocks(BTreeMap<String, u64>);

impl Clocks {
    fn read() -> Clocks {
        let mut clocks = BTreeMap::new();
        for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let name =
                read("comm").trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
            let spent: u64 = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            *clocks.entry(name).or_default() += spent;
        }
        Clocks(clocks)
    }
}

struct Spent(String);

impl Spent {
    fn since(begin: Instant, before: &Clocks, count: u64) -> Spent {
        let wall = begin.elapsed();
        let mut out = format!("{:.0} a second", count as f64 / wall.as_secs_f64());
        for (name, spent) in Clocks::read().0 {
            let spent = spent - before.0.get(&name).copied().unwrap_or(0).min(spent);
            let each = spent as f64 / count as f64 / 1_000.0;
            if each > 0.05 {
                let _ = write!(out, ", {name} {each:.1} µs");
            }
        }
        Spent(out)
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
