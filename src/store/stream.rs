//! Export and import: a verified stream of records in row order, so that nothing in it is an orphan.
//!
//! ```text
//! magic "LFDNSEXP" · version u8 (1) · network id 32 · count u64
//! count × (length u32 · value here? u8 · record bytes, without the value if it is not here)
//! SHA3-256 of everything before
//! ```
//! What is imported passes the same door as everything else. The hash tells a cut or damaged file from a
//! whole one; it is no signature, the records carry those.

use std::io::{Read, Write};
use std::path::Path;

use sha3::{Digest, Sha3_256};

use super::config::PIECE_RECORDS;
use super::{Clock, Config, Refusal, Row, Source, Store, StoreError, Verdict, schema};
use crate::record::{Kind, NetworkId, RECORD_MAX, Record};

const MAGIC: &[u8; 8] = b"LFDNSEXP";
const VERSION: u8 = 1;
/// Bytes of an export before its first record.
pub const EXPORT_HEAD_BYTES: usize = 8 + 1 + 32 + 8;
/// Records imported at a time: several pieces, so that verifying and writing overlap.
const AT_A_TIME: usize = 8 * PIECE_RECORDS;
/// Genesis records at the head of an export that are enough to found its network.
const FOUNDING_MAX: usize = 64;

/// How far an export or import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records done.
    pub done: u64,
    /// Records in all.
    pub total: u64,
    /// Of those done, new here.
    pub accepted: u64,
    /// Of those done, here before.
    pub known: u64,
    /// Of those done, not let in.
    pub refused: u64,
}

impl Store {
    /// Writes all records of the last commit. Returns how many.
    pub fn export(&self, out: impl Write, progress: &mut dyn FnMut(Progress)) -> Result<u64, StoreError> {
        let mut out = Hashing { inner: out, hash: Sha3_256::new() };
        // Rows are only ever added, so a fresh snapshot for each stretch keeps the log from growing meanwhile.
        let total = self.snapshot()?.last_row()?.0.cast_unsigned();
        out.put(MAGIC)?;
        out.put(&[VERSION])?;
        out.put(&self.network().0)?;
        out.put(&total.to_be_bytes())?;
        let mut done = 0;
        while done < total {
            let snapshot = self.snapshot()?;
            let until = total.min(done + AT_A_TIME as u64);
            for row in done + 1..=until {
                let record = snapshot.encoded(Row(row.cast_signed()))?;
                out.put(&(record.bytes.len() as u32).to_be_bytes())?;
                out.put(&[u8::from(record.whole)])?;
                out.put(&record.bytes)?;
            }
            done = until;
            progress(Progress { done, total, ..Progress::default() });
        }
        let hash = out.hash.clone().finalize();
        out.put(&hash)?;
        out.inner.flush().map_err(StoreError::io("export"))?;
        Ok(total)
    }

