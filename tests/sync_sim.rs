//! A thousand nodes in virtual time: the real engine and the real comparison of each, over lines that delay, lose,
//! reorder and fill up; nodes that stop and come back, join late, are slow, or never say a word; a partition, and its
//! heal; records written everywhere throughout. In the end everybody has everything. docs/SYNC.md.
//!
//! `LFDNS_SIM_SEED`, `LFDNS_SIM_NODES` and `LFDNS_SIM_RECORDS` make another or a longer run. A seed's run is the same
//! every time.
#![allow(unreachable_pub)]

#[path = "sim/plan.rs"]
mod plan;
#[path = "sim/report.rs"]
mod report;
#[path = "sim/shelf.rs"]
mod shelf;
#[path = "sim/wires.rs"]
mod wires;
#[path = "sim/world.rs"]
mod world;

use plan::Plan;
use report::Report;
use world::World;

fn given(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn run(seed: u64, nodes: u64, records: u64) -> Report {
    World::new(Plan::new(seed, nodes as usize, records as usize)).run()
}

#[test]
fn a_thousand_nodes_agree_in_the_end() {
    let seed = given("LFDNS_SIM_SEED", 1);
    println!("LFDNS_SIM_SEED={seed}");
    let report = run(seed, given("LFDNS_SIM_NODES", 1_000), given("LFDNS_SIM_RECORDS", 40));
    println!("{report}");
    assert!(report.converged.is_some(), "not everybody had everything in time:\n{report}");
}

#[test]
fn the_same_seed_gives_the_same_report() {
    assert_eq!(run(7, 60, 40), run(7, 60, 40));
}
