//! How records become answers: names to paths, zones and who may speak there, RRsets, negative answers,
//! wildcards, chains. Decisions are pure functions of a store snapshot and the time; sockets and hickory are
//! at the edge (`handler.rs`, `udp.rs`, `tcp.rs`).

pub mod counters;
pub mod name;
pub mod path;
pub mod rdata;
pub mod reply;
pub mod rrset;
pub mod zone;
