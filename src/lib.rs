//! lfdns: a signed, replicated record DAG in SQLite, answered over DNS.
//!
//! The map, from the bottom up: [`record`] is bytes, [`store`] is where they live, [`dns`] is how they
//! become answers, and what stands above assembles them. Imports go down only; `tests/layers.rs` enforces it.

pub mod api;
pub mod dns;
pub mod metrics;
pub mod record;
pub mod store;
