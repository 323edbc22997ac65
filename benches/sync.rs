//! What comparing two nodes costs: bytes, turns and CPU of a session over the store's own ranges, beside the crate
//! `negentropy` on the same sets. The rows are made up, as only times and ids are compared; a million signed records
//! would take minutes to make. `LFDNS_BENCH_RECORDS` lists the sizes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lfdns::record::{Millis, NetworkId, Owner, RecordId, Rules, found, hash};
use lfdns::store::{Clock, Config, Point, Ranges, Store};
use lfdns::sync::reconcile::{Scope, Side};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use rusqlite::{Connection, params};

const START: u64 = 1_700_000_000_000;
/// Milliseconds from one record to the next.
const STEP: u64 = 1_000;
/// Each session is run so often; the quickest counts.
const ROUNDS: usize = 5;
const DIFFERENCES: [u64; 4] = [0, 10, 1_000, 100_000];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Newest,
    Scattered,
}

/// What a session cost.
#[derive(Clone, Copy)]
struct Cost {
    bytes: usize,
    turns: usize,
    time: Duration,
    found: u64,
}

fn main() {
    let sizes = std::env::var("LFDNS_BENCH_RECORDS").unwrap_or_else(|_| "10000,100000,1000000".into());
    println!(
        "| records | differ | where | bytes | turns | ms, both sides | negentropy: bytes | turns | ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for size in sizes.split(',').map(|size| size.trim().parse().expect("LFDNS_BENCH_RECORDS lists numbers")) {
        measure(size);
    }
}

fn measure(size: u64) {
    let clock: Clock = Arc::new(|| Millis(START + (1 << 40)));
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for home in [&here, &there] {
        found_in(home.path(), &clock);
        fill(home.path(), 0..size);
    }
    let all: Vec<Point> = (0..size).map(point).collect();
    let (whole, store) = (vector(&all), open(here.path(), &clock));
    let ours = store.ranges().unwrap();
    for count in DIFFERENCES.into_iter().filter(|count| *count < size) {
        for place in [Where::Newest, Where::Scattered] {
            if count == 0 && place == Where::Scattered {
                continue;
            }
            let lacking = lacking(size, count, place);
            thin(there.path(), &lacking);
            let lagging = open(there.path(), &clock);
            let cost = best(|| session(&lagging.ranges().unwrap(), &ours));
            drop(lagging);
            fill(there.path(), lacking.iter().copied());
            let few: Vec<Point> = (0..size).filter(|n| !lacking.contains(n)).map(point).collect();
            let few = vector(&few);
            let theirs = best(|| negentropy(&few, &whole));
            assert_eq!((cost.found, theirs.found), (count, count));
            print(size, count, place, cost, theirs);
        }
    }
}

fn print(size: u64, count: u64, place: Where, ours: Cost, theirs: Cost) {
    let place = match (count, place) {
        (0, _) => "",
        (_, Where::Newest) => "newest",
        (_, Where::Scattered) => "scattered",
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {size} | {count} | {place} | {} | {} | {:.2} | {} | {} | {:.2} |",
        ours.bytes,
        ours.turns,
        ms(ours.time),
        theirs.bytes,
        theirs.turns,
        ms(theirs.time)
    );
}

fn best(mut run: impl FnMut() -> Cost) -> Cost {
    (0..ROUNDS).map(|_| run()).min_by_key(|cost| cost.time).expect("at least one round")
}

fn point(number: u64) -> Point {
    let id = hash("lfdns bench", &NetworkId([0; 32]), &[&number.to_be_bytes()]);
    (Millis(START + number * STEP), RecordId(id))
}

fn lacking(size: u64, count: u64, place: Where) -> BTreeSet<u64> {
    match place {
        Where::Newest => (size - count..size).collect(),
        // Evenly, but never in step with how ranges are cut.
        Where::Scattered => (0..count).map(|n| n * size / count + n * n % (size / count)).collect(),
    }
}

