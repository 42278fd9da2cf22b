//! What runs beside the workers and moves no money by itself: webhooks, upkeep, numbers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::alerts;
use super::build::App;
use crate::admin;
use crate::http::events::{self, Keep};
use crate::http::idempotency;
use crate::ledger::{Family, audit, node};
use crate::outbound::webhooks::store as outbox;
use crate::outbound::webhooks::worker::{self, WorkerSettings};
use crate::services::agents::relays;
use crate::services::payments::{self, Payments};
use crate::services::tips;
use crate::storage::StoreError;
use crate::telemetry::{Health, metrics as names};
use crate::vouchers::returns::Returns;
use crate::vouchers::upkeep::Upkeep;

/// How often the node is asked for its numbers.
const OBSERVE_EVERY: Duration = Duration::from_secs(15);

/// How often the whole books are looked at; it takes longer the older the data folder is.
const AUDIT_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// How often the books are compared with the node, and how long to wait for a difference to disappear.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
const COMPARE_TICK: Duration = Duration::from_secs(2);
const COMPARE_PATIENCE: Duration = Duration::from_secs(4);

/// How often old answers, deliveries and events are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// How often what is over is tidied up.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// How often payments that are over are looked for.
const PAYMENTS_EVERY: Duration = Duration::from_secs(5);

/// How often tippers are looked for whose tips came back.
const REFUND_EVERY: Duration = Duration::from_secs(5);

/// How often accounts are looked for that are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked who should be reminded of a tip by a letter.
const REMIND_EVERY: Duration = Duration::from_secs(60);

/// How often letters to buyers are looked for.
const LETTERS_EVERY: Duration = Duration::from_secs(10);

/// How often agreements are looked for whose time is over.
const AGREEMENTS_EVERY: Duration = Duration::from_secs(30);

