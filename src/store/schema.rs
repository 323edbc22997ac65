//! The tables, their versions, and how a connection is opened. Migrations are a table: entry n turns schema n
//! into n + 1, in one transaction, after the whole file was copied aside. Layout and reasons: DESIGN "Store";
//! links and owners stand in a record's row as row numbers, so its body is stored without them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::config::{Config, Durability};
use super::{StoreError, backup};

/// `PRAGMA application_id` of a store: "lfdn".
const APPLICATION_ID: i32 = 0x6C66_646E;
/// Measured best for records of some 350 bytes; cannot change once a file has pages.
const PAGE_BYTES: i32 = 8_192;
/// Page cache of the writing connection, KiB.
const WRITER_CACHE_KIB: i32 = 32 * 1024;
/// Pages of write-ahead log after which the writer checkpoints: 16 MiB.
const CHECKPOINT_PAGES: i32 = 2_048;
/// The same while records come in bulk: 384 MiB. Each large transaction touches nearly every page of the indexes, and
/// a checkpoint writes a page once however often the log has it.
const CHECKPOINT_PAGES_BULK: i32 = 49_152;
/// See [`CHECKPOINT_PAGES_BULK`].
pub(crate) const LOG_BYTES_BULK: u64 = CHECKPOINT_PAGES_BULK as u64 * PAGE_BYTES as u64;
/// How long a connection waits for a lock: only another process's `check` or `backup` ever holds one.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Prepared statements kept by each connection: more than this module has.
const STATEMENTS_KEPT: usize = 64;

/// Entry n turns schema n into n + 1.
pub(crate) const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// * record: `parents` are the linked records' rows, as varint distances back, in the order of the header's
///   links; `body` is the canonical body without time, owner and links. Rows are never reused: row order is
///   topological.
/// * by_id: the first 8 bytes of the id; who finds a row compares the full id.
/// * selector: every selector of every revision. The owner stands before the ordinal, so that strangers'
///   records under a name cost nothing to whoever asks for one owner's.
/// * head: the newest revision of each key, deletions too.
/// * presence: live values exactly at and strictly below every prefix path, the root included.
const V1: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE owner(oid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE record(row INTEGER PRIMARY KEY, id BLOB NOT NULL, time INTEGER NOT NULL, owner INTEGER NOT NULL,
    flags INTEGER NOT NULL, parents BLOB NOT NULL, body BLOB NOT NULL, value BLOB) STRICT;
CREATE TABLE by_id(prefix INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY(prefix, row)) STRICT, WITHOUT ROWID;
CREATE TABLE selector(key INTEGER NOT NULL, position INTEGER NOT NULL, owner INTEGER NOT NULL,
    ordinal BLOB NOT NULL, row INTEGER NOT NULL, PRIMARY KEY(key, position, owner, ordinal, row)) STRICT, WITHOUT ROWID;
CREATE TABLE head(path BLOB NOT NULL, owner INTEGER NOT NULL, ordinal BLOB NOT NULL, rest INTEGER NOT NULL,
    row INTEGER NOT NULL, live INTEGER NOT NULL, PRIMARY KEY(path, owner, ordinal, rest)) STRICT, WITHOUT ROWID;
CREATE TABLE presence(path BLOB NOT NULL, owner INTEGER NOT NULL, at INTEGER NOT NULL, below INTEGER NOT NULL,
    PRIMARY KEY(path, owner)) STRICT, WITHOUT ROWID;
CREATE TABLE tip(row INTEGER PRIMARY KEY) STRICT;
CREATE TABLE genesis(row INTEGER PRIMARY KEY) STRICT;
CREATE TABLE serial(cut BLOB PRIMARY KEY, serial INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pulse(row INTEGER PRIMARY KEY, minute INTEGER NOT NULL, sig BLOB NOT NULL) STRICT;
CREATE TABLE book(name BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
";

/// Records in (time, id) order, ids included, for comparing with other nodes.
const V2: &str = "CREATE INDEX by_time ON record(time, id);";

/// Records that are here without their value, to be asked for.
const V3: &str = "CREATE INDEX without_value ON record(row, id) WHERE value IS NULL;";

/// The store's file in a home.
pub(crate) fn file(home: &Path) -> PathBuf {
    home.join("store.db")
}

/// What stands in the place of a store's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or a file in which `create` was cut short before its one transaction.
    Nothing,
    /// A store of this schema.
    Schema(u32),
}

/// Looks what is there without changing it.
pub(crate) fn probe(path: &Path) -> Result<Found, StoreError> {
    if !path.exists() {
        return Ok(Found::Nothing);
    }
    let conn = Connection::open_with_flags(path, read_flags())?;
    conn.busy_timeout(LOCK_WAIT)?;
    let tables: u32 = match conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)) {
        Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == rusqlite::ErrorCode::NotADatabase => {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        other => other?,
    };
    if tables == 0 {
        return Ok(Found::Nothing);
    }
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let found = version(&conn)?;
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known });
    }
    Ok(Found::Schema(found))
}

/// Opens the one writing connection.
pub(crate) fn open_writer(path: &Path, config: &Config) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    keep_statements(&conn)?;
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs the log before a commit returns; NORMAL loses acknowledged commits in a power cut
    // (sqlite.org/pragma.html#pragma_synchronous).
    let synchronous = match config.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    checkpoint_for_bulk(&conn, false)?;
    Ok(conn)
}

