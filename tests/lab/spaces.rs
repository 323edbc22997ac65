//! A network namespace for each node, cabled to one in which the test itself runs. The test runs itself again in
//! namespaces of its own (of users too, where it is not root), so that everything ends with it, however it ends.
#![allow(dead_code, unreachable_pub)]

use std::process::{Command, Stdio};

use super::relay::{Family, NODE_END, NODES, inside as at, place};
use super::{node, skip};

/// In the environment of the test inside its namespaces.
const INSIDE: &str = "LFDNS_LAB_INSIDE";
const PROGRAMS: [&str; 4] = ["unshare", "nsenter", "mount", "ip"];
/// The test's end of a cable.
const TEST_END: u16 = 1;

/// Whether this process may go on with the test; it is the one inside then. Outside it starts that one, and fails if
/// that one does.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !PROGRAMS.iter().all(|program| skip::has(program)) {
        return false;
    }
    let mut unshare = vec![
        "--net",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--mount-proc",
        "--fork",
        "--kill-child",
    ];
    if !nix::unistd::geteuid().is_root() {
        unshare.extend(["--user", "--map-root-user"]);
    }
    if let Err(words) = run(Command::new("unshare").args(&unshare).arg("true")) {
        skip::refused(&format!("no network namespaces of its own are permitted here: {words}"));
        return false;
    }
    let myself = std::env::current_exe().expect("this program has a path");
    let status = Command::new("unshare")
        .args(&unshare)
        .arg(myself)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .expect("unshare ran just before");
    assert!(status.success(), "the test failed inside its namespaces");
    false
}

/// Makes the namespaces and the cables; the families there are.
pub fn build() -> Vec<Family> {
    let v6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
    let families: &[Family] = if v6 { &[Family::V4, Family::V6] } else { &[Family::V4] };
    if !v6 {
        skip::skip("IPv6 in the lab: this machine has none");
    }
    // Their names are files there, and nobody else's business.
    must("mount -t tmpfs tmpfs /run");
    must("ip link set lo up");
    for n in 0..NODES {
        must(&format!("ip netns add n{n}"));
        must(&format!("ip link add h{n} type veth peer name eth0 netns n{n}"));
        must(&format!("ip link set h{n} up"));
        must(&format!("ip -n n{n} link set lo up"));
        must(&format!("ip -n n{n} link set eth0 up"));
        for family in families {
            let (flag, one, net, nodad) = match family {
                Family::V4 => ("-4", 32, 24, ""),
                Family::V6 => ("-6", 128, 64, "nodad"),
            };
            let (here, there) = (at(n, *family, TEST_END), at(n, *family, NODE_END));
            must(&format!("ip {flag} addr add {}/{one} dev lo {nodad}", place(n, *family).ip()));
            must(&format!("ip {flag} addr add {here}/{net} dev h{n} {nodad}"));
            must(&format!("ip -n n{n} {flag} addr add {there}/{net} dev eth0 {nodad}"));
            must(&format!("ip -n n{n} {flag} route add default via {here}"));
        }
    }
    families.to_vec()
}

/// The program on this home, inside node `n`'s namespace.
pub fn command(n: usize, home: &node::Home) -> Command {
    let plain = home.command();
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/n{n}")).arg("--").arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(dir) = plain.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

fn must(line: &str) {
    let mut words = line.split_whitespace();
    run(Command::new(words.next().unwrap_or_default()).args(words))
        .expect("it is permitted in namespaces of our own");
}

/// Runs a program to its end: what it printed, or its words where it fails.
fn run(command: &mut Command) -> Result<String, String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = command.env("PATH", path).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (program, args) = (command.get_program().to_string_lossy().into_owned(), command.get_args());
    let args: Vec<_> = args.map(|arg| arg.to_string_lossy()).collect();
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
