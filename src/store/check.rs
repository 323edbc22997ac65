//! `check`: does the file hold what its records say it should? SQLite's own integrity check, then every
//! derived table is recounted from the record bodies, in scratch tables that vanish with the snapshot, and
//! compared. It shares no code with what wrote those tables but the decoding of a row.

use rusqlite::{Connection, params};

use super::apply::selector_prefix;
use super::config::FINDINGS_MAX;
use super::rowform::{prefix, unpack};
use super::snapshot::{Snapshot, bound};
use super::{Store, StoreError};
use crate::record::{Kind, PathKey, Pulse, Record, RecordId};

/// What to look at beside the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Verify every hash and signature again.
    pub signatures: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Records looked at.
    pub records: u64,
    /// What is wrong, in words; at most [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// Findings beyond those listed.
    pub more: u64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}

const SCRATCH: &str = "
CREATE TEMP TABLE re_head(path BLOB, owner INTEGER, ordinal BLOB, rest INTEGER, row INTEGER, time INTEGER, id BLOB,
    live INTEGER, paths BLOB, PRIMARY KEY(path, owner, ordinal, rest)) WITHOUT ROWID;
CREATE TEMP TABLE re_presence(path BLOB, owner INTEGER, at INTEGER, below INTEGER,
    PRIMARY KEY(path, owner)) WITHOUT ROWID;
CREATE TEMP TABLE re_tip(row INTEGER PRIMARY KEY);
CREATE TEMP TABLE re_genesis(row INTEGER PRIMARY KEY);
CREATE TEMP TABLE re_owner(oid INTEGER PRIMARY KEY);
";

/// What is compared with what: a name for people, the stored rows, the recounted ones.
const COMPARISONS: [(&str, &str, &str); 5] = [
    (
        "newest revisions (head)",
        "SELECT path, owner, ordinal, rest, row, live FROM main.head",
        "SELECT path, owner, ordinal, rest, row, live FROM temp.re_head",
    ),
    (
        "counts of what exists (presence)",
        "SELECT path, owner, at, below FROM main.presence",
        "SELECT path, owner, at, below FROM temp.re_presence",
    ),
    ("records nothing links to (tip)", "SELECT row FROM main.tip", "SELECT row FROM temp.re_tip"),
    ("genesis records (genesis)", "SELECT row FROM main.genesis", "SELECT row FROM temp.re_genesis"),
    ("owners (owner)", "SELECT oid FROM main.owner", "SELECT oid FROM temp.re_owner"),
];

pub(crate) fn check(store: &Store, options: CheckOptions) -> Result<CheckReport, StoreError> {
    let snapshot = store.snapshot()?;
    let mut report = CheckReport::default();
    integrity(snapshot.conn(), &mut report)?;
    snapshot.conn().execute_batch(SCRATCH)?;
    let mut recount =
        Recount { snapshot: &snapshot, options, report, times: Vec::new(), linked: Vec::new(), selectors: 0 };
    recount.records()?;
    recount.tips()?;
    recount.presence()?;
    recount.sizes()?;
    recount.compare()?;
    recount.pulses()?;
    Ok(recount.report)
}

fn integrity(conn: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut statement = conn.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.find(format!("database file: {line}"));
        }
    }
    Ok(())
}

struct Recount<'s> {
    snapshot: &'s Snapshot,
    options: CheckOptions,
    report: CheckReport,
    /// Each row's time, and whether anything links to it; index 0 is row 1.
    times: Vec<i64>,
    linked: Vec<bool>,
    selectors: i64,
}

