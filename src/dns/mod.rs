//! How records become answers.