    /// Reads an export of this network in. What is valid in it stays even if it turns out to be cut short.
    pub fn import(
        &self,
        input: impl Read,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, StoreError> {
        let mut stream = ExportReader::open(input)?;
        if stream.network != self.network() {
            return Err(StoreError::Stream("it holds another network".into()));
        }
        self.take_in(&mut stream, Vec::new(), progress)
    }

    /// Makes a store of an export's network in a new home. If the export cannot be read to its end, no store
    /// is left there.
    pub fn create_from_export(
        home: &Path,
        input: impl Read,
        config: &Config,
        clock: Clock,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Store, Progress), StoreError> {
        let mut stream = ExportReader::open(input)?;
        let mut genesis = Vec::new();
        let mut ahead = None;
        while genesis.len() < FOUNDING_MAX {
            match stream.next_record()? {
                Some(record) if record.header.kind == Kind::Genesis => genesis.push(record),
                other => {
                    ahead = other;
                    break;
                }
            }
        }
        let store = Store::create(home, &genesis, config, clock)?;
        if store.network() != stream.network {
            return undo(store, StoreError::Stream("its genesis records found another network".into()));
        }
        // The genesis records pass the door again, as known ones, and so are counted.
        genesis.extend(ahead);
        match store.take_in(&mut stream, genesis, progress) {
            Ok(done) => Ok((store, done)),
            Err(error) => undo(store, error),
        }
    }

    fn take_in(
        &self,
        stream: &mut ExportReader<impl Read>,
        mut records: Vec<Record>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, StoreError> {
        let mut state = Progress { total: stream.total, ..Progress::default() };
        loop {
            let mut ended = false;
            while records.len() < AT_A_TIME && !ended {
                match stream.next_record()? {
                    Some(record) => records.push(record),
                    None => ended = true,
                }
            }
            for verdict in self.ingest(std::mem::take(&mut records), Source::Import) {
                state.done += 1;
                match verdict {
                    Verdict::Accepted(_) => state.accepted += 1,
                    Verdict::Known(_) => state.known += 1,
                    Verdict::Refused(
                        refusal @ (Refusal::DiskFull { .. } | Refusal::Storage(_) | Refusal::Closed),
                    ) => {
                        return Err(StoreError::Stream(refusal.to_string()));
                    }
                    _ => state.refused += 1,
                }
            }
            progress(state);
            if ended {
                return Ok(state);
            }
        }
    }
}

/// Takes a store that could not be filled away again.
fn undo<T>(store: Store, error: StoreError) -> Result<T, StoreError> {
    let path = schema::file(store.home());
    drop(store);
    for path in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
        if path.exists() {
            std::fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
    }
    Err(error)
}

struct Hashing<W> {
    inner: W,
    hash: Sha3_256,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hash.update(bytes);
        self.inner.write_all(bytes).map_err(StoreError::io("export"))
    }
}

/// An export being read, record by record: what [`Store::import`] reads, for whoever hands it to a node
/// instead.
pub struct ExportReader<R> {
    input: R,
    hash: Sha3_256,
    network: NetworkId,
    total: u64,
    left: u64,
    ended: bool,
}

impl<R: Read> ExportReader<R> {
    /// Reads the head of an export.
    pub fn open(input: R) -> Result<ExportReader<R>, StoreError> {
        let mut stream = ExportReader {
            input,
            hash: Sha3_256::new(),
            network: NetworkId([0; 32]),
            total: 0,
            left: 0,
            ended: false,
        };
        if stream.array::<8>()? != *MAGIC {
            return Err(StoreError::Stream("it is no export of lfdns".into()));
        }
        let [version] = stream.array()?;
        if version != VERSION {
            let why = format!("its version is {version}, this program reads {VERSION}: update it");
            return Err(StoreError::Stream(why));
        }
        stream.network = NetworkId(stream.array()?);
        stream.total = u64::from_be_bytes(stream.array()?);
        stream.left = stream.total;
        Ok(stream)
    }

    /// Whose records these are.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// How many records it holds.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next record; after the last one the hash must be right.
    pub fn next_record(&mut self) -> Result<Option<Record>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        if self.left == 0 {
            let computed: [u8; 32] = self.hash.clone().finalize().into();
            if self.array::<32>()? != computed {
                return Err(StoreError::Stream("its hash is wrong: it was damaged".into()));
            }
            self.ended = true;
            return Ok(None);
        }
        self.left -= 1;
        let len = u32::from_be_bytes(self.array()?) as usize;
        let [with_value] = self.array()?;
        if len > RECORD_MAX {
            return Err(StoreError::Stream(format!("a record in it has {len} bytes, over the limit")));
        }
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        let record = if with_value == 0 { Record::decode_body(&bytes) } else { Record::decode(&bytes) };
        record.map(Some).map_err(|e| StoreError::Stream(e.to_string()))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => StoreError::Stream("it ends early".into()),
            _ => StoreError::Stream(e.to_string()),
        })?;
        self.hash.update(&*bytes);
        Ok(())
    }
}
