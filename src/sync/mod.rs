//! How two nodes agree.

pub mod address;
pub mod bytes;
mod config;
pub mod dice;
pub mod engine;
pub mod face;
pub mod limits;
pub mod net;
pub mod reconcile;
pub mod table;
pub mod wants;
pub mod wire;

pub use address::{NodeKey, PeerAddress};
pub use config::Config;
