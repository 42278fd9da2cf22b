//! The worker's SQL: what is due, what comes first, how it went.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::core::ids::Secret;
use crate::core::time::millis;
use crate::outbound::webhooks::lanes::{Class, Places, UnderWay};
use crate::outbound::webhooks::schedule::{FAR, Schedule, TRY_ANOTHER, YOUNG};
use crate::storage::{StoreError, Tx};

/// Row id of an endpoint: one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(pub(in crate::outbound::webhooks) i64);

/// A waiting message.
pub(super) struct Message {
    pub(super) row: i64,
    pub(super) endpoint: EndpointId,
    pub(super) public_id: String,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) queued_at: i64,
    /// Failures so far.
    pub(super) attempts: i64,
    /// Those that were its own.
    pub(super) refusals: i64,
    last_try_at: Option<i64>,
    pub(super) family: String,
    pub(super) url: String,
    pub(super) secret: Secret,
    /// Whether nobody with an account gave the address.
    pub(super) of_strangers: bool,
    /// When its endpoint last took one.
    taken_at: Option<i64>,
}

impl Message {
    /// Whether its endpoint has taken another since this one failed.
    pub(super) fn others_pass(&self, now: i64) -> bool {
        let since = self.last_try_at.filter(|_| self.attempts > 0);
        since.is_some_and(|tried| self.taken_at.is_some_and(|taken| tried < taken && taken <= now))
    }

    /// Whether the next failure is its last.
    pub(super) fn is_over(&self, schedule: &Schedule, now: i64) -> bool {
        self.gives_up_at(schedule) <= now
    }

    pub(super) fn gives_up_at(&self, schedule: &Schedule) -> i64 {
        self.queued_at.saturating_add(millis(schedule.give_up_after))
    }
}

/// How a try went.
#[derive(Clone)]
pub(super) enum Outcome {
    Delivered { status: u16, at: i64 },
    Failed { status: Option<u16>, error: String, at: i64, then: Then },
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// The endpoint pauses, but not beyond the last try of this message.
    Pause { at_most_until: i64 },
    /// The message pauses until then, for the receiver refused it.
    Refused { until: i64 },
    /// The message pauses until then, for the receiver breaks over it.
    Broke { until: i64 },
    /// The message is given up.
    Park,
}

// The lanes that may not begin are passed over in the index: a long queue in one of them makes the look at the others
// slower by a few milliseconds for each 20,000, and hides none of them.
const SCHEDULED: &str = "SELECT id, lane, next_try_at FROM webhook_endpoints
     WHERE strangers = ?1 AND next_try_at IS NOT NULL AND lane NOT IN (SELECT value FROM json_each(?2))
     ORDER BY next_try_at";
const SCHEDULED_FAR: &str = "SELECT id, lane, 0 FROM webhook_endpoints
     WHERE strangers = ?1 AND next_try_at > ?3 AND lane NOT IN (SELECT value FROM json_each(?2))";
const STATE: &str = "SELECT failures, failed_row FROM webhook_endpoints WHERE id = ?1";
const WAITING_OF: &str =
    "SELECT m.id, m.public_id, m.kind, unseal(m.payload), m.queued_at, m.attempts, m.refusals, m.last_try_at,
            e.family, e.url, unseal(e.secret), e.taken_at, e.strangers
     FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id
     WHERE m.endpoint_id = ?1 AND m.state = 'waiting'";
const WAITING: &str = "SELECT count(*) FROM webhook_messages WHERE state = 'waiting'";
const NEWEST: &str = "SELECT created_at FROM webhook_messages WHERE endpoint_id = ?1 AND state = 'waiting'
     ORDER BY id DESC LIMIT 1";
// A message may have moved to another endpoint, or have been parked, while it was on its way.
const DELIVERED: &str =
    "UPDATE webhook_messages SET state = 'delivered', attempts = attempts + 1, last_try_at = ?3,
     last_status = ?4, last_error = NULL, finished_at = ?3 WHERE id = ?1 AND endpoint_id = ?2";
const FAILED: &str =
    "UPDATE webhook_messages SET attempts = attempts + 1, last_try_at = ?3, last_status = ?4, last_error = ?5,
     refusals = refusals + ?6, next_try_at = ?7 WHERE id = ?1 AND endpoint_id = ?2 AND state = 'waiting'";
const PARKED: &str =
    "UPDATE webhook_messages SET state = 'parked', attempts = attempts + 1, last_try_at = ?3,
     last_status = ?4, last_error = ?5, finished_at = ?3
     WHERE id = ?1 AND endpoint_id = ?2 AND state = 'waiting'";
const TAKEN: &str =
    "UPDATE webhook_endpoints SET failures = 0, failed_row = NULL, taken_at = ?2 WHERE id = ?1";