impl Recount<'_> {
    fn records(&mut self) -> Result<(), StoreError> {
        let last = self.snapshot.last_row()?.0;
        for row in 1..=last {
            self.times.push(i64::MAX);
            self.linked.push(false);
            match self.snapshot.load(row) {
                Ok((id, _, record)) => self.record(row, &id, &record)?,
                // What one row holds is a finding, not the end of the check.
                Err(StoreError::Damaged(why)) => self.report.find(format!("row {row}: {why}")),
                Err(StoreError::Sql(why)) => self.report.find(format!("row {row}: {why}")),
                Err(other) => return Err(other),
            }
            self.report.records += 1;
        }
        Ok(())
    }

    fn record(&mut self, row: i64, id: &RecordId, record: &Record) -> Result<(), StoreError> {
        self.bytes(row, id, record);
        self.links(row, record)?;
        self.lookups(row, id, record)?;
        self.newest(row, id, record)?;
        if record.header.kind == Kind::Genesis {
            self.snapshot.cached("INSERT INTO temp.re_genesis VALUES(?1)")?.execute(params![row])?;
        }
        Ok(())
    }

    fn bytes(&mut self, row: i64, id: &RecordId, record: &Record) {
        let network = self.snapshot.network();
        if record.id(&network) != *id {
            return self.report.find(format!("row {row}: {id} is not the hash of the record stored there"));
        }
        let len = record.value.as_ref().map(Vec::len);
        if len.is_some_and(|len| len != record.header.value_len as usize) {
            self.report.find(format!("row {row}: {id}: its value is not as long as it says"));
        }
        if self.options.signatures
            && let Err(invalid) = record.verify(&network)
        {
            self.report.find(format!("row {row}: {id}: {invalid}"));
        }
    }

    /// Links were put together from rows, and the id proves them; what is left is the law of time.
    fn links(&mut self, row: i64, record: &Record) -> Result<(), StoreError> {
        let mut statement = self.snapshot.cached("SELECT parents FROM record WHERE row = ?1")?;
        let packed: Vec<u8> = statement.query_row(params![row], |found| found.get(0))?;
        drop(statement);
        let time = record.header.time.0.cast_signed();
        for parent in unpack(row, &packed).unwrap_or_default() {
            let at = index(parent);
            if self.times[at] >= time {
                self.report.find(format!("row {row} is not later than row {parent}, to which it links"));
            }
            self.linked[at] = true;
        }
        self.times[index(row)] = time;
        Ok(())
    }

    fn lookups(&mut self, row: i64, id: &RecordId, record: &Record) -> Result<(), StoreError> {
        let mut by_id = self.snapshot.cached("SELECT 1 FROM main.by_id WHERE prefix = ?1 AND row = ?2")?;
        if !by_id.exists(params![prefix(&id.0), row])? {
            self.report.find(format!("row {row}: {id} is not found by its id"));
        }
        let owner = self.snapshot.oid(&record.header.owner)?;
        self.snapshot.cached("INSERT OR IGNORE INTO temp.re_owner VALUES(?1)")?.execute(params![owner])?;
        let mut statement = self.snapshot.cached(
            "SELECT 1 FROM main.selector WHERE key = ?1 AND position = ?2 AND owner = ?3 AND ordinal = ?4 AND row = ?5",
        )?;
        for (position, selector) in (0_i64..).zip(&record.selectors) {
            let key = selector_prefix(&selector.key.0);
            if !statement.exists(params![key, position, owner, selector.ordinal.0, row])? {
                self.report.find(format!("row {row}: {id} is not found by its selector {position}"));
            }
            self.selectors += 1;
        }
        Ok(())
    }

    fn newest(&mut self, row: i64, id: &RecordId, record: &Record) -> Result<(), StoreError> {
        let paths = record.paths(&self.snapshot.network());
        let (Some(slot), Some(last)) = (paths.last(), record.selectors.last()) else { return Ok(()) };
        let owner = self.snapshot.oid(&record.header.owner)?;
        let above: Vec<u8> = paths.iter().flat_map(|path| path.0).collect();
        self.snapshot
            .cached(
                "INSERT INTO temp.re_head VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE
                 SET row = excluded.row, time = excluded.time, id = excluded.id, live = excluded.live
                 WHERE (excluded.time, excluded.id) > (time, id)",
            )?
            .execute(params![
                slot.0,
                owner,
                last.ordinal.0,
                record.rest().cast_signed(),
                row,
                record.header.time.0.cast_signed(),
                id.0,
                !record.is_deletion(),
                above
            ])?;
        Ok(())
    }

    fn tips(&mut self) -> Result<(), StoreError> {
        let mut insert = self.snapshot.cached("INSERT INTO temp.re_tip VALUES(?1)")?;
        for (row, _) in (1_i64..).zip(&self.linked).filter(|(_, linked)| !**linked) {
            insert.execute(params![row])?;
        }
        Ok(())
    }

    fn presence(&mut self) -> Result<(), StoreError> {
        let root = PathKey::root(&self.snapshot.network());
        let mut heads = self.snapshot.cached("SELECT owner, paths FROM temp.re_head WHERE live")?;
        let mut add = self.snapshot.cached(
            "INSERT INTO temp.re_presence VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET at = at + excluded.at, below = below + excluded.below",
        )?;
        let mut rows = heads.query([])?;
        while let Some(head) = rows.next()? {
            let (owner, paths): (i64, Vec<u8>) = (head.get(0)?, head.get(1)?);
            let mut paths = paths.chunks_exact(root.0.len()).rev();
            add.execute(params![paths.next(), owner, 1, 0])?;
            for above in paths.chain([&root.0[..]]) {
                add.execute(params![above, owner, 0, 1])?;
            }
        }
        Ok(())
    }

    /// Entries beyond those that records account for.
    fn sizes(&mut self) -> Result<(), StoreError> {
        let expected = [("by_id", bound(self.times.len())), ("selector", self.selectors)];
        for (table, want) in expected {
            let sql = format!("SELECT count(*) FROM main.{table}");
            let got: i64 = self.snapshot.conn().query_row(&sql, [], |row| row.get(0))?;
            if got != want {
                self.report.find(format!("{table}: {got} entries, the records make {want}"));
            }
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), StoreError> {
        for (name, stored, counted) in COMPARISONS {
            for (what, left, right) in [("too many", stored, counted), ("missing", counted, stored)] {
                let sql = format!("SELECT count(*) FROM ({left} EXCEPT {right})");
                let count: i64 = self.snapshot.conn().query_row(&sql, [], |row| row.get(0))?;
                if count > 0 {
                    self.report.find(format!("{name}: {count} {what}, by a recount from the records"));
                }
            }
        }
        Ok(())
    }

    fn pulses(&mut self) -> Result<(), StoreError> {
        let network = self.snapshot.network();
        let mut statement = self.snapshot.conn().prepare("SELECT row, minute, sig FROM pulse")?;
        let mut rows = statement.query([])?;
        while let Some(found) = rows.next()? {
            let row: i64 = found.get(0)?;
            let Ok((id, _, record)) = self.snapshot.load(row) else {
                self.report.find(format!("a pulse for row {row}, which cannot be read"));
                continue;
            };
            let pulse = Pulse { record: id, minute: found.get(1)?, signature: found.get(2)? };
            let signed = || record.header.pulse_key.is_some_and(|key| pulse.verify(&network, &key));
            if record.header.pulse_key.is_none() || (self.options.signatures && !signed()) {
                self.report.find(format!("row {row}: {id} has a pulse its key did not sign"));
            }
        }
        Ok(())
    }
}

/// Where a row's entry lies in the lists.
fn index(row: i64) -> usize {
    usize::try_from(row - 1).expect("rows start at 1")
}
