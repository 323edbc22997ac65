//! How records become answers: names to paths, zones and who may speak there, RRsets, negative answers,
//! wildcards, chains. Decisions are pure functions of a store snapshot and the time; sockets and hickory are
//! at the edge (`handler.rs`, `udp.rs`, `tcp.rs`).

mod cache;
pub mod config;
pub mod counters;
mod encode;
mod front;
pub mod handler;
pub mod histogram;
pub mod load;
pub mod name;
mod pool;
pub mod reply;
pub mod server;
mod tcp;
mod udp;
mod wire;
