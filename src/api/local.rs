//! [`Lf`] on a store opened in this process.

use std::path::Path;
use std::sync::Arc;

use super::explain::{Explain, Sink};
use super::json::{PostReport, Query, QueryResults, Status};
use super::lf::{Lf, Network};
use super::server::Facts;
use super::{LfError, Refused, reads, writes};
use crate::record::{Link, Millis, OwnerKey, PathKey, Record, RecordId};
use crate::store::{self, Clock, Source, Store};
use crate::sync::face::{Alone, Peers};

/// A store in this process.
#[derive(Clone)]
pub struct Local {
    store: Store,
    clock: Clock,
    explain: Option<Arc<dyn Explain>>,
}

impl Local {
    /// Takes the lock of a home and opens its store.
    pub fn open(home: &Path, config: &store::Config, clock: Clock) -> Result<Local, LfError> {
        Ok(Local::new(Store::open(home, config, Arc::clone(&clock))?, clock))
    }

    /// Stands on a store that is open already.
    pub fn new(store: Store, clock: Clock) -> Local {
        Local { store, clock, explain: None }
    }

    /// The same, and able to explain answers and list zones.
    pub fn explained_by(self, explain: Arc<dyn Explain>) -> Local {
        Local { explain: Some(explain), ..self }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn explainer(&self) -> Result<&dyn Explain, Refused> {
        let missing = || Refused::new(501, "this store was opened without the part that answers DNS");
        self.explain.as_deref().ok_or_else(missing)
    }
}

impl Lf for Local {
    fn status(&self) -> Result<Status, LfError> {
        let mut status = reads::status(&self.store, (self.clock)(), 0, &Facts::default(), &Alone.progress())?;
        status.network = Some(self.store.network().reveal());
        Ok(status)
    }

    fn network(&self) -> Result<Network, LfError> {
        Ok(Network { id: self.store.network(), rules: (*self.store.rules()).clone() })
    }

    fn query(&self, query: &Query) -> Result<QueryResults, LfError> {
        Ok(reads::query(&self.store, query)?)
    }

    fn record(&self, id: &RecordId) -> Result<Option<Record>, LfError> {
        Ok(self.store.snapshot()?.by_id(id)?.map(|(_, record)| record))
    }

    fn post(&self, records: &[Record]) -> Result<PostReport, LfError> {
        Ok(writes::post_records(&self.store, records, Source::Local))
    }

    fn links(&self, count: usize) -> Result<Vec<Vec<Link>>, LfError> {
        Ok(self.store.links_for(count, self.now())?)
    }

    fn newest(&self, owner: &OwnerKey, slots: &[PathKey]) -> Result<Vec<Option<Millis>>, LfError> {
        Ok(reads::newest(&self.store, owner, slots)?)
    }

    fn teach(&self, names: &[Vec<u8>]) -> Result<(), LfError> {
        Ok(writes::teach(&self.store, names)?)
    }

    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<serde_json::Value, LfError> {
        Ok(self.explainer()?.explain(name, rtype)?)
    }

    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), LfError> {
        Ok(self.explainer()?.list_zone(suffix, owner, sink)?)
    }

    fn now(&self) -> Millis {
        (self.clock)()
    }
}
