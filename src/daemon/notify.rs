//! What systemd is told (sd_notify(3)): READY once everything is up, STOPPING at the end, and WATCHDOG as long as the signalling
//! plane answers a question: a watchdog that only proves that a timer runs proves nothing.

use crate::net::signalling::Handle;
use sd_notify::NotifyState;
use std::time::Duration;

/// How often the plane is asked where no watchdog says.
const ASK_EVERY: Duration = Duration::from_secs(5);

pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("taking calls")]);
}

pub fn draining() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining: calls in progress end, new ones get 503")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without NOTIFY_SOCKET this does nothing.
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// Asks the signalling plane at half of WatchdogSec, or every few seconds without one. Returns when the plane has ended: then
/// nothing works any more, and the daemon has to stop.
pub async fn watch(plane: Handle) {
    let mut limit_us = 0;
    let by_systemd = sd_notify::watchdog_enabled(false, &mut limit_us) && limit_us > 1;
    let period = if by_systemd { Duration::from_micros(limit_us / 2) } else { ASK_EVERY };
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(period, plane.query(|_, _| ())).await {
            Ok(Some(())) if by_systemd => tell(&[NotifyState::Watchdog]),
            Ok(Some(())) => {}
            Ok(None) => return,
            // No report: systemd restarts us when its limit has passed.
            Err(_) => tracing::error!("the signalling plane does not answer"),
        }
    }
}
