//! Names of BIP 353: `bob@example.com` is a TXT record at `bob.user._bitcoin-payment.example.com`, proven by DNSSEC.
//!
//! What a server says is believed only with the signatures that lead from the root of the DNS to the record: they are
//! fetched one by one and checked here, so the servers can withhold an answer, but not make one up. The servers are
//! the operator's choice, so the address guard has no say about them; what a name leads to is payment instructions,
//! never an address to connect to.
//!
//! On regtest, where the operator has set `withdrawals.dns_unsigned`, the first server's bare answer is believed. That
//! is for tests alone: names signed from the root on can't be made for one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bitcoin_payment_instructions::hrn_resolution::HumanReadableName;
use dnssec_prover::query::{ProofBuilder, QueryBuf};
use dnssec_prover::rr::{Name, RR, TXT_TYPE};
use dnssec_prover::ser::parse_rr_stream;
use dnssec_prover::validation::verify_rr_stream;
use reqwest::redirect::Policy;
use url::Url;

use crate::core::time::Clock;
use crate::lightning::target::LightningAddress;
use crate::outbound::fetch::read_body;

/// Bytes of an answer: the length of a DNS message has two bytes.
const LARGEST_ANSWER: usize = 65_535;

/// How long the whole of a name's proof may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Questions for one name; a proof needs about three for each label.
const MOST_QUESTIONS: usize = 40;

/// What every payment instruction of BIP 353 begins with.
const SCHEME: &str = "bitcoin:";

/// Asks for names.
#[derive(Clone, Debug)]
pub struct Dns {
    client: reqwest::Client,
    servers: Vec<Url>,
    unsigned: bool,
    clock: Clock,
}

/// Why a name gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoName {
    /// There is no such name, or nothing that proves it.
    #[error("there is no such name that DNSSEC proves")]
    Absent,
    /// The name exists, and what it says must not be used.
    #[error("{0}")]
    Bad(&'static str),
}

impl Dns {
    /// Asks these servers, in this order; `None` without any.
    ///
    /// # Errors
    /// A text: the HTTP client can't be set up, or an address can't be read.
    pub fn new(servers: &[String], unsigned: bool, clock: Clock) -> Result<Option<Self>, String> {
        if servers.is_empty() {
            return Ok(None);
        }
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .timeout(PATIENCE)
            .build()
            .map_err(|error| error.to_string())?;
        let parse = |text: &String| Url::parse(text).map_err(|error| format!("{text}: {error}"));
        let servers = servers.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Some(Self { client, servers, unsigned, clock }))
    }

    /// The payment instructions of a name, a `bitcoin:` URI, if the DNS has it.
    ///
    /// # Errors
    /// Why what the DNS says must not be used.
    pub(crate) async fn instructions(
        &self,
        address: &LightningAddress,
    ) -> Result<Option<String>, &'static str> {
        // One with a port is no name of the DNS.
        let Ok(name) = HumanReadableName::from_encoded(&address.to_string()) else { return Ok(None) };
        match self.look_up(name.user(), name.domain()).await {
            Ok(found) => Ok(Some(found)),
            Err(NoName::Absent) => Ok(None),
            Err(NoName::Bad(why)) => Err(why),
        }
    }

    async fn look_up(&self, user: &str, domain: &str) -> Result<String, NoName> {
        let name = Name::try_from(format!("{user}.user._bitcoin-payment.{domain}."));
        let name = name.map_err(|()| NoName::Absent)?;
        let asked = tokio::time::timeout(PATIENCE, async {
            if self.unsigned { self.unproven(&name).await } else { self.proven(&name).await }
        });
        only_one(asked.await.unwrap_or(Err(NoName::Absent))?)
    }

    /// The texts of a name, each proven from the root on.
    async fn proven(&self, name: &Name) -> Result<Vec<Vec<u8>>, NoName> {
        let (mut builder, first) = ProofBuilder::new(name, TXT_TYPE);
        let mut questions = vec![first];
        let mut asked = 0_usize;
        while let Some(question) = questions.pop() {
            asked = asked.saturating_add(1);
            if asked > MOST_QUESTIONS {
                return Err(NoName::Absent);
            }
            let answer = self.ask(&question).await.ok_or(NoName::Absent)?;
            let mut read = QueryBuf::new_zeroed(0);
            read.extend_from_slice(&answer);
            questions.extend(builder.process_response(&read).map_err(|_| NoName::Absent)?);
        }
        let (proof, _) = builder.finish_proof().map_err(|()| NoName::Absent)?;
        let now = u64::try_from(self.clock.now() / 1_000).unwrap_or(0);
        texts_of(name, &proof, now)
    }

    async fn unproven(&self, name: &Name) -> Result<Vec<Vec<u8>>, NoName> {
        let (_, question) = ProofBuilder::new(name, TXT_TYPE);
        let answer = self.ask(&question).await.ok_or(NoName::Absent)?;
        Ok(plain_texts(&answer).unwrap_or_default())
    }

    /// The first server's answer that is one.
    async fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        let text = URL_SAFE_NO_PAD.encode(question);
        for server in &self.servers {
            let mut url = server.clone();
            url.query_pairs_mut().append_pair("dns", &text);
            let asked = self.client.get(url).header("accept", "application/dns-message").send().await;
            let Ok(answer) = asked else { continue };
            if !answer.status().is_success() {
                continue;
            }
            if let Ok(body) = read_body(answer, LARGEST_ANSWER).await {
                return Some(body);
            }
        }
        None
    }
}