const ANSWERED: &str = "UPDATE webhook_endpoints SET failures = 0, failed_row = NULL WHERE id = ?1";
const PUT_OFF: &str =
    "UPDATE webhook_endpoints SET next_try_at = ?2, failures = ?3, failed_row = ?4 WHERE id = ?1";
// NULL without a message, now with one that is in its turn.
const PLAN: &str = "UPDATE webhook_endpoints SET next_try_at = max(?2,
     (SELECT next_try_at FROM webhook_messages WHERE endpoint_id = ?1 AND state = 'waiting'
      ORDER BY next_try_at LIMIT 1)) WHERE id = ?1";

/// An endpoint whose turn it is.
pub(super) struct Due {
    pub(super) endpoint: EndpointId,
    pub(super) lane: String,
    pub(super) class: Class,
}

/// Rows of lanes that had their turn meanwhile, before the index passes over them.
const SKIPPED: usize = 32;

/// The endpoints of a class that may begin now, the most urgent of each lane first, and when the next after them is
/// due. What has no room in its lane is passed over. They are counted as begun.
pub(super) fn due(
    connection: &Connection,
    class: Class,
    places: Places,
    under_way: &mut UnderWay,
    now: i64,
) -> Result<(Vec<Due>, Option<i64>), StoreError> {
    let mut chosen = Vec::new();
    // Each look but the last of a round begins something, and so does each round but the last.
    loop {
        match look(connection, (class, places, now), under_way, &mut chosen)? {
            Look::NoPlace => return Ok((chosen, None)),
            Look::Again => {}
            Look::All { next } => {
                if !under_way.next_round(class) {
                    return Ok((chosen, next));
                }
            }
        }
    }
}

/// How a look through the schedule ended.
enum Look {
    /// All places are taken.
    NoPlace,
    /// Too many rows were of lanes that had their turn in it.
    Again,
    /// Nothing else that may begin is due before then.
    All { next: Option<i64> },
}

fn look(
    connection: &Connection,
    (class, places, now): (Class, Places, i64),
    under_way: &mut UnderWay,
    chosen: &mut Vec<Due>,
) -> Result<Look, StoreError> {
    let (passed_over, strangers) = (under_way.passed_over(class, places), class == Class::Strangers);
    let mut far = connection.prepare_cached(SCHEDULED_FAR)?;
    let mut far = far.query(params![strangers, passed_over, far_from(now)])?;
    let mut soon = connection.prepare_cached(SCHEDULED)?;
    let mut soon = soon.query(params![strangers, passed_over])?;
    let mut skipped = 0_usize;
    loop {
        if places.free(class, under_way) == 0 {
            return Ok(Look::NoPlace);
        }
        let row = match far.next()? {
            Some(row) => row,
            None => match soon.next()? {
                Some(row) => row,
                None => return Ok(Look::All { next: None }),
            },
        };
        let (endpoint, lane, due_at): (_, String, i64) = (EndpointId(row.get(0)?), row.get(1)?, row.get(2)?);
        if due_at > now {
            return Ok(Look::All { next: Some(due_at) });
        }
        if under_way.endpoints.contains(&endpoint) {
            continue;
        }
        if under_way.may_begin(&lane, class, places) {
            under_way.begin(endpoint, &lane, class);
            chosen.push(Due { endpoint, lane, class });
            continue;
        }
        skipped = skipped.saturating_add(1);
        if skipped >= SKIPPED {
            return Ok(Look::Again);
        }
    }
}

/// Nothing is put off until then, but by a clock that ran ahead.
fn far_from(now: i64) -> i64 {
    now.saturating_add(millis(FAR))
}

/// How many messages wait.
pub(super) fn waiting(connection: &Connection) -> Result<u32, StoreError> {
    connection.prepare_cached(WAITING)?.query_row([], |row| row.get(0)).map_err(StoreError::from)
}

/// What an endpoint is to be sent next, in this turn of its round: in even turns first what was refused and is due
/// again, in odd ones first what is in its turn, so that neither waits for all of the other.
pub(super) fn next(
    connection: &Connection,
    endpoint: EndpointId,
    schedule: &Schedule,
    now: i64,
    turn: usize,
) -> Result<Option<Message>, StoreError> {
    if turn.is_multiple_of(2) {
        let message = again(connection, endpoint, now)?;
        return if message.is_some() { Ok(message) } else { in_turn(connection, endpoint, schedule, now) };
    }
    let message = in_turn(connection, endpoint, schedule, now)?;
    if message.is_some() { Ok(message) } else { again(connection, endpoint, now) }
}

/// The one that was refused and is due again first.
fn again(connection: &Connection, endpoint: EndpointId, now: i64) -> Result<Option<Message>, StoreError> {
    let due = "m.next_try_at > 0 AND m.next_try_at <= ?2 ORDER BY m.next_try_at, m.id";
    if let Some(message) = one(connection, endpoint, due, params![endpoint.0, now])? {
        return Ok(Some(message));
    }
    let far = "m.next_try_at > ?2 ORDER BY m.next_try_at DESC";
    one(connection, endpoint, far, params![endpoint.0, far_from(now)])
}

