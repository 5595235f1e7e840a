//! Rules as they are tried: addresses parsed, words and patterns put together.

use super::patterns::{Builder, Patterns, Place, Wanted};
use base::{Address, Result, Timestamp};
use contract_transport::receive::AddressRange;
use contract_transport::rule::{
    Attribute, Condition, Importance, MessageType, Mode, OnError, Scope, TransportRule,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All rules of the organisation, in order.
pub(crate) struct RuleSet {
    pub(super) rules: Vec<Compiled>,
    pub(super) patterns: Patterns,
    /// The groups whose members have to be known, folded.
    pub(super) groups: BTreeSet<Address>,
    /// Whether somebody asks what kind of file an attachment is.
    pub(super) asks_for_programs: bool,
    /// Whether somebody asks in which groups those are whom the header names.
    pub(super) asks_for_named: bool,
}

/// One rule.
pub(super) struct Compiled {
    pub(super) rule: Arc<TransportRule>,
    pub(super) conditions: Vec<Check>,
    pub(super) exceptions: Vec<Check>,
    /// The groups that it is about, folded.
    pub(super) groups: BTreeSet<Address>,
    /// Whether attachments may have to be looked into for it.
    pub(super) asks_for_content: bool,
}

impl Compiled {
    /// Whether messages wait where it cannot be evaluated.
    pub(super) fn waits_for_facts(&self, now: Timestamp) -> bool {
        let acts = self.rule.mode == Mode::Enforce && self.rule.is_active(now);
        acts && self.rule.on_error == OnError::Defer
    }
}

/// A condition, ready to be looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// Words or patterns; in [`Place::Recipient`] those of one recipient.
    Found(Wanted),
    /// The same for any recipient.
    FoundInAny(Wanted),
    SenderIs(Vec<Address>),
    SenderScope(Scope),
    SenderIn(Vec<Address>),
    SenderDomain(Vec<String>),
    RecipientIs(Vec<Address>),
    RecipientScope(Scope),
    RecipientIn(Vec<Address>),
    RecipientDomain(Vec<String>),
    Between(Address, Address),
    Named(Fields, Vec<Address>),
    HasAttachment,
    AttachmentExtension(Vec<String>),
    AttachmentSizeOver(u64),
    AttachmentIsExecutable,
    SizeOver(u64),
    Charset(Vec<String>),
    Importance(Importance),
    Type(MessageType),
    SclOver(i8),
    SenderIp(Vec<AddressRange>),
    Compared {
        attribute: Attribute,
        equal: bool,
    },
    NamedIn(Fields, Vec<Address>),
    Classification(Vec<String>),
    NoClassification,
    AttachmentUnreadable,
    AttachmentCutOff,
    AttachmentProtected,
}

/// The address fields that are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fields {
    pub(super) to: bool,
    pub(super) cc: bool,
}

impl Fields {
    const TO: Self = Self { to: true, cc: false };
    const CC: Self = Self { to: false, cc: true };
    const BOTH: Self = Self { to: true, cc: true };
}

impl Check {
    /// Whether the answer may be another one for each recipient.
    pub(super) fn is_about_recipient(&self) -> bool {
        match self {
            Self::Found(wanted) => wanted.place.is_about_recipient(),
            Self::Compared { .. }
            | Self::RecipientIs(_)
            | Self::RecipientScope(_)
            | Self::RecipientIn(_)
            | Self::RecipientDomain(_)
            | Self::Between(..) => true,
            _ => false,
        }
    }

    /// Whether attachments may have to be looked into for it.
    pub(super) fn is_about_content(&self) -> bool {
        match self {
            Self::Found(wanted) => wanted.place.is_inside_attachments(),
            Self::AttachmentIsExecutable
            | Self::AttachmentUnreadable
            | Self::AttachmentCutOff
            | Self::AttachmentProtected => true,
            _ => false,
        }
    }
}

