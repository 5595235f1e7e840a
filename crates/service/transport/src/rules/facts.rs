//! What the rules may ask of a message: gathered once, and only what some rule asks for.

use super::compile::{RuleSet, folded};
use super::members::{Group, Members};
use super::patterns::{Hits, Place};
use super::text;
use crate::context::Context;
use base::{Address, Result};
use codec_mime::{ParsedMessage, Part, PartKind, header};
use contract_blob::Content;
use contract_directory::Resolved;
use contract_transport::Envelope;
use contract_transport::rule::{Importance, MessageType, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How much of a header is read, in bytes; sessions take no longer ones.
const HEADER_BYTES_MAX: u64 = 2 << 20;

/// The fields by which others say how likely something is spam; the first that is there counts.
const SCL_FIELDS: [&[u8]; 2] = [b"X-MS-Exchange-Organization-SCL", b"X-Rialto-SCL"];

/// What is known of a message.
pub(super) struct Facts {
    pub(super) header: bytes::Bytes,
    pub(super) sender: Person,
    pub(super) recipients: Vec<Person>,
    /// What was found in the places that are the same for all recipients.
    pub(super) hits: BTreeMap<Place, Hits>,
    pub(super) to: Vec<Address>,
    pub(super) cc: Vec<Address>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) charsets: Vec<String>,
    pub(super) size_bytes: u64,
    pub(super) importance: Importance,
    pub(super) types: Vec<MessageType>,
    pub(super) scl: Option<i8>,
    /// The groups of which it cannot be told who is in them.
    pub(super) unknown_groups: BTreeSet<Address>,
}

/// A sender or a recipient.
pub(super) struct Person {
    /// As in the envelope, folded; `None` for the null sender.
    pub(super) address: Option<Address>,
    /// All addresses of whoever has it here, folded, the primary one first.
    pub(super) own: Vec<Address>,
    /// How people call them.
    pub(super) display_name: String,
    pub(super) scope: Scope,
    /// The groups that somebody asks about and that they are in, folded.
    pub(super) groups: Vec<Address>,
    /// What their address has.
    pub(super) hits: Hits,
}

/// An attachment.
pub(super) struct Attachment {
    /// In lower case.
    pub(super) name: String,
    /// Decoded, about.
    pub(super) size_bytes: u64,
    pub(super) is_executable: bool,
}

impl Person {
    /// Whether they are one of these, by any address of theirs.
    pub(super) fn is_one_of(&self, list: &[Address]) -> bool {
        self.addresses().any(|one| list.contains(one))
    }

    /// By what they may be named: as they are here, and then all of their own.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.address.iter().chain(&self.own)
    }
}

/// A message whose rules are to be tried.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) content: &'a Content,
    pub(super) parsed: &'a ParsedMessage,
}

/// Gathers what the rules of a set may ask.
///
/// # Errors
/// Temporary ones of the directory and the blob store.
pub(super) async fn gather(
    context: &Context,
    rules: &RuleSet,
    members: &Members,
    message: Message<'_>,
) -> Result<Facts> {
    let Message { envelope, content, parsed } = message;
    let is_own = envelope.authenticated.is_some() || envelope.source.ip.is_none();
    let (groups, unknown_groups) = groups(context, rules, members).await?;
    let sender = envelope.sender.as_ref();
    let mut sender = person(context, rules, &groups, sender, Place::Sender).await?;
    // Whoever has not signed in is not the one whose address they use.
    sender.scope = if is_own { Scope::Inside } else { Scope::Outside };
    let mut recipients = Vec::with_capacity(envelope.recipients.len());
    for recipient in &envelope.recipients {
        let address = Some(&recipient.address);
        recipients.push(person(context, rules, &groups, address, Place::Recipient).await?);
    }
    let header = content.slice(0..parsed.header_end().min(HEADER_BYTES_MAX));
    let header = header.read_all(&context.blobs, HEADER_BYTES_MAX).await?;
    let mut parts = Vec::new();
    leaves(&parsed.root, &mut parts);
    let attachments = attachments(context, rules, content, &parts).await?;
    let hits = hits(context, rules, message, &header, &parts, &attachments).await?;
    let addresses = |list: &[codec_mime::Address]| -> Vec<Address> {
        list.iter()
            .filter_map(|one| Address::parse_plain(&one.email()?))
            .map(|one| folded(&one))
            .collect()
    };
    Ok(Facts {
        sender,
        recipients,
        hits,
        to: addresses(&parsed.envelope.to),
        cc: addresses(&parsed.envelope.cc),
        charsets: charsets(&parts),
        attachments,
        size_bytes: content.size_bytes(),
        importance: importance(&header),
        types: types(parsed, &header),
        unknown_groups,
        scl: SCL_FIELDS.iter().find_map(|name| number(&header, name)),
        header,
    })
}

