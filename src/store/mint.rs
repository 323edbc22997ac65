//! What an author needs from the store: which records to link to.

use super::{Snapshot, StoreError};
use crate::record::{LINKS_MAX, Link, Millis};

/// While tips pile up, records link to up to this many of them, so that their number shrinks back.
const LINKS_WHILE_MANY: usize = 5;
/// Recent records looked at to fill up links where there are too few tips.
const RECENT: usize = 64;

/// Links for `count` new records: every tip at most once while there are enough, then tips and recent records
/// again, at least `min` a record and none twice in one record; none ahead of `now`, unless too few records
/// are not (a network founded this very millisecond).
pub(crate) fn links_for(
    snapshot: &Snapshot,
    count: usize,
    min: usize,
    now: Millis,
) -> Result<Vec<Vec<Link>>, StoreError> {
    let most = LINKS_WHILE_MANY.max(min).min(LINKS_MAX);
    let tips = snapshot.tips(count.saturating_mul(most), now)?;
    let mut fill = snapshot.recent(RECENT, now)?;
    if fill.len() < min {
        fill = snapshot.recent(RECENT, crate::record::TIME_MAX)?;
        fill.reverse();
        fill.truncate(min);
    }
    Ok(deal(&tips, &fill, count, min))
}

/// Deals the tips out one by one, then fills every hand up to `min`.
fn deal(tips: &[Link], fill: &[Link], count: usize, min: usize) -> Vec<Vec<Link>> {
    let mut hands = vec![Vec::with_capacity(min); count];
    if count == 0 {
        return hands;
    }
    for (turn, tip) in tips.iter().enumerate() {
        hands[turn % count].push(*tip);
    }
    for (turn, hand) in hands.iter_mut().enumerate() {
        // Each record starts elsewhere, so that the fill is spread too.
        let again = tips.iter().cycle().skip(turn).take(tips.len()).chain(fill);
        for link in again {
            if hand.len() >= min {
                break;
            }
            if !hand.contains(link) {
                hand.push(*link);
            }
        }
    }
    hands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordId;

    fn links(range: std::ops::Range<u8>) -> Vec<Link> {
        range.map(|n| Link { id: RecordId([n; 32]), time: Millis(u64::from(n)) }).collect()
    }

    #[test]
    fn distinct_tips_go_to_distinct_records_while_there_are_enough() {
        let hands = deal(&links(0..10), &links(0..10), 5, 2);
        let mut seen: Vec<_> = hands.iter().flatten().map(|l| l.id).collect();
        assert!(hands.iter().all(|h| h.len() == 2));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn many_tips_are_linked_more_than_the_minimum() {
        let hands = deal(&links(0..20), &[], 5, 2);
        assert!(hands.iter().all(|h| h.len() == 4));
    }

    #[test]
    fn too_few_tips_are_filled_up_with_recent_records() {
        for hand in deal(&links(9..10), &links(0..10), 3, 4) {
            assert_eq!(hand.len(), 4);
            assert!(hand.contains(&links(9..10)[0]));
            let mut ids: Vec<_> = hand.iter().map(|l| l.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 4, "no link twice in one record");
        }
    }
}
