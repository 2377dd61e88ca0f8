//! SIGTERM and SIGINT drain, a second one stops at once; SIGHUP reloads what can be reloaded and says what could not.

use super::config::Config;
use super::{log, notify, rulesets};
use crate::admin::Admin;
use crate::net::tls::Tls;
use crate::switch::Input;
use futures_util::FutureExt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// The switch ends the drain by itself; this long after its deadline we no longer believe it.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// # Errors
    /// The system refuses to tell us about signals.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads until it is time to stop.
    pub async fn until_stop(&mut self, config: &Config, level: &log::Level, admin: &Arc<Admin>) {
        loop {
            let stop = tokio::select! {
                _ = self.hang_up.recv() => false,
                _ = self.terminate.recv() => true,
                _ = self.interrupt.recv() => true,
            };
            // A reload that was asked for before the stop is still made, where both have come by now.
            if !stop || self.hang_up.recv().now_or_never().is_some() {
                reload(config, level, admin).await;
            }
            if stop {
                return;
            }
        }
    }

    /// No new calls; those in progress end by themselves, or at the deadline, or at the next signal.
    pub async fn drain(&mut self, admin: &Admin, drained: &Notify, within: Duration) {
        tracing::info!(
            "draining: new calls get 503; calls in progress have {} s; another signal stops at once",
            within.as_secs()
        );
        admin.draining.store(true, Ordering::Relaxed);
        notify::draining();
        admin.plane.input(Input::Drain);
        tokio::select! {
            () = drained.notified() => tracing::info!("drained"),
            _ = self.terminate.recv() => tracing::warn!("stopping at once"),
            _ = self.interrupt.recv() => tracing::warn!("stopping at once"),
            result = tokio::time::timeout(within + DRAIN_GRACE, std::future::pending::<()>()) => {
                if result.is_err() {
                    tracing::error!("the drain did not end in time");
                }
            }
        }
    }
}

/// Rules, secrets, certificates and the log level; everything else needs a restart.
async fn reload(running: &Config, level: &log::Level, admin: &Arc<Admin>) {
    tracing::info!("SIGHUP: reloading");
    let fresh = match &running.file {
        None => running.clone(),
        Some(file) => match Config::read(file) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!("the configuration stays as it is: {error}");
                return;
            }
        },
    };
    level.set(&fresh.log);
    for key in fresh.needs_restart(running) {
        tracing::warn!("{key} has changed, and needs a restart");
    }
    match Tls::load(&fresh.tls) {
        Ok(tls) => {
            admin.plane.certify(Arc::new(tls));
            tracing::info!("[sip] tls: the certificates are those of the files now");
        }
        Err(error) => tracing::error!("[sip] tls stays as it is: {error}"),
    }
    let (admin, voice) = (admin.clone(), running.voice.clone());
    let reloaded = tokio::task::spawn_blocking(move || {
        rulesets::reload(&admin.pipeline, &admin.generations, &fresh.load);
        rulesets::audition(&admin.pipeline, &admin.generations, &voice);
    });
    if let Err(error) = reloaded.await {
        tracing::error!(%error, "the reload broke off");
    }
}
