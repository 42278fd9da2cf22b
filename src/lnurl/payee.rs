//! Whom gifts and tips are paid out to: an invoice, or an address that gives one for the exact amount.
//!
//! Called by the families that pay vouchers out. It reads what somebody gave with the one reader of targets, and asks
//! addresses. It writes nothing: whoever pays the invoice writes it down first, in the transaction that takes the
//! voucher. A crash between asking and that transaction leaves an invoice that nobody pays.

use std::fmt;
use std::sync::Arc;

use lightning_invoice::Bolt11Invoice;

use super::pay::{NotPayable, check_target};
use crate::lightning::invoice::BadInvoice;
use crate::lightning::target::{self, Target};
use crate::money::Msat;
use crate::vouchers::returns::Resolve;
use crate::webhooks::guard::Guard;

/// Where somebody wants sats to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Payee {
    /// An invoice. Its amount, network and expiry are not looked at.
    Invoice(Box<Bolt11Invoice>),
    /// A lightning address or an LNURL, as it is kept, that this server could ask.
    Address(String),
}

/// Why nothing is paid to what somebody gave. The texts are for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpayable {
    /// It is no invoice that can be paid.
    #[error(transparent)]
    Invoice(#[from] BadInvoice),
    /// It is something to pay to, of a kind that is not paid to from here.
    #[error("{0}")]
    NotTaken(NotPayable),
    /// It is an address that can't be asked, or was meant as one.
    #[error("{0}")]
    Address(NotPayable),
    /// The address was asked and gave no invoice for the amount.
    #[error("the address gives no invoice at the moment: {0}")]
    Refuses(String),
}

/// Reads payees and asks addresses. Cheap to clone.
#[derive(Clone)]
pub struct Payees {
    guard: Guard,
    resolve: Arc<dyn Resolve>,
}

impl fmt::Debug for Payees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payees(..)")
    }
}

impl Payees {
    /// With what says which hosts may be asked, and what asks them.
    pub fn new(guard: Guard, resolve: Arc<dyn Resolve>) -> Self {
        Self { guard, resolve }
    }

    /// Reads what somebody gave. Asks nobody, and looks nothing up.
    ///
    /// # Errors
    /// [`Unpayable`], fit for what it is.
    pub fn read(&self, text: &str) -> Result<Payee, Unpayable> {
        if let Ok(Target::Invoice(invoice)) = target::read(text) {
            return Ok(Payee::Invoice(invoice));
        }
        check_target(&self.guard, text).map(Payee::Address).map_err(|why| match why {
            // Most of what can't be read was meant as an invoice; with an @ in it, as an address.
            NotPayable::Unreadable if !text.contains('@') => Unpayable::Invoice(BadInvoice::Unreadable),
            NotPayable::Offer | NotPayable::Onchain | NotPayable::DnsName => Unpayable::NotTaken(why),
            why => Unpayable::Address(why),
        })
    }

    /// Asks an address for an invoice over exactly `amount`. Each call may get another one.
    ///
    /// # Errors
    /// [`Unpayable::Address`], [`Unpayable::Refuses`].
    pub async fn invoice(&self, address: &str, amount: Msat) -> Result<Bolt11Invoice, Unpayable> {
        check_target(&self.guard, address).map_err(Unpayable::Address)?;
        self.resolve.invoice(address, amount).await.map_err(|error| {
            tracing::info!(%error, "a lightning address gives no invoice");
            Unpayable::Refuses(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::lightning::invoice::tests::invoice;
    use crate::webhooks::guard::GuardSettings;

    struct Nobody;

    impl Resolve for Nobody {
        fn invoice<'a>(&'a self, _: &'a str, _: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
            std::future::ready(Err("away".to_owned())).boxed()
        }
    }

    fn payees() -> Payees {
        Payees::new(Guard::offline(GuardSettings::default()), Arc::new(Nobody))
    }

    #[test]
    fn text_is_called_what_it_is() {
        let payees = payees();
        let bolt11 = invoice(lightning_invoice::Currency::Regtest, Some(1_000), 1_000, 3_600, 1).to_string();
        assert!(matches!(payees.read(&format!("lightning:{bolt11}")), Ok(Payee::Invoice(_))));
        let address = Ok(Payee::Address("me@wallet.example".into()));
        assert_eq!(payees.read(" lightning:Me@Wallet.Example\n"), address);
        let offer = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";
        for (text, why) in [
            ("garbage", Unpayable::Invoice(BadInvoice::Unreadable)),
            ("", Unpayable::Invoice(BadInvoice::Unreadable)),
            (&bolt11[..bolt11.len() - 1], Unpayable::Invoice(BadInvoice::Unreadable)),
            ("me@", Unpayable::Address(NotPayable::Unreadable)),
            ("me@router.local", Unpayable::Address(NotPayable::LocalName)),
            ("me@10.0.0.1", Unpayable::Address(NotPayable::PrivateAddress)),
            (offer, Unpayable::NotTaken(NotPayable::Offer)),
            ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Unpayable::NotTaken(NotPayable::Onchain)),
            ("₿me@wallet.example", Unpayable::NotTaken(NotPayable::DnsName)),
        ] {
            assert_eq!(payees.read(text), Err(why), "{text}");
        }
    }
}
