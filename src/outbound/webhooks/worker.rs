//! Delivers what is in the outbox.
//!
//! Each endpoint's messages go out one after the other, oldest first; endpoints in parallel, so many at once, of which
//! strangers and each lane have a part. Endpoints that strangers gave have less time for an answer.
//! What fails is tried again as the [`schedule`] says, and parked after some days. `app` runs [`run`] once; it must
//! never run twice on one store.
//!
//! **Crash behaviour**: at-least-once. Between the receiver's answer and our commit a crash leads to a second
//! delivery with the same id.

mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use reqwest::Method;
use tokio::task::JoinSet;

pub(super) use self::queue::EndpointId;
use self::queue::{Due, Message, Outcome, Then};
use super::lanes::{Class, Places, UnderWay};
use super::schedule::{self, Schedule};
use super::sign;
use super::store::Outbox;
use crate::core::time::millis;
use crate::crash_point;
use crate::http::now_ms;
use crate::outbound::fetch::{FetchError, GuardedClient, drain};
use crate::storage::{Store, StoreError};
use crate::telemetry::metrics::{WEBHOOKS, WEBHOOKS_WAITING};

/// Bytes of an answer that are read, to use the connection again, and how long that may take.
const DRAINED: (usize, Duration) = (64 * 1024, Duration::from_secs(1));

/// Messages of one endpoint in a row, before others have their turn; none begins after so long.
const IN_A_ROW: usize = 16;
const LONGEST_ROW: Duration = Duration::from_secs(2);

