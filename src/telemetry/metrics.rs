//! Numbers for Prometheus: their names, what they mean, and the page that shows them.
//!
//! Modules count with the `metrics` macros and the names here, so that one number has one name. Without
//! [`install`] all of that does nothing, which is what unit tests want.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// HTTP requests answered; labels `method`, `route` (the pattern, never the path), `status`.
pub const HTTP_REQUESTS: &str = "satchel_http_requests_total";
/// Time to answer; label `route`.
pub const HTTP_SECONDS: &str = "satchel_http_request_duration_seconds";
/// Connections open now.
pub const HTTP_CONNECTIONS: &str = "satchel_http_connections";
/// Requests turned away; label `limit`.
pub const HTTP_LIMITED: &str = "satchel_http_rate_limited_total";
/// Invoices made; label `family`.
pub const CHARGES_CREATED: &str = "satchel_charges_created_total";
/// Invoices paid; label `family`.
pub const CHARGES_PAID: &str = "satchel_charges_paid_total";
/// Payouts ended; labels `family`, `outcome` (`paid`, `failed`).
pub const PAYOUTS_ENDED: &str = "satchel_payouts_ended_total";
/// Payouts not ended; label `status`.
pub const PAYOUTS_OPEN: &str = "satchel_payouts_open";
/// From the request to pay until the payout arrived.
pub const PAYOUT_SECONDS: &str = "satchel_payout_duration_seconds";
/// Payouts that their recipients hold.
pub const PAYOUTS_HELD: &str = "satchel_payouts_held";
/// What is in them.
pub const PAYOUTS_HELD_MSAT: &str = "satchel_payouts_held_msat";
/// How long the oldest of them has been held.
pub const PAYOUTS_HELD_SECONDS: &str = "satchel_payouts_held_longest_seconds";
/// What the channels can send in all, one payment after the other.
pub const SPENDABLE: &str = "satchel_spendable_msat";
/// The largest payment that can go out once nothing is in flight.
pub const LARGEST_OUT: &str = "satchel_largest_payment_msat";
/// Of what is owed, what can be paid out.
pub const REDEEMABLE: &str = "satchel_redeemable_msat";
/// What is missing to pay out all that is owed.
pub const SHORT: &str = "satchel_short_msat";
/// What the operator may take out of the channels.
pub const FREE: &str = "satchel_free_to_spend_msat";
/// Gifts and tips that can be redeemed or go back.
pub const VOUCHERS_OPEN: &str = "satchel_vouchers_open";
/// Those of them that can't be paid out now.
pub const UNREDEEMABLE: &str = "satchel_vouchers_unredeemable";
/// Payouts that arrived after they had been taken for failed.
pub const LATE_SUCCESSES: &str = "satchel_payouts_late_success_total";
/// Owed to holders of vouchers.
pub const OWED: &str = "satchel_owed_msat";
/// Owed to merchants.
pub const OWED_TO_MERCHANTS: &str = "satchel_owed_to_merchants_msat";
/// Earned by the services' own fees.
pub const FEES_EARNED: &str = "satchel_fees_earned_msat";
/// What happened to tips; label `event` (`made`, `funded`, `claimed`, `withdrawn`, `reclaimed`, `refunded`).
pub const TIPS: &str = "satchel_tips_total";
/// What those tips held together, without fees; label `event`.
pub const TIPS_SAT: &str = "satchel_tips_sat_total";
/// What happened to payments; label `event` (`unpaid`, `processing`, `paid`, `expired`, `refunded`).
pub const PAYMENTS: &str = "satchel_payments_total";
/// Requests for what is sold; labels `resource` (the first few hundred), `outcome` (`paid`, `unpaid`).
pub const L402_REQUESTS: &str = "satchel_l402_requests_total";
/// What came in for it; label `resource`.
pub const L402_REVENUE: &str = "satchel_l402_revenue_sat_total";
/// Received, but for nothing we know.
pub const SUSPENSE: &str = "satchel_suspense_msat";
/// 1 if the books differ from what the node has, and nothing explains it.
pub const NODE_DRIFT: &str = "satchel_node_drift";
/// 1 if the last audit found the books in order.
pub const AUDIT_OK: &str = "satchel_audit_ok";
/// Deliveries to other people's servers; label `outcome` (`delivered`, `failed`, `parked`).
pub const WEBHOOKS: &str = "satchel_webhook_deliveries_total";
/// Deliveries waiting.
pub const WEBHOOKS_WAITING: &str = "satchel_webhook_deliveries_waiting";
/// Letters tried; label `outcome` (`sent`, `failed`, `refused`).
pub const MAIL: &str = "satchel_mail_attempts_total";
/// Rounds in which a source of rates gave none that counts; label `source`.
pub const RATE_FAILURES: &str = "satchel_rate_failures_total";
/// How old a currency's rate is: when it was true, unix seconds; label `currency`.
pub const RATE_TIME: &str = "satchel_rate_timestamp_seconds";
/// 1 while the database takes writes.
pub const STORE_WRITABLE: &str = "satchel_store_writable";
/// 1 while the node runs.
pub const NODE_RUNNING: &str = "satchel_node_running";
/// 1 once everything is up and recovered.
pub const READY: &str = "satchel_ready";
/// Best block the node knows.
pub const CHAIN_HEIGHT: &str = "satchel_chain_height";
/// When the node last looked at the chain, unix seconds.
pub const CHAIN_SYNCED: &str = "satchel_chain_synced_timestamp_seconds";
/// Channels; label `state` (`usable`, `waiting`).
pub const CHANNELS: &str = "satchel_channels";
/// Channels closed, for any reason; label `cause`.
pub const CHANNELS_CLOSED: &str = "satchel_channels_closed_total";
/// All we own in channels.
pub const LIGHTNING_BALANCE: &str = "satchel_lightning_balance_msat";
/// What could be sent now.
pub const OUTBOUND: &str = "satchel_lightning_outbound_msat";
/// What could be received now.
pub const INBOUND: &str = "satchel_lightning_inbound_msat";
/// Coins in the wallet.
pub const ONCHAIN: &str = "satchel_onchain_balance_sat";
/// Coins that may be spent.
pub const ONCHAIN_SPENDABLE: &str = "satchel_onchain_spendable_sat";
/// When the process started, unix seconds.
pub const STARTED: &str = "satchel_start_timestamp_seconds";
/// Always 1; label `version`.
pub const BUILD: &str = "satchel_build_info";

