//! What the node in memory says it owns: nothing, unless a test says what.

use std::collections::HashMap;

use bitcoin::Txid;

use super::Sim;
use crate::lightning::{Holdings, NodeEvent, Spent};

/// What a test told it to say.
#[derive(Default)]
pub(super) struct Told {
    holdings: Option<Holdings>,
    inputs: HashMap<Txid, Vec<Spent>>,
}

impl Sim {
    /// From now on it says that it owns this.
    pub fn tell_holdings(&self, holdings: Holdings) {
        self.state().told.holdings = Some(holdings);
    }

    /// A transaction of its wallet spends this.
    pub fn tell_inputs(&self, txid: Txid, inputs: Vec<Spent>) {
        self.state().told.inputs.insert(txid, inputs);
    }

    /// A payment of others went through it.
    pub fn forward(&self, event: NodeEvent) {
        self.state().events.push_back(event);
    }

    pub(super) fn told_holdings(&self) -> Result<Holdings, String> {
        self.state().told.holdings.clone().ok_or_else(|| "the simulated node does not say".into())
    }

    pub(super) fn told_inputs(&self, txid: Txid) -> Option<Vec<Spent>> {
        self.state().told.inputs.get(&txid).cloned()
    }
}
