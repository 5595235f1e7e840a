//! Who a submitted message says it is from (RFC 6409 §6.1): every From and Sender in its header
//! must be somebody the account may be, and there must be no doubt who that is.
//!
//! The header is looked at as it was sent. The parsed envelope would not do: it leaves out what
//! exceeds its budgets, and makes something sensible of what cannot be read.

use crate::reply;
use crate::session::Session;
use base::Address;
use codec_mime::author::{Naming, authors, naming};
use codec_mime::header;
use codec_smtp::Reply;
use contract_directory::Account;

/// What the header says.
#[derive(Debug, Default)]
pub(crate) struct Authorship {
    /// Whether there is a From field.
    pub(crate) has_from: bool,
    /// Everybody in From and Sender, once each.
    named: Vec<Address>,
}

/// Reads a header, or says why nobody can be held to it.
pub(crate) fn read(header: &[u8]) -> Result<Authorship, Reply> {
    let mut found = Authorship::default();
    let mut has_sender = false;
    for field in header::fields(header) {
        let (is_from, naming) = match naming(&field, header, b"From") {
            Naming::Other => (false, naming(&field, header, b"Sender")),
            naming => (true, naming),
        };
        match naming {
            Naming::Other => continue,
            Naming::Odd => return Err(reply::unclear_author()),
            Naming::Exact => {}
        }
        let seen = if is_from { &mut found.has_from } else { &mut has_sender };
        if std::mem::replace(seen, true) {
            return Err(reply::several_from_fields());
        }
        for author in authors(field.value).ok_or_else(reply::unclear_author)? {
            let text = [&author.local[..], b"@", &author.domain[..]].concat();
            let text = String::from_utf8(text).map_err(|_| reply::unclear_author())?;
            let wire = codec_smtp::Address::parse(&text, true);
            let address = crate::command::address(&wire.map_err(|_| reply::cannot_send_as())?);
            if !found.named.contains(&address) {
                found.named.push(address);
            }
        }
    }
    Ok(found)
}

impl Authorship {
    /// Refuses anybody whom the account may not be. `sender` is who MAIL was accepted for.
    pub(crate) async fn check(
        &self,
        session: &Session,
        account: &Account,
        sender: Option<&Address>,
    ) -> Result<(), Reply> {
        for author in self.named.iter().filter(|author| Some(*author) != sender) {
            match session.shared.directory.may_send_as(account, author).await {
                Ok(true) => {}
                Ok(false) => return Err(reply::cannot_send_as()),
                Err(error) => return Err(reply::of(&error, "author")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(header: &str, expect: Result<(bool, &str), &str>) {
        let found = match read(header.as_bytes()) {
            Ok(Authorship { has_from, named }) => {
                let named: Vec<String> = named.iter().map(Address::to_string).collect();
                Ok((has_from, named.join(" ")))
            }
            Err(reply) => Err(reply.to_string()),
        };
        let expect = expect.map(|(has, named)| (has, named.to_owned()));
        assert_eq!(found, expect.map_err(str::to_owned), "{header:?}");
    }

    #[test]
    fn attack_20_everybody_named_is_found_or_the_header_is_refused() {
        const TWO: &str = "550 5.6.0 message has more than one From or Sender field";
        const UNCLEAR: &str = "550 5.6.0 From or Sender field cannot be read";
        check("Subject: none\r\n\r\nFrom: b@y.test\r\n", Ok((false, "")));
        check("From: A <a@x.test>\r\nSENDER : b@x.test\r\n", Ok((true, "a@x.test b@x.test")));
        check("From: a@x.test, \"B\" <b@x.test>\r\n", Ok((true, "a@x.test b@x.test")));
        check("Sender: a@x.test\r\n", Ok((false, "a@x.test")));
        check("From: a@x.test\r\nX: y\r\nfrom: a@x.test\r\n", Err(TWO));
        check("Sender: a@x.test\r\nSender: b@y.test\r\n", Err(TWO));
        for value in ["(comment)", "", "\"Boss <b@y.test>\":;", "a@x.test b@y.test", "a@x.test\0"] {
            check(&format!("From: {value}\r\n"), Err(UNCLEAR));
            check(&format!("From: a@x.test\r\nSender: {value}\r\n"), Err(UNCLEAR));
        }
        for name in ["From\r\n ", "From\x0b", "From\0", "Fr om", "From\u{a0}", "Sen\tder"] {
            check(&format!("{name}: b@y.test\r\n"), Err(UNCLEAR));
        }
    }
}
