//! How far the process is, for `/health/live`, `/health/ready`, and every module that must wait for it.
//!
//! `app` moves it along; everybody else only reads. It knows nothing of HTTP: an [`Answer`] says what to
//! tell and whether that is good news.

use std::fmt;

use serde::Serialize;
use tokio::sync::watch;

/// How far the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The HTTP server answers, the node isn't running yet, because of this.
    Starting(String),
    /// The node runs; what was under way when it stopped is being settled. No new redemptions yet.
    Recovering(String),
    /// Everything works.
    Ready,
    /// On the way out.
    Stopping,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting(_) => "starting",
            Self::Recovering(_) => "recovering",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        })
    }
}

/// What to tell whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether the question is answered with yes: 200, else 503.
    #[serde(skip)]
    pub yes: bool,
    /// The phase.
    pub status: String,
    /// Why it isn't ready, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The state itself. Cheap to clone; all clones are the same one.
#[derive(Clone, Debug)]
pub struct Health {
    phase: watch::Sender<Phase>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Just started.
    pub fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Starting("the process has just started".into())) }
    }

    /// Moves on and says so in the log. Once stopping, it stays so.
    pub fn set(&self, next: Phase) {
        let changed = self.phase.send_if_modified(|phase| {
            let moves = *phase != next && *phase != Phase::Stopping;
            if moves {
                phase.clone_from(&next);
            }
            moves
        });
        if changed {
            metrics::gauge!(super::metrics::READY).set(super::metrics::flag(next == Phase::Ready));
            match &next {
                Phase::Starting(reason) | Phase::Recovering(reason) => {
                    tracing::info!(phase = %next, %reason, "health")
                }
                Phase::Ready | Phase::Stopping => tracing::info!(phase = %next, "health"),
            }
        }
    }

    /// How far it is now.
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Whether everything works.
    pub fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready
    }

    /// Waits until everything works; `false` if the process stops before.
    pub async fn until_ready(&self) -> bool {
        let mut changes = self.phase.subscribe();
        let reached = changes.wait_for(|phase| matches!(phase, Phase::Ready | Phase::Stopping)).await;
        reached.is_ok_and(|phase| *phase == Phase::Ready)
    }

    /// Whether the process should be left alone: yes whenever it can answer at all. What can't recover by
    /// itself ends the process (see [`super::Watchdog`]).
    pub fn live(&self) -> Answer {
        Answer { yes: true, ..self.answer() }
    }

    /// Whether it should be given work.
    pub fn ready(&self) -> Answer {
        self.answer()
    }

    fn answer(&self) -> Answer {
        let phase = self.phase();
        let status = phase.to_string();
        match phase {
            Phase::Ready => Answer { yes: true, status, reason: None },
            Phase::Stopping => {
                Answer { yes: false, status, reason: Some("the process is being stopped".into()) }
            }
            Phase::Starting(reason) | Phase::Recovering(reason) => {
                Answer { yes: false, status, reason: Some(reason) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_is_ready_and_all_is_live() {
        let health = Health::new();
        let phases = [
            (Phase::Starting("fee rates".into()), false),
            (Phase::Recovering("2 payouts".into()), false),
            (Phase::Ready, true),
            (Phase::Stopping, false),
            (Phase::Ready, false),
        ];
        for (phase, ready) in phases {
            health.set(phase.clone());
            assert_eq!((health.ready().yes, health.is_ready()), (ready, ready), "{phase}");
            assert!(health.live().yes);
        }
    }

    #[test]
    fn the_answer_says_why_not() {
        let health = Health::new();
        health.set(Phase::Starting("the chain source does not answer".into()));
        assert_eq!(
            serde_json::to_string(&health.ready()).unwrap(),
            r#"{"status":"starting","reason":"the chain source does not answer"}"#
        );
        health.set(Phase::Ready);
        assert_eq!(serde_json::to_string(&health.ready()).unwrap(), r#"{"status":"ready"}"#);
    }

    #[tokio::test]
    async fn one_can_wait_for_it() {
        let health = Health::new();
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.until_ready().await }
        });
        health.set(Phase::Recovering("almost".into()));
        health.set(Phase::Ready);
        assert!(waiting.await.unwrap());
        let stopped = Health::new();
        stopped.set(Phase::Stopping);
        assert!(!stopped.until_ready().await);
    }
}
