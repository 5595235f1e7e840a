//! Who has written a message that goes out under the null sender: a receipt of a mail program. Its
//! From and Sender fields must be beyond doubt and name the account.
//!
//! The header is looked at as it is stored. The parsed envelope would not do: it leaves out what
//! exceeds its budgets, and makes something sensible of what cannot be read.

use crate::context::Context;
use base::{Address, Error, Result};
use codec_mime::author::{Author, Naming, authors, naming};
use codec_mime::header;
use contract_directory::Account;
use contract_transport::Submission;

/// The longest header that is read, in bytes: twice what the parser looks at. A longer one is no
/// receipt.
const HEADER_BYTES_MAX: u64 = 2 * codec_mime::limits::ROOT_HEADER_BYTES as u64;

/// Refuses a message that is from anybody but the account.
///
/// # Errors
/// [`base::Kind::Denied`]; [`base::Kind::Limit`] for an enormous header; the store's.
pub(super) async fn may_be(
    context: &Context,
    acting: &Account,
    submission: &Submission,
) -> Result<()> {
    let header = submission.content.slice(submission.parsed.root.header.clone());
    let header = header.read_all(&context.blobs, HEADER_BYTES_MAX).await?;
    for author in read(&header)? {
        if !context.directory.may_send_as(acting, &author).await? {
            return Err(Error::denied(format!("No right to send as {author}")));
        }
    }
    Ok(())
}

/// Everybody in From and Sender; at least one.
fn read(header: &[u8]) -> Result<Vec<Address>> {
    let unclear = || Error::denied("The From or Sender field cannot be read");
    let (mut named, mut has_from, mut has_sender) = (Vec::new(), false, false);
    for field in header::fields(header) {
        let (is_from, naming) = match naming(&field, header, b"From") {
            Naming::Other => (false, naming(&field, header, b"Sender")),
            naming => (true, naming),
        };
        match naming {
            Naming::Other => continue,
            Naming::Odd => return Err(unclear()),
            Naming::Exact => {}
        }
        let seen = if is_from { &mut has_from } else { &mut has_sender };
        if std::mem::replace(seen, true) {
            return Err(Error::denied("There is more than one From or Sender field"));
        }
        for Author { local, domain } in authors(field.value).ok_or_else(unclear)? {
            let (Ok(local), Ok(domain)) = (str::from_utf8(&local), str::from_utf8(&domain)) else {
                return Err(unclear());
            };
            named.push(Address::new(local, domain));
        }
    }
    if !has_from {
        return Err(Error::denied("A message without a sender needs an author"));
    }
    Ok(named)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Option<&[&str]>) {
        let found = read(header.as_bytes()).ok();
        let found = found.map(|all| all.iter().map(Address::to_string).collect::<Vec<_>>());
        let expect = expect.map(|all| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expect, "{header:?}");
    }

    #[test]
    fn attack_20_a_receipt_has_authors_beyond_doubt() {
        check("Subject: x\r\nFrom: A <a@x.test>\r\n\r\n", Some(&["a@x.test"]));
        check("From: a@x.test\r\nSender: b@x.test\r\n\r\n", Some(&["a@x.test", "b@x.test"]));
        check("From: a@x.test, B <b@y.test>\r\n\r\n", Some(&["a@x.test", "b@y.test"]));
        check("Subject: x\r\n\r\nFrom: a@x.test\r\n", None);
        check("Sender: a@x.test\r\n\r\n", None);
        check("From: a@x.test\r\nfrom: b@y.test\r\n\r\n", None);
        for value in ["", "undisclosed:;", "\"Boss <b@y.test>\":;", "a@x.test b@y.test", "nobody"] {
            check(&format!("From: {value}\r\n\r\n"), None);
        }
        check("From: a@x.test\r\nFr\0om: b@y.test\r\n\r\n", None);
    }
}
