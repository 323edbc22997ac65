//! How two nodes agree. So far a node only keeps its place: it has a key and holds its port, and no peer is
//! let in yet.

mod config;
pub mod net;

pub use config::Config;
