//! Who may look magic words up, and how often they may be wrong.
//!
//! Only wrong words count: six a minute of one client, twenty of a network, and so many of everybody together. When
//! the last is used up, a network that has not been wrong for a day gets in all the same, once: so whoever knows the
//! words is not kept out by those who guess. That gives a crowd one guess a day more for each of its networks. A look-up
//! counts as wrong until its words have been found, so that many at once are no more than one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::http::client::Client;
use crate::http::limits::Recent;

/// Wrong words of one client in a minute, and of all clients whose addresses may be one owner's.
const OF_A_CLIENT: u32 = 6;
const OF_A_NETWORK: u32 = 20;

/// The same of everybody together. It takes many networks to use it up.
const OF_ALL: u32 = 240;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Wrong words of late: each is over after a minute's part of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it will be empty.
    empty_at: u64,
}

impl Bucket {
    /// Milliseconds until there is room for one more of so many a minute; `None` if there is.
    fn wait(self, most: u32, now_ms: u64) -> Option<u64> {
        let full = MINUTE_MS.saturating_sub(MINUTE_MS / u64::from(most.max(1)));
        let wait = self.empty_at.saturating_sub(now_ms).saturating_sub(full);
        (wait > 0).then_some(wait)
    }

    fn add(&mut self, most: u32, now_ms: u64) {
        self.empty_at = self.empty_at.max(now_ms).saturating_add(MINUTE_MS / u64::from(most.max(1)));
    }

    fn give_back(&mut self, most: u32) {
        self.empty_at = self.empty_at.saturating_sub(MINUTE_MS / u64::from(most.max(1)));
    }
}

/// What is known of a network.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    wrong: Bucket,
    last_wrong: Option<u64>,
}

struct State {
    clients: Recent<Bucket>,
    networks: Recent<Network>,
    all: Bucket,
}

/// Who was wrong how often.
pub(super) struct Guesses {
    began: Instant,
    state: Mutex<State>,
}

/// A look-up under way, counted as wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookUp {
    client: u64,
    network: u64,
    of_all: bool,
    last_wrong: Option<u64>,
}

impl Guesses {
    pub(super) fn new() -> Self {
        let state =
            State { clients: Recent::default(), networks: Recent::lasting(DAY_MS), all: Bucket::default() };
        Self { began: Instant::now(), state: Mutex::new(state) }
    }

    /// Begins a look-up.
    ///
    /// # Errors
    /// Seconds to wait.
    pub(super) fn begin(&self, client: Client) -> Result<LookUp, u64> {
        self.begin_at(client, u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn begin_at(&self, client: Client, now_ms: u64) -> Result<LookUp, u64> {
        let mut state = self.state();
        let State { clients, networks, all } = &mut *state;
        let (of_client, of_network) = (clients.key(client), networks.key(client.neighbourhood()));
        let own = clients.entry(of_client, now_ms);
        let network = networks.entry(of_network, now_ms);
        let waits = [own.wait(OF_A_CLIENT, now_ms), network.wrong.wait(OF_A_NETWORK, now_ms)];
        let quiet = network.last_wrong.is_none_or(|at| now_ms.saturating_sub(at) >= DAY_MS);
        let of_all = all.wait(OF_ALL, now_ms);
        let all_waits = of_all.filter(|_| !quiet);
        if let Some(wait) = waits.into_iter().flatten().chain(all_waits).max() {
            return Err(wait.div_ceil(1_000).max(1));
        }
        own.add(OF_A_CLIENT, now_ms);
        network.wrong.add(OF_A_NETWORK, now_ms);
        if of_all.is_none() {
            all.add(OF_ALL, now_ms);
        }
        let last_wrong = network.last_wrong.replace(now_ms);
        Ok(LookUp { client: of_client, network: of_network, of_all: of_all.is_none(), last_wrong })
    }

    /// The words were right: it doesn't count.
    pub(super) fn was_right(&self, look_up: LookUp) {
        let mut state = self.state();
        let State { clients, networks, all } = &mut *state;
        if let Some(own) = clients.known(look_up.client) {
            own.give_back(OF_A_CLIENT);
        }
        if let Some(network) = networks.known(look_up.network) {
            network.wrong.give_back(OF_A_NETWORK);
            network.last_wrong = look_up.last_wrong;
        }
        if look_up.of_all {
            all.give_back(OF_ALL);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(a: u8, b: u8, c: u8) -> Client {
        Client::of([9, a, b, c].into())
    }

    #[test]
    fn right_words_never_count() {
        let guesses = Guesses::new();
        for _ in 0..1_000 {
            let look_up = guesses.begin_at(client(1, 1, 1), 0).unwrap();
            guesses.was_right(look_up);
        }
        for _ in 0..6 {
            guesses.begin_at(client(1, 1, 1), 0).unwrap();
        }
        assert_eq!(guesses.begin_at(client(1, 1, 1), 0).unwrap_err(), 10);
        assert!(guesses.begin_at(client(1, 1, 2), 0).is_ok());
        assert!(guesses.begin_at(client(1, 1, 1), 10_000).is_ok());
    }

    #[test]
    fn who_knows_the_words_gets_in_while_a_dozen_networks_guess() {
        let guesses = Guesses::new();
        let mut wrong = 0;
        for network in 0..30 {
            for host in 0..20 {
                wrong += u32::from(guesses.begin_at(client(2, network, host), 0).is_ok());
            }
        }
        // Of everybody together, and one of each network that came when they were used up.
        assert_eq!(wrong, 240 + 18);
        let look_up = guesses.begin_at(client(3, 0, 0), 0).unwrap();
        guesses.was_right(look_up);
        let look_up = guesses.begin_at(client(3, 0, 0), 0).unwrap();
        guesses.was_right(look_up);
        // One that was wrong today waits with the others.
        guesses.begin_at(client(3, 0, 0), 0).unwrap();
        assert!(guesses.begin_at(client(3, 0, 1), 0).is_err());
    }
}
