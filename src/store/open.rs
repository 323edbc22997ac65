//! How a store comes to be and is opened again: lock first, then look, then change.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::apply::{Batch, Linked, Memory};
use super::door::Door;
use super::schema::{self, Found, MIGRATIONS};
use super::verify::{Vet, Vetted};
use super::{
    ArcSwap, Clock, Config, Feed, Gauges, HomeLock, Inner, Mutex, Readers, Shared, SmallVec, Store,
    StoreError,
};
use crate::record::{Kind, Link, NetworkId, OwnerKey, PathKey, Record, Rules, network_of};

impl Store {
    /// Whether a home holds a store.
    pub fn exists(home: &Path) -> Result<bool, StoreError> {
        Ok(schema::probe(&schema::file(home))? != Found::Nothing)
    }

    /// Makes a store for the network that `genesis` founds, in one transaction: the founding record first.
    pub fn create(
        home: &Path,
        genesis: &[Record],
        config: &Config,
        clock: Clock,
    ) -> Result<Store, StoreError> {
        let network = checked_genesis(genesis)?;
        std::fs::create_dir_all(home).map_err(StoreError::io(home))?;
        let lock = HomeLock::take(home)?;
        let path = schema::file(home);
        if schema::probe(&path)? != Found::Nothing {
            return Err(StoreError::Exists(path));
        }
        let mut conn = schema::open_writer(&path, config)?;
        write_genesis(&mut conn, &network, genesis, &clock)?;
        // The file's name must survive a power cut too.
        File::open(home).and_then(|dir| dir.sync_all()).map_err(StoreError::io(home))?;
        Store::start(home, config, clock, lock, conn)
    }

    /// Opens the store of a home, bringing an older schema up to date.
    pub fn open(home: &Path, config: &Config, clock: Clock) -> Result<Store, StoreError> {
        let path = schema::file(home);
        if !path.exists() {
            return Err(StoreError::Missing(path));
        }
        let lock = HomeLock::take(home)?;
        if schema::probe(&path)? == Found::Nothing {
            return Err(StoreError::Missing(path));
        }
        let mut conn = schema::open_writer(&path, config)?;
        schema::migrate(&mut conn, &path, MIGRATIONS)?;
        Store::start(home, config, clock, lock, conn)
    }

    /// Opens a store for reading beside the node that may be running on it: no lock, nothing is written.
    pub fn open_reader(home: &Path, config: &Config, clock: Clock) -> Result<Store, StoreError> {
        let path = schema::file(home);
        match schema::probe(&path)? {
            Found::Nothing => return Err(StoreError::Missing(path)),
            Found::Schema(found) if (found as usize) < MIGRATIONS.len() => {
                return Err(StoreError::OlderSchema { path, found });
            }
            Found::Schema(_) => {}
        }
        let conn = schema::open_reader(&path, config)?;
        let (inner, _) = Store::assemble(home, config, clock, &conn)?;
        Ok(Store { inner: Arc::new(inner) })
    }

    /// The records that founded the network, the first one first: what [`Store::create`] needs elsewhere.
    pub fn founding(&self) -> Result<Vec<Record>, StoreError> {
        let snapshot = self.snapshot()?;
        let mut statement = snapshot.cached("SELECT row FROM genesis ORDER BY row LIMIT ?1")?;
        // A network begins with as many as a record has links at least; later ones amend it.
        let count = i64::from(self.rules().links_min.max(1));
        let rows: Vec<i64> = statement.query_map([count], |row| row.get(0))?.collect::<Result<_, _>>()?;
        rows.into_iter().map(|row| Ok(snapshot.load(row)?.2)).collect()
    }

    fn start(
        home: &Path,
        config: &Config,
        clock: Clock,
        lock: HomeLock,
        conn: Connection,
    ) -> Result<Store, StoreError> {
        let (mut inner, vet) = Store::assemble(home, config, clock, &conn)?;
        inner.door = Some(Door::open(conn, inner.shared.clone(), vet)?);
        inner.lock = Some(lock);
        Ok(Store { inner: Arc::new(inner) })
    }

