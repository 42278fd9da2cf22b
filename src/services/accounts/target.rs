//! Where a withdrawal goes: what people paste is read, and a name is asked what it stands for.
//!
//! An invoice, an offer, an address, a `bitcoin:` URI of these, or a name `bob@example.com`. A name is looked for in
//! the DNS first (BIP 353), then asked as a lightning address; one with a port, which no DNS name has, is a lightning
//! address alone, and one that begins with ₿ is only looked for in the DNS. Hosts that a stranger named are asked
//! behind the address guard.

use bitcoin::Address;
use bitcoin_payment_instructions::hrn_resolution::DummyHrnResolver;
use bitcoin_payment_instructions::{
    ParseError, PaymentInstructions, PaymentMethod, PossiblyResolvedPaymentMethod, amount::Amount,
};
use lightning::offers::offer::Offer;
use lightning_invoice::Bolt11Invoice;
use url::Url;

use super::{AccountError, Accounts};
use crate::core::money::Msat;
use crate::lightning::bolt12::{self, BadOffer};
use crate::lightning::target::{self, LightningAddress, Target as Given, Unreadable};
use crate::outbound::lnurl::pay::{self, PayError, PayRequest};

/// Longer than any invoice that is looked at.
pub(super) const TARGET_LEN: usize = 8_192;

/// Where a withdrawal goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// To an invoice, which may leave the amount to us.
    Invoice(Box<Bolt11Invoice>),
    /// To an offer.
    Offer(Box<Offer>),
    /// To an address.
    Address(Address),
    /// To whatever invoice a lightning address gives for the amount.
    Pay(PayRequest),
}

/// What is paid, and how much.
#[derive(Clone, Debug)]
pub enum Payable {
    /// An invoice.
    Invoice(Box<Bolt11Invoice>, Msat),
    /// An offer.
    Offer(Box<Offer>, Msat),
    /// An address.
    Address(Address, Msat),
}

/// A target, and the amount that it asks for, if it does.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) target: Target,
    pub(super) amount: Option<Msat>,
}

impl Accounts {
    /// Reads a target.
    pub(super) async fn read_target(&self, text: &str) -> Result<Asked, AccountError> {
        match target::read(text) {
            Ok(Given::Address(address)) => self.ask_name(&address, false).await,
            Ok(Given::DnsName(address)) => self.ask_name(&address, true).await,
            Ok(Given::Lnurl(url)) => self.ask_lnurl(&url).await,
            Ok(Given::Invoice(invoice)) if !is_uri(text) => Ok(of_invoice(*invoice)),
            // Of a URI also the amount counts, and whether its parts agree.
            Ok(Given::Invoice(_) | Given::Offer(_) | Given::Onchain(_)) | Err(Unreadable) => {
                self.read_instructions(&instructions(text)).await
            }
        }
    }

    async fn ask_name(&self, address: &LightningAddress, dns_alone: bool) -> Result<Asked, AccountError> {
        if let Some(dns) = &self.0.parts.dns
            && let Some(found) = dns.instructions(address).await.map_err(unusable)?
        {
            return self.read_instructions(&found).await;
        }
        if dns_alone {
            return Err(unusable("there is no such name that DNSSEC proves"));
        }
        self.ask_lnurl(&address.url().map_err(unusable)?).await
    }

    async fn ask_lnurl(&self, url: &Url) -> Result<Asked, AccountError> {
        let addresses = &self.0.parts.addresses;
        if let Err(why) = pay::check_url(addresses.client.guard(), url) {
            return Err(unusable(why));
        }
        let request = addresses.pay_request_at(url).await.map_err(|error| refused(&error))?;
        Ok(Asked { target: Target::Pay(request), amount: None })
    }

    /// What the operator would pay for a target and an amount; the amount may be the target's own.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] for what can't be paid, [`AccountError::Conflict`] for who can't be asked.
    pub async fn payable(&self, text: &str, amount: Option<Msat>) -> Result<Payable, AccountError> {
        let Asked { target, amount: asked } = self.read_target(text).await?;
        let amount = match (amount, asked) {
            (Some(wanted), Some(asked)) if wanted != asked => {
                let message =
                    format!("The target asks for exactly {asked}; leave the amount out, or give the same");
                return Err(AccountError::invalid("AMOUNT_MISMATCH", message));
            }
            (wanted, asked) => wanted.or(asked).ok_or_else(|| {
                AccountError::invalid("INVALID_AMOUNT", "The target leaves the amount to you; give one")
            })?,
        };
        Ok(match target {
            Target::Invoice(invoice) => Payable::Invoice(invoice, amount),
            Target::Offer(offer) => Payable::Offer(offer, amount),
            Target::Address(address) => Payable::Address(address, amount),
            Target::Pay(request) => {
                Payable::Invoice(Box::new(self.invoice_for(&request, amount).await?), amount)
            }
        })
    }

