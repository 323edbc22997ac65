//! Records without their values: they are known by name, and the value is taken when it comes.

use super::*;

fn without(record: &Record) -> Record {
    Record { value: None, ..record.clone() }
}

#[test]
fn records_without_their_value_are_listed_until_it_comes() {
    let bed = Bed::new();
    let store = bed.create();
    let whole: Vec<Record> = (0..5).map(|n| bed.record(1, "a", &n.to_string())).collect();
    put(&store, &whole.iter().map(without).collect::<Vec<_>>());
    put(&store, &[bed.record(1, "b", "here"), bed.record(1, "b", "")]);
    let listed = |after, limit| store.snapshot().unwrap().without_value(after, limit).unwrap();
    let (first, rest) = (listed(None, 2), listed(listed(None, 2).last().map(|(row, _)| *row), 9));
    assert_eq!((first.len(), rest.len()), (2, 3));
    let ids: Vec<RecordId> = first.iter().chain(&rest).map(|(_, id)| *id).collect();
    let mut expected: Vec<RecordId> = whole.iter().map(|record| record.id(&bed.network)).collect();
    expected.sort_by_key(|id| ids.iter().position(|listed| listed == id));
    assert_eq!(ids, expected);
    let count = |most| store.snapshot().unwrap().count_without_value(most).unwrap();
    assert_eq!((count(3), count(9)), (3, 5));

    let heard = listen(&store);
    let ranges = store.ranges().unwrap();
    let before = ranges.total();
    let given = &whole[3];
    assert_eq!(ingest_one(&store, given), Verdict::Known(given.id(&bed.network)));
    assert_eq!(count(9), 4);
    let commit = heard.lock().pop().unwrap();
    assert_eq!(commit.filled, [(given.header.time, given.id(&bed.network))]);
    assert!(commit.added.is_empty() && ranges.total() == before, "it is counted once");
    ingest_one(&store, given);
    assert!(heard.lock().is_empty(), "once is enough");
}

#[test]
fn a_record_and_its_value_in_one_commit_is_one_added() {
    let bed = Bed::new();
    let store = bed.create();
    let heard = listen(&store);
    let record = bed.record(1, "a", "1");
    store.ingest(vec![without(&record), record], Source::Peer);
    let commits = heard.lock();
    let added: usize = commits.iter().map(|commit| commit.added.len()).sum();
    let filled: usize = commits.iter().map(|commit| commit.filled.len()).sum();
    assert_eq!(added, 1);
    assert_eq!(filled, commits.len() - 1, "only where it was here before");
}

#[test]
fn a_deletion_lacks_nothing_however_it_came() {
    let bed = Bed::new();
    let store = bed.create();
    put(&store, &[without(&bed.record(1, "a", ""))]);
    assert_eq!(store.snapshot().unwrap().count_without_value(9).unwrap(), 0);
}

#[test]
fn only_what_lacks_its_value_is_looked_at() {
    let bed = Bed::new();
    let store = bed.create();
    let snapshot = store.snapshot().unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT row, id FROM record INDEXED BY without_value
        WHERE value IS NULL AND row > 5 ORDER BY row LIMIT 9";
    let plan: String = snapshot.conn().query_row(sql, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("INDEX without_value (row>?)"), "{plan}");
}