/// Starts them all; they end by themselves once `stopped` says so.
pub(super) fn start(app: &Arc<App>, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    match app.guard.client(Duration::from_secs(app.config.webhooks.timeout_secs)) {
        Ok(client) => {
            let settings = WorkerSettings {
                give_up_after: Duration::from_secs(
                    u64::from(app.config.webhooks.give_up_after_days) * 86_400,
                ),
                own_headers: vec![(Family::Payments.name(), payments::own_headers)],
                ..WorkerSettings::default()
            };
            tasks.spawn(worker::run(
                app.store.clone(),
                app.outbox.clone(),
                client,
                settings,
                until(stopped.clone()),
            ));
        }
        Err(error) => tracing::error!(%error, "webhooks can't be delivered"),
    }
    for limits in [&app.limits, &app.pages] {
        tasks.spawn(Arc::clone(limits).keep_tidy(until(stopped.clone())));
    }
    tasks.spawn(Arc::clone(app.l402.per_client()).keep_tidy(until(stopped.clone())));
    tasks.spawn(app.rates.clone().keep_fresh(until(stopped.clone())));
    let (watched, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(OBSERVE_EVERY, stop, move || {
        let app = Arc::clone(&watched);
        async move {
            metrics::gauge!(names::STORE_WRITABLE).set(names::flag(app.store.is_writable()));
            observe_ledger(&app).await;
            if let Err(error) = admin::observe(&app.asked).await {
                tracing::debug!(%error, "the node gives no numbers");
            }
        }
    }));
    let (looked, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(OBSERVE_EVERY, stop, move || {
        let app = Arc::clone(&looked);
        async move { alerts::look(&app).await }
    }));
    let (audited, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(AUDIT_EVERY, stop, move || {
        let app = Arc::clone(&audited);
        async move { check_books(&app).await }
    }));
    let (compared, stop) = (Arc::clone(app), stopped.clone());
    let next = Arc::new(Mutex::new(None));
    tasks.spawn(every(COMPARE_TICK, stop, move || {
        let (app, next) = (Arc::clone(&compared), Arc::clone(&next));
        async move { when_ready(&app.health, compare_when_due(&app, &next)).await }
    }));
    let (pruned, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(PRUNE_EVERY, stop, move || {
        let app = Arc::clone(&pruned);
        async move { prune(&app).await }
    }));
    let (refunded, stop) = (Arc::clone(app), stopped.clone());
    let stopping = stopped.clone();
    tasks.spawn(every(REFUND_EVERY, stop, move || {
        let (app, stopping) = (Arc::clone(&refunded), stopping.clone());
        async move {
            // An address may be slow; whatever was begun is whole, and the rest waits.
            let round = tokio::select! {
                round = app.tips.refund_due() => round,
                () = until(stopping) => return,
            };
            if let Err(error) = round {
                tracing::warn!(%error, "tips could not be refunded; trying again");
            }
        }
    }));
    let (swept, stop) = (Arc::clone(app), stopped.clone());
    let stopping = stopped.clone();
    tasks.spawn(every(SWEEP_EVERY, stop, move || {
        let (app, stopping) = (Arc::clone(&swept), stopping.clone());
        async move {
            // An address may be slow; whatever was begun is whole, and the rest waits.
            let round = tokio::select! {
                round = app.accounts.sweep_due() => round,
                () = until(stopping) => return,
            };
            if let Err(error) = round {
                tracing::warn!(%error, "accounts could not be swept; trying again");
            }
        }
    }));
    let (over, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(PAYMENTS_EVERY, stop, move || {
        let app = Arc::clone(&over);
        async move { when_ready(&app.health, expire_payments(&app.payments)).await }
    }));
    let (reminding, stop) = (Arc::clone(app), stopped.clone());
    let stopping = stopped.clone();
    tasks.spawn(every(REMIND_EVERY, stop, move || {
        let (app, stopping) = (Arc::clone(&reminding), stopping.clone());
        async move {
            tokio::select! {
                () = remind(&app) => {}
                () = until(stopping) => {}
            }
        }
    }));
    let (writing, stop) = (Arc::clone(app), stopped.clone());
    let stopping = stopped.clone();
    tasks.spawn(every(LETTERS_EVERY, stop, move || {
        let (app, stopping) = (Arc::clone(&writing), stopping.clone());
        async move {
            let round = tokio::select! {
                round = app.shop.send_letters() => round,
                () = until(stopping) => return,
            };
            if let Err(error) = round {
                tracing::warn!(%error, "letters to buyers could not be sent; trying again");
            }
        }
    }));
    for shop in app.shop.shopify_shops() {
        let (here, stopping) = (app.shop.clone(), stopped.clone());
        tasks.spawn(async move {
            // What is stopped in the middle is found again at the next start.
            tokio::select! {
                () = here.run_shopify(shop) => {}
                () = until(stopping) => {}
            }
        });
    }
    for url in &app.config.nostr.relays {
        tasks.spawn(relays::run(
            app.store.clone(),
            app.ledger.clock.clone(),
            app.listings.publisher().clone(),
            url.clone(),
            until(stopped.clone()),
        ));
    }
    let (agreed, stop) = (Arc::clone(app), stopped.clone());
    tasks.spawn(every(AGREEMENTS_EVERY, stop, move || {
        let app = Arc::clone(&agreed);
        async move { when_ready(&app.health, expire_agreements(&app)).await }
    }));
    let upkeep = Arc::new(Upkeep::new(returns(app)));
    tasks.spawn(every(UPKEEP_EVERY, stopped.clone(), move || {
        let upkeep = Arc::clone(&upkeep);
        async move { upkeep.round().await }
    }));
    tasks
}

/// Does something unless the node may still tell of what came before its start: what was paid in time must not be
/// told to be over.
async fn when_ready(health: &Health, action: impl Future<Output = ()>) {
    if health.is_ready() {
        action.await;
    }
}

async fn expire_payments(payments: &Payments) {
    if let Err(error) = payments.expire_due().await {
        tracing::warn!(%error, "payments that are over could not be marked; trying again");
    }
}

async fn expire_agreements(app: &App) {
    if let Err(error) = app.listings.expire_due(&app.store).await {
        tracing::warn!(%error, "agreements that are over could not be told; trying again");
    }
}

/// Webhooks and letters to those who claimed a tip and forgot it.
async fn remind(app: &App) {
    let round = async {
        app.tips.remind_due().await?;
        app.tips.send_letters().await
    };
    if let Err(error) = round.await {
        tracing::warn!(%error, "reminders could not be sent; trying again");
    }
}

