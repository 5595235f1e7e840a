//! Mail in by SMTP, out by IMAP, the same bytes: for the corpus of real mail and for messages that
//! a seed makes. What comes back is the trace headers of the delivery (RFC 5321 §4.4) and then
//! every byte that was sent; ENVELOPE, BODYSTRUCTURE and the sections answer for every message.

use crate::failure::{Failure, Result};
use crate::imap::ImapClient;
use crate::net::Endpoint;
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::{DOMAIN, World};
use bytes::Bytes;
use codec_imap::client::FetchData;
use codec_mime::generate::{self, Shape};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Where a message comes from; read or made when it is needed, so that gigabytes need no memory.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file with LF line ends.
    File(PathBuf),
    /// A seed and what it is to make.
    Made(u64, Shape),
}

impl Source {
    /// The message as it is sent: lines end in CRLF, the last one too.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn bytes(&self) -> Result<Bytes> {
        match self {
            Source::File(path) => Ok(with_crlf(&fs::read(path)?)),
            Source::Made(seed, shape) => Ok(with_crlf(&generate::to_vec(*seed, *shape))),
        }
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Made(seed, shape) => format!("{shape:?} of seed {seed}"),
        }
    }
}

/// Every CRLF, CR and LF as CRLF, and one at the end.
fn with_crlf(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    let mut bytes = message.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    Bytes::from(out)
}

/// The corpus, every `step`th message; `None` where it is not on this machine
/// (`RIALTO_CORPUS`, else `../shared/corpus/eml` beside the tree).
#[must_use]
pub fn corpus(step: usize) -> Option<Vec<Source>> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/eml");
    let dir = std::env::var_os("RIALTO_CORPUS").map_or_else(default, PathBuf::from);
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    (!files.is_empty()).then(|| files.into_iter().step_by(step.max(1)).map(Source::File).collect())
}

/// Messages of every kind, `large` of them between one and `most_megabytes` megabytes.
#[must_use]
pub fn made(seed: u64, count: u64, large: u64, most_megabytes: u64) -> Vec<Source> {
    let mut random = Random::new(seed, 5);
    let fixed = [
        Shape::Plain,
        Shape::EightBit,
        Shape::Alternative,
        Shape::Forwarded { depth: 5 },
        Shape::Invitation,
        Shape::Signed,
        Shape::Encrypted,
        Shape::Tnef,
        Shape::NestedMultiparts { depth: 40 },
        Shape::AddressFlood { lines: 500 },
        Shape::ParameterFlood { count: 500 },
        Shape::PartFlood { count: 2_000 },
        Shape::Junk { bytes: 50_000 },
        Shape::Attachments { count: 200, bytes: 400_000 },
    ];
    let shape = |number: u64, random: &mut Random| {
        if number < large {
            // As many between 1 and 2 as between 25 and 50.
            let steps = 63 - most_megabytes.max(2).leading_zeros() as u64 + 1;
            let megabytes = (1 << random.range(0..steps)).min(most_megabytes);
            let bytes = random.range(megabytes << 19..megabytes << 20).max(1 << 20);
            // Base64 adds a third.
            let (count, bytes) = (random.range(20..200) as usize, bytes as usize / 4 * 3);
            return Shape::Attachments { count, bytes };
        }
        let at = (number - large) as usize;
        fixed.get(at).copied().unwrap_or_else(|| generate::realistic_shape(random.next_u64()))
    };
    (0..count).map(|number| Source::Made(seed ^ number, shape(number, &mut random))).collect()
}

/// What a round trip saw.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    /// Messages that came back byte for byte.
    pub messages: usize,
    /// Their bytes.
    pub bytes: u64,
    /// From the first MAIL to the last delivery.
    pub sending: Duration,
    /// All FETCH commands.
    pub fetching: Duration,
    /// The node's resident memory before and at most, in bytes.
    pub memory_bytes: (u64, u64),
}

