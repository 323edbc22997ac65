//! Names already derived. Deriving a selector's keys costs about 30 µs, as much as the rest of an answer, so
//! the names asked lately are kept: two generations, the older dropped whole when the younger is full.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::record::{Name, NetworkId};

/// Names in one generation; a name takes about 700 bytes, so both take about 11 MB.
const GENERATION: usize = 8_192;
/// Independent parts, so that threads rarely wait for each other.
const SHARDS: usize = 16;

type Generation = HashMap<Box<[u8]>, Arc<Name>>;

/// A bounded memory of derived names.
#[derive(Debug)]
pub struct NameBook {
    network: NetworkId,
    shards: [Mutex<(Generation, Generation)>; SHARDS],
}

impl NameBook {
    /// An empty book of one network.
    pub fn new(network: NetworkId) -> NameBook {
        NameBook { network, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The name's keys, derived now or before.
    pub fn name(&self, bytes: &[u8]) -> Arc<Name> {
        let shard = &self.shards[shard_of(bytes)];
        {
            let mut guard = shard.lock();
            let (young, old) = &mut *guard;
            if let Some(name) = young.get(bytes) {
                return name.clone();
            }
            if let Some((key, name)) = old.remove_entry(bytes) {
                keep(&mut guard, key, name.clone());
                return name;
            }
        }
        // Derived without the lock: two threads may both derive it, which is harmless.
        let name = Arc::new(Name::derive(&self.network, bytes));
        keep(&mut shard.lock(), bytes.into(), name.clone());
        name
    }
}

fn keep((young, old): &mut (Generation, Generation), key: Box<[u8]>, name: Arc<Name>) {
    if young.len() >= GENERATION / SHARDS {
        *old = std::mem::take(young);
    }
    young.insert(key, name);
}

fn shard_of(bytes: &[u8]) -> usize {
    // FNV-1a: only spreads load over locks; the maps themselves hash with random keys.
    let hash = bytes.iter().fold(0x811C_9DC5_u32, |hash, b| (hash ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    hash as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_remembered_and_their_number_is_bounded() {
        let book = NameBook::new(NetworkId([1; 32]));
        let first = book.name(b"www");
        assert!(Arc::ptr_eq(&first, &book.name(b"www")));
        for n in 0..3 * GENERATION {
            book.name(&n.to_be_bytes());
        }
        let kept: usize = book
            .shards
            .iter()
            .map(|s| {
                let g = s.lock();
                g.0.len() + g.1.len()
            })
            .sum();
        assert!(kept <= 2 * GENERATION, "{kept}");
        assert!(!Arc::ptr_eq(&first, &book.name(b"www")), "forgotten after {} others", 3 * GENERATION);
    }
}
