//! How programs talk to us: LF's HTTP API on loopback, and the library's trait [`Lf`] for a store opened in
//! this process ([`Local`]) and for a node by URL ([`Remote`]).
//!
//! * [`json`]: what is said. [`server`] and [`handlers`]: how it is heard, and who may speak ([`access`]).
//! * [`reads`] and [`writes`]: what it does to the store; the server and [`Local`] share them.
//! * [`make`]: minting on the caller's side. Keys never travel.

mod access;
mod body;
mod config;
mod error;
mod explain;
mod frames;
mod handlers;
mod invite;
pub mod json;
mod lf;
mod local;
mod make;
mod reads;
mod remote;
mod server;
mod token;
mod writes;

#[cfg(test)]
mod tests;

pub use config::{Config, PORT};
pub use error::{LfError, Refused, Tried};
pub use explain::{Explain, Sink};
pub use invite::{
    INVITATION_MAX, INVITED_GENESIS_MAX, INVITED_PEERS_MAX, InvitationError, Invited, Reader, invited,
    reachable,
};
pub use lf::{Lf, Network};
pub use local::Local;
pub use make::{Entry, Made, Progress};
pub use remote::{Remote, UNAUTHORIZED, is_local};
pub use server::{Facts, Parts, ServeError, Server};
pub use token::{Token, TokenError};
