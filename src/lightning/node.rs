//! The async face of a node: each call runs on a thread that may wait.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{InvoiceError, InvoiceRequest, Lightning, Operator, OperatorError};
use lightning_invoice::Bolt11Invoice;

/// A node as async code sees it. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    lightning: Arc<dyn Lightning>,
    operator: Arc<dyn Operator>,
    runtime: Handle,
}

impl Node {
    /// Wraps a node. `runtime` lends its blocking threads: the node's own, so that a busy front door
    /// doesn't hold up payments.
    pub fn new<N: Lightning + Operator>(node: Arc<N>, runtime: Handle) -> Self {
        Self { lightning: Arc::<N>::clone(&node), operator: node, runtime }
    }

    /// The part that moves money, for threads that may block.
    pub fn lightning(&self) -> &Arc<dyn Lightning> {
        &self.lightning
    }

    /// The operator's part, for threads that may block.
    pub fn operator(&self) -> &Arc<dyn Operator> {
        &self.operator
    }

    /// [`Lightning::create_invoice`].
    ///
    /// # Errors
    /// As there.
    pub async fn create_invoice(&self, request: InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        let lightning = Arc::clone(&self.lightning);
        let created = self.runtime.spawn_blocking(move || lightning.create_invoice(&request)).await;
        created.unwrap_or_else(|error| Err(InvoiceError::Refused(error.to_string())))
    }

    /// Any question to the money side.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] if the call died.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Lightning) -> T + Send + 'static,
    ) -> Result<T, OperatorError> {
        let lightning = Arc::clone(&self.lightning);
        let answer = self.runtime.spawn_blocking(move || question(&*lightning)).await;
        answer.map_err(|error| OperatorError::Refused(error.to_string()))
    }

    /// Any call to the operator's side.
    ///
    /// # Errors
    /// The call's own; [`OperatorError::Refused`] if it died.
    pub async fn operate<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Operator) -> Result<T, OperatorError> + Send + 'static,
    ) -> Result<T, OperatorError> {
        let operator = Arc::clone(&self.operator);
        let answer = self.runtime.spawn_blocking(move || call(&*operator)).await;
        answer.unwrap_or_else(|error| Err(OperatorError::Refused(error.to_string())))
    }
}
