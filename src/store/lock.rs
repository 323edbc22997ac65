//! One node per home: `HOME/lock`, locked as long as the store is open. The kernel drops the lock with the
//! process, however it ends, so a stale file never keeps anybody out. The file holds the holder's process id,
//! for the words of the refusal.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::StoreError;

const FILE: &str = "lock";
/// More than any process id has digits.
const PID_DIGITS_MAX: u64 = 20;

/// Holds a home until dropped.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(home: &Path) -> Result<HomeLock, StoreError> {
        let path = home.join(FILE);
        // Not truncated here: before we hold the lock the content belongs to its holder.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { home: home.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::Io { path, source }),
        }
        write_pid(&mut file).map_err(StoreError::io(&path))?;
        Ok(HomeLock { _file: file })
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_DIGITS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_node_is_told_the_pid_of_the_first() {
        let home = tempfile::tempdir().unwrap();
        let held = HomeLock::take(home.path()).unwrap();
        let refused = HomeLock::take(home.path()).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(refused, StoreError::Locked { pid: Some(p), .. } if p == pid), "{refused:?}");
        assert!(refused.to_string().contains(&format!("process {pid}")), "{refused}");
        drop(held);
        HomeLock::take(home.path()).unwrap();
    }

    #[test]
    fn a_lock_file_left_behind_keeps_nobody_out() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE), "4194303000000\n").unwrap();
        HomeLock::take(home.path()).unwrap();
        let text = std::fs::read_to_string(home.path().join(FILE)).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
    }
}
