//! How programs talk to us: LF's HTTP API on loopback, and the library's trait [`Lf`] for a store opened in
//! this process and for a node by URL.

pub mod json;
