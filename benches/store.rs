//! What the store does with many records: letting in (verified, fsynced) and finding by path, at each size of
//! `LFDNS_BENCH_RECORDS`. Lookups should cost as much in a large store as in a small one.
#![allow(clippy::unwrap_used)]

#[path = "common/filled.rs"]
mod filled;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use filled::{Filled, Shuffle, label, sizes};
use lfdns::dns::rrset::rrset_ordinal;
use lfdns::record::{Masked, Name, PathKey};

/// Records of one call of `ingest`.
const BATCH: u64 = 1_000;
/// Names looked up; their keys are derived before.
const SAMPLE: u64 = 1_000;

fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(BATCH));
    for size in sizes() {
        let mut bed = Filled::with(size);
        let id = BenchmarkId::new(format!("{BATCH} records into"), size);
        group.bench_function(id, |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    // Twice the size is another size.
                    if bed.made >= size * 2 {
                        bed = Filled::with(size);
                    }
                    let batch = bed.mint(BATCH);
                    let begin = Instant::now();
                    bed.ingest(batch);
                    spent += begin.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

struct Wanted {
    slot: PathKey,
    ordinal: Masked,
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1));
    for size in sizes() {
        let bed = Filled::with(size);
        let owner = bed.owner.key();
        let root = PathKey::root(&bed.network);
        let mut shuffle = Shuffle::new();
        let wanted: Vec<Wanted> = (0..SAMPLE)
            .map(|_| {
                let name = Name::derive(&bed.network, label(shuffle.below(size)).as_bytes());
                Wanted { slot: root.child(&name.public()), ordinal: name.mask(rrset_ordinal(1)) }
            })
            .collect();
        let mut turn = wanted.iter().cycle();
        group.bench_function(BenchmarkId::new("snapshot, presence, head, record", size), |b| {
            b.iter(|| {
                let Wanted { slot, ordinal } = turn.next().unwrap();
                let snapshot = bed.store.snapshot().unwrap();
                assert!(snapshot.presence_of(slot, &owner).unwrap().is_some());
                let heads = snapshot.heads(slot, &owner, *ordinal, *ordinal).unwrap();
                black_box(snapshot.record(heads[0].row).unwrap())
            });
        });
        let snapshot = bed.store.snapshot().unwrap();
        group.bench_function(BenchmarkId::new("presence in an open snapshot", size), |b| {
            b.iter(|| black_box(snapshot.presence(&turn.next().unwrap().slot).unwrap()));
        });
        let absent = root.child(&Name::derive(&bed.network, b"nobody").public());
        group.bench_function(BenchmarkId::new("absence in an open snapshot", size), |b| {
            b.iter(|| assert!(snapshot.presence(black_box(&absent)).unwrap().is_empty()));
        });
    }
    group.finish();
}

criterion_group!(benches, ingest, lookup);
criterion_main!(benches);
