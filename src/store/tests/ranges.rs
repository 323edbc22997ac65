//! The fingerprint tree as the store keeps it: right after every commit, in whatever order records came.

use super::*;

fn point_of(bed: &Bed, record: &Record) -> Point {
    (record.header.time, record.id(&bed.network))
}

#[test]
fn tallies_follow_every_commit_late_records_too() {
    let bed = Bed::new();
    let store = bed.create();
    let ranges = store.ranges().unwrap();
    let mut all: Vec<Point> = bed.genesis.iter().map(|r| point_of(&bed, r)).collect();
    let links = bed.founding_links();
    for round in 0..40_u64 {
        bed.pass(100);
        // Every third lot is of the past.
        let back = if round % 3 == 2 { 3_000 } else { 0 };
        let records: Vec<Record> = (0..7)
            .map(|n| {
                let at = Millis(bed.now().0 - back + n);
                bed.record_at(at, &links, (n % 3) as u8, &format!("n{round}-{n}"), "v")
            })
            .collect();
        all.extend(records.iter().map(|r| point_of(&bed, r)));
        assert!(store.ingest(records, Source::Peer).iter().all(|v| v.stored().is_some()));
        assert_eq!(ranges.total(), Tally::of(&all));
    }
    all.sort_unstable();
    assert_eq!(ranges.list(&FIRST, &all[200], usize::MAX).unwrap(), all[..200]);
    for (low, high) in [(0, 280), (3, 4), (17, 260), (100, 100), (90, 40)] {
        let expected = if low < high { Tally::of(&all[low..high]) } else { Tally::default() };
        assert_eq!(ranges.tally(&all[low], &all[high]).unwrap(), expected, "{low}..{high}");
    }
    drop(ranges);
    drop(store);
    let again = bed.open().ranges().unwrap();
    assert_eq!(again.total(), Tally::of(&all), "rebuilt at the next start");
}

#[test]
fn a_bucket_that_cannot_be_split_keeps_no_commit_waiting_and_is_split_later() {
    let mut bed = Bed::new();
    bed.config.readers = 2;
    let store = bed.create();
    let ranges = store.ranges().unwrap();
    let links = bed.founding_links();
    let record = |n: u64| bed.record_at(Millis(START + n), &links, 1, &format!("n{n}"), "v");
    let put = |range: std::ops::Range<u64>| {
        let verdicts = store.ingest(range.map(record).collect(), Source::Sync);
        assert!(verdicts.iter().all(|v| v.stored().is_some()));
    };
    put(1..300);
    assert!(ranges.largest_bucket() <= 64);
    let held = [store.snapshot().unwrap(), store.snapshot().unwrap()];
    let begun = std::time::Instant::now();
    put(300..500);
    assert!(begun.elapsed().as_secs() < 4, "the commit waited for a connection");
    assert!(ranges.largest_bucket() > 64);
    assert_eq!(ranges.total().count, 501);
    drop(held);
    // It lies in another bucket.
    store.ingest(vec![bed.record_at(Millis(START), &links, 2, "late", "v")], Source::Sync);
    assert!(ranges.largest_bucket() <= 64);
    assert_eq!(ranges.total().count, 502);
}

#[test]
fn the_parts_of_a_range_are_the_range() {
    let bed = Bed::new();
    let store = bed.create();
    let links = bed.founding_links();
    let records: Vec<Record> =
        (0..1_500).map(|n| bed.record_at(bed.now().plus(n / 3), &links, 1, &format!("n{n}"), "v")).collect();
    bed.pass(10_000);
    store.ingest(records, Source::Sync);
    let ranges = store.ranges().unwrap();
    let end = (bed.now(), RecordId([0; 32]));
    // Large; little more than what is cut exactly, of few buckets; small enough to be cut exactly.
    let before = |ms| (Millis(START + ms), RecordId([0; 32]));
    for (high, least) in [(end, 12), (before(100), 6), (before(40), 15)] {
        let parts = ranges.divide(&FIRST, &high, 16).unwrap();
        assert!((least..=17).contains(&parts.len()), "{} parts", parts.len());
        assert_eq!(parts.last().unwrap().0, high);
        let mut low = FIRST;
        for (to, tally) in parts {
            assert!(low < to);
            assert_eq!(ranges.tally(&low, &to).unwrap(), tally);
            low = to;
        }
    }
    assert_eq!(ranges.divide(&end, &end, 16).unwrap(), [(end, Tally::default())]);
}

#[test]
fn a_listing_goes_by_the_index() {
    let bed = Bed::new();
    let store = bed.create();
    let snapshot = store.snapshot().unwrap();
    let plan: String = snapshot
        .conn()
        .query_row(
            "EXPLAIN QUERY PLAN SELECT time, id FROM record WHERE (time, id) >= (1, x'00') AND (time, id) < (2, x'00')
             ORDER BY time, id LIMIT 5",
            [],
            |row| row.get(3),
        )
        .unwrap();
    assert!(plan.contains("USING COVERING INDEX by_time ((time,id)>(?,?) AND (time,id)<(?,?))"), "{plan}");
}