/// Sends all messages over `connections` to the world's mailboxes and fetches them.
///
/// # Errors
/// The first message that was refused, lost, changed or not described.
pub async fn run(world: &World, sources: &[Source], connections: usize) -> Result<Figures> {
    let endpoint = world.endpoint()?;
    let users = world.users();
    let before = world.memory_bytes()?.0;
    let begun = Instant::now();
    let all: Arc<Vec<Source>> = Arc::new(sources.to_vec());
    let mut senders = JoinSet::new();
    for first in 0..connections {
        let (endpoint, all, users) = (endpoint.clone(), all.clone(), users.clone());
        senders.spawn(async move { send(&endpoint, &all, &users, first, connections).await });
    }
    while let Some(outcome) = senders.join_next().await {
        outcome.map_err(|error| Failure(error.to_string()))??;
    }
    world.wait_for_empty_queue().await?;
    let sending = begun.elapsed();
    let begun = Instant::now();
    let mut figures = Figures { sending, ..Figures::default() };
    let mut missing: BTreeMap<usize, ()> = (0..sources.len()).map(|at| (at, ())).collect();
    for user in &users {
        fetch(&endpoint, user, sources, &mut missing, &mut figures).await?;
    }
    figures.fetching = begun.elapsed();
    figures.memory_bytes = (before, world.memory_bytes()?.1);
    if let Some((at, ())) = missing.first_key_value() {
        let (count, first) = (missing.len(), sources[*at].name());
        return Err(Failure(format!("{count} messages did not come back, first {first}")));
    }
    Ok(figures)
}

/// The envelope sender of message number `at`: the Return-Path tells which message came back.
fn sender_of(at: usize) -> String {
    format!("m{at}@chaos.example")
}

async fn send(
    endpoint: &Endpoint,
    all: &[Source],
    users: &[String],
    first: usize,
    step: usize,
) -> Result<()> {
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    for (at, source) in all.iter().enumerate().skip(first).step_by(step) {
        let user = &users[at % users.len()];
        let fate =
            client.send(&sender_of(at), &[format!("{user}@{DOMAIN}")], &source.bytes()?).await;
        if fate != Fate::Acknowledged {
            return Err(Failure(format!("{} was not taken: {fate:?}", source.name())));
        }
    }
    client.quit().await;
    Ok(())
}

async fn fetch(
    endpoint: &Endpoint,
    user: &str,
    sources: &[Source],
    missing: &mut BTreeMap<usize, ()>,
    figures: &mut Figures,
) -> Result<()> {
    let mut client = ImapClient::open(endpoint, user).await?;
    let examined = client.ok("EXAMINE INBOX").await?;
    let exists = examined.untagged.iter().find_map(|line| line.count("EXISTS")).unwrap_or_default();
    for number in 1..=exists {
        let items = "UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[] BODY.PEEK[HEADER] \
                     BODY.PEEK[TEXT] BODY.PEEK[1]";
        let fetched = client.ok(&format!("FETCH {number} ({items})")).await?;
        let data = fetched.untagged.iter().find_map(|line| line.fetch());
        let data = data.ok_or_else(|| Failure(format!("FETCH {number} of {user}: nothing")))?;
        let at = compare(&data, sources).map_err(|error| {
            let saved = world_file(user, number, data.payload("BODY[]"));
            error.while_doing(format!("message {number} of {user} (saved as {saved})"))
        })?;
        if missing.remove(&at).is_none() {
            return Err(Failure(format!("{} came back twice", sources[at].name())));
        }
        figures.messages += 1;
        figures.bytes += data.payload("BODY[]").map_or(0, |bytes| bytes.len() as u64);
    }
    client.logout().await;
    Ok(())
}