fn found_in(home: &Path, clock: &Clock) {
    let owner = Owner::from_seed(&[1; 32]);
    let (_, genesis) = found(&owner, &Rules::private(&[7; 32], "bench"), Millis(START - 1_000_000)).unwrap();
    let config = Config { min_free: 0, ..Config::default() };
    Store::create(home, &genesis, &config, Arc::clone(clock)).unwrap();
}

fn open(home: &Path, clock: &Clock) -> Store {
    Store::open(home, &Config { min_free: 0, ..Config::default() }, Arc::clone(clock)).unwrap()
}

/// Rows that have nothing but what is compared.
fn fill(home: &Path, numbers: impl Iterator<Item = u64>) {
    let mut db = Connection::open(home.join("store.db")).unwrap();
    let transaction = db.transaction().unwrap();
    let insert =
        "INSERT INTO record(row, id, time, owner, flags, parents, body) VALUES(?1, ?2, ?3, 1, 0, x'', x'')";
    let mut statement = transaction.prepare(insert).unwrap();
    for number in numbers {
        let (time, id) = point(number);
        statement.execute(params![row(number), id.0, time.0.cast_signed()]).unwrap();
    }
    drop(statement);
    transaction.commit().unwrap();
}

fn thin(home: &Path, numbers: &BTreeSet<u64>) {
    let mut db = Connection::open(home.join("store.db")).unwrap();
    let transaction = db.transaction().unwrap();
    let mut statement = transaction.prepare("DELETE FROM record WHERE row = ?1").unwrap();
    for number in numbers {
        assert_eq!(statement.execute([row(*number)]).unwrap(), 1);
    }
    drop(statement);
    transaction.commit().unwrap();
}

/// Behind the genesis records.
fn row(number: u64) -> i64 {
    number.cast_signed() + 1_000
}

fn session(lagging: &Ranges, whole: &Ranges) -> Cost {
    let begin = Instant::now();
    let scope = Scope { salt: [7; 16], until: (Millis(START + (1 << 40)), RecordId([0; 32])) };
    let (mut asks, mut answers) = (Side::new(scope), Side::new(scope));
    let mut turn = asks.open(&lagging.reader().unwrap()).unwrap();
    let (mut bytes, mut turns) = (turn.len(), 1);
    let mut asking = false;
    let mut take = |asking: bool, turn: &[u8]| {
        let (side, set) = if asking { (&mut asks, lagging) } else { (&mut answers, whole) };
        side.answer(&set.reader().unwrap(), turn).unwrap()
    };
    while let Some(reply) = take(asking, &turn) {
        (bytes, turns, asking, turn) = (bytes + reply.len(), turns + 1, !asking, reply);
    }
    let time = begin.elapsed();
    let found = answers.finish().have.len() as u64;
    Cost { bytes, turns, time, found }
}

fn vector(points: &[Point]) -> NegentropyStorageVector {
    let mut storage = NegentropyStorageVector::with_capacity(points.len());
    for (time, id) in points {
        storage.insert(time.0, Id::from_byte_array(id.0)).unwrap();
    }
    storage.seal().unwrap();
    storage
}

fn negentropy(lagging: &NegentropyStorageVector, whole: &NegentropyStorageVector) -> Cost {
    let begin = Instant::now();
    let mut asks = Negentropy::borrowed(lagging, 0).unwrap();
    let mut answers = Negentropy::borrowed(whole, 0).unwrap();
    let (mut have, mut need) = (vec![], vec![]);
    let mut turn = asks.initiate().unwrap();
    let (mut bytes, mut turns) = (turn.len(), 1);
    loop {
        let reply = answers.reconcile(&turn).unwrap();
        (bytes, turns) = (bytes + reply.len(), turns + 1);
        match asks.reconcile_with_ids(&reply, &mut have, &mut need).unwrap() {
            Some(next) => turn = next,
            None => break,
        }
        (bytes, turns) = (bytes + turn.len(), turns + 1);
    }
    Cost { bytes, turns, time: begin.elapsed(), found: (have.len() + need.len()) as u64 }
}
