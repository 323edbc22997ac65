//! What is to happen in a simulation, drawn from its seed.

use lfdns::sync::dice::Dice;

use crate::world::{Event, Mood};

const SECOND: u64 = 1_000_000;
/// Everybody of the first hour starts within this.
const STARTED: u64 = 10 * SECOND;
/// Records are written from here on.
const WRITTEN_FROM: u64 = 15 * SECOND;
const SPLIT: u64 = 30 * SECOND;
const HEAL: u64 = 45 * SECOND;
const WRITTEN_UNTIL: u64 = 65 * SECOND;
/// A stopped node is away for less than this.
const AWAY: u64 = 10 * SECOND;
/// What was written so long before the partition, or after its end, had a whole network before it.
const SETTLED: u64 = 5 * SECOND;
/// Virtual time it may take until everybody has everything, after the last disturbance.
const PATIENCE: u64 = 60 * SECOND;

/// The size of a run, and its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: usize,
    pub records: usize,
    /// Nodes whose addresses stand in the network's rules.
    pub seeds: usize,
}

impl Plan {
    pub fn new(seed: u64, nodes: usize, records: usize) -> Plan {
        Plan { seed, nodes, records, seeds: (nodes / 60).clamp(2, 16) }
    }

    /// Of twenty nodes one is slow and one is silent; seeds are neither.
    pub fn mood(&self, number: usize) -> Mood {
        match number % 20 {
            7 if number >= self.seeds => Mood::Slow,
            13 if number >= self.seeds => Mood::Silent,
            _ => Mood::Honest,
        }
    }

    /// Nothing is disturbed from here on.
    pub fn quiet_from() -> u64 {
        WRITTEN_UNTIL + AWAY
    }

    pub fn deadline() -> u64 {
        Plan::quiet_from() + PATIENCE
    }

    /// Whether records written then had a whole network before them.
    pub fn calm(at: u64) -> bool {
        at + SETTLED < SPLIT || at > HEAL + SETTLED
    }

    pub fn events(&self, dice: &mut Dice) -> Vec<(u64, Event)> {
        let mut events = vec![(SPLIT, Event::Split), (HEAL, Event::Heal)];
        for node in 0..self.nodes {
            // One in ten joins while the network lives.
            let late = node >= self.seeds && node % 10 == 9;
            let at = match (node < self.seeds, late) {
                (true, _) => dice.below(SECOND),
                (_, true) => WRITTEN_FROM + dice.below(WRITTEN_UNTIL - WRITTEN_FROM),
                _ => SECOND + dice.below(STARTED - SECOND),
            };
            events.push((at, Event::Start(node)));
        }
        let mut written = 0;
        while written < self.records {
            let burst = if dice.below(4) == 0 { 5 } else { 1 }.min(self.records - written) as u32;
            written += burst as usize;
            events.push((WRITTEN_FROM + dice.below(WRITTEN_UNTIL - WRITTEN_FROM), Event::Write { burst }));
        }
        // A fifth of all nodes stops once and comes back with what it had.
        for _ in 0..self.nodes / 5 {
            let node = dice.below(self.nodes as u64) as usize;
            let at = WRITTEN_FROM + dice.below(WRITTEN_UNTIL - WRITTEN_FROM);
            events.push((at, Event::Stop { node, politely: dice.below(2) == 0 }));
            events.push((at + SECOND + dice.below(AWAY - SECOND), Event::Start(node)));
        }
        events
    }
}