/// How long to sleep when nothing is due; a clock that was set back is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How often the waiting messages are counted, at most.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// How long to wait when the database takes no writes or gives no rows.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long deliveries may go on after the shutdown began; one that is cut off is made again after the start.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// What a family's own header may be made of.
pub struct Signable<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`: unix seconds.
    pub timestamp: i64,
    /// The body.
    pub body: &'a [u8],
    /// The endpoint's secret, if it has one.
    pub secret: Option<&'a crate::core::ids::Secret>,
}

/// A family's own headers, beside the standard ones.
pub type OwnHeaders = fn(&Signable<'_>) -> Vec<(HeaderName, HeaderValue)>;

/// How to deliver.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How long after it was queued a message that still fails is parked.
    pub give_up_after: Duration,
    /// Endpoints at once: of them a quarter those that strangers gave.
    pub at_once: usize,
    /// How long an endpoint may take to answer that a stranger gave, if that is shorter than the client's timeout.
    pub strangers_timeout: Duration,
    /// Pauses between tries, growing; the last is repeated.
    pub pauses: Vec<Duration>,
    /// Families with headers of their own.
    pub own_headers: Vec<(&'static str, OwnHeaders)>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            give_up_after: Duration::from_secs(3 * 24 * 60 * 60),
            at_once: 64,
            strangers_timeout: Duration::from_secs(5),
            pauses: schedule::PAUSES.to_vec(),
            own_headers: Vec::new(),
        }
    }
}

/// Delivers until `shutdown` ends. The client's timeout is the time a receiver has.
pub async fn run(
    store: Store,
    outbox: Outbox,
    client: GuardedClient,
    settings: WorkerSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let places = Places::new(settings.at_once);
    let schedule = Schedule::new(&settings.pauses, settings.give_up_after);
    let (own_headers, strangers_timeout) = (settings.own_headers, settings.strangers_timeout);
    let courier = Arc::new(Courier { store, client, schedule, own_headers, strangers_timeout });
    let mut under_way = UnderWay::default();
    let mut deliveries = JoinSet::new();
    let mut counted_at = None;
    tokio::pin!(shutdown);
    loop {
        if counted_at.is_none_or(|at: Instant| at.elapsed() >= COUNT_EVERY) {
            courier.count_waiting().await;
            counted_at = Some(Instant::now());
        }
        while let Some(done) = deliveries.try_join_next() {
            forget(&mut under_way, done);
        }
        let sleep = send_out(&courier, places, &mut under_way, &mut deliveries).await;
        tokio::select! {
            () = &mut shutdown => break,
            () = outbox.bell.notified() => {}
            Some(done) = deliveries.join_next() => forget(&mut under_way, done),
            () = tokio::time::sleep(sleep) => {}
        }
    }
    let finish = async { while deliveries.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_WAIT, finish).await.is_err() {
        tracing::info!("some webhooks were cut off; they are sent again after the start");
    }
}

/// An endpoint whose delivery ended may be taken again. A delivery that panicked leaves its endpoint and its place
/// taken until the restart, rather than panicking again at once.
fn forget(under_way: &mut UnderWay, done: Result<Due, tokio::task::JoinError>) {
    match done {
        Ok(due) => under_way.end(due.endpoint, &due.lane, due.class),
        Err(error) => tracing::error!(%error, "a webhook delivery ended badly"),
    }
}

/// Starts deliveries for the endpoints that are due; says how long to sleep if nothing else happens.
async fn send_out(
    courier: &Arc<Courier>,
    places: Places,
    under_way: &mut UnderWay,
    deliveries: &mut JoinSet<Due>,
) -> Duration {
    let (now, mut begun) = (now_ms(), under_way.clone());
    let read = courier.store.read(move |connection| {
        let (mut all, mut soonest) = (Vec::new(), None::<i64>);
        for class in [Class::Known, Class::Strangers] {
            let (due, next) = queue::due(connection, class, places, &mut begun, now)?;
            all.extend(due);
            soonest = soonest.into_iter().chain(next).min();
        }
        Ok::<_, StoreError>((all, soonest, begun))
    });
    let (due, soonest, begun) = match read.await {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(%error, "the webhook queue can't be read");
            return STORE_PAUSE;
        }
    };
    *under_way = begun;
    for due in due {
        let courier = Arc::clone(courier);
        deliveries.spawn(async move {
            courier.deliver_queue(due.endpoint).await;
            due
        });
    }
    // With no place left the end of a delivery wakes us.
    let wait = soonest.and_then(|at| u64::try_from(at.saturating_sub(now)).ok()).map(Duration::from_millis);
    wait.map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP))
}

struct Courier {
    store: Store,
    client: GuardedClient,
    schedule: Schedule,
    own_headers: Vec<(&'static str, OwnHeaders)>,
    strangers_timeout: Duration,
}

impl Courier {
    /// Delivers an endpoint's messages until it doesn't answer, none is left, or others should have their turn.
    async fn deliver_queue(&self, endpoint: EndpointId) {
        let schedule = self.schedule.clone();
        let first = move |connection: &_| queue::next(connection, endpoint, &schedule, now_ms(), 0);
        let mut next = match self.store.read(first).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "the webhook queue can't be read");
                return tokio::time::sleep(STORE_PAUSE).await;
            }
        };
        if next.is_none() {
            // Scheduled without a message that is due: put right, or it would be due for ever.
            let put_right = move |tx: &crate::storage::Tx<'_>| queue::plan(tx, endpoint, now_ms());
            drop(self.store.write(put_right).await);
            return;
        }
        let began = Instant::now();
        for turn in 1..=IN_A_ROW {
            let Some(message) = next.filter(|_| turn == 1 || began.elapsed() < LONGEST_ROW) else { return };
            let result = self.post(&message).await;
            crash_point!("webhook.after_post");
            next = match self.settle(&message, result, turn).await {
                Ok(next) => next,
                Err(_closed) => return,
            };
        }
    }

    /// Shows how many messages wait.
    async fn count_waiting(&self) {
        if let Ok(waiting) = self.store.read(queue::waiting).await {
            metrics::gauge!(WEBHOOKS_WAITING).set(f64::from(waiting));
        }
    }

    /// Sends a message once. `Ok` is a status of 2xx.
    async fn post(&self, message: &Message) -> Result<u16, FetchError> {
        let timestamp = now_ms().div_euclid(1000);
        let body = message.payload.as_bytes();
        let secret = (!message.secret.expose().is_empty()).then_some(&message.secret);
        let mut request = self
            .client
            .request(Method::POST, &message.url)?
            .header("content-type", "application/json")
            .header("webhook-id", message.public_id.as_str())
            .header("webhook-timestamp", timestamp)
            .body(message.payload.clone());
        if message.of_strangers {
            request = request.timeout(self.client.timeout().min(self.strangers_timeout));
        }
        if let Some(secret) = secret {
            request = request
                .header("webhook-signature", sign::signature(secret, &message.public_id, timestamp, body));
        }
        let signable = Signable { id: &message.public_id, timestamp, body, secret };
        let own = self.own_headers.iter().filter(|(family, _)| *family == message.family);
        for (name, value) in own.flat_map(|(_, headers)| headers(&signable)) {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let status = response.status();
        drain(response, DRAINED.0, DRAINED.1).await;
        if status.is_success() { Ok(status.as_u16()) } else { Err(FetchError::Status(status.as_u16())) }
    }

    /// Writes down how it went, and waits for the database if that must be: without it the receiver would get
    /// the message again and again. Answers with the message to send next, if one may be sent now.
    async fn settle(
        &self,
        message: &Message,
        result: Result<u16, FetchError>,
        next_turn: usize,
    ) -> Result<Option<Message>, StoreError> {
        let outcome = self.outcome(message, result);
        loop {
            let (row, endpoint, outcome) = (message.row, message.endpoint, outcome.clone());
            let schedule = self.schedule.clone();
            let write =
                self.store.write(move |tx| queue::settle(tx, row, endpoint, &schedule, &outcome, next_turn));
            match write.await {
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) => {
                    tracing::warn!(%error, "a webhook's outcome can't be written down yet");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                settled => return settled,
            }
        }
    }

    fn outcome(&self, message: &Message, result: Result<u16, FetchError>) -> Outcome {
        let now = now_ms();
        let (id, kind, attempt) = (&message.public_id, &message.kind, message.attempts.saturating_add(1));
        match result {
            Ok(status) => {
                metrics::counter!(WEBHOOKS, "outcome" => "delivered").increment(1);
                tracing::debug!(id, kind, attempt, status, "webhook delivered");
                Outcome::Delivered { status, at: now }
            }
            Err(error) => {
                let then = self.then(message, &error, now);
                let parked = matches!(then, Then::Park);
                metrics::counter!(WEBHOOKS, "outcome" => if parked { "parked" } else { "failed" })
                    .increment(1);
                if parked {
                    tracing::warn!(id, kind, attempt, %error, "webhook failed for too long and is parked");
                } else {
                    tracing::info!(id, kind, attempt, %error, "webhook failed; it will be tried again");
                }
                let status = if let FetchError::Status(status) = error { Some(status) } else { None };
                Outcome::Failed { status, error: error.to_string(), at: now, then }
            }
        }
    }

    fn then(&self, message: &Message, error: &FetchError, now: i64) -> Then {
        let gives_up_at = message.gives_up_at(&self.schedule);
        if gives_up_at <= now {
            return Then::Park;
        }
        // One last try at the very end, rather than silence for most of the last day.
        let pause = millis(self.schedule.message_pause(message.refusals));
        let until = now.saturating_add(pause).min(gives_up_at);
        if schedule::is_refusal(error) {
            Then::Refused { until }
        } else if message.refusals > 0 || message.others_pass(now) {
            Then::Broke { until }
        } else {
            Then::Pause { at_most_until: gives_up_at }
        }
    }
}

#[cfg(test)]
mod tests;
