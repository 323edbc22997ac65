//! Masked ordinals: an order-preserving map of u64 into 128 bits, keyed by the selector's name.
//!
//! A walk down a binary tree of 64 levels. At each level the width that is left is split somewhere between
//! 3/8 and 5/8, where exactly being pseudo-random in the prefix so far; the ordinal's bit chooses the side.
//! Ranges of ordinals so become ranges of keys. What it leaks: order, and roughly the size, so a stranger
//! tells an A record from an AAAA. docs/FORMAT.md "Ordinal".

use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};

use super::Masked;

const LEVELS: u32 = 64;

/// The map of one selector name.
#[derive(Clone)]
pub struct OrdinalCipher {
    aes: Aes128,
}

impl OrdinalCipher {
    /// The map under a 16-byte key, which [`super::Name`] derives from the name.
    pub fn new(key: &[u8; 16]) -> OrdinalCipher {
        OrdinalCipher { aes: Aes128::new(&(*key).into()) }
    }

    /// The image of an ordinal.
    pub fn mask(&self, ordinal: u64) -> Masked {
        // Every prefix is known beforehand, and the cipher takes many blocks at once in a fraction of the time.
        let mut blocks: [Block<Aes128>; LEVELS as usize] = [Block::<Aes128>::default(); LEVELS as usize];
        for (level, to) in (0..LEVELS).zip(&mut blocks) {
            *to = block(level, prefix(ordinal, level));
        }
        self.aes.encrypt_blocks(&mut blocks);
        let (mut low, mut width) = (0_u128, u128::MAX);
        for (level, block) in (0..LEVELS).zip(&blocks) {
            let left = left(block, width);
            if ordinal >> (LEVELS - 1 - level) & 1 == 0 {
                width = left;
            } else {
                low += left;
                width -= left;
            }
        }
        Masked((low + width / 2).to_be_bytes())
    }

    /// The ordinal of an image; `None` for anything that is not exactly an image, since otherwise one
    /// ordinal would have endless aliases.
    pub fn unmask(&self, masked: Masked) -> Option<u64> {
        let image = u128::from_be_bytes(masked.0);
        let (mut low, mut width, mut ordinal) = (0_u128, u128::MAX, 0_u64);
        for level in 0..LEVELS {
            let mut block = block(level, ordinal);
            self.aes.encrypt_block(&mut block);
            let left = left(&block, width);
            ordinal <<= 1;
            if image < low + left {
                width = left;
            } else {
                ordinal |= 1;
                low += left;
                width -= left;
            }
        }
        (low + width / 2 == image).then_some(ordinal)
    }
}

/// What is encrypted for one level.
fn block(level: u32, prefix: u64) -> Block<Aes128> {
    let mut block = Block::<Aes128>::default();
    block[0] = level as u8;
    block[8..].copy_from_slice(&prefix.to_be_bytes());
    block
}

/// The width of the left side: 3e + ((2e·r) >> 64) with e = width / 8 and r the level's randomness, the first
/// half of its encrypted block.
fn left(block: &Block<Aes128>, width: u128) -> u128 {
    let mut random = [0_u8; 8];
    random.copy_from_slice(&block[..8]);
    let random = u128::from(u64::from_be_bytes(random));
    let eighth = width >> 3;
    let twice = eighth * 2;
    // (2e·r) >> 64 without a 192-bit product: the high half exactly, the low half's carry.
    let product = (twice >> 64) * random + (((twice & u128::from(u64::MAX)) * random) >> 64);
    3 * eighth + product
}

/// The first `level` bits of an ordinal, right-aligned.
fn prefix(ordinal: u64, level: u32) -> u64 {
    ordinal.checked_shr(LEVELS - level).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cipher() -> OrdinalCipher {
        OrdinalCipher::new(&[9; 16])
    }

    #[test]
    fn the_ends_of_the_range_invert() {
        for ordinal in [0, 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(cipher().unmask(cipher().mask(ordinal)), Some(ordinal));
        }
    }

    #[test]
    fn another_key_gives_another_image() {
        assert_ne!(cipher().mask(5), OrdinalCipher::new(&[8; 16]).mask(5));
    }

    proptest! {
        #[test]
        fn order_is_kept_and_the_map_inverts(a: u64, b: u64) {
            let c = cipher();
            prop_assert_eq!(a.cmp(&b), c.mask(a).cmp(&c.mask(b)));
            prop_assert_eq!(c.unmask(c.mask(a)), Some(a));
        }

        #[test]
        fn neighbours_keep_their_order(a in 0..u64::MAX) {
            let c = cipher();
            prop_assert!(c.mask(a) < c.mask(a + 1));
        }

        #[test]
        fn what_is_no_image_is_ignored(a: u64, delta in 1..1_u128 << 30) {
            let c = cipher();
            let near = u128::from_be_bytes(c.mask(a).0).wrapping_add(delta);
            prop_assert_eq!(c.unmask(Masked(near.to_be_bytes())), None);
        }

        #[test]
        fn arbitrary_bytes_unmask_to_their_exact_source_or_nothing(bytes: [u8; 16]) {
            let c = cipher();
            if let Some(ordinal) = c.unmask(Masked(bytes)) {
                prop_assert_eq!(c.mask(ordinal), Masked(bytes));
            }
        }
    }
}