async fn observe_ledger(app: &App) {
    let numbers = match app.store.read(audit::numbers).await {
        Ok(numbers) => numbers,
        Err(error) => return tracing::debug!(%error, "the ledger gives no numbers"),
    };
    let amount = |msat: i64| names::amount(u64::try_from(msat).unwrap_or(0));
    metrics::gauge!(names::OWED).set(amount(numbers.owed_msat));
    metrics::gauge!(names::OWED_TO_MERCHANTS).set(amount(numbers.merchants_msat));
    metrics::gauge!(names::FEES_EARNED).set(amount(numbers.fees_earned_msat));
    metrics::gauge!(names::SUSPENSE).set(amount(numbers.suspense_msat));
    for status in ["queued", "dispatching", "in_flight", "unknown"] {
        let found = numbers.open_payouts.iter().find(|row| row.name == status);
        metrics::gauge!(names::PAYOUTS_OPEN, "status" => status)
            .set(amount(found.map_or(0, |row| row.count)));
    }
    for counter in numbers.counters {
        let count = u64::try_from(counter.count).unwrap_or(0);
        match counter.name.as_str() {
            "channels_closed" => metrics::counter!(names::CHANNELS_CLOSED).absolute(count),
            "payouts_late" => metrics::counter!(names::LATE_SUCCESSES).absolute(count),
            _ => {}
        }
    }
}

/// The whole books, once in a while.
async fn check_books(app: &App) {
    let ledger = app.ledger.clone();
    let audited = tokio::task::spawn_blocking(move || audit::audit(&ledger)).await;
    match audited {
        Ok(Ok(audit)) => {
            metrics::gauge!(names::AUDIT_OK).set(names::flag(audit.clean));
            if !audit.clean {
                tracing::error!(problems = ?audit.problems, "the books are wrong; see `satchel audit`");
            }
        }
        Ok(Err(error)) => tracing::error!(%error, "the books can't be read"),
        Err(error) => tracing::error!(%error, "the audit ended before its time"),
    }
}

/// Once at the start as soon as all is at rest, so that what comes after is booked as what it is; then now and then.
async fn compare_when_due(app: &App, next: &Mutex<Option<Instant>>) {
    let due = *next.lock().unwrap_or_else(PoisonError::into_inner);
    if due.is_some_and(|due| due > Instant::now()) {
        return;
    }
    let state = compare_with_node(app).await;
    if due.is_some() || state == Some(node::State::Equal) {
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + COMPARE_EVERY);
    }
}

/// The books beside what the node has; books what explains the difference.
async fn compare_with_node(app: &App) -> Option<node::State> {
    let ledger = app.ledger.clone();
    let compared = tokio::task::spawn_blocking(move || node::compare(&ledger, COMPARE_PATIENCE)).await;
    match compared {
        Ok(Ok(comparison)) => {
            let drifts = comparison.state == node::State::Drift;
            metrics::gauge!(names::NODE_DRIFT).set(names::flag(drifts));
            if drifts {
                tracing::error!(why = ?comparison.why, "the books differ from the node; see `satchel audit`");
            }
            return Some(comparison.state);
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the books could not be compared with the node; trying again")
        }
        Err(error) => tracing::error!(%error, "the comparison with the node ended before its time"),
    }
    None
}

/// Removes what nobody will ask for any more, a little at a time.
async fn prune(app: &App) {
    loop {
        let (now, listings) = (app.ledger.clock.now(), app.listings.clone());
        let pruned = app.store.write(move |tx| -> Result<bool, StoreError> {
            let answers = idempotency::prune(tx, now)?;
            let messages = outbox::prune(tx, now)?;
            let events = events::prune(tx, now, Keep::default())?;
            let tips = tips::prune(tx, now)?;
            let agents = listings.prune(tx, now)?;
            Ok(answers || messages || events || tips || agents)
        });
        match pruned.await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => return,
            Err(error) => return tracing::debug!(%error, "what is old stays for now"),
        }
    }
}

/// What gives expired vouchers back.
fn returns(app: &App) -> Returns {
    let rules = app.gifts.rules().clone();
    Returns {
        ledger: app.ledger.clone(),
        vouchers: app.vouchers.clone(),
        resolve: Arc::new(app.addresses.clone()),
        max_fee: Arc::new(move |amount| rules.max_fee(amount)),
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Does something again and again until told to stop.
async fn every<F: Future<Output = ()> + Send>(
    pause: Duration,
    mut stopped: watch::Receiver<bool>,
    mut action: impl FnMut() -> F + Send,
) {
    loop {
        action().await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::telemetry::Phase;

    #[tokio::test]
    async fn nothing_is_told_to_be_over_before_the_node_has_told_all() {
        let (health, done) = (Health::new(), Cell::new(0));
        let action = async || when_ready(&health, async { done.set(done.get() + 1) }).await;
        for phase in [Phase::Starting("so".into()), Phase::Recovering("so".into())] {
            health.set(phase);
            action().await;
        }
        assert_eq!(done.get(), 0);
        health.set(Phase::Ready);
        action().await;
        assert_eq!(done.get(), 1);
    }
}