    /// An invoice of a lightning address for this amount.
    pub(super) async fn invoice_for(
        &self,
        request: &PayRequest,
        amount: Msat,
    ) -> Result<Bolt11Invoice, AccountError> {
        self.0.parts.addresses.invoice_of(request, amount).await.map_err(|error| refused(&error))
    }

    async fn read_instructions(&self, text: &str) -> Result<Asked, AccountError> {
        let network = self.rules().network;
        let read = PaymentInstructions::parse(text, network, &DummyHrnResolver, false).await;
        let asked = match read.map_err(|error| unreadable(&error))? {
            PaymentInstructions::FixedAmount(fixed) => {
                choose(fixed.methods().iter()).map(|target| (target, fixed.onchain_payment_amount()))
            }
            PaymentInstructions::ConfigurableAmount(open) => {
                let methods = open.methods().filter_map(|method| match method {
                    PossiblyResolvedPaymentMethod::Resolved(method) => Some(method),
                    PossiblyResolvedPaymentMethod::LNURLPay { .. } => None,
                });
                choose(methods).map(|target| (target, None))
            }
        };
        let (target, onchain) = asked.ok_or_else(|| unusable("none of its ways to be paid is known here"))?;
        match target {
            Target::Invoice(invoice) => Ok(of_invoice(*invoice)),
            Target::Offer(offer) => of_offer(offer),
            Target::Address(_) => Ok(Asked { target, amount: onchain.and_then(msat) }),
            Target::Pay(_) => Ok(Asked { target, amount: None }),
        }
    }
}

/// Whether a text is a `bitcoin:` URI.
fn is_uri(text: &str) -> bool {
    let text = target::clean(text);
    text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("bitcoin:"))
}

/// The text as [`PaymentInstructions`] takes it. Users paste with blanks and line breaks in it; where they would mean
/// something, a checksum says that they don't belong there.
fn instructions(text: &str) -> String {
    let text = target::clean(text);
    if is_uri(&text) { text } else { text.split_whitespace().collect() }
}

/// Of several ways to be paid the one that costs least: an invoice, an offer, an address.
fn choose<'a>(methods: impl Iterator<Item = &'a PaymentMethod>) -> Option<Target> {
    let rank = |target: &Target| match target {
        Target::Invoice(_) | Target::Pay(_) => 0,
        Target::Offer(_) => 1,
        Target::Address(_) => 2,
    };
    let known = methods.filter_map(|method| match method {
        PaymentMethod::LightningBolt11(invoice) => Some(Target::Invoice(Box::new(invoice.clone()))),
        PaymentMethod::LightningBolt12(offer) => Some(Target::Offer(Box::new(offer.clone()))),
        PaymentMethod::OnChain(address) => Some(Target::Address(address.clone())),
        PaymentMethod::Bark(_) | PaymentMethod::Cashu(_) => None,
    });
    known.min_by_key(rank)
}

fn of_invoice(invoice: Bolt11Invoice) -> Asked {
    let amount = invoice.amount_milli_satoshis().and_then(Msat::new);
    Asked { target: Target::Invoice(Box::new(invoice)), amount }
}

fn of_offer(offer: Box<Offer>) -> Result<Asked, AccountError> {
    let amount = bolt12::asks(&offer).map_err(|why| {
        unusable(match why {
            BadOffer::Quantity => "the offer asks for a quantity",
            BadOffer::Currency => "the offer is in another currency",
            _ => "the offer's amount is too large",
        })
    })?;
    Ok(Asked { target: Target::Offer(offer), amount })
}

fn msat(amount: Amount) -> Option<Msat> {
    Msat::new(amount.milli_sats())
}

/// 400: the target can't be used; why, in words.
pub(super) fn unusable(why: impl std::fmt::Display) -> AccountError {
    AccountError::invalid("INVALID_TARGET", format!("target can't be paid: {why}"))
}

fn unreadable(error: &ParseError) -> AccountError {
    unusable(match error {
        ParseError::WrongNetwork => "it is of another network",
        ParseError::InstructionsExpired => "it has expired; make a new one",
        ParseError::InvalidBolt12(_) => "it is not a valid BOLT12 offer",
        ParseError::InvalidOnChain(_) => "it is not a valid address",
        _ => {
            "it must be a BOLT11 invoice, a BOLT12 offer, a lightning address, a BIP353 name or a bitcoin address"
        }
    })
}

fn refused(error: &PayError) -> AccountError {
    match error {
        PayError::Amount => {
            AccountError::invalid("INVALID_AMOUNT", "The lightning address does not take this amount")
        }
        other => AccountError::conflict("TARGET_UNREACHABLE", format!("The target gave no invoice: {other}")),
    }
}
