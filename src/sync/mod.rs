//! How two nodes agree.

pub mod address;
mod config;
pub mod face;
pub mod net;
pub mod table;

pub use address::{NodeKey, PeerAddress};
pub use config::Config;
