//! Keeps this node's own zones right when the network's rules change: a file in the directory a node happens to
//! be started in adds a zone only where the rules have none, and an amendment may add or drop one.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::local_zones;
use crate::config::Config;
use crate::dns::resolver::Resolver;
use crate::store::{Commit, Store};

/// Hears of amendments. To be made before anything can amend.
pub(super) fn amendments(store: &Store) -> Arc<Notify> {
    let amended = Arc::new(Notify::new());
    let notify = Arc::clone(&amended);
    store.subscribe(Arc::new(move |commit: &Commit| {
        if commit.global {
            // Kept for whoever does not wait yet; several are as good as one.
            notify.notify_one();
        }
    }));
    amended
}

/// Reads the zone files again after each amendment.
pub(super) async fn follow(
    amended: Arc<Notify>,
    home: PathBuf,
    config: Arc<ArcSwap<Config>>,
    resolver: Arc<Resolver>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = amended.notified() => {}
        }
        let (home, config, resolver) = (home.clone(), config.load_full(), Arc::clone(&resolver));
        let read = move || match local_zones(&home, &config, &resolver.store().rules()) {
            Ok(local) => resolver.set_local_zones(local),
            Err(error) => tracing::error!("the rules changed, but this node's own zones stay: {error}"),
        };
        // A panic there has reported itself.
        let _ = tokio::task::spawn_blocking(read).await;
    }
}
