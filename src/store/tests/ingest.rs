//! What `ingest` lets in, keeps waiting and refuses.

use super::*;
use crate::record::{Invalid, Pulse};

#[test]
fn what_is_accepted_is_still_there_after_reopening() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record(1, "bad/horse#2", "neigh")]);
    assert_eq!(bed.value(&store, 1, "bad/horse#2").as_deref(), Some("neigh"));
    drop(store);
    let store = bed.open();
    assert_eq!(bed.value(&store, 1, "bad/horse#2").as_deref(), Some("neigh"));
    assert_eq!(store.network(), bed.network);
    assert_eq!(store.founder(), owner(0).key());
    assert_eq!(*store.rules(), bed.rules);
}

#[test]
fn a_record_comes_back_byte_for_byte() {
    let bed = Bed::new();
    let store = bed.create();
    let records = [bed.record(1, "a/b/c#9", "value"), bed.record(2, "a", ""), bed.genesis[0].clone()];
    store.ingest(records.to_vec(), Source::Api);
    let snapshot = store.snapshot().unwrap();
    for record in records {
        let (_, back) = snapshot.by_id(&record.id(&bed.network)).unwrap().unwrap();
        assert_eq!(back, record);
        assert_eq!(back.encode(), record.encode());
    }
}

#[test]
fn a_known_record_and_a_second_signature_for_it_are_known() {
    let bed = Bed::new();
    let store = bed.create();
    let record = bed.record(1, "a", "1");
    let id = record.id(&bed.network);
    let both = store.ingest(vec![record.clone(), record.clone()], Source::Api);
    assert_eq!(both, [Verdict::Accepted(id), Verdict::Known(id)]);
    let mut again = record;
    again.signature = [9; 64];
    assert_eq!(ingest_one(&store, &again), Verdict::Known(id), "the id is known, whoever signs it again");
}

#[test]
fn a_bad_signature_is_the_senders_fault_and_does_not_mark_the_id() {
    let bed = Bed::new();
    let store = bed.create();
    let record = bed.record(1, "a", "1");
    let mut forged = record.clone();
    forged.signature[5] ^= 1;
    let Verdict::Refused(refusal) = ingest_one(&store, &forged) else { panic!("let in") };
    assert_eq!(refusal, Refusal::Invalid(Invalid::Signature));
    assert!(refusal.at_fault());
    let mut wrong_value = record.clone();
    wrong_value.value.as_mut().unwrap()[3] ^= 1;
    assert_eq!(ingest_one(&store, &wrong_value), Verdict::Refused(Refusal::Invalid(Invalid::ValueHash)));
    assert!(matches!(ingest_one(&store, &record), Verdict::Accepted(_)));
}

#[test]
fn a_record_of_another_network_is_refused() {
    let bed = Bed::new();
    let store = bed.create();
    let (_, foreign) = found(&owner(9), &Rules::private(&[8; 32], "other"), Millis(START)).unwrap();
    assert!(matches!(ingest_one(&store, &foreign[0]), Verdict::Refused(r) if r.at_fault()));
}

#[test]
fn a_record_that_its_own_bytes_do_not_give_back_is_refused() {
    let bed = Bed::new();
    let store = bed.create();
    let mut crooked = bed.record(1, "a", "1");
    crooked.header.links.reverse();
    assert!(matches!(ingest_one(&store, &crooked), Verdict::Refused(Refusal::Malformed(_))));
    let mut crowded = bed.record(1, "a", "1");
    crowded.header.links = (0..40).map(|n| RecordId([n; 32])).collect();
    assert!(matches!(ingest_one(&store, &crowded), Verdict::Refused(Refusal::Malformed(_))));
    let mut longer = bed.record(1, "a", "1");
    longer.value.as_mut().unwrap().push(0);
    assert!(matches!(ingest_one(&store, &longer), Verdict::Refused(Refusal::Malformed(_))));
}

#[test]
fn an_orphan_waits_for_its_links_and_brings_its_descendants() {
    let bed = Bed::new();
    let store = bed.create();
    let parent = bed.record(1, "a", "parent");
    let links = [bed.link(&parent), bed.link(&bed.genesis[0])];
    let child = bed.record_on(&links, 1, "b", "child");
    let grandchild = bed.record_on(&[bed.link(&child), bed.link(&parent)], 1, "c", "grandchild");
    let missing = vec![parent.id(&bed.network)];
    let id = child.id(&bed.network);
    assert_eq!(ingest_one(&store, &child), Verdict::Orphan { id, missing });
    assert!(matches!(ingest_one(&store, &grandchild), Verdict::Orphan { missing, .. } if missing.len() == 2));
    assert_eq!(store.stats().unwrap().orphans, 2);
    put(&store, &[parent]);
    assert_eq!(bed.value(&store, 1, "b").as_deref(), Some("child"));
    assert_eq!(bed.value(&store, 1, "c").as_deref(), Some("grandchild"));
    assert_eq!(store.stats().unwrap().orphans, 0);
}

