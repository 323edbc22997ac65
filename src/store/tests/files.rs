//! Homes, locks, backups, exports, and what `check` finds.

use super::*;
use rusqlite::Connection;

fn sound(store: &Store) {
    let report = store.check(CheckOptions { signatures: true }).unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
}

#[test]
fn a_home_in_use_is_refused_with_the_pid_of_its_holder() {
    let bed = Bed::new();
    let store = bed.create();
    let refused = Store::open(bed.home.path(), &bed.config, bed.clock()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(refused, StoreError::Locked { pid: Some(p), .. } if p == pid), "{refused}");
    drop(store);
    bed.open();
}

#[test]
fn a_closed_store_is_one_file() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record(1, "a", "1")]);
    drop(store);
    assert!(!schema::file(bed.home.path()).with_extension("db-wal").exists());
}

#[test]
fn a_store_is_made_once_and_must_be_there_to_be_opened() {
    let bed = Bed::new();
    assert!(!Store::exists(bed.home.path()).unwrap());
    assert!(matches!(Store::open(bed.home.path(), &bed.config, bed.clock()), Err(StoreError::Missing(_))));
    drop(bed.create());
    assert!(Store::exists(bed.home.path()).unwrap());
    let again = Store::create(bed.home.path(), &bed.genesis, &bed.config, bed.clock());
    assert!(matches!(again, Err(StoreError::Exists(_))));
}

#[test]
fn a_creation_cut_short_is_begun_again() {
    let bed = Bed::new();
    drop(schema::open_writer(&schema::file(bed.home.path()), &bed.config).unwrap());
    assert!(!Store::exists(bed.home.path()).unwrap());
    sound(&bed.create());
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_left_alone() {
    let bed = Bed::new();
    drop(bed.create());
    let path = schema::file(bed.home.path());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let refused = Store::open(bed.home.path(), &bed.config, bed.clock()).unwrap_err();
    assert!(matches!(refused, StoreError::NewerSchema { found: 7, .. }), "{refused}");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", schema::MIGRATIONS.len() as u32)
        .unwrap();
    sound(&bed.open());
}

#[test]
fn records_that_found_no_network_make_no_store() {
    let bed = Bed::new();
    let create = |genesis: &[Record]| Store::create(bed.home.path(), genesis, &bed.config, bed.clock());
    assert!(matches!(create(&[]), Err(StoreError::Genesis(_))));
    assert!(matches!(create(&bed.genesis[1..]), Err(StoreError::Genesis(_))));
    let mut forged = bed.genesis.clone();
    forged[1].signature[0] ^= 1;
    assert!(matches!(create(&forged), Err(StoreError::Genesis(_))));
    let datum = [bed.genesis[0].clone(), bed.record(0, "a", "1")];
    assert!(matches!(create(&datum), Err(StoreError::Genesis(_))));
    assert!(!Store::exists(bed.home.path()).unwrap());
}

#[test]
fn a_reader_beside_a_running_node_reads_and_checks_but_does_not_write() {
    let bed = Bed::new();
    let store = bed.create();
    let record = bed.record(1, "a", "1");
    put(&store, std::slice::from_ref(&record));
    let reader = Store::open_reader(bed.home.path(), &bed.config, bed.clock()).unwrap();
    assert_eq!(bed.value(&reader, 1, "a").as_deref(), Some("1"));
    sound(&reader);
    assert_eq!(ingest_one(&reader, &record), Verdict::Refused(Refusal::ReadOnly));
    bed.pass(10);
    put(&store, &[bed.record(1, "a", "2")]);
    assert_eq!(bed.value(&reader, 1, "a").as_deref(), Some("2"));
    drop(store);
    assert_eq!(bed.value(&reader, 1, "a").as_deref(), Some("2"), "the node may stop meanwhile");
    drop(reader);
    let alone = Store::open_reader(bed.home.path(), &bed.config, bed.clock()).unwrap();
    assert_eq!(bed.value(&alone, 1, "a").as_deref(), Some("2"));
}

/// A store with revisions, deletions, several owners, deep paths and an amendment.
fn lived_in(bed: &Bed, store: &Store) {
    for round in 0..6 {
        bed.pass(1000);
        let hands = store.links_for(12, bed.now()).unwrap();
        let make = |n: usize| {
            let key = ["a", "a/b", "a#3", "c/d/e", "a/b#2", "f"][n % 6];
            let value = if (n + round).is_multiple_of(5) { "" } else { "value" };
            bed.record_on(&hands[n], (n % 4) as u8, key, value)
        };
        put(store, &(0..12).map(make).collect::<Vec<_>>());
    }
    let mut rules = bed.rules.clone();
    rules.comment = "amended".into();
    bed.pass(1000);
    let last = store.newest_genesis().id;
    put(store, &[rules.genesis(&bed.network, &owner(0), bed.now(), vec![last]).unwrap()]);
}

#[test]
fn a_backup_of_a_store_in_use_is_a_whole_store() {
    let bed = Bed::new();
    let store = bed.create();
    lived_in(&bed, &store);
    let copy = tempfile::tempdir().unwrap();
    store.backup(&schema::file(copy.path())).unwrap();
    let restored = Store::open(copy.path(), &bed.config, bed.clock()).unwrap();
    sound(&restored);
    assert_eq!(restored.stats().unwrap().records, store.stats().unwrap().records);
}

#[test]
fn an_export_makes_the_same_store_elsewhere() {
    let bed = Bed::new();
    let store = bed.create();
    lived_in(&bed, &store);
    let (mut file, mut last) = (Vec::new(), Progress::default());
    let count = store.export(&mut file, &mut |p| last = p).unwrap();
    assert_eq!((count, last.done, last.total), (75, 75, 75));

    let elsewhere = tempfile::tempdir().unwrap();
    let home = elsewhere.path().join("new");
    let made = Store::create_from_export(&home, &file[..], &bed.config, bed.clock(), &mut |_| ());
    let (copy, done) = made.unwrap();
    assert_eq!((done.done, done.accepted + done.known, done.refused), (75, 75, 0));
    sound(&copy);
    assert_eq!(copy.rules(), store.rules());
    let mut again = Vec::new();
    copy.export(&mut again, &mut |_| ()).unwrap();
    assert_eq!(again.len(), file.len());
    let known = store.import(&again[..], &mut |_| ()).unwrap();
    assert_eq!((known.known, known.accepted), (75, 0));
}

#[test]
fn a_damaged_cut_or_foreign_export_is_refused_and_leaves_no_new_store() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[bed.record(1, "a", "1")]);
    let mut file = Vec::new();
    store.export(&mut file, &mut |_| ()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let refuse = |file: &[u8]| {
        let made = Store::create_from_export(elsewhere.path(), file, &bed.config, bed.clock(), &mut |_| ());
        let error = made.err().unwrap();
        assert!(!Store::exists(elsewhere.path()).unwrap(), "a store was left behind");
        error.to_string()
    };
    for cut in [0, 5, 40, file.len() / 2, file.len() - 33, file.len() - 1] {
        let why = refuse(&file[..cut]);
        assert!(why.contains("ends early"), "{cut}: {why}");
    }
    let mut damaged = file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(refuse(&damaged).contains("hash is wrong"));
    assert!(refuse(b"certainly no export, whatever else it is").contains("no export"));
    let mut later = file.clone();
    later[8] = 9;
    assert!(refuse(&later).contains("update"));
    let mut foreign = file.clone();
    foreign[9] ^= 1;
    assert!(store.import(&foreign[..], &mut |_| ()).unwrap_err().to_string().contains("another network"));
}

