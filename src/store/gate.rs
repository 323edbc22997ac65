//! The bound on what was handed in and is not yet committed: by records and bytes. A piece larger than the
//! whole bound passes when nothing else is inside.

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct Inside {
    records: usize,
    bytes: usize,
    closed: bool,
}

pub(crate) struct Gate {
    records_max: usize,
    bytes_max: usize,
    inside: Mutex<Inside>,
    left: Condvar,
}

/// Room taken in the gate, given back when dropped.
pub(crate) struct Pass {
    gate: std::sync::Arc<Gate>,
    records: usize,
    bytes: usize,
}

impl Gate {
    pub(crate) fn new(records_max: usize, bytes_max: usize) -> Gate {
        Gate { records_max, bytes_max, inside: Mutex::default(), left: Condvar::new() }
    }

    /// Takes room if there is some.
    pub(crate) fn try_enter(self: &std::sync::Arc<Self>, records: usize, bytes: usize) -> Option<Pass> {
        let mut inside = self.inside.lock();
        self.fits(&inside, records, bytes).then(|| self.admit(&mut inside, records, bytes))
    }

    /// Waits for room; `None` once the gate is closed.
    pub(crate) fn enter(self: &std::sync::Arc<Self>, records: usize, bytes: usize) -> Option<Pass> {
        let mut inside = self.inside.lock();
        while !self.fits(&inside, records, bytes) {
            if inside.closed {
                return None;
            }
            self.left.wait(&mut inside);
        }
        Some(self.admit(&mut inside, records, bytes))
    }

    /// Wakes everybody who waits, for good.
    pub(crate) fn close(&self) {
        self.inside.lock().closed = true;
        self.left.notify_all();
    }

    /// Records inside.
    pub(crate) fn records(&self) -> usize {
        self.inside.lock().records
    }

    fn fits(&self, inside: &Inside, records: usize, bytes: usize) -> bool {
        let room = inside.records + records <= self.records_max && inside.bytes + bytes <= self.bytes_max;
        !inside.closed && (room || inside.records == 0)
    }

    fn admit(self: &std::sync::Arc<Self>, inside: &mut Inside, records: usize, bytes: usize) -> Pass {
        inside.records += records;
        inside.bytes += bytes;
        Pass { gate: std::sync::Arc::clone(self), records, bytes }
    }
}

impl Pass {
    /// Records inside the gate it passed.
    pub(crate) fn inside(&self) -> usize {
        self.gate.records()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock();
        inside.records -= self.records;
        inside.bytes -= self.bytes;
        drop(inside);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_gate_is_full_by_records_or_bytes_and_opens_as_they_leave() {
        let gate = Arc::new(Gate::new(2, 100));
        let first = gate.try_enter(1, 10).unwrap();
        let second = gate.try_enter(1, 10).unwrap();
        assert!(gate.try_enter(1, 10).is_none(), "by records");
        drop(second);
        assert!(gate.try_enter(1, 91).is_none(), "by bytes");
        drop(first);
        assert!(gate.try_enter(5, 500).is_some(), "a large piece alone");
        assert_eq!(gate.records(), 0);
    }

    #[test]
    fn whoever_waits_gets_in_when_room_is_made() {
        let gate = Arc::new(Gate::new(1, 100));
        let inside = gate.try_enter(1, 1).unwrap();
        let waiting = std::thread::spawn({
            let gate = Arc::clone(&gate);
            move || gate.enter(1, 1).is_some()
        });
        drop(inside);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_closed_gate_lets_nobody_wait() {
        let gate = Arc::new(Gate::new(1, 100));
        let _inside = gate.try_enter(1, 1).unwrap();
        gate.close();
        assert!(gate.enter(1, 1).is_none());
    }
}