#[test]
fn a_record_ahead_of_our_clock_waits_for_its_time_and_its_child_for_it() {
    let bed = Bed::new();
    let store = bed.create();
    let heard = listen(&store);
    let early =
        bed.record_at(bed.now().plus(bed.rules.drift_ms + 5_000), &bed.founding_links(), 1, "a", "early");
    let child = bed.record_on(&[bed.link(&early), bed.link(&bed.genesis[0])], 1, "b", "child");
    let until = bed.now().plus(5_000);
    let id = early.id(&bed.network);
    assert_eq!(ingest_one(&store, &early), Verdict::Deferred { id, until });
    bed.pass(2_000);
    assert!(matches!(ingest_one(&store, &child), Verdict::Deferred { .. }));
    bed.pass(2_000);
    store.tick();
    store.flush();
    assert!(heard.lock().is_empty(), "not yet");
    bed.pass(1_100);
    store.tick();
    store.flush();
    assert_eq!(bed.value(&store, 1, "a").as_deref(), Some("early"));
    assert_eq!(bed.value(&store, 1, "b").as_deref(), Some("child"));
    assert_eq!(store.stats().unwrap().deferred, 0);
}

#[test]
fn a_record_within_the_drift_is_let_in_at_once() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record_at(bed.now().plus(bed.rules.drift_ms), &bed.founding_links(), 1, "a", "1")]);
}

#[test]
fn a_record_from_the_far_future_is_not_even_kept_waiting() {
    let bed = Bed::new();
    let store = bed.create();
    let far = bed.record_at(Millis((1 << 48) - 1), &bed.founding_links(), 1, "a", "far");
    assert!(matches!(ingest_one(&store, &far), Verdict::Deferred { .. }));
    assert_eq!(store.stats().unwrap().deferred, 0);
}

#[test]
fn a_record_not_later_than_its_link_is_refused() {
    let bed = Bed::new();
    let store = bed.create();
    let parent = bed.record(1, "a", "1");
    put(&store, std::slice::from_ref(&parent));
    // The author lies to itself about the parent's time.
    let lie = Link { time: Millis(0), ..bed.link(&parent) };
    let child = bed.record_on(&[lie, bed.link(&bed.genesis[0])], 1, "b", "1");
    assert_eq!(child.header.time, parent.header.time);
    let Verdict::Refused(refusal) = ingest_one(&store, &child) else { panic!("let in") };
    assert!(matches!(refusal, Refusal::NotAfterLink { .. }) && refusal.at_fault(), "{refusal}");
}

#[test]
fn a_record_with_too_few_links_is_refused() {
    let bed = Bed::new();
    let store = bed.create();
    let mut rules = bed.rules.clone();
    rules.links_min = 1;
    let (selectors, links) = (bed.selectors("a"), bed.founding_links());
    let draft = Draft {
        selectors: &selectors,
        value: b"1",
        masking: Masking::Default,
        compression: Compression::Off,
        links: &links[..1],
        pulse_key: None,
        now: bed.now(),
        after: None,
    };
    let record = draft.mint(&bed.network, &rules, &owner(1)).unwrap();
    let refused = Verdict::Refused(Refusal::Invalid(Invalid::TooFewLinks { got: 1, want: 2 }));
    assert_eq!(ingest_one(&store, &record), refused);
}

#[test]
fn below_the_floor_of_free_disk_writes_are_refused_in_words_and_reads_go_on() {
    let mut bed = Bed::new();
    let free = Arc::new(AtomicU64::new(1 << 40));
    let measured = Arc::clone(&free);
    bed.config.probe = Probe::new(move |_| Ok(measured.load(Ordering::SeqCst)));
    let store = bed.create();
    let first = bed.record(1, "a", "1");
    put(&store, std::slice::from_ref(&first));
    free.store(1000, Ordering::SeqCst);
    let second = bed.record(1, "b", "2");
    let Verdict::Refused(refusal) = ingest_one(&store, &second) else { panic!("written") };
    assert_eq!(refusal, Refusal::DiskFull { free: 1000, floor: 64 << 20 });
    assert!(!refusal.at_fault() && refusal.to_string().contains("disk is nearly full"), "{refusal}");
    assert!(matches!(ingest_one(&store, &first), Verdict::Known(_)));
    assert_eq!(bed.value(&store, 1, "a").as_deref(), Some("1"), "reads go on");
    free.store(1 << 40, Ordering::SeqCst);
    put(&store, &[second]);
}

