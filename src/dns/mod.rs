//! How records become answers.

pub mod master;
pub mod name;
pub mod rdata;
