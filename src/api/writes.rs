//! Records on their way in: decoded, handed to the store's one door, and reported on. Everything here blocks.

use bytes::Bytes;

use super::Refused;
use super::json::{HashText, PostReport, Posted, RecordJson, RefusedRecord};
use crate::record::{NAME_MAX, Record, RecordId};
use crate::store::{Refusal, Source, Store, Verdict};

/// Takes one record in.
pub(crate) fn post_one(store: &Store, bytes: &[u8]) -> Result<Posted, Refused> {
    let record = Record::decode(bytes).map_err(|e| Refused::from(&Refusal::Malformed(e)))?;
    let shown = RecordJson::from(&record);
    let verdict = store.ingest(vec![record], Source::Api).pop();
    let posted = |id, accepted, known, waiting| {
        Ok(Posted { hash: HashText(id), accepted, known, waiting, record: shown })
    };
    match verdict.unwrap_or(Verdict::Refused(Refusal::Closed)) {
        Verdict::Accepted(id) => posted(id, true, false, None),
        Verdict::Known(id) => posted(id, false, true, None),
        Verdict::Orphan { id, missing } => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            posted(id, false, false, Some(format!("for records it links to: {}", missing.join(" "))))
        }
        Verdict::Deferred { id, until } => posted(
            id,
            false,
            false,
            Some(format!("until {} ms, which is ahead of this node's clock", until.0)),
        ),
        Verdict::Refused(refusal) => Err(Refused::from(&refusal)),
    }
}

/// Takes a batch in. What is no record is refused by itself.
pub(crate) fn post_many(store: &Store, batch: &[Bytes], source: Source) -> PostReport {
    let mut report = PostReport::default();
    let mut records = Vec::with_capacity(batch.len());
    let mut places = Vec::with_capacity(batch.len());
    for (index, bytes) in (0..).zip(batch) {
        match Record::decode(bytes) {
            Ok(record) => {
                records.push(record);
                places.push(index);
            }
            Err(e) => {
                let reason = Refusal::Malformed(e).to_string();
                report.refuse(RefusedRecord { index, hash: None, reason });
            }
        }
    }
    let id_of = |place: u64| {
        Record::decode(&batch[place as usize]).expect("it was decoded above").id(&store.network())
    };
    ingest(store, records, &places, source, &id_of, &mut report);
    report.refused.sort_by_key(|r| r.index);
    report
}

/// Takes records in that are decoded already.
pub(crate) fn post_records(store: &Store, records: &[Record], source: Source) -> PostReport {
    let mut report = PostReport::default();
    let places: Vec<u64> = (0..).take(records.len()).collect();
    let id_of = |place: u64| records[place as usize].id(&store.network());
    ingest(store, records.to_vec(), &places, source, &id_of, &mut report);
    report
}

/// Writes selector names into the local book.
pub(crate) fn teach(store: &Store, names: &[Vec<u8>]) -> Result<(), Refused> {
    if let Some(long) = names.iter().find(|name| name.len() > NAME_MAX) {
        let message = format!("a selector's name has at most {NAME_MAX} bytes, not {}", long.len());
        return Err(Refused::new(400, message));
    }
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    store.learn_names(&names);
    // Who teaches wants to list next.
    store.flush();
    Ok(())
}

/// A verdict of refusal does not name its record; few are refused, so their ids are made only then.
fn ingest(
    store: &Store,
    records: Vec<Record>,
    places: &[u64],
    source: Source,
    id_of: &dyn Fn(u64) -> RecordId,
    report: &mut PostReport,
) {
    if records.is_empty() {
        return;
    }
    for (verdict, index) in store.ingest(records, source).into_iter().zip(places) {
        match verdict {
            Verdict::Accepted(_) => report.accepted += 1,
            Verdict::Known(_) => report.known += 1,
            Verdict::Orphan { .. } => report.orphans += 1,
            Verdict::Deferred { .. } => report.deferred += 1,
            Verdict::Refused(refusal) => report.refuse(RefusedRecord {
                index: *index,
                hash: Some(HashText(id_of(*index))),
                reason: refusal.to_string(),
            }),
        }
    }
}