/// From a read out of the cache to a payout that waits for its turn.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Samples of histograms pile up until somebody folds them; without a scraper, that is us.
const UPKEEP: Duration = Duration::from_secs(5);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// The numbers can't be collected.
#[derive(Debug, thiserror::Error)]
#[error("metrics can't be collected: {0}")]
pub struct MetricsError(String);

/// Starts collecting for the whole process. Doing it again does nothing.
///
/// # Errors
/// [`MetricsError`] if something else in the process collects already.
pub fn install() -> Result<(), MetricsError> {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if HANDLE.get().is_some() {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| MetricsError(error.to_string());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS_BUCKETS)
        .map_err(|error| failed(&error))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    if HANDLE.set(handle.clone()).is_ok() {
        thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                loop {
                    thread::sleep(UPKEEP);
                    handle.run_upkeep();
                }
            })
            .map_err(|error| failed(&error))?;
        describe();
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(STARTED).set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }
    Ok(())
}

/// The page for Prometheus; empty before [`install`].
pub fn render() -> String {
    HANDLE.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// As Prometheus writes yes and no.
pub fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Prometheus knows only floating point; an amount is shown there, never calculated with.
#[expect(clippy::cast_precision_loss, reason = "shown, not calculated with")]
pub fn amount(value: u64) -> f64 {
    value as f64
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "HTTP requests answered");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "Time to answer an HTTP request");
    describe_gauge!(HTTP_CONNECTIONS, "HTTP connections open now");
    describe_counter!(HTTP_LIMITED, "HTTP requests turned away by a limit");
    describe_counter!(CHARGES_CREATED, "Invoices made");
    describe_counter!(CHARGES_PAID, "Invoices paid");
    describe_counter!(PAYOUTS_ENDED, "Payouts that ended");
    describe_gauge!(PAYOUTS_OPEN, "Payouts that have not ended");
    describe_histogram!(PAYOUT_SECONDS, Unit::Seconds, "From the request to pay until the payout arrived");
    describe_gauge!(PAYOUTS_HELD, "Payouts that their recipients hold");
    describe_gauge!(PAYOUTS_HELD_MSAT, "What is in payouts that their recipients hold, in msat");
    describe_gauge!(PAYOUTS_HELD_SECONDS, Unit::Seconds, "How long the oldest held payout has been held");
    describe_gauge!(SPENDABLE, "What the channels can send in all, one payment after the other, in msat");
    describe_gauge!(LARGEST_OUT, "The largest payment that can go out once nothing is in flight, in msat");
    describe_gauge!(REDEEMABLE, "Of what is owed, what can be paid out, in msat");
    describe_gauge!(SHORT, "What is missing to pay out all that is owed, in msat");
    describe_gauge!(FREE, "What the operator may take out of the channels, in msat");
    describe_gauge!(VOUCHERS_OPEN, "Gifts and tips that can be redeemed or go back");
    describe_gauge!(UNREDEEMABLE, "Gifts and tips that can't be paid out now");
    describe_counter!(LATE_SUCCESSES, "Payouts that arrived after they had been taken for failed");
    describe_gauge!(OWED, "Owed to holders of vouchers, in msat");
    describe_gauge!(OWED_TO_MERCHANTS, "Owed to merchants, in msat");
    describe_gauge!(FEES_EARNED, "Earned by the services' own fees, in msat");
    describe_counter!(TIPS, "What happened to tips");
    describe_counter!(PAYMENTS, "What happened to payments");
    describe_counter!(L402_REQUESTS, "Requests for what is sold by the request");
    describe_counter!(L402_REVENUE, "What came in for resources sold by the request, in sat");
    describe_counter!(TIPS_SAT, "What the tips of an event held together, in sat");
    describe_gauge!(SUSPENSE, "Received but not assigned to anything, in msat");
    describe_gauge!(NODE_DRIFT, "1 if the books differ from what the node has");
    describe_gauge!(AUDIT_OK, "1 if the last audit found the books in order");
    describe_counter!(WEBHOOKS, "Webhook deliveries tried");
    describe_gauge!(WEBHOOKS_WAITING, "Webhook deliveries waiting");
    describe_counter!(MAIL, "Attempts to hand a letter to the mail server");
    describe_counter!(RATE_FAILURES, "Rounds in which a source of rates gave none that counts");
    describe_gauge!(RATE_TIME, "When the rate of a currency was true, unix seconds");
    describe_gauge!(STORE_WRITABLE, "1 while the database takes writes");
    describe_gauge!(NODE_RUNNING, "1 while the Lightning node runs");
    describe_gauge!(READY, "1 once everything is up and recovered");
    describe_gauge!(CHAIN_HEIGHT, "Best block the node knows");
    describe_gauge!(CHAIN_SYNCED, "When the node last looked at the chain, unix seconds");
    describe_gauge!(CHANNELS, "Channels by state");
    describe_counter!(CHANNELS_CLOSED, "Channels closed");
    describe_gauge!(LIGHTNING_BALANCE, "All we own in channels, in msat");
    describe_gauge!(OUTBOUND, "What the usable channels could send, in msat");
    describe_gauge!(INBOUND, "What the usable channels could receive, in msat");
    describe_gauge!(ONCHAIN, "Coins in the wallet, in sat");
    describe_gauge!(ONCHAIN_SPENDABLE, "Coins that may be spent, in sat");
    describe_gauge!(STARTED, "When the process started, unix seconds");
    describe_gauge!(BUILD, "Always 1; the version is a label");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_names_help_and_values() {
        install().unwrap();
        install().unwrap();
        gauge!(OUTBOUND).set(amount(7_000));
        metrics::histogram!(HTTP_SECONDS, "route" => "/gift/{id}").record(0.002);
        let page = render();
        for line in [
            "# HELP satchel_lightning_outbound_msat What the usable channels could send, in msat",
            "satchel_lightning_outbound_msat 7000",
            "satchel_http_request_duration_seconds_bucket{route=\"/gift/{id}\",le=\"0.0025\"} 1",
            "satchel_build_info{version=",
        ] {
            assert!(page.contains(line), "no `{line}` in\n{page}");
        }
    }
}
