//! `/post`: one record and many.

use super::*;
use crate::api::frames;
use crate::record::{Compression, Draft, Masking, Name, Record};

const MANY: &str = "application/vnd.lfdns.records";

/// Records that the store has not seen.
fn minted(bed: &Bed, count: usize) -> Vec<Record> {
    let links = bed.store.links_for(count, Millis(START)).unwrap();
    let name = Name::derive(&bed.network, b"batch");
    (0..)
        .zip(&links)
        .map(|(n, links)| {
            let draft = Draft {
                selectors: &[(name.clone(), n)],
                value: b"v",
                masking: Masking::Default,
                compression: Compression::Auto,
                links,
                pulse_key: None,
                now: Millis(START),
                after: None,
            };
            draft.mint(&bed.network, &bed.store.rules(), &owner(1)).unwrap()
        })
        .collect()
}

fn stream<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut out = Vec::new();
    records.into_iter().for_each(|r| frames::write(&r.encode(), &mut out));
    out
}

#[test]
fn one_record_is_accepted_once_and_known_the_second_time() {
    let bed = Bed::new();
    let record = minted(&bed, 1).remove(0);
    let first = bed.post("/post", "application/octet-stream", &record.encode());
    assert_eq!(first.status, 200);
    let posted = first.json();
    assert_eq!((&posted["Accepted"], &posted["Known"]), (&true.into(), &false.into()));
    assert_eq!(posted["Hash"], record.id(&bed.network).to_string());
    assert_eq!(posted["Owner"], owner(1).key().to_string());
    assert!(bed.store.snapshot().unwrap().by_id(&record.id(&bed.network)).unwrap().is_some());
    let second = bed.post("/post", "application/octet-stream", &record.encode()).json();
    assert_eq!(second["Known"], true);
}

#[test]
fn what_is_no_record_or_not_valid_is_refused_in_words() {
    let bed = Bed::new();
    let answer = bed.post("/post", "application/octet-stream", b"hello");
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("not a record"));
    let mut bytes = minted(&bed, 1).remove(0).encode();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let answer = bed.post("/post", "application/octet-stream", &bytes);
    assert!(answer.message().contains("hash"), "{}", answer.message());
    assert_eq!(bed.post("/post", "application/json", b"{}").status, 415);
    assert_eq!(bed.post("/post", "application/octet-stream", &vec![0; 70_000]).status, 413);
}

#[test]
fn a_record_that_must_wait_is_not_called_accepted() {
    let bed = Bed::new();
    let elsewhere = Bed::new();
    let parent = minted(&elsewhere, 1).remove(0);
    elsewhere.store.ingest(vec![parent], store::Source::Local);
    elsewhere.pass(1);
    let child = minted(&elsewhere, 1).remove(0);
    let answer = bed.post("/post", "application/octet-stream", &child.encode());
    assert_eq!(answer.status, 202);
    let posted = answer.json();
    assert_eq!(posted["Accepted"], false);
    assert!(posted["Waiting"].as_str().unwrap().contains('='), "{posted}");
}

#[test]
fn a_full_disk_refuses_writes_in_words_while_reads_go_on() {
    let bed = Bed::full();
    let answer = bed.post("/post", "application/octet-stream", &minted(&bed, 1)[0].encode());
    assert_eq!(answer.status, 507);
    assert!(answer.message().contains("min_free"), "{}", answer.message());
    assert_eq!(bed.query(r#"{"Ranges":[{"Name":"a"}]}"#).status, 200);
}

#[test]
fn a_stream_of_records_is_counted_one_by_one() {
    let bed = Bed::new();
    let mut records = minted(&bed, 3_000);
    let known = records.split_off(2_990);
    bed.store.ingest(known.clone(), store::Source::Local);
    let mut bytes = stream(&records[..1_500]);
    frames::write(b"no record", &mut bytes);
    bytes.extend(stream(&records[1_500..]));
    let mut forged = known[0].clone();
    forged.header.time = forged.header.time.plus(1);
    bytes.extend(stream([&forged]));
    bytes.extend(stream(&known));
    let answer = bed.post("/post", MANY, &bytes);
    assert_eq!(answer.status, 200);
    let report = answer.json();
    assert_eq!(report["Accepted"], 2_990, "{report}");
    assert_eq!(report["Known"], 10);
    assert_eq!(report["RefusedCount"], 2);
    assert_eq!(report["Refused"][0]["Index"], 1_500);
    assert!(report["Refused"][0]["Reason"].as_str().unwrap().contains("not a record"));
    assert_eq!(report["Refused"][1]["Index"], 2_991);
    assert!(report["Refused"][1]["Hash"].as_str().unwrap().starts_with('='));
    assert_eq!(bed.store.stats().unwrap().records, 2 + 3_000);
}

#[test]
fn a_stream_that_breaks_off_keeps_what_came_whole_and_says_so() {
    let bed = Bed::new();
    let records = minted(&bed, 5);
    let mut bytes = stream(&records);
    bytes.truncate(bytes.len() - 1);
    let answer = bed.post("/post", MANY, &bytes);
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("within record 4"), "{}", answer.message());
    assert_eq!(answer.json()["Accepted"], 4);
    let absurd = bed.post("/post", MANY, &[0xFF; 8]);
    assert!(absurd.message().contains("record 0"), "{}", absurd.message());
}

#[test]
fn an_empty_stream_is_an_empty_report() {
    let bed = Bed::new();
    let report = bed.post("/post", MANY, b"").json();
    assert_eq!((&report["Accepted"], &report["RefusedCount"]), (&0.into(), &0.into()));
}
