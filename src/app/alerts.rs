//! Checks whether what is owed can be paid out, and alerts the operator when it can't: gauges in `/metrics`, a webhook,
//! an e-mail.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use serde_json::json;

use super::build::App;
use crate::core::ids::Secret;
use crate::core::time::iso::IsoSeconds;
use crate::ledger::LedgerError;
use crate::ledger::solvency::alerts::{Alert, Patience, conditions, is_quiet, note};
use crate::ledger::solvency::{Report, report};
use crate::lightning::Lightning;
use crate::outbound::mail::Letter;
use crate::outbound::webhooks::store::{Owner, Target};
use crate::telemetry::metrics as names;

/// How long a letter is tried.
const LETTER_GOOD_FOR: Duration = Duration::from_secs(24 * 3_600);

/// One look. A node that doesn't run is not looked at: it says so elsewhere.
pub(super) async fn look(app: &Arc<App>) {
    if !app.node.is_running() || !app.health.is_ready() {
        return;
    }
    let ledger = app.ledger.clone();
    let found = tokio::task::spawn_blocking(move || report(&ledger)).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return tracing::debug!(%error, "the books can't be read"),
        Err(error) => return tracing::error!(%error, "a look at what is owed ended before its time"),
    };
    observe(&found);
    if let Err(error) = tell(app, &found).await {
        tracing::warn!(%error, "an alert could not be written; trying again");
    }
}

fn observe(report: &Report) {
    gauge!(names::SPENDABLE).set(names::amount(report.capacity.spendable_msat));
    gauge!(names::LARGEST_OUT).set(names::amount(report.capacity.largest_out_msat));
    gauge!(names::REDEEMABLE).set(names::amount(report.redeemable_msat));
    gauge!(names::SHORT).set(names::amount(report.short_msat));
    gauge!(names::FREE).set(names::amount(report.free_msat));
    gauge!(names::VOUCHERS_OPEN).set(names::amount(report.vouchers));
    gauge!(names::UNREDEEMABLE).set(names::amount(report.unredeemable_vouchers));
    gauge!(names::PAYOUTS_HELD).set(names::amount(report.held_payouts));
    gauge!(names::PAYOUTS_HELD_MSAT).set(names::amount(report.held_msat));
    gauge!(names::PAYOUTS_HELD_SECONDS).set(names::amount(report.held_longest_secs));
}

async fn tell(app: &Arc<App>, found: &Report) -> Result<(), LedgerError> {
    let config = &app.config.alerts;
    let patience = Patience {
        after: Duration::from_secs(config.after_secs),
        min_interval: Duration::from_secs(config.min_interval_secs),
    };
    let usable = u64::try_from(found.capacity.usable).unwrap_or(u64::MAX);
    let slots = usable.saturating_mul(u64::from(app.config.payouts.in_flight_per_channel));
    for condition in conditions(found, slots) {
        let asked = condition.clone();
        if app.store.read(move |connection| is_quiet(connection, &asked)).await? {
            continue;
        }
        let (at, now) = (Arc::clone(app), app.ledger.clock.now());
        let figures = serde_json::to_value(found).unwrap_or_default();
        let told = app.store.write(move |tx| -> Result<Option<Alert>, LedgerError> {
            let Some(alert) = note(tx, &condition, patience, now)? else { return Ok(None) };
            let config = &at.config.alerts;
            if !config.webhook_url.is_empty() {
                let payload = json!({
                    "type": if alert.raised { "alert.raised" } else { "alert.over" },
                    "alert": alert.name,
                    "message": alert.text,
                    "timestamp": IsoSeconds(now).to_string(),
                    "figures": figures,
                });
                let secret = Some(&config.webhook_secret).filter(|secret| !secret.expose().is_empty());
                enqueue(&at, tx, &config.webhook_url, secret, &payload.to_string())?;
            }
            Ok(Some(alert))
        });
        if let Some(alert) = told.await? {
            tracing::warn!(alert = alert.name, raised = alert.raised, "{}", alert.text);
            write_letter(app, &alert);
        }
    }
    Ok(())
}

fn enqueue(
    app: &App,
    tx: &crate::storage::Tx<'_>,
    url: &str,
    secret: Option<&Secret>,
    payload: &str,
) -> Result<(), LedgerError> {
    let target = Target { family: "operator", url, secret, owner: Owner::Operator };
    let queued = app.outbox.enqueue(tx, target, "alert", payload);
    queued.map(drop).map_err(|error| match error {
        crate::outbound::webhooks::store::OutboxError::Store(error) => error.into(),
        other => LedgerError::Store(crate::storage::StoreError::Unavailable(other.to_string())),
    })
}

fn write_letter(app: &App, alert: &Alert) {
    let (Some(mail), Some(to)) = (&app.mail, app.config.alerts.recipient()) else { return };
    let what = if alert.raised { "attention" } else { "over" };
    let letter = Letter {
        to,
        subject: format!("Satchel: {} ({what})", alert.name),
        text: format!(
            "{}\n\n{}\n\n`satchel status` has the figures.\n",
            app.config.http.public_url, alert.text
        ),
    };
    match mail.place() {
        Ok(place) => place.post(letter, LETTER_GOOD_FOR),
        Err(error) => tracing::warn!(%error, "the operator was not written to"),
    }
}
