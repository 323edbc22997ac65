//! How two nodes agree.

pub mod address;
mod config;
pub mod face;
pub mod net;

pub use address::{NodeKey, PeerAddress};
pub use config::Config;