#[test]
fn a_failed_transaction_leaves_nothing_and_the_writer_goes_on() {
    let bed = Bed::new();
    let store = bed.create();
    let heard = listen(&store);
    let parent = bed.record(1, "a", "1");
    let child = bed.record_on(&[bed.link(&parent), bed.link(&bed.genesis[0])], 2, "b", "1");
    assert!(matches!(ingest_one(&store, &child), Verdict::Orphan { .. }));
    // The last table written refuses: everything before it must go too.
    let side = rusqlite::Connection::open(schema::file(bed.home.path())).unwrap();
    side.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON presence BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    .unwrap();
    let Verdict::Refused(refusal) = ingest_one(&store, &parent) else { panic!("stored") };
    assert!(matches!(&refusal, Refusal::Storage(why) if why.contains("no room")) && !refusal.at_fault());
    assert!(heard.lock().is_empty());
    assert!(store.snapshot().unwrap().by_id(&parent.id(&bed.network)).unwrap().is_none());
    assert_eq!(store.stats().unwrap().records, 2);

    side.execute_batch("DROP TRIGGER no").unwrap();
    put(&store, &[parent]);
    assert_eq!(bed.value(&store, 2, "b").as_deref(), Some("1"), "the orphan was not forgotten");
    assert_eq!(store.check(CheckOptions::default()).unwrap().findings, Vec::<String>::new());
}

#[test]
fn a_value_that_was_not_here_is_filled_in_later() {
    let bed = Bed::new();
    let store = bed.create();
    let whole = bed.record(1, "a", "1");
    let pruned = Record { value: None, ..whole.clone() };
    assert!(matches!(ingest_one(&store, &pruned), Verdict::Accepted(_)));
    let id = whole.id(&bed.network);
    assert_eq!(store.snapshot().unwrap().by_id(&id).unwrap().unwrap().1.value, None);
    let heard = listen(&store);
    assert_eq!(ingest_one(&store, &whole), Verdict::Known(id));
    assert_eq!(bed.value(&store, 1, "a").as_deref(), Some("1"));
    assert_eq!(heard.lock()[0].slots, [bed.path("a")]);
    assert_eq!(ingest_one(&store, &pruned), Verdict::Known(id));
}

#[test]
fn many_records_at_once_are_all_judged_in_order() {
    let bed = Bed::new();
    let store = bed.create();
    let records: Vec<_> = (0..1_300).map(|n| bed.record(1, &format!("a#{n}"), "v")).collect();
    let ids: Vec<_> = records.iter().map(|r| Verdict::Accepted(r.id(&bed.network))).collect();
    assert_eq!(store.ingest(records.clone(), Source::Api), ids);
    let (answer, answered) = std::sync::mpsc::channel();
    let done = Box::new(move |verdicts: Vec<Verdict>| answer.send(verdicts).unwrap());
    store.submit(records, Source::Api, done).unwrap();
    let again = answered.recv().unwrap();
    assert!(again.iter().zip(&ids).all(|(a, b)| a.stored() == b.stored() && matches!(a, Verdict::Known(_))));
}

#[test]
fn only_the_highest_pulse_counts_and_only_its_key_may_pulse() {
    let bed = Bed::new();
    let store = bed.create();
    let seed = [3; 32];
    let (selectors, links) = (bed.selectors("svc"), bed.founding_links());
    let draft = Draft {
        selectors: &selectors,
        value: b"up",
        masking: Masking::Default,
        compression: Compression::Off,
        links: &links,
        pulse_key: Some(Owner::from_seed(&seed).key().0),
        now: bed.now(),
        after: None,
    };
    let record = draft.mint(&bed.network, &bed.rules, &owner(1)).unwrap();
    let id = record.id(&bed.network);
    put(&store, &[record]);
    let heard = listen(&store);
    bed.pass(10 * 60_000);
    let pulse = |minute, seed| Pulse::mint(&bed.network, id, minute, &seed);
    let verdicts = store.ingest_pulses(vec![
        pulse(3, seed),
        pulse(2, seed),
        pulse(4, [4; 32]),
        pulse(60, seed),
        Pulse::mint(&bed.network, RecordId([1; 32]), 1, &seed),
    ]);
    assert_eq!(verdicts[0], Verdict::Accepted(id));
    assert_eq!(verdicts[1], Verdict::Known(id));
    assert_eq!(verdicts[2], Verdict::Refused(Refusal::BadPulse));
    assert_eq!(verdicts[3], Verdict::Refused(Refusal::EarlyPulse));
    assert_eq!(verdicts[4], Verdict::Refused(Refusal::UnknownRecord));
    let snapshot = store.snapshot().unwrap();
    let (row, _) = snapshot.by_id(&id).unwrap().unwrap();
    assert_eq!(snapshot.pulse(row).unwrap(), Some(3));
    assert_eq!(heard.lock()[0].slots, [bed.path("svc")]);
}

#[test]
fn many_pieces_at_once_do_not_pile_up_on_a_stack() {
    let bed = Bed::new();
    let store = bed.create();
    let records: Vec<Record> = (0..4_000).map(|n| bed.record(1, &format!("n{}", n % 50), "v")).collect();
    let (judged, verdicts) = std::sync::mpsc::channel();
    for record in records {
        let judged = judged.clone();
        let done = Box::new(move |verdicts: Vec<Verdict>| {
            let _ = judged.send(verdicts.len());
        });
        store.submit(vec![record], Source::Peer, done).expect("room for all");
    }
    drop(judged);
    assert_eq!(verdicts.iter().sum::<usize>(), 4_000);
}
