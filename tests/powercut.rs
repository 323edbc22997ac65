//! After a power cut: a store on an ext4 image, written under load, whose file system is shut down at a random
//! instant without flushing its log (`EXT4_IOC_SHUTDOWN`), then mounted again. Nothing acknowledged is missing;
//! and that this can tell is shown by `synchronous=NORMAL`, which loses records.
//!
//! Each test runs itself again in a mount namespace of its own, so that mounts and loop devices end with it,
//! however it ends. Where that, loop devices or the ioctl are not permitted, it says so and passes.
#![allow(clippy::unwrap_used)]

#[path = "common/crash.rs"]
mod crash;
#[path = "common/seed.rs"]
mod seed;
#[path = "common/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crash::{Judgement, Manner, Writer, judge};
use lfdns::store::{Durability, Store};
use seed::Dice;
use tempfile::TempDir;

/// In the environment of the test inside its namespace.
const INSIDE: &str = "LFDNS_POWERCUT_INSIDE";
const PROGRAMS: [&str; 5] = ["unshare", "mkfs.ext4", "mount", "umount", "python3"];
const IMAGE_BYTES: u64 = 192 << 20;

/// Power cuts with `synchronous=FULL`; none may lose anything.
const ROUNDS: usize = 12;
/// With `synchronous=NORMAL`, records must be lost within this many.
const NORMAL_ROUNDS: usize = 12;
/// How long after its first acknowledgement the power goes at the latest.
const LIFE_MAX: Duration = Duration::from_millis(400);

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, u32)`, with `EXT4_GOING_FLAGS_NOLOGFLUSH` (linux/fs/ext4/ext4.h): what was
/// not synced is gone, as in a power cut. In Python, since calling it from here would be unsafe code.
///
/// It prints when the power went: an fsync that is under way while the file system is shut down may return success
/// for what is lost, so what is acknowledged later does not count; after a real power cut nobody could say it.
const SHUTDOWN: &str = "
import fcntl, os, sys, time
root = os.open(sys.argv[1], os.O_RDONLY)
flags = (2).to_bytes(4, sys.byteorder)
now = time.time_ns()
fcntl.ioctl(root, 0x8004587D, flags)
print(now)
";

/// A disk whose power can be cut.
struct Disk {
    image: PathBuf,
    at: PathBuf,
    // Removed last.
    _dir: TempDir,
}

impl Disk {
    /// A new one, mounted; or why that is not permitted.
    fn new() -> Result<Disk, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).expect("a mount point");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(IMAGE_BYTES).expect("a sparse file");
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)).expect("a file system");
        let disk = Disk { image, at, _dir: dir };
        disk.mount()?;
        Ok(disk)
    }

    fn home(&self) -> PathBuf {
        self.at.join("home")
    }

    fn mount(&self) -> Result<String, String> {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.at))
    }

    /// When the power went, or why it did not.
    fn cut_power(&self) -> Result<SystemTime, String> {
        let said = run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.at))?;
        crash::instant(&said).ok_or_else(|| format!("not an instant: {said}"))
    }

    /// The machine starts again; nobody may have a file open.
    fn restart(&self) {
        run(Command::new("umount").arg(&self.at)).expect("nobody has a file open");
        self.mount().expect("it was mounted before");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The end of the namespace would do it too.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).stderr(Stdio::null()).status();
    }
}

/// Runs a program to its end: what it printed, or its words where it fails.
fn run(command: &mut Command) -> Result<String, String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = command.env("PATH", path).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Whether this process may go on with the test; it is the one inside a namespace then. Outside it starts that one,
/// and fails if that one does.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !PROGRAMS.iter().all(|program| skip::has(program)) {
        return false;
    }
    let unshare = ["--mount", "--propagation", "private", "--fork", "--kill-child"];
    if let Err(words) = run(Command::new("unshare").args(unshare).arg("true")) {
        skip::skip(&format!("no mount namespace of its own is permitted here: {words}"));
        return false;
    }
    let myself = std::env::current_exe().expect("this program has a path");
    let output = Command::new("unshare")
        .args(unshare)
        .arg(myself)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("unshare ran just before");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "the test failed inside its namespace");
    false
}

/// A disk whose power can really be cut here.
fn disk() -> Option<Disk> {
    let trial = Disk::new().and_then(|disk| {
        disk.cut_power()?;
        disk.restart();
        Ok(disk)
    });
    trial.map_err(|words| skip::skip(&format!("a power cut is not permitted here: {words}"))).ok()
}

/// One power cut under load; what it did.
fn round(test: &str, disk: &Disk, manner: Manner, dice: &mut Dice) -> (usize, Judgement) {
    let mut writer = Writer::start(test, &disk.home(), manner, dice.next());
    writer.await_first();
    writer.run_until(Instant::now() + dice.within(LIFE_MAX));
    let cut = disk.cut_power().expect("it was permitted before");
    let acknowledged = writer.bury(cut);
    disk.restart();
    let store = Store::open(&disk.home(), &crash::config(Durability::Full), crash::clock());
    let judgement = judge(&store.expect("the store opens after a power cut"), &acknowledged);
    (acknowledged.len(), judgement)
}

fn remove_home(disk: &Disk) {
    let home: &Path = &disk.home();
    if home.exists() {
        std::fs::remove_dir_all(home).expect("a home of ours");
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    crash::publish_if_told();
    let test = "nothing_acknowledged_is_lost_in_a_power_cut";
    if !inside(test) {
        return;
    }
    let mut dice = Dice::new(seed::seed());
    let Some(disk) = disk() else { return };
    let (mut total, mut all) = (0, vec![]);
    for n in 0..ROUNDS {
        // The first power cuts of a home are those that may lose its making.
        if n % 4 == 0 {
            remove_home(&disk);
        }
        let (acknowledged, judgement) = round(test, &disk, Manner::Full, &mut dice);
        assert_eq!(judgement, Judgement::default(), "after power cut {n}, {acknowledged} acknowledged");
        total += acknowledged;
        all.push(acknowledged);
    }
    println!("{ROUNDS} power cuts, {total} records acknowledged: {all:?}");
}

#[test]
fn without_full_synchronisation_a_power_cut_loses_what_was_acknowledged() {
    crash::publish_if_told();
    let test = "without_full_synchronisation_a_power_cut_loses_what_was_acknowledged";
    if !inside(test) {
        return;
    }
    let mut dice = Dice::new(seed::seed());
    let Some(disk) = disk() else { return };
    // The store itself is made so that it lasts.
    round(test, &disk, Manner::Full, &mut dice);
    for n in 0..NORMAL_ROUNDS {
        let (acknowledged, judgement) = round(test, &disk, Manner::Normal, &mut dice);
        assert_eq!(judgement.findings, [""; 0], "a store may lose its last records then, but stays whole");
        if judgement.missing > 0 {
            println!("power cut {n} lost {} of {acknowledged} acknowledged records", judgement.missing);
            return;
        }
    }
    panic!("the harness cannot tell: {NORMAL_ROUNDS} power cuts with synchronous=NORMAL lost nothing");
}