/// The oldest that was not refused. If the endpoint has failed before, it is the one after the last that was tried,
/// unless the oldest is to be given up.
fn in_turn(
    connection: &Connection,
    endpoint: EndpointId,
    schedule: &Schedule,
    now: i64,
) -> Result<Option<Message>, StoreError> {
    let oldest =
        one(connection, endpoint, "m.next_try_at = 0 ORDER BY m.next_try_at, m.id", params![endpoint.0])?;
    let Some(oldest) = oldest else { return Ok(None) };
    let state = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (failures, failed): (i64, Option<i64>) =
        connection.prepare_cached(STATE)?.query_row([endpoint.0], state)?;
    let failed = failed.filter(|_| failures >= TRY_ANOTHER && !oldest.is_over(schedule, now));
    let Some(failed) = failed else { return Ok(Some(oldest)) };
    let later = "m.next_try_at = 0 AND m.id > ?2 ORDER BY m.next_try_at, m.id";
    Ok(Some(one(connection, endpoint, later, params![endpoint.0, failed])?.unwrap_or(oldest)))
}

fn one(
    connection: &Connection,
    endpoint: EndpointId,
    which: &str,
    values: impl Params,
) -> Result<Option<Message>, StoreError> {
    let message = |row: &Row<'_>| {
        Ok(Message {
            row: row.get(0)?,
            endpoint,
            public_id: row.get(1)?,
            kind: row.get(2)?,
            payload: row.get(3)?,
            queued_at: row.get(4)?,
            attempts: row.get(5)?,
            refusals: row.get(6)?,
            last_try_at: row.get(7)?,
            family: row.get(8)?,
            url: row.get(9)?,
            secret: Secret::new(row.get::<_, String>(10)?),
            taken_at: row.get(11)?,
            of_strangers: row.get(12)?,
        })
    };
    let mut statement = connection.prepare_cached(&format!("{WAITING_OF} AND {which} LIMIT 1"))?;
    statement.query_row(values, message).optional().map_err(StoreError::from)
}

/// Writes an outcome down and plans the endpoint's next try; answers with the message for the next turn, if one may
/// be sent at once.
pub(super) fn settle(
    tx: &Tx<'_>,
    row: i64,
    endpoint: EndpointId,
    schedule: &Schedule,
    outcome: &Outcome,
    next_turn: usize,
) -> Result<Option<Message>, StoreError> {
    let id = endpoint.0;
    let at = match outcome {
        Outcome::Delivered { status, at } => {
            tx.prepare_cached(DELIVERED)?.execute(params![row, id, at, status])?;
            tx.prepare_cached(TAKEN)?.execute([id, *at])?;
            *at
        }
        Outcome::Failed { status, error, at, then } => {
            let failed = |refusals: i64, until: i64| {
                tx.prepare_cached(FAILED)?.execute(params![row, id, at, status, error, refusals, until])
            };
            match *then {
                Then::Pause { at_most_until } => {
                    // Still there, and still here: else the failure says nothing of where it goes now.
                    if failed(0, 0)? > 0 {
                        pause(tx, row, endpoint, schedule, *at, at_most_until)?;
                        return Ok(None);
                    }
                }
                Then::Refused { until } => {
                    failed(1, until)?;
                    tx.prepare_cached(ANSWERED)?.execute([id])?;
                }
                Then::Broke { until } => drop(failed(1, until)?),
                Then::Park => drop(tx.prepare_cached(PARKED)?.execute(params![row, id, at, status, error])?),
            }
            *at
        }
    };
    plan(tx, endpoint, at)?;
    next(tx, endpoint, schedule, at, next_turn)
}

/// The endpoint doesn't answer.
fn pause(
    tx: &Tx<'_>,
    row: i64,
    endpoint: EndpointId,
    schedule: &Schedule,
    now: i64,
    at_most_until: i64,
) -> Result<(), StoreError> {
    let failures: i64 = tx.prepare_cached(STATE)?.query_row([endpoint.0], |row| row.get(0))?;
    let newest: i64 = tx.prepare_cached(NEWEST)?.query_row([endpoint.0], |row| row.get(0))?;
    let young = newest > now.saturating_sub(millis(YOUNG));
    let (pause, failures) = schedule.endpoint_pause(failures, young);
    let until = now.saturating_add(millis(pause)).min(at_most_until);
    tx.prepare_cached(PUT_OFF)?.execute(params![endpoint.0, until, failures, row])?;
    Ok(())
}

/// Due now if a message is in its turn, later if all were refused, and not at all without one.
pub(super) fn plan(tx: &Tx<'_>, endpoint: EndpointId, now: i64) -> Result<(), StoreError> {
    tx.prepare_cached(PLAN)?.execute([endpoint.0, now])?;
    Ok(())
}
