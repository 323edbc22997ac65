//! How records become answers.

pub mod name;
