//! `ringtree trunks`.

use super::daemon::Daemon;
use super::{Exit, Failure, out};
use crate::admin::trunks::{Place, Trunk};
use clap::Args;

/// List the trunks as they are now: where each leads, calls it carries, calls and failures since the start
///
/// STATE is up, full (all its channels are in use), no_listener (`[sip] listen` has none of its transport, so nothing is sent to it), down (its proxy has no address, none of its places answers OPTIONS, or it should
/// be registered here and is not), quarantined (each
/// place has just said 503, or nothing, and is tried only where there is nothing else), unregistered (we should be registered there and are
/// not: calls take another trunk where there is one) or inbound (it has no proxy: calls come in by it, and none goes out). REGISTRATION
/// is how ours stands: registered, registering, waiting (for an address or a secret), failed (and why; it is tried again), refused (and
/// why; it is tried again when the rules are next applied). FAILURES are attempts that it did not take: no response, or a 408 or 5xx before anything rang.
/// `ringtree trunk show NAME` is how it is written in the rules.
#[derive(Args)]
pub struct Trunks {
    /// Only those of this domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Trunks {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let mut trunks: Vec<Trunk> = serde_json::from_value(self.daemon.get("/v1/trunks")?)
            .map_err(|e| Failure::fault(format!("the answer can't be read: {e}")))?;
        if let Some(domain) = &self.domain {
            trunks.retain(|trunk| trunk.domain.eq_ignore_ascii_case(domain));
        }
        if self.json {
            out::json(&trunks);
        } else if trunks.is_empty() {
            out::line("there is no trunk");
        } else {
            let head = [
                "DOMAIN",
                "TRUNK",
                "STATE",
                "CHANNELS",
                "CALLS",
                "FAILURES",
                "REGISTRATION",
                "PROXY",
                "ADDRESSES",
            ];
            out::text(&out::table(&head, &trunks.iter().map(row).collect::<Vec<_>>()));
        }
        Ok(if trunks.is_empty() { Exit::No } else { Exit::Done })
    }
}

fn place(place: &Place) -> String {
    match place.state.as_str() {
        "up" => place.address.clone(),
        state => format!("{} ({state})", place.address),
    }
}

fn row(trunk: &Trunk) -> Vec<String> {
    let channels = match trunk.channels {
        Some(most) => format!("{} of {most}", trunk.channels_in_use),
        None => trunk.channels_in_use.to_string(),
    };
    let proxy = trunk.proxy.as_ref().map(|proxy| format!("{proxy} ({})", trunk.transport));
    let registration = trunk.registration.as_ref().map(|registration| match &registration.why {
        Some(why) => format!("{}: {why}", registration.state),
        None => registration.state.clone(),
    });
    vec![
        trunk.domain.clone(),
        trunk.name.clone(),
        trunk.state.clone(),
        channels,
        trunk.calls.to_string(),
        trunk.failures.to_string(),
        registration.unwrap_or_default(),
        proxy.unwrap_or_default(),
        match trunk.targets.is_empty() {
            true => trunk.addresses.join(", "), // of one that registers here
            false => trunk.targets.iter().map(place).collect::<Vec<_>>().join(", "),
        },
    ]
}