/// The texts that a proof proves of a name at this time, in unix seconds.
pub(crate) fn texts_of(name: &Name, proof: &[u8], now: u64) -> Result<Vec<Vec<u8>>, NoName> {
    let records = parse_rr_stream(proof).map_err(|()| NoName::Absent)?;
    let verified = verify_rr_stream(&records).map_err(|_| NoName::Absent)?;
    if now < verified.valid_from || now > verified.expires {
        return Err(NoName::Bad("the signatures of the name are not valid at this time"));
    }
    let texts = verified.resolve_name(name).into_iter().filter_map(|record| match record {
        RR::Txt(text) => Some(text.data.as_vec()),
        _ => None,
    });
    Ok(texts.collect())
}

/// Of the texts of a name the one that is payment instructions.
pub(crate) fn only_one(texts: Vec<Vec<u8>>) -> Result<String, NoName> {
    let ours = |text: &Vec<u8>| {
        text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME.as_bytes()))
    };
    let mut found = texts.into_iter().filter(ours);
    let text = found.next().ok_or(NoName::Absent)?;
    if found.next().is_some() {
        return Err(NoName::Bad("the name has more than one payment instruction, which BIP 353 forbids"));
    }
    String::from_utf8(text).map_err(|_| NoName::Bad("the name's payment instruction can't be read"))
}

/// The TXT records of a DNS answer (RFC 1035), unproven.
pub(crate) fn plain_texts(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = message.get(12..)?;
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    for _ in 0..number(4)? {
        rest = skip_name(rest)?.get(4..)?;
    }
    let mut texts = Vec::new();
    for _ in 0..number(6)? {
        rest = skip_name(rest)?;
        let (head, tail) = (rest.get(..10)?, rest.get(10..)?);
        let kind = u16::from_be_bytes([*head.first()?, *head.get(1)?]);
        let length = usize::from(u16::from_be_bytes([*head.get(8)?, *head.get(9)?]));
        let (mut data, after) = (tail.get(..length)?, tail.get(length..)?);
        let mut text = Vec::new();
        while let Some((length, more)) = data.split_first().filter(|_| kind == TXT_TYPE) {
            text.extend_from_slice(more.get(..usize::from(*length))?);
            data = more.get(usize::from(*length)..)?;
        }
        if kind == TXT_TYPE {
            texts.push(text);
        }
        rest = after;
    }
    Some(texts)
}

fn skip_name(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, more) = rest.split_first()?;
        match *length {
            0 => return Some(more),
            // The rest of the name stands elsewhere: another byte says where.
            0xc0.. => return more.get(1..),
            length => rest = more.get(usize::from(length)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as servers give it: the question, then texts under a name that points at the question's.
    fn answer(texts: &[&[&str]]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x81, 0x80, 0, 1, 0, u8::try_from(texts.len()).unwrap(), 0, 0, 0, 0];
        message.extend_from_slice(b"\x03bob\x07example\x03com\x00\x00\x10\x00\x01");
        for parts in texts {
            let data: Vec<u8> = parts
                .iter()
                .flat_map(|part| [vec![u8::try_from(part.len()).unwrap()], part.as_bytes().to_vec()].concat())
                .collect();
            message.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(data);
        }
        message
    }

    #[test]
    fn the_one_payment_instruction_is_found() {
        let read = |texts: &[&[&str]]| only_one(plain_texts(&answer(texts)).unwrap());
        assert_eq!(read(&[&["v=spf1"], &["BITCOIN:?lno=", "abc"]]).unwrap(), "BITCOIN:?lno=abc");
        assert_eq!(read(&[&["v=spf1"]]), Err(NoName::Absent));
        assert_eq!(read(&[]), Err(NoName::Absent));
        assert!(matches!(read(&[&["bitcoin:a"], &["bitcoin:b"]]), Err(NoName::Bad(_))));
    }

    #[test]
    fn a_torn_answer_is_none() {
        let whole = answer(&[&["bitcoin:abc"]]);
        for length in 0..whole.len() {
            assert_eq!(plain_texts(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_is_not_signed_from_the_root_on_proves_nothing() {
        let name = Name::try_from("bob.user._bitcoin-payment.example.com.".to_owned()).unwrap();
        assert_eq!(texts_of(&name, &[], 1_800_000_000), Err(NoName::Absent));
        assert_eq!(texts_of(&name, &answer(&[&["bitcoin:abc"]]), 1_800_000_000), Err(NoName::Absent));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = plain_texts(&bytes);
        }
    }
}