#[test]
fn check_finds_each_table_that_does_not_follow_from_the_records() {
    let bed = Bed::new();
    let store = bed.create();
    lived_in(&bed, &store);
    sound(&store);
    drop(store);
    let damages = [
        ("DELETE FROM by_id WHERE row = 9", "by its id"),
        ("INSERT INTO by_id VALUES(1, 9)", "by_id"),
        ("DELETE FROM selector WHERE row = 9", "by its selector"),
        ("INSERT INTO selector VALUES(1, 1, 1, x'00000000000000000000000000000000', 9)", "selector"),
        ("UPDATE head SET live = 1 - live WHERE row = (SELECT max(row) FROM head)", "head"),
        ("DELETE FROM head WHERE row = (SELECT max(row) FROM head)", "head"),
        ("UPDATE presence SET at = at + 1 WHERE at > 0", "presence"),
        ("DELETE FROM presence WHERE at = 0", "presence"),
        ("INSERT INTO tip VALUES(3)", "tip"),
        ("DELETE FROM tip", "tip"),
        ("DELETE FROM genesis WHERE row = 2", "genesis"),
        ("INSERT INTO owner(key) VALUES(x'00')", "owner"),
        ("UPDATE record SET time = time - 100000 WHERE row = 20", "row 20"),
        ("UPDATE record SET parents = x'0101' WHERE row = 20", "row 20"),
        ("UPDATE record SET body = substr(body, 1, 50) WHERE row = 20", "row 20"),
        ("UPDATE record SET value = zeroblob(length(value)) WHERE row = 20", "row 20"),
        ("DELETE FROM record WHERE row = 20", "row 20"),
        ("INSERT INTO pulse VALUES(9, 1, zeroblob(64))", "pulse"),
    ];
    let path = schema::file(bed.home.path());
    assert!(!path.with_extension("db-wal").exists(), "the store is one file");
    let whole = std::fs::read(&path).unwrap();
    for (sql, word) in damages {
        for beside in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(path.with_extension(beside));
        }
        std::fs::write(&path, &whole).unwrap();
        let conn = Connection::open(&path).unwrap();
        assert!(conn.execute(sql, []).unwrap() > 0, "{sql}: nothing was damaged");
        drop(conn);
        let reader = Store::open_reader(bed.home.path(), &bed.config, bed.clock()).unwrap();
        let findings = reader.check(CheckOptions { signatures: true }).unwrap().findings;
        assert!(findings.iter().any(|f| f.contains(word)), "{sql}: {findings:#?}");
    }
}
