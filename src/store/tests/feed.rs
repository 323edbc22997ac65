//! What commits say, serials, and the network's rules.

use super::*;
use crate::record::{Authority, ZoneRule};

#[test]
fn a_commit_names_changed_slots_and_flipped_prefixes() {
    let bed = Bed::new();
    let store = bed.create();
    let heard = listen(&store);
    put(&store, &[bed.record(1, "a/b", "1")]);
    let commit = heard.lock().pop().unwrap();
    assert_eq!((commit.added.len(), commit.seq, commit.global), (1, 1, false));
    assert_eq!(commit.slots, [bed.path("a/b")]);
    let sorted = |mut paths: Vec<PathKey>| {
        paths.sort_unstable();
        paths
    };
    let all = sorted(vec![bed.path(""), bed.path("a"), bed.path("a/b")]);
    assert_eq!(sorted(commit.flips), all);

    bed.pass(10);
    put(&store, &[bed.record(1, "a/c", "1")]);
    let commit = heard.lock().pop().unwrap();
    assert_eq!(commit.flips, [bed.path("a/c")], "a and the root existed before");

    bed.pass(10);
    put(&store, &[bed.record(1, "a/b", "2")]);
    let commit = heard.lock().pop().unwrap();
    assert_eq!((commit.slots, commit.flips), (vec![bed.path("a/b")], vec![]), "a revision flips nothing");

    bed.pass(10);
    put(&store, &[bed.record(1, "a/b", ""), bed.record(1, "a/c", "")]);
    let commit = heard.lock().pop().unwrap();
    let gone = vec![bed.path(""), bed.path("a"), bed.path("a/b"), bed.path("a/c")];
    assert_eq!(sorted(commit.flips), sorted(gone));
}

#[test]
fn existence_flips_for_each_owner_by_itself() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record(1, "a", "1")]);
    let heard = listen(&store);
    put(&store, &[bed.record(2, "a", "1")]);
    assert!(heard.lock()[0].flips.contains(&bed.path("a")));
}

#[test]
fn an_older_revision_changes_nothing() {
    let bed = Bed::new();
    let store = bed.create();
    let older = bed.record(1, "a", "older");
    bed.pass(10);
    put(&store, &[bed.record(1, "a", "newer")]);
    let heard = listen(&store);
    put(&store, &[older]);
    let commit = heard.lock().pop().unwrap();
    assert_eq!((commit.added.len(), commit.slots.len()), (1, 0));
    assert_eq!(bed.value(&store, 1, "a").as_deref(), Some("newer"));
}

#[test]
fn a_commit_is_heard_before_its_acknowledgement_and_readable_then() {
    let bed = Bed::new();
    let store = bed.create();
    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let (seeing, reader, slot) = (Arc::clone(&seen), store.clone(), bed.path("a"));
    store.subscribe(Arc::new(move |_| {
        let presence = reader.snapshot().unwrap().presence(&slot).unwrap();
        seeing.lock().push(presence.iter().map(|p| p.at).sum());
    }));
    put(&store, &[bed.record(1, "a", "1")]);
    assert_eq!(*seen.lock(), [1]);
}

#[test]
fn serials_rise_by_the_clock_and_by_one_at_least() {
    let bed = Bed::new();
    let store = bed.create();
    let cut = bed.path("zone");
    let asked: Arc<Mutex<Vec<OwnerKey>>> = Arc::default();
    let asking = Arc::clone(&asked);
    store.classify(Arc::new(move |changed| {
        asking.lock().push(changed.owner);
        changed.paths.iter().filter(|path| **path == cut).copied().collect()
    }));
    let heard = listen(&store);
    put(&store, &[bed.record(1, "elsewhere", "1")]);
    assert_eq!(store.snapshot().unwrap().serial(&cut).unwrap(), None);
    put(&store, &[bed.record(1, "zone/www", "1"), bed.record(2, "zone/ftp", "1")]);
    let first = store.snapshot().unwrap().serial(&cut).unwrap().unwrap();
    assert_eq!(u64::from(first), START / 1000, "one commit, one step");
    put(&store, &[bed.record(1, "zone/mail", "1")]);
    assert_eq!(store.snapshot().unwrap().serial(&cut).unwrap(), Some(first + 1));
    bed.pass(60_000);
    put(&store, &[bed.record(1, "zone/www", "2")]);
    assert_eq!(store.snapshot().unwrap().serial(&cut).unwrap(), Some(first + 60));
    let cuts: Vec<_> = heard.lock().iter().map(|c| c.cuts.clone()).collect();
    assert_eq!(cuts, [vec![], vec![cut], vec![cut], vec![cut]]);
    assert_eq!(asked.lock().len(), 5);
}

fn amended(bed: &Bed, by: u8, change: impl FnOnce(&mut Rules), links: Vec<RecordId>) -> Record {
    let mut rules = bed.rules.clone();
    change(&mut rules);
    rules.genesis(&bed.network, &owner(by), bed.now(), links).unwrap()
}

#[test]
fn the_newest_genesis_record_of_the_founder_sets_the_rules() {
    let bed = Bed::new();
    let store = bed.create();
    let heard = listen(&store);
    let last = store.newest_genesis();
    let zone = ZoneRule::new("demo.lf.", &["demo"], Authority::Key);
    let newer = amended(&bed, 0, |rules| rules.zones.push(zone.clone()), vec![last.id]);
    bed.pass(10);
    put(&store, std::slice::from_ref(&newer));
    assert_eq!(store.rules().zones, [zone]);
    assert!(heard.lock()[0].global);
    assert_eq!(store.newest_genesis(), bed.link(&newer));

    let older = Millis(START - 5);
    let mut rules = bed.rules.clone();
    rules.name = "older".into();
    let late = rules.genesis(&bed.network, &owner(0), older, vec![last.id]).unwrap();
    put(&store, &[late]);
    assert_eq!(store.rules().zones.len(), 1, "an older amendment that comes later does not win");
    assert!(!heard.lock()[1].global);
    drop(store);
    assert_eq!(bed.open().rules().zones.len(), 1);
}

#[test]
fn only_the_founder_amends_and_only_what_may_be_amended() {
    let bed = Bed::new();
    let store = bed.create();
    let last = vec![store.newest_genesis().id];
    let stranger = amended(&bed, 3, |rules| rules.name = "mine".into(), last.clone());
    assert_eq!(ingest_one(&store, &stranger), Verdict::Refused(Refusal::ForeignGenesis));
    let fixed = amended(&bed, 0, |rules| rules.drift_ms += 1, last.clone());
    assert_eq!(ingest_one(&store, &fixed), Verdict::Refused(Refusal::FixedRules("drift_ms")));
    let datum = bed.record(1, "a", "1");
    put(&store, std::slice::from_ref(&datum));
    bed.pass(10);
    let beside = amended(&bed, 0, |rules| rules.name = "x".into(), vec![datum.id(&bed.network)]);
    assert_eq!(ingest_one(&store, &beside), Verdict::Refused(Refusal::UnlinkedGenesis));
    let mut bare = amended(&bed, 0, |rules| rules.name = "x".into(), last);
    bare.value = None;
    let Verdict::Refused(refusal) = ingest_one(&store, &bare) else { panic!("let in") };
    assert!(matches!(refusal, Refusal::ValueMissing(_)) && !refusal.at_fault());
    assert_eq!(store.rules().name, "test");
}
