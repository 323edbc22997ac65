//! Opens a store in this process, in a temporary home, sets a few keys and prints them: no node, no sockets.
//!
//! ```sh
//! cargo run --example local
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lfdns::api::json::{Query, QueryRange};
use lfdns::api::{Lf, Local};
use lfdns::record::{Millis, Owner, Rules, found};
use lfdns::store::{Clock, Config, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let clock: Clock = Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(since.as_millis() as u64)
    });

    // A private network of our own: 32 random bytes make it unlike any other.
    let mut random = [0; 64];
    getrandom::fill(&mut random)?;
    let (nonce, seed) = random.split_first_chunk().expect("64 is more than 32");
    let owner = Owner::from_seed(seed.try_into()?);
    let (_, genesis) = found(&owner, &Rules::private(nonce, "example"), clock())?;

    let home = tempfile::tempdir()?;
    let store = Store::create(home.path(), &genesis, &Config::default(), Arc::clone(&clock))?;
    let lf = Local::new(store, clock);

    // One name, several ordinals; the last write to a key is its value, an empty one deletes it.
    for (ordinal, value) in [(1, "walk"), (2, "trot"), (3, "canter"), (4, "fly"), (2, "amble"), (4, "")] {
        lf.set(&owner, &[(b"gait", ordinal)], value.as_bytes())?;
    }

    let all = QueryRange::span(b"gait", 0, u64::MAX);
    for best in lf.query(&Query { ranges: vec![all], ..Query::default() })?.iter().flatten() {
        let ordinal = best.ordinals[0].ok_or("the name is known")?;
        println!("gait#{ordinal} = {}", best.text().unwrap_or("not text"));
    }
    println!("{} records in {}", lf.status()?.db_record_count, lf.store().home().display());
    Ok(())
}
