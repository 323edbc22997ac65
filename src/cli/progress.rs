//! Progress of long work: a bar on stderr where that is a terminal, nothing elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves without news.
const TICK: Duration = Duration::from_millis(200);

/// A bar for `total` of `what`; 0 if the total is not known yet.
pub(crate) fn bar(total: u64, what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(
        "{msg} {bar:30.cyan/dim} {human_pos}/{human_len} {per_sec:.dim} {eta:.dim}",
    );
    bar.set_style(style.expect("a constant template"));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}
