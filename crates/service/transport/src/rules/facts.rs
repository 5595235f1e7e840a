//! What the rules may ask of a message: gathered once, and only what some rule asks for.

use super::attachments::{self, Attachment};
use super::compile::{RuleSet, folded};
use super::members::{Group, Members};
use super::patterns::{Hits, Place};
use super::text;
use crate::context::Context;
use base::{Address, Result};
use codec_mime::{ParsedMessage, Part, PartKind, header};
use contract_blob::Content;
use contract_directory::{AccountKind, Resolved};
use contract_transport::Envelope;
use contract_transport::rule::{Attribute, Importance, MessageType, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How much of a header is read, in bytes; sessions take no longer ones.
const HEADER_BYTES_MAX: u64 = 2 << 20;

/// The fields by which others say how likely something is spam; the first that is there counts.
const SCL_FIELDS: [&[u8]; 2] = [b"X-MS-Exchange-Organization-SCL", b"X-Rialto-SCL"];

/// The field by which a message is classified. Strangers cannot write it.
pub(super) const CLASS_FIELD: &str = "X-Rialto-Classification";

/// Of how many people whom the header names it is found out in which groups they are.
const NAMED_MAX: usize = 200;

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
    /// From where it came; `None` for what is written here.
    pub(super) ip: Option<IpAddr>,
    /// In lower case.
    pub(super) classification: Option<String>,
    /// The groups that somebody asks about and that those are in whom the To field names.
    pub(super) to_groups: BTreeSet<Address>,
    /// The same of the Cc field.
    pub(super) cc_groups: BTreeSet<Address>,
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
    /// What the directory says of them has.
    pub(super) attribute_hits: BTreeMap<Attribute, Hits>,
    /// `user`, `room` and so on; empty for those whom the directory does not know.
    kind: &'static str,
}

impl Person {
    /// Takes over what the directory says of their address.
    fn introduce(&mut self, resolved: Resolved) {
        match resolved {
            Resolved::Elsewhere => self.scope = Scope::Outside,
            Resolved::Unknown => {}
            // They may be in our groups; their mail leaves us all the same.
            Resolved::Contact(contact) => {
                let all = contact.addresses().chain(&contact.flow.external);
                self.own = all.map(folded).collect();
                self.display_name = contact.display_name.clone();
                self.scope = Scope::Outside;
                self.kind = "contact";
            }
            Resolved::Account(account) => {
                let all = std::iter::once(&account.address).chain(&account.aliases);
                self.own = all.map(folded).collect();
                self.display_name = account.display_name.clone();
                self.kind = match account.kind {
                    AccountKind::User => "user",
                    AccountKind::Shared => "shared",
                    AccountKind::Room => "room",
                    AccountKind::Equipment => "equipment",
                    AccountKind::Contact => "contact",
                };
            }
            Resolved::Group(group) => {
                self.own = vec![folded(&group.address)];
                self.display_name = group.display_name.clone();
                self.kind = "group";
            }
        }
    }

    /// Whether they are one of these, by any address of theirs.
    pub(super) fn is_one_of(&self, list: &[Address]) -> bool {
        self.addresses().any(|one| list.contains(one))
    }

    /// What the directory says of them; nothing of strangers but their address.
    pub(super) fn attribute(&self, attribute: Attribute) -> String {
        match attribute {
            Attribute::DisplayName => self.display_name.clone(),
            Attribute::Email => {
                let all: BTreeSet<_> = self.addresses().map(ToString::to_string).collect();
                all.into_iter().collect::<Vec<_>>().join(" ")
            }
            Attribute::Domain => {
                let known = self.own.first().or(self.address.as_ref());
                known.map(|address| address.domain.clone()).unwrap_or_default()
            }
            Attribute::Kind => self.kind.to_owned(),
        }
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
    let mut sender = person(context, rules, &groups, sender, Who::Sender).await?;
    // Whoever has not signed in is not the one whose address they use.
    sender.scope = if is_own { Scope::Inside } else { Scope::Outside };
    let mut recipients = Vec::with_capacity(envelope.recipients.len());
    for recipient in &envelope.recipients {
        let address = Some(&recipient.address);
        recipients.push(person(context, rules, &groups, address, Who::Recipient).await?);
    }
    let header = content.slice(0..parsed.header_end().min(HEADER_BYTES_MAX));
    let header = header.read_all(&context.blobs, HEADER_BYTES_MAX).await?;
    let mut parts = Vec::new();
    leaves(&parsed.root, &mut parts);
    let attachments = attachments::list(context, rules, content, &parts).await?;
    let hits = hits(context, rules, message, &header, &parts, &attachments).await?;
    let (to_groups, cc_groups) = match rules.asks_for_named {
        true => {
            let (to, cc) = (&parsed.envelope.to, &parsed.envelope.cc);
            (
                groups_of(context, rules, &groups, to).await?,
                groups_of(context, rules, &groups, cc).await?,
            )
        }
        false => Default::default(),
    };
    let addresses = |list: &[codec_mime::Address]| -> Vec<Address> {
        named(list).map(|one| folded(&one)).collect()
    };
    let class = header::find(&header, CLASS_FIELD.as_bytes());
    let class = class.map(|field| codec_mime::encoded_word::decode(&field.text()));
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
        ip: envelope.source.ip,
        classification: class
            .map(|class| class.trim().to_lowercase())
            .filter(|one| !one.is_empty()),
        to_groups,
        cc_groups,
        header,
    })
}

