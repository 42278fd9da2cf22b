//! Whom gifts and tips are paid out to: an invoice, an offer, or an address or name that gives one of these.
//!
//! Called by the families that pay vouchers out. It reads what somebody gave with the one reader of targets, and asks
//! addresses and the DNS. It writes nothing: whoever pays writes down first what is paid, in the transaction that takes
//! the voucher. A crash between asking and that transaction leaves an invoice that nobody pays.

use std::fmt;
use std::sync::Arc;

use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;

use super::dns::Dns;
use super::pay::{NotPayable, check_target};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::lightning::bolt12::{self, BadOffer, PayableOffer};
use crate::lightning::invoice::BadInvoice;
use crate::lightning::target::{self, Target};
use crate::outbound::guard::Guard;
use crate::vouchers::returns::Resolve;

/// Where somebody wants sats to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Payee {
    /// An invoice. Its amount, network and expiry are not looked at.
    Invoice(Box<Bolt11Invoice>),
    /// An offer that can be paid. Its amount is not looked at.
    Offer(Box<PayableOffer>),
    /// A lightning address, an LNURL or a name of BIP 353, as it is kept, that this server could ask.
    Address(String),
}

/// What sats are paid to, once addresses and names have been asked.
#[derive(Clone, Debug, PartialEq)]
pub enum PayTo {
    /// An invoice. Where an address gave it, it is over the amount that was asked for.
    Invoice(Box<Bolt11Invoice>),
    /// An offer that can be paid. Its amount is not looked at.
    Offer(Box<PayableOffer>),
}

/// Why nothing is paid to what somebody gave. The texts are for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpayable {
    /// It is no invoice that can be paid.
    #[error(transparent)]
    Invoice(#[from] BadInvoice),
    /// It is no offer that can be paid.
    #[error(transparent)]
    Offer(#[from] BadOffer),
    /// It is something to pay to, of a kind that is not paid to from here.
    #[error("{0}")]
    NotTaken(NotPayable),
    /// It is an address or name that can't be asked, that says nothing, or was meant as one.
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
    dns: Option<Dns>,
    network: Network,
    clock: Clock,
}

impl fmt::Debug for Payees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payees(..)")
    }
}

impl Payees {
    /// With what says which hosts may be asked, and what asks them; and what asks for names, if anything does.
    pub fn new(
        guard: Guard,
        resolve: Arc<dyn Resolve>,
        dns: Option<Dns>,
        network: Network,
        clock: Clock,
    ) -> Self {
        Self { guard, resolve, dns, network, clock }
    }

    /// Reads what somebody gave. Asks nobody, and looks nothing up.
    ///
    /// # Errors
    /// [`Unpayable`], fit for what it is.
    pub fn read(&self, text: &str) -> Result<Payee, Unpayable> {
        match target::read(text) {
            Ok(Target::Invoice(invoice)) => return Ok(Payee::Invoice(invoice)),
            Ok(Target::Offer(offer)) => return Ok(Payee::Offer(Box::new(self.offer(&offer)?))),
            Ok(name @ Target::DnsName(_)) if self.dns.is_some() => {
                return Ok(Payee::Address(name.canonical()));
            }
            Err(_) if bolt12::is_meant(text) => return Err(BadOffer::Unreadable.into()),
            Ok(_) | Err(_) => {}
        }
        check_target(&self.guard, text).map(Payee::Address).map_err(|why| match why {
            // Most of what can't be read was meant as an invoice; with an @ in it, as an address.
            NotPayable::Unreadable if !text.contains('@') => Unpayable::Invoice(BadInvoice::Unreadable),
            NotPayable::Onchain | NotPayable::DnsName => Unpayable::NotTaken(why),
            why => Unpayable::Address(why),
        })
    }

    fn offer(&self, text: &str) -> Result<PayableOffer, BadOffer> {
        bolt12::read(text, self.network, self.clock.now())
    }

