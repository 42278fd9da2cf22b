//! Who can change the address where they listen. What has not been delivered to them goes with them.
//!
//! A listener has a name of its family's choice, for one address: an account's `webhookUrl` is one, its `callbackUrl`
//! another, even if both are the same address with the same secret, or another account's. So nobody's messages are
//! moved but their own.

use rusqlite::{OptionalExtension, params};

use super::{MessageId, Outbox, OutboxError, PRUNE_ENDPOINT, Target};
use crate::core::ids::Secret;
use crate::http::now_ms;
use crate::storage::{StoreError, Tx};

const WAS: &str = "SELECT endpoint_id FROM webhook_listeners WHERE name = ?1";
const IS: &str = "INSERT INTO webhook_listeners (name, endpoint_id) VALUES (?1, ?2)
     ON CONFLICT (name) DO UPDATE SET endpoint_id = excluded.endpoint_id";
const KNOWN: &str =
    "INSERT INTO webhook_endpoints (family, url, secret, strangers, lane) VALUES (?1, ?2, seal(?3), ?4, ?5)
     ON CONFLICT (family, url, secret) DO UPDATE SET strangers = min(strangers, excluded.strangers),
         lane = CASE WHEN excluded.strangers <= strangers THEN excluded.lane ELSE lane END RETURNING id";
// `state <> 'delivered'` is what the index says.
const MOVE_WAITING: &str =
    "UPDATE webhook_messages SET endpoint_id = ?2, queued_at = ?3, attempts = 0, refusals = 0, next_try_at = 0
     WHERE listener = ?1 AND state <> 'delivered' AND state = 'waiting'";
const MOVE_PARKED: &str = "UPDATE webhook_messages SET endpoint_id = ?2
     WHERE listener = ?1 AND state <> 'delivered' AND state = 'parked'";
const PARK: &str = "UPDATE webhook_messages SET state = 'parked', finished_at = ?2, last_error = ?3
     WHERE listener = ?1 AND state <> 'delivered' AND state = 'waiting'";

/// Why messages are parked whose address was taken away.
const TAKEN_AWAY: &str = "the address was taken away";

impl Outbox {
    /// As [`Outbox::enqueue`], for a listener: the message follows it to where it listens next.
    ///
    /// # Errors
    /// As [`Outbox::enqueue`].
    pub fn enqueue_for(
        &self,
        tx: &Tx<'_>,
        listener: &str,
        target: Target<'_>,
        kind: &str,
        payload: &str,
    ) -> Result<MessageId, OutboxError> {
        self.put(tx, Some(listener), target, kind, payload)
    }

    /// From now on the listener listens here. What waits for it is sent here, at once and with its whole time again,
    /// also if here is where it was before; what was parked stays so, and would be replayed to here. To `None`, which
    /// is nowhere, nothing is sent: what waits is parked, and can be replayed once there is an address again.
    ///
    /// # Errors
    /// The statements': the transaction must not be kept.
    pub fn listen(&self, tx: &Tx<'_>, listener: &str, target: Option<Target<'_>>) -> Result<(), StoreError> {
        let now = now_ms();
        let was: Option<Option<i64>> =
            tx.prepare_cached(WAS)?.query_row([listener], |row| row.get(0)).optional()?;
        let is: Option<i64> = match target {
            Some(Target { family, url, secret, owner }) => {
                let secret = secret.map_or("", Secret::expose);
                let given = params![family, url, secret, owner.is_stranger(), owner.lane(url)];
                Some(tx.prepare_cached(KNOWN)?.query_row(given, |row| row.get(0))?)
            }
            None => None,
        };
        tx.prepare_cached(IS)?.execute(params![listener, is])?;
        match is {
            Some(endpoint) => {
                tx.prepare_cached(MOVE_PARKED)?.execute(params![listener, endpoint])?;
                if tx.prepare_cached(MOVE_WAITING)?.execute(params![listener, endpoint, now])? > 0 {
                    self.due_now(tx, endpoint, now)?;
                }
            }
            None => drop(tx.prepare_cached(PARK)?.execute(params![listener, now, TAKEN_AWAY])?),
        }
        // An endpoint that is left without messages looks due to the worker once, who puts that right.
        if let Some(left) = was.flatten().filter(|left| Some(*left) != is) {
            tx.prepare_cached(PRUNE_ENDPOINT)?.execute([left])?;
        }
        Ok(())
    }
}
