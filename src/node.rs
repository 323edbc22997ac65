//! The assembly of a node.

pub mod home;
pub mod owners;
