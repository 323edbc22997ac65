//! The `lfdns` program.

fn main() {}
