//! The async face of a node: each call runs on a thread that may wait.

use std::ops::Deref;
use std::sync::Arc;

use bitcoin::hashes::Hash;
use lightning_invoice::Bolt11Invoice;
use tokio::runtime::Handle;

use super::{InvoiceError, InvoiceRequest, Lightning, Operator, OperatorError};
use crate::core::ids::PaymentHash;

/// A node as async code sees it. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    lightning: Arc<dyn Lightning>,
    operator: Arc<dyn Operator>,
    runtime: Handle,
}

impl Node {
    /// Wraps a node. `runtime` lends its blocking threads: the node's own, so that a busy HTTP server
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
        Ok(self.draft_invoice(request).await?.keep())
    }

    /// The same, for an invoice that may turn out not to be needed.
    ///
    /// # Errors
    /// As there.
    pub async fn draft_invoice(&self, request: InvoiceRequest) -> Result<Draft, InvoiceError> {
        let (lightning, runtime) = (Arc::clone(&self.lightning), self.runtime.clone());
        // Made a draft there and then: whoever asked may have gone.
        let created = self.runtime.spawn_blocking(move || match lightning.create_invoice(&request) {
            Ok(invoice) => Ok(Draft { invoice, node: Some((lightning, runtime)) }),
            Err(InvoiceError::Refused(_)) if !lightning.is_running() => Err(InvoiceError::NotRunning),
            Err(error) => Err(error),
        });
        created.await.unwrap_or_else(|error| Err(InvoiceError::Refused(error.to_string())))
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

/// An invoice that nobody has seen. Unless it is [kept](Draft::keep), the node forgets it as soon as this is dropped.
pub struct Draft {
    invoice: Bolt11Invoice,
    node: Option<(Arc<dyn Lightning>, Handle)>,
}

impl Draft {
    /// It is needed: the node must know it. To be called at the end of the transaction that writes it down.
    pub fn keep(mut self) -> Bolt11Invoice {
        self.node = None;
        self.invoice.clone()
    }
}

impl Deref for Draft {
    type Target = Bolt11Invoice;

    fn deref(&self) -> &Bolt11Invoice {
        &self.invoice
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some((lightning, runtime)) = self.node.take() else { return };
        let hash = PaymentHash(self.invoice.payment_hash().to_byte_array());
        runtime.spawn_blocking(move || {
            if let Err(error) = lightning.forget(hash) {
                tracing::debug!(%hash, %error, "the node could not forget an invoice that nobody needs");
            }
        });
    }
}
