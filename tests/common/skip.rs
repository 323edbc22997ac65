//! How a test says that it cannot run here. It then passes, and says so on stderr, past the test runner's
//! capture. Where `LFDNS_CI` is set every outside program is installed, so there its absence is a failure.
#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::io::Write;

/// Set by `.ci/run`.
const CI: &str = "LFDNS_CI";

/// What a test needs is absent, and nothing that could be installed would help: test data that is no part of
/// this project, IPv6, the right to mount.
pub fn skip(reason: &str) {
    // Not `eprintln!`, which the test runner captures; a stderr that is closed is nobody's fault.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// The system refuses what a test needs, and a CI is to allow it: a failure there.
pub fn refused(reason: &str) {
    skip(reason);
    assert!(std::env::var_os(CI).is_none(), "where {CI} is set, this must be permitted: {reason}");
}

/// Whether a program is installed. Where it is not, this says so and the test is to end.
pub fn has(program: &str) -> bool {
    let found = found(program);
    if !found {
        skip(&format!("{program} is not installed"));
        assert!(std::env::var_os(CI).is_none(), "where {CI} is set, {program} must be installed");
    }
    found
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/sbin".into(), "/usr/sbin".into()]).any(|folder| {
        let file = folder.join(OsStr::new(program));
        file.metadata().is_ok_and(|file| file.is_file())
    })
}
