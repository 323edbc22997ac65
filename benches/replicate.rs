//! A cold synchronisation over loopback: a node with nothing but the network's genesis dials one that has
//! everything, and takes it in, every record verified and fsynced. Both nodes share this machine's cores. The rate is
//! compared with what the cores could verify if they did nothing else, measured before and after in the same run:
//! strict verifications, key decompression included, divided by the signatures of a record. `LFDNS_BENCH_RECORDS` lists
//! the sizes.
#![allow(clippy::unwrap_used)]

#[path = "common/filled.rs"]
mod filled;

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use filled::{Filled, sizes};
use lfdns::record::{Owner, verify_signature};
use lfdns::store::{Clock, Config, Store};
use lfdns::sync::PeerAddress;
use lfdns::sync::face::Peers;
use lfdns::sync::net::{Duties, Service, Setup};
use lfdns::sync::table::Saved;

/// Signatures verified for comparison.
const VERIFIED: u64 = 8_192;
/// An owner's signature and one claim.
const SIGNATURES: f64 = 2.0;
/// How often the receiving node is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// No synchronisation takes longer.
const PATIENCE: Duration = Duration::from_mins(30);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    for size in sizes() {
        let mut bed = Filled::with(size);
        // Nothing is compared that is younger than two seconds.
        bed.pass(60_000);
        let before = verifications(&mut bed);
        let (rate, first) = runtime.block_on(cold(&bed, size));
        let after = verifications(&mut bed);
        let limit = cores * f64::midpoint(before, after) / SIGNATURES;
        println!("{size} records: {rate:.0} a second, all in agreement after {:.1} s", first.as_secs_f64());
        println!(
            "  one core verifies {before:.0} a second before, {after:.0} after; {cores} cores: {limit:.0} records"
        );
        println!("  ratio {:.2}", rate / limit);
        println!("  resident at most, both nodes: {} MiB", resident_most() >> 20);
    }
}

/// What one core does: owners' signatures, one by one.
fn verifications(bed: &mut Filled) -> f64 {
    // Made for this and given to nobody.
    let made = bed.made;
    let sample = bed.mint(VERIFIED);
    bed.made = made;
    let ids: Vec<_> = sample.iter().map(|record| record.id(&bed.network)).collect();
    let begin = Instant::now();
    for (record, id) in sample.iter().zip(&ids) {
        assert!(verify_signature(&record.header.owner.0, &id.0, &record.signature));
    }
    sample.len() as f64 / begin.elapsed().as_secs_f64()
}

fn service(store: &Store, clock: Clock, key: u8, peers: Vec<PeerAddress>, duties: Duties) -> Service {
    let setup = Setup {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        key: Owner::from_seed(&[key; 32]).to_pem(),
        store: store.clone(),
        clock,
        peers,
        saved: Saved::default(),
        synchronised: key == 1,
        duties,
    };
    Service::start(setup).unwrap()
}

/// Records a second while they come, and how long until both sets were found equal.
async fn cold(bed: &Filled, size: u64) -> (f64, Duration) {
    let home = tempfile::tempdir().unwrap();
    let config = Config { min_free: 0, ..Config::default() };
    let store = Store::create(home.path(), &bed.genesis, &config, bed.clock()).unwrap();
    let nothing = || Duties { synchronised: Box::new(|| ()), save: Box::new(|_| Ok(())) };
    let giver = service(&bed.store, bed.clock(), 1, Vec::new(), nothing());
    let (tell, told) = channel();
    let duties = Duties {
        synchronised: Box::new(move || {
            let _ = tell.send(Instant::now());
        }),
        save: Box::new(|_| Ok(())),
    };

    let begin = Instant::now();
    let address = PeerAddress::of(giver.address(), Some(giver.key()));
    let taker = service(&store, bed.clock(), 2, vec![address], duties);
    let mut looks = tokio::time::interval(LOOK);
    let wanted = size + bed.genesis.len() as u64;
    let count = || store.stats().unwrap().records;
    while count() < wanted {
        assert!(begin.elapsed() < PATIENCE, "{} of {wanted}", count());
        looks.tick().await;
        let progress = taker.progress();
        assert!(progress.connected <= 1);
    }
    let came = begin.elapsed();
    let agreed = told.recv_timeout(Duration::from_secs(30)).unwrap() - begin;
    taker.stop().await;
    giver.stop().await;
    (size as f64 / came.as_secs_f64(), agreed)
}

fn resident_most() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
