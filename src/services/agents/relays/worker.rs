//! Sends what is queued to one relay, in order, and tries again later if it is away.
//!
//! **After a crash** a relay may get an event twice, which it answers as a duplicate.

use std::time::Duration;

use tokio::time::sleep;

use super::Publisher;
use super::queue::{self, Outcome};
use super::socket::{Answer, Relay};
use crate::core::time::{Clock, UnixMillis};
use crate::storage::{Store, StoreError};

/// Events of one visit.
const BATCH: u32 = 100;

/// The first pause after a failure; each is twice the one before.
const FIRST_PAUSE_MS: i64 = 1_000;

/// The longest.
const LONGEST_PAUSE_MS: i64 = 600_000;

/// How long to wait at most before the queue is looked at again, and after the database failed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Keeps one relay informed until told to stop.
pub async fn run(
    store: Store,
    clock: Clock,
    publisher: Publisher,
    url: String,
    stopped: impl Future<Output = ()>,
) {
    tokio::pin!(stopped);
    let mut bell = publisher.bell();
    loop {
        let round = async {
            match visit(&store, &clock, &url).await {
                Ok(pause) => {
                    tokio::select! {
                        () = sleep(pause.min(LOOK_EVERY)) => {}
                        Ok(()) = bell.changed() => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "events can't be sent to relays now; trying again");
                    sleep(STORE_PAUSE).await;
                }
            }
        };
        tokio::select! {
            () = round => {}
            () = &mut stopped => return,
        }
    }
}

/// Sends a batch, if there is one and the relay may be asked. Answers how long there is nothing to do.
async fn visit(store: &Store, clock: &Clock, url: &str) -> Result<Duration, StoreError> {
    let asked = url.to_owned();
    let (next_at, waiting) = store.read(move |connection| queue::waiting(connection, &asked, BATCH)).await?;
    if waiting.is_empty() {
        return Ok(LOOK_EVERY);
    }
    let early = next_at.saturating_sub(clock.now());
    if early > 0 {
        return Ok(pause(early));
    }
    let outcome = deliver(url, &waiting).await;
    if let Some(error) = &outcome.error {
        tracing::warn!(relay = url, %error, "a relay doesn't take events now; trying again later");
    }
    let again = if outcome.error.is_none() { Duration::ZERO } else { pause(FIRST_PAUSE_MS) };
    let (noted, now) = (url.to_owned(), clock.now());
    store
        .write(move |tx| {
            queue::visited(tx, &noted, &outcome, |failures| now.saturating_add(pause_after(failures)))
        })
        .await?;
    Ok(again)
}

async fn deliver(url: &str, waiting: &[queue::Waiting]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut relay = match Relay::connect(url).await {
        Ok(relay) => relay,
        Err(error) => return Outcome { error: Some(error), ..outcome },
    };
    for event in waiting {
        match relay.send(event.id, &event.body).await {
            Ok(Answer::Taken) => outcome.taken.push(event.row),
            Ok(Answer::Refused(why)) => {
                tracing::warn!(relay = url, event = %event.id, %why, "a relay refuses an event for good");
                outcome.refused.push(event.row);
            }
            Ok(Answer::Later(why)) => {
                outcome.later = Some((event.row, event.tries));
                outcome.error = Some(why);
                break;
            }
            Err(error) => {
                outcome.error = Some(error);
                break;
            }
        }
    }
    relay.close().await;
    outcome
}

/// How long to wait after so many failures in a row.
fn pause_after(failures: i64) -> i64 {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 16)).unwrap_or(0);
    FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(LONGEST_PAUSE_MS)
}

fn pause(ms: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        assert_eq!([0, 1, 2, 3, 11, 1_000].map(pause_after), [1_000, 1_000, 2_000, 4_000, 600_000, 600_000]);
    }
}