impl RuleSet {
    /// Compiles enabled rules in their order.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], for patterns that are none.
    pub(crate) fn new<'a>(rules: impl Iterator<Item = &'a Arc<TransportRule>>) -> Result<Self> {
        let mut all: Vec<_> = rules.filter(|rule| rule.enabled).cloned().collect();
        all.sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
        let mut builder = Builder::default();
        let mut compile = |list: &[Condition]| -> Vec<Check> {
            list.iter().map(|condition| compile(condition, &mut builder)).collect()
        };
        let rules: Vec<_> = all
            .into_iter()
            .map(|rule| {
                let conditions = compile(&rule.conditions);
                let exceptions = compile(&rule.exceptions);
                let groups = conditions.iter().chain(&exceptions).flat_map(groups).cloned();
                let groups = groups.collect();
                let asks_for_content =
                    conditions.iter().chain(&exceptions).any(Check::is_about_content);
                Compiled { groups, asks_for_content, conditions, exceptions, rule }
            })
            .collect();
        let checks = || rules.iter().flat_map(|one| one.conditions.iter().chain(&one.exceptions));
        let groups = rules.iter().flat_map(|one| one.groups.iter().cloned()).collect();
        let asks_for_programs =
            checks().any(|check| matches!(check, Check::AttachmentIsExecutable));
        let asks_for_named = checks().any(|check| matches!(check, Check::NamedIn(..)));
        Ok(Self { patterns: builder.build()?, groups, asks_for_programs, asks_for_named, rules })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The groups that a condition is about.
fn groups(check: &Check) -> Vec<&Address> {
    match check {
        Check::SenderIn(list) | Check::RecipientIn(list) | Check::NamedIn(_, list) => {
            list.iter().collect()
        }
        Check::Between(one, other) => vec![one, other],
        _ => Vec::new(),
    }
}

/// An address in the form in which two are compared.
pub(super) fn folded(address: &Address) -> Address {
    Address::new(address.local.to_lowercase(), ascii(&address.domain))
}

/// A domain as the DNS has it (RFC 5890 §2.3.2.1), so that `münchen.de` and `xn--mnchen-3ya.de` are
/// one; what cannot be written so stays as it is.
fn ascii(domain: &str) -> Cow<'_, str> {
    match domain.is_ascii() {
        true => Cow::Borrowed(domain),
        false => idna::domain_to_ascii(domain).map_or(Cow::Borrowed(domain), Cow::Owned),
    }
}

/// What `check` of a rule has let through is an address.
fn addresses(list: &[String]) -> Vec<Address> {
    list.iter().filter_map(|text| Address::parse_plain(text)).map(|one| folded(&one)).collect()
}

fn lower(list: &[String]) -> Vec<String> {
    list.iter().map(|text| text.trim().trim_start_matches('.').to_lowercase()).collect()
}

fn domains(list: &[String]) -> Vec<String> {
    lower(list).iter().map(|domain| ascii(domain).into_owned()).collect()
}

