//! Logs: `tracing` to stderr, a line an event. Under systemd the journal has its own clock and its own colours, so there are none.

use super::config::Config;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format};
use tracing_subscriber::reload;

/// Goes before `[log] level`.
pub const VARIABLE: &str = "RINGTREE_LOG";

/// Changes the level of a daemon that runs.
pub struct Level(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl Level {
    /// As `[log] level` says. Whoever set the variable meant it, so it stays.
    pub fn set(&self, level: &str) {
        if std::env::var_os(VARIABLE).is_none() {
            self.0(filter(level));
        }
    }
}

/// Begins to log; a second call in one process changes nothing.
#[must_use]
pub fn start(config: &Config) -> Level {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| config.log.clone());
    let builder = tracing_subscriber::fmt().with_env_filter(filter(&level)).with_writer(std::io::stderr);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        let builder = builder.with_ansi(false).without_time().with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = builder.try_init();
        Level(Box::new(move |filter| changed(handle.reload(filter))))
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let builder = builder.with_ansi(colour).with_filter_reloading();
        let handle: reload::Handle<EnvFilter, tracing_subscriber::fmt::Formatter<DefaultFields, Format, _>> =
            builder.reload_handle();
        let _ = builder.try_init();
        Level(Box::new(move |filter| changed(handle.reload(filter))))
    }
}

fn changed(result: Result<(), reload::Error>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the log level could not be changed");
    }
}

/// A wrong level from the environment must not keep phones from ringing: what can't be read is left out.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(level)
}
