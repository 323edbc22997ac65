//! How records become answers.

pub mod name;
pub mod rdata;
