//! Online backup: a whole, consistent copy of the file while others read and write it.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::StoreError;

/// Pages copied between two looks at the source: 8 MiB.
const STEP_PAGES: i32 = 1_024;

/// Copies the store behind `from` to a new file at `to`; an old file there is replaced only when the copy is
/// whole and on the disk.
pub(crate) fn copy(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    if part.exists() {
        std::fs::remove_file(part).map_err(StoreError::io(part))?;
    }
    let mut target = Connection::open(part)?;
    // No pause between steps: `from` reads one snapshot of the log, so nobody waits for us.
    Backup::new(from, &mut target)?.run_to_completion(STEP_PAGES, Duration::ZERO, None)?;
    // The copy says "WAL" in its header; as a file on its own it is better without.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io(path));
    sync(part)?;
    std::fs::rename(part, to).map_err(StoreError::io(to))?;
    to.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or(Ok(()), sync)
}
