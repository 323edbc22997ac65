//! What records cost: disk and time. The disk bound is DESIGN "Numbers to reach"; `LFDNS_COST_RECORDS` sets
//! how many records are made, the times are only printed.

use std::time::Instant;

use rayon::prelude::*;

use super::*;

/// Bytes of disk per 350-byte record, everything included.
const BYTES_MAX: u64 = 600;

#[test]
fn a_350_byte_record_takes_at_most_600_bytes_of_disk() {
    let count: usize = std::env::var("LFDNS_COST_RECORDS").map_or(4_000, |n| n.parse().unwrap());
    let bed = Bed::new();
    let store = bed.create();
    let (mut sizes, mut writing) = (0, std::time::Duration::ZERO);
    let names: Vec<String> = (0..count).map(|n| format!("name{n}")).collect();
    for stretch in names.chunks(2_000) {
        bed.pass(5);
        let hands = store.links_for(stretch.len(), bed.now()).unwrap();
        let make = |(name, links): (&String, &Vec<Link>)| {
            let derived = [(Name::derive(&bed.network, name.as_bytes()), 0)];
            let draft = Draft {
                selectors: &derived,
                value: b"an 18-byte value..",
                masking: Masking::Default,
                compression: Compression::Auto,
                links,
                pulse_key: None,
                now: bed.now(),
                after: None,
            };
            draft.mint(&bed.network, &bed.rules, &owner(1)).unwrap()
        };
        let records: Vec<Record> = stretch.par_iter().zip(&hands).map(make).collect();
        sizes += records.iter().map(Record::len).sum::<usize>();
        let begun = Instant::now();
        put(&store, &records);
        writing += begun.elapsed();
    }
    print_reads(&bed, &store, &names);
    let tips = store.stats().unwrap().tips;
    drop(store);
    let bytes = std::fs::metadata(schema::file(bed.home.path())).unwrap().len();
    let (each, size) = (bytes / count as u64, sizes / count);
    println!("{count} records of {size} B: {each} B each on disk, {tips} tips, ingested in {writing:?}");
    assert!((340..=360).contains(&size), "{size}");
    assert!(each <= BYTES_MAX, "{each}");
}

fn print_reads(bed: &Bed, store: &Store, names: &[String]) {
    let root = PathKey::root(&bed.network);
    let step = (names.len() / 2_000).max(1);
    let path = |name: &String| root.child(&Name::derive(&bed.network, name.as_bytes()).public());
    let paths: Vec<PathKey> = names.iter().step_by(step).map(path).collect();
    let owner = owner(1).key();
    let snapshot = store.snapshot().unwrap();
    let timed = |what: &str, each: &dyn Fn(&PathKey)| {
        let begun = cpu_nanos();
        paths.iter().for_each(each);
        println!("{what}: {} ns", (cpu_nanos() - begun) / paths.len() as u64);
    };
    let heads = |path: &PathKey| snapshot.heads(path, &owner, Masked::MIN, Masked::MAX).unwrap();
    timed("heads", &|path| assert_eq!(heads(path).len(), 1));
    timed("heads again", &|path| assert_eq!(heads(path).len(), 1));
    timed("presence_of", &|path| assert!(snapshot.presence_of(path, &owner).unwrap().is_some()));
    timed("presence", &|path| assert_eq!(snapshot.presence(path).unwrap().len(), 1));
    timed("head and record", &|path| drop(snapshot.record(heads(path)[0].row).unwrap()));
    timed("snapshot and presence_of", &|path| {
        assert!(store.snapshot().unwrap().presence_of(path, &owner).unwrap().is_some());
    });
}

/// Time this thread has run, so that what else the machine does stays out of it; 0 where it cannot be told.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