/// The groups that rules ask about.
type Groups = Vec<(Address, Arc<Group>)>;

/// Who is in the groups that rules ask about, and the groups of which that cannot be told.
async fn groups(
    context: &Context,
    rules: &RuleSet,
    members: &Members,
) -> Result<(Groups, BTreeSet<Address>)> {
    let (mut known, mut unknown) = (Groups::new(), BTreeSet::new());
    for group in &rules.groups {
        match members.of(context, group).await {
            Ok(members) => known.push((group.clone(), members)),
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                tracing::warn!(%group, %error, "a group of the transport rules cannot be expanded");
                unknown.insert(group.clone());
            }
        }
    }
    Ok((known, unknown))
}

async fn person(
    context: &Context,
    rules: &RuleSet,
    groups: &Groups,
    address: Option<&Address>,
    place: Place,
) -> Result<Person> {
    let mut person = Person {
        address: address.map(folded),
        own: Vec::new(),
        display_name: String::new(),
        scope: Scope::Outside,
        groups: Vec::new(),
        hits: Hits::default(),
    };
    let Some(address) = address else { return Ok(person) };
    person.hits = rules.patterns.hits(&place, &address.to_string());
    person.scope = Scope::Inside;
    match context.directory.resolve(address).await? {
        Resolved::Elsewhere => {
            person.scope = Scope::Outside;
            return Ok(person);
        }
        Resolved::Unknown => {}
        // They may be in our groups; their mail leaves us all the same.
        Resolved::Contact(contact) => {
            let all = contact.addresses().chain(&contact.flow.external);
            person.own = all.map(folded).collect();
            person.display_name = contact.display_name.clone();
            person.scope = Scope::Outside;
        }
        Resolved::Account(account) => {
            let all = std::iter::once(&account.address).chain(&account.aliases);
            person.own = all.map(folded).collect();
            person.display_name = account.display_name.clone();
        }
        Resolved::Group(group) => person.own = vec![folded(&group.address)],
    }
    for (group, members) in groups {
        if person.is_one_of(std::slice::from_ref(group)) || members.has(&person) {
            person.groups.push(group.clone());
        }
    }
    Ok(person)
}

/// What is found in each place that is the same for all recipients.
async fn hits(
    context: &Context,
    rules: &RuleSet,
    message: Message<'_>,
    header: &[u8],
    parts: &[&Part],
    attachments: &[Attachment],
) -> Result<BTreeMap<Place, Hits>> {
    let subject = message.parsed.envelope.subject.as_deref().unwrap_or_default();
    let subject = codec_mime::encoded_word::decode(subject);
    let mut hits = BTreeMap::new();
    for place in rules.patterns.places() {
        let found = match place {
            Place::Sender | Place::Recipient => continue,
            Place::Subject => rules.patterns.hits(place, &subject),
            Place::Text => {
                let body = text::read(context, message.content, parts).await?;
                let hits = rules.patterns.hits(place, &subject);
                hits.join(&rules.patterns.hits(place, &body))
            }
            Place::AttachmentName => attachments
                .iter()
                .map(|attachment| rules.patterns.hits(place, &attachment.name))
                .fold(Hits::default(), |all, hits| all.join(&hits)),
            Place::Header(name) => header::fields(header)
                .filter(|field| field.is(name.as_bytes()))
                .map(|field| {
                    let value = codec_mime::encoded_word::decode(&field.text());
                    rules.patterns.hits(place, &value)
                })
                .fold(Hits::default(), |all, hits| all.join(&hits)),
        };
        hits.insert(place.clone(), found);
    }
    Ok(hits)
}

/// The parts that have bytes of their own, embedded messages as a whole.
fn leaves<'a>(part: &'a Part, into: &mut Vec<&'a Part>) {
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().for_each(|part| leaves(part, into)),
        PartKind::Leaf | PartKind::Message { .. } => into.push(part),
    }
}

