//! lfdns: a signed, replicated record DAG in SQLite, answered over DNS.
//!
//! The map, from the bottom up: [`record`] is bytes, [`store`] is where they live, [`dns`] is how they
//! become answers, [`sync`] is how nodes agree, [`api`] is how programs talk to them, [`config`] composes what
//! an operator may set, [`node`] assembles the parts and [`cli`] is how people talk to all of it. [`metrics`]
//! counts. Imports go down only; `tests/layers.rs` enforces it.

pub mod api;
pub mod cli;
pub mod config;
pub mod dns;
pub mod metrics;
pub mod node;
pub mod record;
pub mod store;
pub mod sync;
