//! Writes a key through a running node and reads it back.
//!
//! ```sh
//! cargo run -- node                      # in another terminal
//! cargo run --example remote -- http://127.0.0.1:9980 ~/.local/share/lfdns
//! ```
//! The second argument is the node's home: its `api.token` allows writing. The record's owner is made here and
//! forgotten; a real program keeps its key (`lfdns owner new`, `Owner::from_pem`).

use std::error::Error;
use std::path::Path;

use lfdns::api::{Lf, LfError, Remote, Token};
use lfdns::record::Owner;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "http://127.0.0.1:9980".into());
    let home = args.next().ok_or("usage: remote URL HOME")?;

    let token = Token::load(Path::new(&home))?;
    let lf = Remote::new(&[url], token)?;

    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let owner = Owner::from_seed(&seed);

    // The key "bad", "horse#2", and its value. It is on the node's disk when this returns.
    let key: [(&[u8], u64); 2] = [(b"bad", 0), (b"horse", 2)];
    let made = match lf.set(&owner, &key, b"neigh") {
        Err(LfError::NotReachable(_)) => return Err("no node there; start one with `lfdns node`".into()),
        other => other?,
    };
    println!("{} by {}", made.id, owner.key());

    let value = lf.get(&key, Some(&owner.key()))?.ok_or("written, but not found")?;
    println!("{}", String::from_utf8_lossy(&value));
    Ok(())
}
