//! What a client sees in a mailbox: every folder, every message, in full.

use crate::failure::{Failure, Result};
use crate::imap::ImapClient;
use crate::ledger::Flags;
use crate::message;
use crate::net::Endpoint;
use bytes::Bytes;
use codec_imap::client::{FetchData, Value};
use std::collections::BTreeMap;

/// A message as FETCH shows it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its UID.
    pub uid: u64,
    /// The id in its header; empty where it has none.
    pub id: String,
    /// Its flags but for `\Recent`.
    pub flags: Flags,
    /// RFC822.SIZE.
    pub size_bytes: u64,
    /// BODY[].
    pub bytes: Bytes,
}

/// A folder as EXAMINE and FETCH show it.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// UIDVALIDITY.
    pub uid_validity: u64,
    /// UIDNEXT.
    pub uid_next: u64,
    /// In the order of message numbers.
    pub messages: Vec<Seen>,
}

/// A mailbox: its folders by name.
pub type Mailbox = BTreeMap<String, Folder>;

/// Everything that a user's client can see.
///
/// # Errors
/// If the server refuses something.
pub async fn mailbox(endpoint: &Endpoint, user: &str) -> Result<Mailbox> {
    let mut client = ImapClient::open(endpoint, user).await?;
    let listed = client.ok("LIST \"\" \"*\"").await?;
    let mut mailbox = Mailbox::new();
    for name in listed.untagged.iter().filter_map(|line| line.data("LIST")).filter_map(selectable) {
        let seen = folder(&mut client, &name).await;
        mailbox.insert(name.clone(), seen.map_err(|error| error.while_doing(name))?);
    }
    client.logout().await;
    Ok(mailbox)
}

fn selectable(values: &[Value]) -> Option<String> {
    let [attributes, _, name] = values.get(..3)? else {
        return None;
    };
    let closed = attributes.list()?.iter().any(|word| word.is("\\Noselect"));
    (!closed).then(|| name.bytes().map(|name| String::from_utf8_lossy(name).into_owned()))?
}

/// Everything in a folder.
///
/// # Errors
/// If the server refuses something.
pub async fn folder(client: &mut ImapClient, name: &str) -> Result<Folder> {
    let examined = client.ok(&format!("EXAMINE \"{name}\"")).await?;
    let code = |word: &str| {
        let number = examined.untagged_code(word);
        number.ok_or_else(|| Failure(format!("EXAMINE {name} tells no {word}")))
    };
    let mut folder = Folder {
        uid_validity: code("UIDVALIDITY")?,
        uid_next: code("UIDNEXT")?,
        messages: Vec::new(),
    };
    let exists = examined.untagged.iter().find_map(|line| line.count("EXISTS")).unwrap_or_default();
    for first in (1..=exists).step_by(50) {
        let last = exists.min(first + 49);
        let fetch = format!("FETCH {first}:{last} (UID FLAGS RFC822.SIZE BODY.PEEK[])");
        let fetched = client.ok(&fetch).await?;
        let mut seen = BTreeMap::new();
        for data in fetched.untagged.iter().filter_map(|line| line.fetch()) {
            if let Some(one) = message(&data) {
                seen.insert(data.number, one);
            }
        }
        if seen.len() as u32 != last - first + 1 {
            return Err(Failure(format!("{fetch} gave {} messages", seen.len())));
        }
        folder.messages.extend(seen.into_values());
    }
    Ok(folder)
}

fn message(data: &FetchData<'_>) -> Option<Seen> {
    let bytes = data.payload("BODY[]")?.clone();
    let flags = data.flags()?.into_iter().filter(|flag| flag != "\\Recent").collect();
    Some(Seen {
        uid: data.item("UID")?.number()?,
        id: message::id_of(&bytes).unwrap_or_default(),
        flags,
        size_bytes: data.item("RFC822.SIZE")?.number()?,
        bytes,
    })
}
