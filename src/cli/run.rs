//! `ringtree run`: the daemon.

use super::{Exit, Failure, out};
use crate::daemon::config::Config;
use crate::daemon::{self, keys};
use clap::Args;
use std::path::PathBuf;

/// Run the daemon in the foreground
///
/// Without --config it uses ./ringtree.toml if there is one, else what is built in: SIP on 127.0.0.1:5060 (UDP and TCP), media on
/// 127.0.0.1, store and admin socket under ./ringtree-data/, and, while the store is empty, the rules of
/// ./routing-rules/harbour-dental. It prints each address that it bound. SIGTERM drains: new calls get 503, calls in progress end
/// by themselves or after `[limits] drain`. SIGHUP reloads what can be reloaded and says what could not.
#[derive(Args)]
pub struct Run {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every key of the configuration with its default and its unit, and stop
    #[arg(long)]
    print_config: bool,
}

impl Run {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        if self.print_config {
            out::text(&keys::print());
            return Ok(Exit::Done);
        }
        let config = Config::find(self.config.as_deref()).map_err(Failure::input)?;
        daemon::run(config).map_err(|error| {
            eprint!("{}", error.rendered());
            if error.is_ours() { Failure::fault(error) } else { Failure::input(error) }
        })?;
        Ok(Exit::Done)
    }
}
