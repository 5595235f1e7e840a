//! What must be so, for a rule to apply.

use serde::{Deserialize, Serialize};

/// Where somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In the organisation: a sender who signed in, a recipient in an accepted domain.
    Inside,
    /// Elsewhere.
    Outside,
}

/// What must be so. Words are found whole and in any letter case, patterns are regular expressions
/// in any letter case, an address stands for all addresses of its mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The sender is one of these.
    From(Vec<String>),
    /// Where the sender is.
    FromScope(Scope),
    /// The sender is in one of these groups.
    FromMemberOf(Vec<String>),
    /// The sender's address has one of these words.
    FromAddressWords(Vec<String>),
    /// The sender's address matches.
    FromAddressMatches(Vec<String>),
    /// The sender's domain is one of these, or below one.
    SenderDomainIs(Vec<String>),
    /// The recipient is one of these.
    SentTo(Vec<String>),
    /// Where the recipient is.
    SentToScope(Scope),
    /// The recipient is in one of these groups, or the group itself.
    SentToMemberOf(Vec<String>),
    /// The recipient's address has one of these words.
    RecipientAddressWords(Vec<String>),
    /// The recipient's address matches.
    RecipientAddressMatches(Vec<String>),
    /// The recipient's domain is one of these, or below one.
    RecipientDomainIs(Vec<String>),
    /// Some recipient's address has one of these words.
    AnyRecipientAddressWords(Vec<String>),
    /// Some recipient's address matches.
    AnyRecipientAddressMatches(Vec<String>),
    /// Sender and recipient are in these two groups, one in each.
    BetweenMemberOf(String, String),
    /// The To field names one of these.
    AnyOfToHeader(Vec<String>),
    /// The Cc field names one of these.
    AnyOfCcHeader(Vec<String>),
    /// The To or Cc field names one of these.
    AnyOfToCcHeader(Vec<String>),
    /// The subject has one of these words.
    SubjectWords(Vec<String>),
    /// The subject matches.
    SubjectMatches(Vec<String>),
    /// Subject or text have one of these words.
    SubjectOrBodyWords(Vec<String>),
    /// Subject or text match.
    SubjectOrBodyMatches(Vec<String>),
    /// A header field has one of these words.
    HeaderWords {
        /// The field's name.
        header: String,
        /// The words.
        words: Vec<String>,
    },
    /// A header field matches.
    HeaderMatches {
        /// The field's name.
        header: String,
        /// The patterns.
        patterns: Vec<String>,
    },
    /// There is an attachment.
    HasAttachment,
    /// An attachment's name matches.
    AttachmentNameMatches(Vec<String>),
    /// An attachment's name ends so, without the dot.
    AttachmentExtensionIs(Vec<String>),
    /// An attachment is larger than so many bytes.
    AttachmentSizeOver(u64),
    /// An attachment is a program, by its content or its name.
    AttachmentIsExecutable,
    /// The message is larger than so many bytes.
    MessageSizeOver(u64),
    /// A text is written in one of these charsets.
    CharsetIs(Vec<String>),
    /// Its importance.
    ImportanceIs(Importance),
    /// What kind of message it is.
    MessageTypeIs(MessageType),
    /// Its spam confidence level is this or higher.
    SclOver(i8),
    // From feature level 4 on; stored as they stand here: append.
    /// The message came from an address in one of these ranges.
    SenderIpIn(Vec<String>),
    /// What the directory says of the sender has one of these words.
    SenderAttributeWords {
        /// What of it.
        attribute: Attribute,
        /// The words.
        words: Vec<String>,
    },
    /// What the directory says of the sender matches.
    SenderAttributeMatches {
        /// What of it.
        attribute: Attribute,
        /// The patterns.
        patterns: Vec<String>,
    },
    /// What the directory says of the recipient has one of these words.
    RecipientAttributeWords {
        /// What of it.
        attribute: Attribute,
        /// The words.
        words: Vec<String>,
    },
    /// What the directory says of the recipient matches.
    RecipientAttributeMatches {
        /// What of it.
        attribute: Attribute,
        /// The patterns.
        patterns: Vec<String>,
    },
    /// Whether the directory says the same of sender and recipient.
    AttributeCompared {
        /// What of it.
        attribute: Attribute,
        /// Whether it is to be the same, or not.
        equal: bool,
    },
    /// The To field names somebody in one of these groups.
    AnyOfToMemberOf(Vec<String>),
    /// The Cc field names somebody in one of these groups.
    AnyOfCcMemberOf(Vec<String>),
    /// The To or Cc field names somebody in one of these groups.
    AnyOfToCcMemberOf(Vec<String>),
    /// The message is classified as one of these.
    HasClassification(Vec<String>),
    /// The message has no classification.
    HasNoClassification,
    /// The content of an attachment has one of these words.
    AttachmentWords(Vec<String>),
    /// The content of an attachment matches.
    AttachmentMatches(Vec<String>),
    /// The content of an attachment cannot be told, or not all of it.
    AttachmentIsUnsupported,
    /// Looking into an attachment was given up before its end.
    AttachmentIsNotFullyScanned,
    /// An attachment, or something in it, is behind a password.
    AttachmentIsPasswordProtected,
    /// A property of an attachment has one of these words.
    AttachmentPropertyWords {
        /// Which property, such as `title` or `author`.
        property: String,
        /// The words.
        words: Vec<String>,
    },
}

impl Condition {
    pub(super) fn is_of_level_4(&self) -> bool {
        match self {
            Self::SenderIpIn(_)
            | Self::SenderAttributeWords { .. }
            | Self::SenderAttributeMatches { .. }
            | Self::RecipientAttributeWords { .. }
            | Self::RecipientAttributeMatches { .. }
            | Self::AttributeCompared { .. }
            | Self::AnyOfToMemberOf(_)
            | Self::AnyOfCcMemberOf(_)
            | Self::AnyOfToCcMemberOf(_)
            | Self::HasClassification(_)
            | Self::HasNoClassification
            | Self::AttachmentWords(_)
            | Self::AttachmentMatches(_)
            | Self::AttachmentIsUnsupported
            | Self::AttachmentIsNotFullyScanned
            | Self::AttachmentIsPasswordProtected
            | Self::AttachmentPropertyWords { .. } => true,
            Self::MessageTypeIs(kind) => matches!(
                kind,
                MessageType::AutomaticForward
                    | MessageType::PermissionControlled
                    | MessageType::Voicemail
            ),
            _ => false,
        }
    }
}

/// What the directory says of people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// The name for people.
    DisplayName,
    /// Their addresses.
    Email,
    /// The domain of their primary address; of somebody whom the directory does not know, that of
    /// the address they use.
    Domain,
    /// `user`, `shared`, `room`, `equipment`, `contact` or `group`.
    Kind,
}

/// The importance of a message (RFC 2156 §5.3.4, X-Priority).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// Low.
    Low,
    /// Normal, or nothing said.
    Normal,
    /// High.
    High,
}

/// What kind of message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// An automatic reply (RFC 3834 §5).
    AutomaticReply,
    /// Signed: S/MIME or OpenPGP.
    Signed,
    /// Encrypted: S/MIME or OpenPGP.
    Encrypted,
    /// A meeting request or an answer to one.
    Calendaring,
    /// A read receipt (RFC 8098).
    ReadReceipt,
    /// A report of delivery (RFC 3464).
    DeliveryReport,
    /// Passed on by a program and not by a person (RFC 2156 §5.3.6).
    AutomaticForward,
    /// Sealed by rights management.
    PermissionControlled,
    /// A voice message (RFC 3801).
    Voicemail,
}
