//! How records become answers: names to paths, zones and who may speak there, RRsets, negative answers,
//! wildcards, chains. Decisions are pure functions of a store snapshot and the time; sockets and hickory are
//! at the edge (`handler.rs`, `udp.rs`, `tcp.rs`).

mod additional;
mod book;
mod cache;
pub mod config;
pub mod counters;
mod decide;
mod encode;
pub mod explain;
pub mod front;
pub mod handler;
pub mod histogram;
pub mod list;
pub mod load;
mod lookup;
pub mod master;
pub mod name;
pub mod path;
mod pool;
pub mod publish;
mod rawvalue;
pub mod rdata;
pub mod reply;
pub mod resolver;
pub mod rrset;
pub mod server;
mod synth;
mod tcp;
mod udp;
mod wire;
pub mod zone;

pub use lookup::{RAW_OCTETS_MAX, RAW_VALUES_MAX};