fn compile(condition: &Condition, builder: &mut Builder) -> Check {
    use Condition as C;
    let header = |name: &str| Place::Header(name.to_lowercase());
    match condition {
        C::From(list) => Check::SenderIs(addresses(list)),
        C::FromScope(scope) => Check::SenderScope(*scope),
        C::FromMemberOf(list) => Check::SenderIn(addresses(list)),
        C::FromAddressWords(list) => Check::Found(builder.words(Place::Sender, list)),
        C::FromAddressMatches(list) => Check::Found(builder.regexes(Place::Sender, list)),
        C::SenderDomainIs(list) => Check::SenderDomain(domains(list)),
        C::SentTo(list) => Check::RecipientIs(addresses(list)),
        C::SentToScope(scope) => Check::RecipientScope(*scope),
        C::SentToMemberOf(list) => Check::RecipientIn(addresses(list)),
        C::RecipientAddressWords(list) => Check::Found(builder.words(Place::Recipient, list)),
        C::RecipientAddressMatches(list) => Check::Found(builder.regexes(Place::Recipient, list)),
        C::RecipientDomainIs(list) => Check::RecipientDomain(domains(list)),
        C::AnyRecipientAddressWords(list) => {
            Check::FoundInAny(builder.words(Place::Recipient, list))
        }
        C::AnyRecipientAddressMatches(list) => {
            Check::FoundInAny(builder.regexes(Place::Recipient, list))
        }
        C::BetweenMemberOf(one, other) => {
            match addresses(&[one.clone(), other.clone()]).as_slice() {
                [one, other] => Check::Between(one.clone(), other.clone()),
                _ => Check::SenderIn(Vec::new()),
            }
        }
        C::AnyOfToHeader(list) => Check::Named(Fields::TO, addresses(list)),
        C::AnyOfCcHeader(list) => Check::Named(Fields::CC, addresses(list)),
        C::AnyOfToCcHeader(list) => Check::Named(Fields::BOTH, addresses(list)),
        C::AnyOfToMemberOf(list) => Check::NamedIn(Fields::TO, addresses(list)),
        C::AnyOfCcMemberOf(list) => Check::NamedIn(Fields::CC, addresses(list)),
        C::AnyOfToCcMemberOf(list) => Check::NamedIn(Fields::BOTH, addresses(list)),
        C::SubjectWords(list) => Check::Found(builder.words(Place::Subject, list)),
        C::SubjectMatches(list) => Check::Found(builder.regexes(Place::Subject, list)),
        C::SubjectOrBodyWords(list) => Check::Found(builder.words(Place::Text, list)),
        C::SubjectOrBodyMatches(list) => Check::Found(builder.regexes(Place::Text, list)),
        C::HeaderWords { header: name, words } => Check::Found(builder.words(header(name), words)),
        C::HeaderMatches { header: name, patterns } => {
            Check::Found(builder.regexes(header(name), patterns))
        }
        C::SenderIpIn(list) => {
            Check::SenderIp(list.iter().filter_map(|text| text.parse().ok()).collect())
        }
        C::AttributeCompared { attribute, equal } => {
            Check::Compared { attribute: *attribute, equal: *equal }
        }
        C::HasClassification(list) => Check::Classification(lower(list)),
        C::HasNoClassification => Check::NoClassification,
        other => in_attributes(other, builder).unwrap_or_else(|| in_attachments(other, builder)),
    }
}

/// A condition about what the directory says of somebody; `None` for any other.
fn in_attributes(condition: &Condition, builder: &mut Builder) -> Option<Check> {
    use Condition as C;
    let (sender, recipient) = (Place::SenderAttribute, Place::RecipientAttribute);
    Some(Check::Found(match condition {
        C::SenderAttributeWords { attribute, words } => builder.words(sender(*attribute), words),
        C::SenderAttributeMatches { attribute, patterns } => {
            builder.regexes(sender(*attribute), patterns)
        }
        C::RecipientAttributeWords { attribute, words } => {
            builder.words(recipient(*attribute), words)
        }
        C::RecipientAttributeMatches { attribute, patterns } => {
            builder.regexes(recipient(*attribute), patterns)
        }
        _ => return None,
    }))
}

/// A condition about attachments, or about the message as a whole.
fn in_attachments(condition: &Condition, builder: &mut Builder) -> Check {
    use Condition as C;
    match condition {
        C::AttachmentNameMatches(list) => {
            Check::Found(builder.regexes(Place::AttachmentName, list))
        }
        C::AttachmentWords(list) => Check::Found(builder.words(Place::Attachment, list)),
        C::AttachmentMatches(list) => Check::Found(builder.regexes(Place::Attachment, list)),
        C::AttachmentPropertyWords { property, words } => {
            let place = Place::Property(property.trim().to_lowercase());
            Check::Found(builder.words(place, words))
        }
        C::AttachmentIsUnsupported => Check::AttachmentUnreadable,
        C::AttachmentIsNotFullyScanned => Check::AttachmentCutOff,
        C::AttachmentIsPasswordProtected => Check::AttachmentProtected,
        C::AttachmentExtensionIs(list) => Check::AttachmentExtension(lower(list)),
        C::AttachmentSizeOver(size_bytes) => Check::AttachmentSizeOver(*size_bytes),
        C::AttachmentIsExecutable => Check::AttachmentIsExecutable,
        C::MessageSizeOver(size_bytes) => Check::SizeOver(*size_bytes),
        C::CharsetIs(list) => Check::Charset(lower(list)),
        C::ImportanceIs(importance) => Check::Importance(*importance),
        C::MessageTypeIs(kind) => Check::Type(*kind),
        C::SclOver(level) => Check::SclOver(*level),
        // All others stand above.
        _ => Check::HasAttachment,
    }
}
