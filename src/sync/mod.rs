//! How two nodes agree.

pub mod address;
pub mod bytes;
mod config;
pub mod face;
pub mod net;
pub mod reconcile;

pub use address::{NodeKey, PeerAddress};
pub use config::Config;