    /// What an address or a name stands for: `name@host` is looked for in the DNS first (BIP 353), then asked for an
    /// invoice over exactly `amount`.
    ///
    /// # Errors
    /// [`Unpayable`], fit for what was found.
    pub async fn find(&self, address: &str, amount: Msat) -> Result<PayTo, Unpayable> {
        let (name, dns_alone) = match target::read(address) {
            Ok(Target::Address(name)) => (Some(name), false),
            Ok(Target::DnsName(name)) => (Some(name), true),
            Ok(_) | Err(_) => (None, false),
        };
        if let Some(name) = name {
            let found = match &self.dns {
                Some(dns) => dns.instructions(&name).await,
                None => Ok(None),
            };
            match found {
                Ok(Some(found)) => return self.instructed(&found, amount).await,
                Ok(None) if dns_alone => return Err(Unpayable::Address(NotPayable::NoName)),
                Ok(None) => {}
                Err(why) => return Err(Unpayable::Address(NotPayable::Name(why))),
            }
        }
        self.invoice(address, amount).await.map(|invoice| PayTo::Invoice(Box::new(invoice)))
    }

    async fn instructed(&self, instructions: &str, amount: Msat) -> Result<PayTo, Unpayable> {
        match target::read(instructions) {
            Ok(Target::Invoice(invoice)) => Ok(PayTo::Invoice(invoice)),
            Ok(Target::Offer(offer)) => Ok(PayTo::Offer(Box::new(self.offer(&offer)?))),
            Ok(found @ (Target::Address(_) | Target::Lnurl(_))) => {
                let invoice = self.invoice(&found.canonical(), amount).await?;
                Ok(PayTo::Invoice(Box::new(invoice)))
            }
            Ok(Target::Onchain(_)) => Err(Unpayable::Address(NotPayable::NameOfCoins)),
            Ok(Target::DnsName(_)) | Err(_) => Err(Unpayable::Address(NotPayable::NameUnreadable)),
        }
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
    use crate::lightning::bolt12::tests as offers;
    use crate::lightning::invoice::tests::invoice;
    use crate::outbound::guard::GuardSettings;

    struct Nobody;

    impl Resolve for Nobody {
        fn invoice<'a>(&'a self, _: &'a str, _: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
            std::future::ready(Err("away".to_owned())).boxed()
        }
    }

    fn payees() -> Payees {
        let guard = Guard::offline(GuardSettings::default());
        Payees::new(guard, Arc::new(Nobody), None, Network::Regtest, Clock::manual(1_800_000_000_000))
    }

    #[test]
    fn text_is_called_what_it_is() {
        let payees = payees();
        let bolt11 = invoice(lightning_invoice::Currency::Regtest, Some(1_000), 1_000, 3_600, 1).to_string();
        assert!(matches!(payees.read(&format!("lightning:{bolt11}")), Ok(Payee::Invoice(_))));
        let address = Ok(Payee::Address("me@wallet.example".into()));
        assert_eq!(payees.read(" lightning:Me@Wallet.Example\n"), address);
        let offer = offers::offer(1, None);
        assert!(matches!(payees.read(&format!("bitcoin:?lno={offer}")), Ok(Payee::Offer(_))));
        for (text, why) in [
            ("garbage", Unpayable::Invoice(BadInvoice::Unreadable)),
            ("", Unpayable::Invoice(BadInvoice::Unreadable)),
            (&bolt11[..bolt11.len() - 1], Unpayable::Invoice(BadInvoice::Unreadable)),
            ("me@", Unpayable::Address(NotPayable::Unreadable)),
            ("me@router.local", Unpayable::Address(NotPayable::LocalName)),
            ("me@10.0.0.1", Unpayable::Address(NotPayable::PrivateAddress)),
            (&offer[..offer.len() - 1], Unpayable::Offer(BadOffer::Unreadable)),
            ("lno1", Unpayable::Offer(BadOffer::Unreadable)),
            (&offers::of_mainnet(), Unpayable::Offer(BadOffer::OtherNetwork)),
            (&offers::expired(), Unpayable::Offer(BadOffer::Expired)),
            (&offers::with_quantity(), Unpayable::Offer(BadOffer::Quantity)),
            (offers::IN_DOLLARS, Unpayable::Offer(BadOffer::Currency)),
            ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Unpayable::NotTaken(NotPayable::Onchain)),
            ("₿me@wallet.example", Unpayable::NotTaken(NotPayable::DnsName)),
        ] {
            assert_eq!(payees.read(text), Err(why), "{text}");
        }
    }
}