/// The addresses in a field.
fn named(list: &[codec_mime::Address]) -> impl Iterator<Item = Address> {
    list.iter().filter_map(|one| Address::parse_plain(&one.email()?))
}

/// The groups in which some are whom a field names.
async fn groups_of(
    context: &Context,
    rules: &RuleSet,
    groups: &Groups,
    list: &[codec_mime::Address],
) -> Result<BTreeSet<Address>> {
    let mut found = BTreeSet::new();
    for address in named(list).take(NAMED_MAX) {
        let place = Who::Named;
        found.extend(person(context, rules, groups, Some(&address), place).await?.groups);
    }
    Ok(found)
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

/// Who somebody is to a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Sender,
    Recipient,
    /// In its header.
    Named,
}

impl Who {
    /// What of the directory is asked for of them, by a place where rules look.
    fn attribute(self, place: &Place) -> Option<Attribute> {
        match (self, place) {
            (Self::Sender, Place::SenderAttribute(attribute))
            | (Self::Recipient, Place::RecipientAttribute(attribute)) => Some(*attribute),
            _ => None,
        }
    }
}

async fn person(
    context: &Context,
    rules: &RuleSet,
    groups: &Groups,
    address: Option<&Address>,
    who: Who,
) -> Result<Person> {
    let mut person = Person {
        address: address.map(folded),
        own: Vec::new(),
        display_name: String::new(),
        scope: Scope::Outside,
        groups: Vec::new(),
        hits: Hits::default(),
        attribute_hits: BTreeMap::new(),
        kind: "",
    };
    let Some(address) = address else { return Ok(person) };
    let place = match who {
        Who::Sender => Some(Place::Sender),
        Who::Recipient => Some(Place::Recipient),
        Who::Named => None,
    };
    if let Some(place) = place {
        person.hits = rules.patterns.hits(&place, &address.to_string());
    }
    person.scope = Scope::Inside;
    person.introduce(context.directory.resolve(address).await?);
    for place in rules.patterns.places() {
        if let Some(attribute) = who.attribute(place) {
            let hits = rules.patterns.hits(place, &person.attribute(attribute));
            person.attribute_hits.insert(attribute, hits);
        }
    }
    // Of strangers nothing but their address is known, and anybody may write that.
    let is_known = person.scope == Scope::Inside || !person.own.is_empty();
    for (group, members) in groups.iter().filter(|_| is_known) {
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
            Place::Sender
            | Place::Recipient
            | Place::SenderAttribute(_)
            | Place::RecipientAttribute(_)
            | Place::Attachment
            | Place::Property(_) => continue,
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
pub(super) fn leaves<'a>(part: &'a Part, into: &mut Vec<&'a Part>) {
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().for_each(|part| leaves(part, into)),
        PartKind::Leaf | PartKind::Message { .. } => into.push(part),
    }
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
    if is_automatic_forward(header) {
        types.push(MessageType::AutomaticForward);
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
    let has = |main, sub| parts.iter().any(|part| part.content_type.is(main, sub));
    if has("text", "calendar") {
        types.push(MessageType::Calendaring);
    }
    let class = header::find(header, b"Content-Class");
    let class = class.map(|field| field.text().to_ascii_lowercase()).unwrap_or_default();
    if has("application", "x-microsoft-rpmsg-message") || class == b"rpmsg.message" {
        types.push(MessageType::PermissionControlled);
    }
    // RFC 3801 §4.1, and how Exchange's own are told.
    if root.is("multipart", "voice-message") || class.starts_with(b"voice") {
        types.push(MessageType::Voicemail);
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

/// Whether a program has passed the message on: X.400's field (RFC 2156 §5.3.6), the one that
/// others write, or what RFC 3834 §5.1 leaves room for.
fn is_automatic_forward(header: &[u8]) -> bool {
    let says = |name: &[u8], value: &[u8]| {
        let field = header::find(header, name).map(|field| field.text().to_ascii_lowercase());
        field.is_some_and(|text| text.starts_with(value))
    };
    says(b"Autoforwarded", b"true")
        || says(b"X-MS-Exchange-Inbox-Rules-Loop", b"")
        || says(b"Auto-Submitted", b"auto-forwarded")
}
