//! lfdns: a signed, replicated record DAG in SQLite, answered over DNS.
//!
//! The map, from the bottom up: [`record`] is bytes, [`store`] is where they live, [`dns`] is how they
//! become answers, [`sync`] is how nodes agree, [`config`] composes what an operator may set, [`node`]
//! assembles them and [`cli`] is how people talk to all of it. Imports go down only; `tests/layers.rs`
//! enforces it.

pub mod cli;
pub mod config;
pub mod dns;
pub mod node;
pub mod metrics;
pub mod record;
pub mod store;
pub mod sync;
