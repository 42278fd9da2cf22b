//! The threads that move money: the node's start, its events, the dispatcher, recovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::AppError;
use super::build::App;
use crate::ledger::kept_windows::KeptWindows;
use crate::ledger::recovery::Recovery;
use crate::ledger::{coins, dispatcher, events, offer_payouts};
use crate::lightning::Lightning;
use crate::telemetry::{Health, Phase};

/// A worker that is silent for longer is dead: every wait of its loop is far shorter, but a disk that is
/// full can hold one up until there is room.
const SILENCE: Duration = Duration::from_secs(1_800);

/// How often recovery looks whether something is due.
const RECOVERY_TICK: Duration = Duration::from_secs(1);

/// How long the event queue must have been empty after the start before new redemptions are sent.
const QUIET: Duration = Duration::from_millis(300);

/// The threads.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    failure: Option<oneshot::Receiver<AppError>>,
    app: Arc<App>,
}

/// Starts them all.
pub(super) fn start(app: &Arc<App>, stopped: &watch::Receiver<bool>) -> Result<Workers, AppError> {
    let drained = Arc::new(AtomicBool::new(false));
    let (fail, failure) = oneshot::channel();
    let mut threads = Vec::new();

    let (at_start, stop) = (Arc::clone(app), stopped.clone());
    threads.push(spawn("node-start", move || {
        if let Err(error) = start_node(&at_start, &stop) {
            let _ = fail.send(error);
        }
    })?);

    let (at_events, stop, seen_quiet) = (Arc::clone(app), stopped.clone(), Arc::clone(&drained));
    threads.push(spawn("node-events", move || {
        let beat = at_events.watchdog.register("node events", SILENCE);
        let stopping = || *stop.borrow();
        let tell_when_quiet = || {
            beat.beat();
            if !seen_quiet.load(Ordering::Relaxed)
                && at_events.node.is_running()
                && at_events.node.next_event(QUIET).is_none()
            {
                seen_quiet.store(true, Ordering::Release);
                at_events.health.set(Phase::Ready);
                at_events.ledger.wake.notify();
            }
        };
        events::run(&at_events.ledger, stopping, tell_when_quiet);
        beat.finish();
    })?);

    let (at_dispatch, stop) = (Arc::clone(app), stopped.clone());
    let at_rest = Arc::clone(&drained);
    threads.push(spawn("payouts", move || {
        let beat = at_dispatch.watchdog.register("payouts", SILENCE);
        while !at_rest.load(Ordering::Acquire) && !*stop.borrow() {
            beat.beat();
            at_dispatch.ledger.wake.wait(Duration::from_millis(100));
        }
        dispatcher::run(&at_dispatch.ledger, || *stop.borrow(), || beat.beat());
        beat.finish();
    })?);

    let (at_recovery, stop) = (Arc::clone(app), stopped.clone());
    let mut windows = KeptWindows::start(&app.ledger).unwrap_or_else(|error| {
        tracing::error!(%error, "the windows of limits begin anew");
        KeptWindows::default()
    });
    threads.push(spawn("recovery", move || {
        let beat = at_recovery.watchdog.register("recovery", SILENCE);
        let mut recovery = Recovery::default();
        while !*stop.borrow() {
            beat.beat();
            if let Err(error) = recovery.round(&at_recovery.ledger) {
                tracing::error!(%error, "recovery can't go on now; trying again");
            }
            if let Err(error) = windows.round(&at_recovery.ledger) {
                tracing::error!(%error, "the windows of limits can't be kept now; trying again");
            }
            thread::sleep(RECOVERY_TICK);
        }
        beat.finish();
    })?);

    let (at_offers, stop, quiet) = (Arc::clone(app), stopped.clone(), Arc::clone(&drained));
    threads.push(spawn("offer-payouts", move || {
        let beat = at_offers.watchdog.register("payouts to offers", SILENCE);
        while !quiet.load(Ordering::Acquire) && !*stop.borrow() {
            beat.beat();
            thread::sleep(RECOVERY_TICK);
        }
        offer_payouts::run(&at_offers.ledger, || *stop.borrow(), || beat.beat());
        beat.finish();
    })?);

    let (at_wallet, stop, quiet) = (Arc::clone(app), stopped.clone(), drained);
    threads.push(spawn("coins", move || {
        let beat = at_wallet.watchdog.register("coins", SILENCE);
        while !quiet.load(Ordering::Acquire) && !*stop.borrow() {
            beat.beat();
            thread::sleep(RECOVERY_TICK);
        }
        coins::run(&at_wallet.ledger, || *stop.borrow(), || beat.beat());
        beat.finish();
    })?);
    Ok(Workers { threads, failure: Some(failure), app: Arc::clone(app) })
}

fn start_node(app: &App, stop: &watch::Receiver<bool>) -> Result<(), AppError> {
    app.health.set(Phase::Starting("the node is starting; it waits for its chain source".into()));
    app.node.run_start(|| *stop.borrow())?;
    if app.node.is_running() {
        tell_running(&app.health);
    }
    Ok(())
}

fn tell_running(health: &Health) {
    if !health.is_ready() {
        health.set(Phase::Recovering("what was under way at the last stop is being settled".into()));
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(|error| AppError::System(error.to_string()))
}

impl Workers {
    /// Waits for what no later try can mend.
    pub(super) async fn failure(&mut self) -> AppError {
        if let Some(failure) = self.failure.take()
            && let Ok(error) = failure.await
        {
            return error;
        }
        std::future::pending().await
    }

    /// Waits for all of them to end. Blocks.
    pub(super) fn join(self) {
        self.app.ledger.wake.notify();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker had died");
            }
        }
    }
}
