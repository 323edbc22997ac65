//! What a run has shown.

use std::fmt;

/// What bytes are spent on.
#[derive(Clone, Copy)]
pub enum Kind {
    Records,
    Announcements,
    Requests,
    Comparisons,
    Roots,
    Addresses,
}

/// Counted while the simulation runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub nodes: usize,
    pub records: usize,
    /// Virtual milliseconds at which everybody had everything; `None`: never.
    pub converged: Option<u64>,
    /// Of them, those after the last disturbance.
    pub settled: u64,
    /// Virtual milliseconds from the heal until everybody who was there had what there was.
    pub healed: Option<u64>,
    pub events: u64,
    pub restarts: u64,
    pub dials: u64,
    pub refused: u64,
    /// Sends dropped because a queue was full.
    pub dropped: u64,
    pub bytes: [u64; 6],
    pub deliveries: u64,
    pub duplicates: u64,
    pub comparisons: u64,
    /// Hops of a record to a node; microseconds from its birth, for nodes that were there and not cut off.
    pub hops: Vec<u8>,
    pub latencies: Vec<u32>,
    /// Who lacked something in the end.
    pub lacking: Vec<String>,
}

impl Report {
    pub fn spend(&mut self, kind: Kind, bytes: usize) {
        self.bytes[kind as usize] += bytes as u64;
    }

    fn hop(&self, percent: usize) -> u8 {
        percentile(&self.hops, percent)
    }
}

fn percentile<T: Copy + Ord + Default>(all: &[T], percent: usize) -> T {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = (self.nodes * self.records).max(1) as f64;
        let pair = |bytes: u64| bytes as f64 / each;
        let [records, announced, requests, comparisons, roots, addresses] = self.bytes;
        let all: u64 = self.bytes.iter().sum();
        writeln!(f, "LFDNS_SIM_SEED={} · {} nodes, {} records", self.seed, self.nodes, self.records)?;
        match self.converged {
            Some(ms) => writeln!(f, "converged after {:.1} virtual seconds", ms as f64 / 1e3)?,
            None => writeln!(f, "NOT CONVERGED\n{}", self.lacking.join("\n"))?,
        }
        writeln!(f, "  after the last disturbance  {:.1} s", self.settled as f64 / 1e3)?;
        let healed = self.healed.map_or("never".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1e3));
        writeln!(f, "  equal after the heal        {healed}")?;
        writeln!(f, "  hops                        p50 {} p99 {}", self.hop(50), self.hop(99))?;
        let ms = |percent| f64::from(percentile(&self.latencies, percent)) / 1e3;
        writeln!(f, "  latency                     p50 {:.0} ms, p99 {:.0} ms", ms(50), ms(99))?;
        writeln!(f, "  bytes a record and node     {:.0}, of which", pair(all))?;
        writeln!(
            f,
            "    records {:.0} · announced {:.0} · asked for {:.0}",
            pair(records),
            pair(announced),
            pair(requests)
        )?;
        writeln!(
            f,
            "    compared {:.0} · roots {:.0} · addresses {:.0}",
            pair(comparisons),
            pair(roots),
            pair(addresses)
        )?;
        writeln!(
            f,
            "  deliveries a record         {:.0}, {:.0} of them duplicates ({:.2} a node)",
            self.deliveries as f64 / self.records.max(1) as f64,
            self.duplicates as f64 / self.records.max(1) as f64,
            self.duplicates as f64 / each,
        )?;
        writeln!(
            f,
            "  {} events, {} restarts, {} dials ({} turned down), {} comparisons, {} drops",
            self.events, self.restarts, self.dials, self.refused, self.comparisons, self.dropped
        )
    }
}