/// The name of a part's file, where it has one.
fn file_name(part: &Part) -> Option<String> {
    let of = |params: &[codec_mime::Param], name| codec_mime::params::decoded(params, name);
    let disposition = part.disposition.as_ref();
    let named = disposition.and_then(|disposition| of(&disposition.params, "filename"));
    named.or_else(|| of(&part.content_type.params, "name"))
}

/// Whether a part is an attachment: it says so, has a file's name, or is no text.
pub(super) fn is_attachment(part: &Part) -> bool {
    let is_text = part.content_type.is_main("text");
    part.disposition.as_ref().is_some_and(codec_mime::Disposition::is_attachment)
        || file_name(part).is_some()
        || (!is_text && matches!(part.kind, PartKind::Leaf | PartKind::Message { .. }))
}

async fn attachments(
    context: &Context,
    rules: &RuleSet,
    content: &Content,
    parts: &[&Part],
) -> Result<Vec<Attachment>> {
    let mut found = Vec::new();
    for part in parts.iter().filter(|part| is_attachment(part)) {
        let encoded = part.body.end.saturating_sub(part.body.start);
        let encoding = part.encoding.as_deref().unwrap_or_default();
        let is_base64 = encoding.eq_ignore_ascii_case(b"base64");
        let name = file_name(part).unwrap_or_default().to_lowercase();
        let is_executable = rules.looks_into_attachments
            && (text::is_program_name(&name) || text::is_program(context, content, part).await?);
        // 76 characters and a line end carry 57 octets.
        let size_bytes = if is_base64 { encoded / 78 * 57 + encoded % 78 * 3 / 4 } else { encoded };
        found.push(Attachment { name, size_bytes, is_executable });
    }
    Ok(found)
}

fn charsets(parts: &[&Part]) -> Vec<String> {
    let texts = parts.iter().filter(|part| part.content_type.is_main("text"));
    let names = texts.filter_map(|part| part.content_type.param("charset"));
    names.map(|name| String::from_utf8_lossy(name).to_lowercase()).collect()
}

fn number(header: &[u8], name: &[u8]) -> Option<i8> {
    std::str::from_utf8(&header::find(header, name)?.text()).ok()?.trim().parse().ok()
}

fn importance(header: &[u8]) -> Importance {
    let says = |name: &[u8], words: &[&[u8]]| {
        header::find(header, name).is_some_and(|field| {
            let value = field.text().to_ascii_lowercase();
            words.iter().any(|word| value.starts_with(word))
        })
    };
    if says(b"Importance", &[b"high"]) || says(b"X-Priority", &[b"1", b"2"]) {
        Importance::High
    } else if says(b"Importance", &[b"low"]) || says(b"X-Priority", &[b"4", b"5"]) {
        Importance::Low
    } else {
        Importance::Normal
    }
}

fn types(parsed: &ParsedMessage, header: &[u8]) -> Vec<MessageType> {
    let root = &parsed.root.content_type;
    let param = |name: &str| {
        let value = root.param(name).map(|value| value.to_ascii_lowercase());
        value.unwrap_or_default()
    };
    let mut types = Vec::new();
    let automatic = header::find(header, b"Auto-Submitted")
        .is_some_and(|field| field.text().to_ascii_lowercase().starts_with(b"auto-replied"));
    if automatic {
        types.push(MessageType::AutomaticReply);
    }
    let is_smime = root.is("application", "pkcs7-mime") || root.is("application", "x-pkcs7-mime");
    let is_signed_data = is_smime && param("smime-type").starts_with(b"signed");
    if root.is("multipart", "signed") || is_signed_data {
        types.push(MessageType::Signed);
    }
    if root.is("multipart", "encrypted") || (is_smime && !is_signed_data) {
        types.push(MessageType::Encrypted);
    }
    let mut parts = Vec::new();
    leaves(&parsed.root, &mut parts);
    if parts.iter().any(|part| part.content_type.is("text", "calendar")) {
        types.push(MessageType::Calendaring);
    }
    if root.is("multipart", "report") {
        match &param("report-type")[..] {
            b"disposition-notification" => types.push(MessageType::ReadReceipt),
            b"delivery-status" => types.push(MessageType::DeliveryReport),
            _ => {}
        }
    }
    types
}
