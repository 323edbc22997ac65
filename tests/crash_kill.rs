//! `kill -9` at random instants of a publish under load: the store opens, `check` finds nothing, and no
//! acknowledged record is missing. One home is used for many rounds, and is not always repaired by an opening
//! for writing between two of them, so that recovery itself is interrupted and recovered from.
#![allow(clippy::unwrap_used)]

#[path = "common/crash.rs"]
mod crash;
#[path = "common/seed.rs"]
mod seed;

use std::path::Path;
use std::time::{Duration, Instant};

use crash::{Acknowledged, Judgement, Manner, Writer, judge};
use lfdns::record::RecordId;
use lfdns::store::{Durability, Store};
use seed::Dice;

const ROUNDS: usize = 200;
/// Then a new home, so that its making is interrupted too, and `check` does not grow with the square.
const ROUNDS_PER_HOME: usize = 50;
/// One round of this many ends at a random instant since the process began (and so within opening or
/// recovering); the others at one since the first acknowledgement.
const EARLY: u64 = 5;
/// How long after its begin, or its first acknowledgement, a process lives at most.
const LIFE_MAX: Duration = Duration::from_millis(120);
/// A writer that acknowledges too early must be found out within this many rounds.
const HASTY_ROUNDS: usize = 20;

/// Writes until a random instant, and returns what was acknowledged.
fn round(test: &str, home: &Path, manner: Manner, dice: &mut Dice) -> Vec<RecordId> {
    let mut writer = Writer::start(test, home, manner, dice.next());
    if dice.below(EARLY) != 0 {
        writer.await_first();
    }
    writer.run_until(Instant::now() + dice.within(LIFE_MAX));
    writer.kill()
}

/// Opens what was left, for writing or (leaving the log to the next process) for reading.
fn open(home: &Path, dice: &mut Dice) -> Store {
    let config = crash::config(Durability::Full);
    let opened = match dice.below(2) {
        0 => Store::open(home, &config, crash::clock()),
        _ => Store::open_reader(home, &config, crash::clock()),
    };
    opened.expect("the store opens after a kill")
}

#[test]
fn nothing_acknowledged_is_lost_in_200_kills() {
    crash::publish_if_told();
    let test = "nothing_acknowledged_is_lost_in_200_kills";
    let mut dice = Dice::new(seed::seed());
    let (mut total, mut empty_rounds) = (0, 0);
    for _ in 0..ROUNDS / ROUNDS_PER_HOME {
        let home = tempfile::tempdir().unwrap();
        let mut acknowledged = Acknowledged::new();
        for round_number in 0..ROUNDS_PER_HOME {
            let fresh = round(test, home.path(), Manner::Full, &mut dice);
            empty_rounds += usize::from(fresh.is_empty());
            acknowledged.extend(&fresh);
            if acknowledged.is_empty() && !Store::exists(home.path()).unwrap() {
                continue;
            }
            let judgement = judge(&open(home.path(), &mut dice), &fresh);
            assert_eq!(judgement, Judgement::default(), "after kill {round_number} of this home");
        }
        let all: Vec<RecordId> = acknowledged.into_iter().collect();
        assert_eq!(judge(&open(home.path(), &mut dice), &all), Judgement::default(), "at the end of a home");
        total += all.len();
    }
    println!("{ROUNDS} kills, {total} records acknowledged, {empty_rounds} rounds without one");
    assert!(empty_rounds < ROUNDS / 2, "{empty_rounds} rounds acknowledged nothing: too little load");
}

#[test]
fn a_writer_that_acknowledges_too_early_is_found_out() {
    crash::publish_if_told();
    let test = "a_writer_that_acknowledges_too_early_is_found_out";
    let mut dice = Dice::new(seed::seed());
    let home = tempfile::tempdir().unwrap();
    let found_out = (0..HASTY_ROUNDS).any(|_| {
        let fresh = round(test, home.path(), Manner::Hasty, &mut dice);
        !fresh.is_empty() && judge(&open(home.path(), &mut dice), &fresh).missing > 0
    });
    assert!(found_out, "the harness would not have noticed a loss in {HASTY_ROUNDS} kills");
}
