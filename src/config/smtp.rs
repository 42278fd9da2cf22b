//! The mail server that takes our letters.

use lettre::Address;
use serde::{Deserialize, Serialize};

use super::fields;
use crate::core::ids::Secret;

/// `[smtp]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// The server that takes our letters. Empty: none are sent, and nothing that needs one is offered.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Who we are to it. Empty: it doesn't ask.
    pub user: String,
    /// And how we show that.
    #[serde(with = "fields::secret")]
    pub password: Secret,
    /// What letters say they are from.
    pub from: String,
    /// Letters an hour to all addresses together that strangers can cause.
    pub max_per_hour: u32,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            security: SmtpSecurity::Starttls,
            user: String::new(),
            password: Secret::default(),
            from: String::new(),
            max_per_hour: 600,
        }
    }
}

impl Smtp {
    /// Whom letters are from: the name, which may be empty, and the address. `None` if [`Smtp::from`] is neither
    /// `name@host` nor `Name <name@host>`, all in ASCII.
    pub fn sender(&self) -> Option<(&str, Address)> {
        let whole = self.from.trim();
        let (name, address) = match whole.strip_suffix('>') {
            Some(rest) => rest.split_once('<')?,
            None => ("", whole),
        };
        let name = name.trim().trim_matches('"');
        let in_name = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\<>".contains(&byte);
        let address =
            address.parse::<Address>().ok().filter(|address| AsRef::<str>::as_ref(address).is_ascii())?;
        name.bytes().all(in_name).then_some((name, address))
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// It begins in the open and must become TLS before anything is said.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

impl SmtpSecurity {
    /// The port that is usual for it.
    pub(super) const fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}