/// Keeps what came back wrong, to be looked at.
fn world_file(user: &str, number: u32, bytes: Option<&Bytes>) -> String {
    let path = std::env::temp_dir().join(format!("rialto-roundtrip-{user}-{number}.eml"));
    let _ = fs::write(&path, bytes.map(|bytes| &bytes[..]).unwrap_or_default());
    path.display().to_string()
}

/// Holds what FETCH says against what was sent; the number of the message.
fn compare(data: &FetchData<'_>, sources: &[Source]) -> Result<usize> {
    let payload = |name: &str| data.payload(name).ok_or_else(|| Failure(format!("no {name}")));
    let whole = payload("BODY[]")?;
    let at = number_of(whole).ok_or_else(|| Failure::from("no Return-Path of ours"))?;
    let source = sources.get(at).ok_or_else(|| Failure::from("a number we did not send"))?;
    let sent = shown(&source.bytes()?);
    let wrong = |what: &str| Err(Failure(format!("{}: {what}", source.name())));
    let Some(trace) = whole.strip_suffix(&sent[..]) else {
        return wrong("what was sent is not the end of what came back");
    };
    if !is_trace(trace) {
        return wrong("something else than trace headers is in front");
    }
    if data.item("RFC822.SIZE").and_then(|size| size.number()) != Some(whole.len() as u64) {
        return wrong("RFC822.SIZE is not the size");
    }
    if [payload("BODY[HEADER]")?, payload("BODY[TEXT]")?].map(|bytes| &bytes[..]).concat() != *whole
    {
        return wrong("HEADER and TEXT are not the whole");
    }
    let fields = data.item("ENVELOPE").and_then(|envelope| envelope.list()).map_or(0, <[_]>::len);
    if fields != 10 {
        return wrong("ENVELOPE has not ten fields");
    }
    for name in ["BODYSTRUCTURE", "BODY"] {
        if data.item(name).and_then(|body| body.list()).is_none_or(<[_]>::is_empty) {
            return wrong("no structure");
        }
    }
    Ok(at)
}

/// A message as FETCH shows it: a literal cannot hold NUL (RFC 3501 §9), so 0x80 stands for it
/// (docs/standards.md). Every other byte is as it was sent.
fn shown(sent: &[u8]) -> Vec<u8> {
    sent.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }).collect()
}

fn number_of(whole: &[u8]) -> Option<usize> {
    let rest = whole.strip_prefix(b"Return-Path: <m")?;
    let end = rest.iter().position(|byte| *byte == b'@')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Whether these are whole lines of Return-Path, Received and the like, as a delivery adds them.
fn is_trace(head: &[u8]) -> bool {
    let names: [&[u8]; 3] = [b"Return-Path:", b"Received:", b"Delivered-To:"];
    head.ends_with(b"\r\n")
        && head.split_inclusive(|byte| *byte == b'\n').all(|line| {
            line.starts_with(b" ")
                || line.starts_with(b"\t")
                || names.iter().any(|name| line.starts_with(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_trace_headers_are_trace() {
        assert!(is_trace(b"Return-Path: <a@b>\r\nReceived: x\r\n\ty\r\n"));
        assert!(!is_trace(b"Return-Path: <a@b>\r\nX: y\r\n"));
        assert!(!is_trace(b"Received: x"));
    }

    #[test]
    fn line_ends_are_repaired_and_the_number_is_found() {
        assert_eq!(&with_crlf(b"a\nb\r\nc\rd")[..], b"a\r\nb\r\nc\r\nd\r\n");
        assert_eq!(number_of(b"Return-Path: <m17@chaos.example>\r\n"), Some(17));
    }

    #[test]
    fn made_messages_are_of_every_kind_and_within_the_size() {
        let sources = made(3, 40, 4, 8);
        assert_eq!(sources.len(), 40);
        for source in sources.iter().take(4) {
            let bytes = source.bytes().unwrap().len();
            assert!(((1 << 19)..(10 << 20)).contains(&bytes), "{} {bytes}", source.name());
        }
    }
}