/// How long the log may grow before it is put into the file: with records in bulk, or one by one. A single transaction
/// may make it longer; it is cut back to twice this when it begins anew.
pub(crate) fn checkpoint_for_bulk(conn: &Connection, bulk: bool) -> Result<(), StoreError> {
    let pages = if bulk { CHECKPOINT_PAGES_BULK } else { CHECKPOINT_PAGES };
    conn.pragma_update(None, "wal_autocheckpoint", pages)?;
    Ok(conn.pragma_update(None, "journal_size_limit", 2 * pages * PAGE_BYTES)?)
}

/// Puts the log's pages into the file, as far as no reader still needs what they replace; waits for nobody.
pub(crate) fn checkpoint(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

/// Opens a read-only connection.
pub(crate) fn open_reader(path: &Path, config: &Config) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, read_flags())?;
    conn.busy_timeout(LOCK_WAIT)?;
    keep_statements(&conn)?;
    let kib = i64::try_from(config.reader_cache / 1024).unwrap_or(i64::MAX).max(64);
    conn.pragma_update(None, "cache_size", -kib)?;
    conn.pragma_update(None, "mmap_size", i64::try_from(config.reader_map).unwrap_or(i64::MAX))?;
    Ok(conn)
}

/// Statements are prepared once. Built with STAT4, as the bundled SQLite is, a join would otherwise be planned
/// anew for every value bound to it, ten times the cost of running it
/// (sqlite.org/queryplanner-ng.html#qpstab).
fn keep_statements(conn: &Connection) -> Result<(), StoreError> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn read_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Brings the file up to the last of `migrations`, one transaction each, a copy of the file first.
pub(crate) fn migrate(conn: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let from = version(conn)?;
    let known = migrations.len() as u32;
    if from > known {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found: from, known });
    }
    if from > 0 && from < known {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".schema{from}"));
        backup::copy(conn, Path::new(&aside))?;
    }
    for (at, sql) in migrations.iter().enumerate().skip(from as usize) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        set_version(&tx, at as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

/// Writes the newest schema into an empty file, within the caller's transaction.
pub(crate) fn lay_out(conn: &Connection) -> Result<(), StoreError> {
    for sql in MIGRATIONS {
        conn.execute_batch(sql)?;
    }
    set_version(conn, MIGRATIONS.len() as u32)
}

fn version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn set_version(conn: &Connection, version: u32) -> Result<(), StoreError> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", version)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(home: &Path) -> (PathBuf, Connection) {
        let path = file(home);
        let mut conn = open_writer(&path, &Config::default()).unwrap();
        let tx = conn.transaction().unwrap();
        lay_out(&tx).unwrap();
        tx.commit().unwrap();
        (path, conn)
    }

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound_to_it() {
        let home = tempfile::tempdir().unwrap();
        let (path, writer) = made(home.path());
        let reader = open_reader(&path, &Config::default()).unwrap();
        for conn in [&writer, &reader] {
            let sql = "SELECT r.row FROM by_id b CROSS JOIN record r ON r.row = b.row WHERE b.prefix = ?1";
            let mut join = conn.prepare(sql).unwrap();
            for prefix in 0..3 {
                assert!(!join.exists([prefix]).unwrap());
            }
            assert_eq!(join.get_status(rusqlite::StatementStatus::RePrepare), 0);
        }
    }

    #[test]
    fn a_file_of_a_newer_schema_is_refused_in_words_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let (path, conn) = made(home.path());
        conn.pragma_update(None, "user_version", 99).unwrap();
        drop(conn);
        let refused = probe(&path).unwrap_err();
        assert!(matches!(refused, StoreError::NewerSchema { found: 99, .. }), "{refused:?}");
        assert!(refused.to_string().contains("newer lfdns"), "{refused}");
    }

    #[test]
    fn somebody_elses_file_is_not_taken_for_a_store() {
        let home = tempfile::tempdir().unwrap();
        let path = file(home.path());
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
        assert!(matches!(probe(&path), Err(StoreError::Foreign(_))));
        std::fs::write(&path, vec![0x5A; 4096]).unwrap();
        assert!(matches!(probe(&path), Err(StoreError::Foreign(_))));
    }

    #[test]
    fn a_file_cut_short_before_its_schema_counts_as_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = file(home.path());
        assert_eq!(probe(&path).unwrap(), Found::Nothing);
        drop(open_writer(&path, &Config::default()).unwrap());
        assert_eq!(probe(&path).unwrap(), Found::Nothing);
    }

    #[test]
    fn a_migration_copies_the_file_aside_first() {
        let home = tempfile::tempdir().unwrap();
        let (path, mut conn) = made(home.path());
        conn.execute("INSERT INTO meta VALUES('a', x'01')", []).unwrap();
        let more: Vec<&str> = MIGRATIONS.iter().copied().chain(["CREATE TABLE added(a)"]).collect();
        migrate(&mut conn, &path, &more).unwrap();
        assert_eq!(version(&conn).unwrap(), more.len() as u32);
        conn.execute("INSERT INTO added VALUES(1)", []).unwrap();

        let aside = home.path().join(format!("store.db.schema{}", MIGRATIONS.len()));
        let copy = Connection::open(aside).unwrap();
        assert_eq!(version(&copy).unwrap(), MIGRATIONS.len() as u32);
        let kept: i64 = copy.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_schema() {
        let home = tempfile::tempdir().unwrap();
        let (path, mut conn) = made(home.path());
        let more: Vec<&str> =
            MIGRATIONS.iter().copied().chain(["CREATE TABLE added(a); SELECT no_such_function()"]).collect();
        assert!(migrate(&mut conn, &path, &more).is_err());
        assert_eq!(version(&conn).unwrap(), MIGRATIONS.len() as u32);
        assert!(conn.execute("INSERT INTO added VALUES(1)", []).is_err());
    }
}
