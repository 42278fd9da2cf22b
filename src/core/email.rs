//! Addresses that letters go to: what strangers type, checked and brought into one form.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// RFC 5321: a path without its angle brackets.
const MOST: usize = 254;

/// RFC 5321: what stands before the `@`.
const MOST_LOCAL: usize = 64;

/// Somebody's mailbox: `name@host.example` in lower case. It never prints.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

/// It is no address that we write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct BadAddress;

impl Address {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for all addresses that are likely one mailbox: without a `+tag`, without dots before the `@`.
    /// For counting, never for writing to.
    pub fn mailbox(&self) -> String {
        let (local, host) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let name = local.split('+').next().unwrap_or(local).replace('.', "");
        format!("{name}@{host}")
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    /// Takes the common form alone: no quotes, comments, address literals or letters beyond ASCII.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim().to_ascii_lowercase();
        let (local, host) = text.split_once('@').ok_or(BadAddress)?;
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let name_fits = local.len() <= MOST_LOCAL
            && local.split('.').all(|part| !part.is_empty() && part.bytes().all(in_name));
        let mut labels = host.split('.');
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let top_fits =
            host.rsplit('.').next().is_some_and(|top| top.bytes().any(|byte| byte.is_ascii_alphabetic()));
        let host_fits = host.contains('.') && top_fits && labels.all(label_fits);
        if text.len() <= MOST && name_fits && host_fits { Ok(Self(text)) } else { Err(BadAddress) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

impl ToSql for Address {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())))
    }
}

impl FromSql for Address {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_what_people_type() {
        let address: Address = " Ada.Lovelace+tips@Mail.Example ".parse().unwrap();
        assert_eq!(address.as_str(), "ada.lovelace+tips@mail.example");
        assert_eq!(address.mailbox(), "adalovelace@mail.example");
        assert_eq!(format!("{address:?}"), "Address(..)");
        assert_eq!("o'brien@x-y.example".parse::<Address>().unwrap().as_str(), "o'brien@x-y.example");
    }

    #[test]
    fn what_could_be_more_than_an_address_is_none() {
        let long = format!("{}@mail.example", "a".repeat(65));
        let wide = format!("a@{}.example", "b".repeat(64));
        for bad in [
            "",
            "ada",
            "ada@",
            "@mail.example",
            "ada@mail",
            "a@b@c.example",
            "ada@mail..example",
            "a..b@c.example",
            ".a@b.example",
            "a b@c.example",
            "a@b.example\r\nBcc: x@y.example",
            "a@b.example,c@d.example",
            "<a@b.example>",
            "\"a b\"@c.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "ü@b.example",
            "a@-b.example",
            &long,
            &wide,
        ] {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress), "{bad:?}");
        }
    }
}
