//! Making records in bulk: entries are minted in batches while the batch before is on its way to the disk.
//! Memory is bounded by two batches, however many entries come.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use smallvec::SmallVec;

use super::json::PostReport;
use super::lf::{Lf, Network};
use super::{LfError, Refused};
use crate::record::{Compression, Draft, Link, Masking, Millis, Name, Owner, PathKey, Record, RecordId};

/// Entries of a batch at most.
const BATCH_ENTRIES: usize = 1_024;
/// Bytes of values of a batch at most, unless one entry has more.
const BATCH_BYTES: usize = 2 << 20;
/// Names kept derived; deriving one costs some 30 µs, and zones repeat them.
const NAMES_KEPT: usize = 8_192;

/// What its author decides about a new record; the rest is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Names and ordinals, in order.
    pub selectors: Vec<(Vec<u8>, u64)>,
    /// The value in the clear; empty deletes the key.
    pub value: Vec<u8>,
    /// What the value is encrypted with; `None`: the first name.
    pub masking_key: Option<Vec<u8>>,
    /// Whether to try to compress it.
    pub compression: Compression,
    /// The key whose pulses will show that the record is alive.
    pub pulse_key: Option<[u8; 32]>,
}

impl Entry {
    /// A value under some selectors, everything else as usual.
    pub fn new(selectors: &[(&[u8], u64)], value: &[u8]) -> Entry {
        let selectors = selectors.iter().map(|(name, ordinal)| (name.to_vec(), *ordinal)).collect();
        Entry { selectors, value: value.to_vec(), ..Entry::default() }
    }
}

/// A record that was made and is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: RecordId,
    /// Its time.
    pub time: Millis,
}

/// How far a bulk making has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries whose records are on the disk.
    pub stored: u64,
    /// Entries whose records are not: refused or made to wait, as the report says.
    pub refused: u64,
}

/// Makes one record.
pub(crate) fn one<L: Lf + ?Sized>(lf: &L, owner: &Owner, entry: Entry) -> Result<Made, LfError> {
    let mut maker = Maker::new(lf, owner)?;
    let record = maker.mint(&[entry]).map_err(|failed| failed.error)?.remove(0);
    let made = Made { id: record.id(&maker.network.id), time: record.header.time };
    let report = lf.post(&[record])?;
    if report.accepted + report.known == 1 {
        return Ok(made);
    }
    let reason = match report.refused.into_iter().next() {
        Some(refused) => refused.reason,
        None => format!(
            "{} waits: the clocks of this program and of the node differ, or a link is missing",
            made.id
        ),
    };
    Err(Refused::new(400, reason).into())
}

/// Makes many records; see [`Lf::make_all`].
pub(crate) fn all<L: Lf + ?Sized>(
    lf: &L,
    owner: &Owner,
    entries: &mut dyn Iterator<Item = Entry>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<PostReport, LfError> {
    let mut maker = Maker::new(lf, owner)?;
    // One batch waits while another is on its way.
    let (minted, to_post) = sync_channel::<Vec<Record>>(0);
    let (answer, answers) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || post_each(lf, &to_post, &answer));
        let mut tally = Tally { report: PostReport::default(), posted: 0, progress };
        let mut first = 0;
        let made = loop {
            let batch = take_batch(entries);
            if batch.is_empty() {
                break Ok(());
            }
            let records = match maker.mint(&batch) {
                Ok(records) => records,
                Err(failed) => break Err(failed.of_many(first)),
            };
            first += batch.len() as u64;
            // The other end is gone only if posting failed; its answer says how.
            let gone = minted.send(records).is_err();
            while let Ok(answer) = answers.try_recv() {
                tally.add(answer)?;
            }
            if gone || tally.report.broken_off.is_some() {
                break Ok(());
            }
        };
        drop(minted);
        for answer in &answers {
            tally.add(answer)?;
        }
        made.map(|()| tally.report)
    })
}

type Answer = Result<(u64, PostReport), LfError>;

/// Posts one batch after the other until there are no more, or one fails.
fn post_each<L: Lf + ?Sized>(lf: &L, batches: &Receiver<Vec<Record>>, answers: &Sender<Answer>) {
    for batch in batches {
        let answer = lf.post(&batch).map(|report| (batch.len() as u64, report));
        let failed = answer.is_err();
        if answers.send(answer).is_err() || failed {
            return;
        }
    }
}

struct Tally<'a> {
    report: PostReport,
    posted: u64,
    progress: &'a mut dyn FnMut(&Progress),
}

impl Tally<'_> {
    fn add(&mut self, answer: Answer) -> Result<(), LfError> {
        let (count, mut report) = answer?;
        if count > 0 && report.refused_count == count {
            // A full disk, say: the rest would fare no better.
            let reason = report.refused.first().map(|r| r.reason.clone()).unwrap_or_default();
            report.broken_off.get_or_insert(reason);
        }
        self.report.add(report, self.posted);
        self.posted += count;
        let stored = self.report.accepted + self.report.known;
        (self.progress)(&Progress { stored, refused: self.posted - stored.min(self.posted) });
        Ok(())
    }
}