    fn assemble(
        home: &Path,
        config: &Config,
        clock: Clock,
        conn: &Connection,
    ) -> Result<(Inner, Vet), StoreError> {
        let damaged = || StoreError::Damaged("it does not say which network it holds".into());
        let network = conn
            .query_row("SELECT value FROM meta WHERE name = 'network'", [], |row| row.get(0))
            .optional()?
            .map(NetworkId)
            .ok_or_else(damaged)?;
        let readers = Arc::new(Readers::new(schema::file(home), config.clone(), network));
        let genesis = Genesis::read(&readers)?;
        let rules = Arc::new(ArcSwap::from_pointee(genesis.rules));
        let shared = Shared {
            home: home.to_owned(),
            config: config.clone(),
            clock: Arc::clone(&clock),
            root: PathKey::root(&network),
            rules: Arc::clone(&rules),
            newest_genesis: Arc::new(Mutex::new(genesis.newest)),
            feed: Arc::new(Feed::default()),
            gauges: Arc::new(Gauges::default()),
        };
        let founder = genesis.founder;
        let vet = Vet { network, root: shared.root, founder, rules, clock, readers: Arc::clone(&readers) };
        Ok((
            Inner { network, founder, shared, readers, ranges: Mutex::default(), door: None, lock: None },
            vet,
        ))
    }
}

/// What the stored genesis records say.
struct Genesis {
    founder: OwnerKey,
    newest: Link,
    rules: Rules,
}

impl Genesis {
    fn read(readers: &Arc<Readers>) -> Result<Genesis, StoreError> {
        let snapshot = readers.snapshot()?;
        let mut statement = snapshot.cached("SELECT row FROM genesis ORDER BY row")?;
        let rows: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut found: Option<Genesis> = None;
        for row in rows {
            let (id, _, record) = snapshot.load(row)?;
            let newest = Link { id, time: record.header.time };
            let value = record.value.as_deref().unwrap_or_default();
            let rules = Rules::parse(value).map_err(|e| StoreError::Damaged(e.to_string()))?;
            found = match found {
                None => Some(Genesis { founder: record.header.owner, newest, rules }),
                Some(old) if (old.newest.time, old.newest.id) < (newest.time, newest.id) => {
                    Some(Genesis { founder: old.founder, newest, rules })
                }
                old => old,
            };
        }
        found.ok_or_else(|| StoreError::Damaged("its genesis records are missing".into()))
    }
}

/// The network these records found, if each is a valid genesis record of it by its founder.
fn checked_genesis(genesis: &[Record]) -> Result<NetworkId, StoreError> {
    let wrong = |why: String| StoreError::Genesis(why);
    let first = genesis.first().ok_or_else(|| wrong("there are none".into()))?;
    if !first.is_founding() {
        return Err(wrong("the first is not a founding genesis record".into()));
    }
    let network = network_of(first);
    let parse = |record: &Record| {
        let value = record.value.as_deref().unwrap_or_default();
        Rules::parse(value).map_err(|e| wrong(e.to_string()))
    };
    let rules = parse(first)?;
    for record in genesis {
        if record.header.kind != Kind::Genesis || record.header.owner != first.header.owner {
            return Err(wrong("not all are genesis records of one owner".into()));
        }
        rules.check_amendment(&parse(record)?).map_err(|e| wrong(e.to_string()))?;
        record.check_rules(&rules).map_err(|e| wrong(e.to_string()))?;
        record.verify(&network).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(network)
}

fn write_genesis(
    conn: &mut Connection,
    network: &NetworkId,
    genesis: &[Record],
    clock: &Clock,
) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::lay_out(&tx)?;
    tx.execute("INSERT INTO meta(name, value) VALUES('network', ?1)", params![network.0])?;
    let mut memory = Memory::default();
    let mut batch = Batch::new(&tx, PathKey::root(network), &mut memory, None)?;
    for record in genesis {
        let vetted = Arc::new(Vetted {
            id: record.id(network),
            record: record.clone(),
            paths: SmallVec::new(),
            rest: 0,
            lookups: SmallVec::new(),
            body: record.encode_body(),
            live: false,
            rules: None,
        });
        match batch.link(&vetted)? {
            Linked::Rows(parents) => batch.add(&vetted, &parents)?,
            Linked::Missing(_) => {
                return Err(StoreError::Genesis("they are not in order: one links ahead".into()));
            }
            Linked::Refused(refusal) => return Err(StoreError::Genesis(refusal.to_string())),
        }
    }
    batch.finish(clock())?;
    tx.commit()?;
    Ok(())
}
