//! Takes generations on trial back when their time has come, over restarts too: one whose time came while the daemon was down is taken
//! back as soon as it is up.

use super::{Admin, blocking};
use crate::net::clock;
use crate::switch::Event;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The clock is looked at again after this long at the latest: it may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Runs as long as the daemon does.
pub async fn keep(admin: Arc<Admin>) {
    let mut applied = admin.events.applied();
    loop {
        let now = clock::now().wall;
        let trials = admin.pipeline.trials().all();
        for trial in trials.iter().filter(|trial| trial.ends <= now) {
            take_back(&admin, trial.domain.clone(), now).await;
        }
        let next = trials.iter().filter(|t| t.ends > now).map(|t| t.ends).min();
        let wait = next.map_or(LOOK_EVERY, |ends| until(ends, now).min(LOOK_EVERY));
        // Either way it is time to look: a trial is due, or a generation has come that may be one.
        if tokio::time::timeout(wait, applied.changed()).await.is_err() {
            // Nobody edits at the moment.
            let working = admin.clone();
            let _ = blocking(move || working.pipeline.tidy(clock::now().wall)).await;
        }
    }
}

fn until(ends: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(ends.duration_since(now)).unwrap_or_default()
}

async fn take_back(admin: &Arc<Admin>, domain: Arc<str>, now: Timestamp) {
    let working = admin.clone();
    let name = domain.clone();
    let taken = blocking(move || working.pipeline.take_back(&name, now)).await;
    let what = match taken {
        Ok(Ok(None)) => return,
        Ok(Ok(Some(applied))) => {
            let generation = applied.generation;
            tracing::warn!(%domain, generation, "what was on trial is taken back");
            format!("{domain}: what was on trial is taken back; generation {generation} is live")
        }
        Ok(Err(refused)) => format!("{domain}: what was on trial can't be taken back, and stays: {refused}"),
        Err(_) => format!("{domain}: what was on trial can't be taken back: a fault of ours"),
    };
    admin.events.announce(Event::Alarm { what });
}