fn take_batch(entries: &mut dyn Iterator<Item = Entry>) -> Vec<Entry> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH_ENTRIES && bytes < BATCH_BYTES {
        let Some(entry) = entries.next() else { break };
        bytes += entry.value.len();
        batch.push(entry);
    }
    batch
}

/// The entry of a batch that could not be made.
struct Failed {
    index: u64,
    error: LfError,
}

impl Failed {
    fn of_many(self, first: u64) -> LfError {
        match self.error {
            LfError::Mint(error) => LfError::MintAt { index: first + self.index, error },
            other => other,
        }
    }
}

/// A key: its slot and ordinals.
type Key = (PathKey, SmallVec<[u64; 2]>);
type Named = SmallVec<[(Name, u64); 2]>;

/// Turns entries into records.
struct Maker<'a, L: Lf + ?Sized> {
    lf: &'a L,
    owner: &'a Owner,
    network: Network,
    names: Names,
    /// Times given to keys in this batch and the one before, which the node may not know yet.
    given: HashMap<Key, Millis>,
    given_before: HashMap<Key, Millis>,
}

impl<'a, L: Lf + ?Sized> Maker<'a, L> {
    fn new(lf: &'a L, owner: &'a Owner) -> Result<Self, LfError> {
        let network = lf.network()?;
        let given = HashMap::new();
        Ok(Maker { lf, owner, network, names: Names::default(), given_before: HashMap::new(), given })
    }

    fn mint(&mut self, batch: &[Entry]) -> Result<Vec<Record>, Failed> {
        let asked = |error| Failed { index: 0, error };
        let named: Vec<Named> = batch.iter().map(|entry| self.derive(entry)).collect();
        let slots: Vec<PathKey> = named.iter().map(|n| self.slot(n)).collect();
        let newest = self.newest(&slots).map_err(asked)?;
        let links = self.lf.links(batch.len()).map_err(asked)?;
        if links.len() != batch.len() {
            let what = format!("{} sets of links for {} records", links.len(), batch.len());
            return Err(asked(LfError::Answer { url: "links".into(), what }));
        }
        self.given_before = std::mem::take(&mut self.given);
        let now = self.lf.now();
        (0..batch.len())
            .map(|at| {
                let after = newest.get(&slots[at]).copied().flatten();
                self.mint_one(&batch[at], &named[at], slots[at], &links[at], now, after)
                    .map_err(|error| Failed { index: at as u64, error })
            })
            .collect()
    }

    fn mint_one(
        &mut self,
        entry: &Entry,
        selectors: &Named,
        slot: PathKey,
        links: &[Link],
        now: Millis,
        newest: Option<Millis>,
    ) -> Result<Record, LfError> {
        let key = (slot, entry.selectors.iter().map(|(_, ordinal)| *ordinal).collect());
        let given = self.given.get(&key).or_else(|| self.given_before.get(&key)).copied();
        let draft = Draft {
            selectors,
            value: &entry.value,
            masking: entry.masking_key.as_deref().map_or(Masking::Default, Masking::Key),
            compression: entry.compression,
            links,
            pulse_key: entry.pulse_key,
            now,
            after: newest.max(given),
        };
        let record = draft.mint(&self.network.id, &self.network.rules, self.owner)?;
        self.given.insert(key, record.header.time);
        Ok(record)
    }

    fn derive(&mut self, entry: &Entry) -> Named {
        let id = self.network.id;
        entry.selectors.iter().map(|(name, ordinal)| (self.names.get(&id, name), *ordinal)).collect()
    }

    fn slot(&self, selectors: &Named) -> PathKey {
        let root = PathKey::root(&self.network.id);
        selectors.iter().fold(root, |path, (name, _)| path.child(&name.public()))
    }

    fn newest(&self, slots: &[PathKey]) -> Result<HashMap<PathKey, Option<Millis>>, LfError> {
        let mut distinct = slots.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let times = self.lf.newest(&self.owner.key(), &distinct)?;
        Ok(distinct.into_iter().zip(times).collect())
    }
}

/// Derived names. When full, the half that was not used lately goes.
#[derive(Default)]
struct Names {
    recent: HashMap<Vec<u8>, Name>,
    older: HashMap<Vec<u8>, Name>,
}

impl Names {
    fn get(&mut self, network: &crate::record::NetworkId, name: &[u8]) -> Name {
        if let Some(known) = self.recent.get(name) {
            return known.clone();
        }
        let derived = self.older.remove(name).unwrap_or_else(|| Name::derive(network, name));
        if self.recent.len() >= NAMES_KEPT / 2 {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(name.to_vec(), derived.clone());
        derived
    }
}
