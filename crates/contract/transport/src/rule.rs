//! Transport rules: what is done to mail on its way (Exchange: transport rules, mail flow rules).
//!
//! Rules are tried in order of priority, for each recipient of a message. A rule applies where all
//! of its conditions hold and none of its exceptions does; inside a condition one value of the list
//! is enough. Conditions about recipients look at each of them alone, so what a rule does may make
//! messages of one that differ.

mod check;
mod condition;

use async_trait::async_trait;
use base::{Address, Result, Timestamp};
use bytes::Bytes;
pub use condition::{Attribute, Condition, Importance, MessageType, Scope};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// How many rules there may be (Exchange: 300).
pub const RULES_MAX: usize = 500;

/// The feature level of the cluster from which on every node understands all conditions and actions
/// that there are now; before, only those of [`TransportRule::level`] 1.
pub const RULES_LEVEL: u32 = 4;

/// The enhanced status code of a refusal where the rule names none (RFC 3463 §3.8).
pub const REJECT_STATUS: &str = "5.7.1";

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransportRule {
    /// Its name, as people call it: 1 to 64 characters.
    pub name: String,
    /// Lower is earlier; among equals the name decides.
    #[serde(default)]
    pub priority: u32,
    /// Whether it is tried at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it acts.
    #[serde(default)]
    pub mode: Mode,
    /// For people.
    #[serde(default)]
    pub comments: String,
    /// It is not tried before, milliseconds since 1970.
    #[serde(default)]
    pub active_from_unix_ms: Option<i64>,
    /// It is not tried from then on.
    #[serde(default)]
    pub active_until_unix_ms: Option<i64>,
    /// All must hold; without any it applies to every message.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// None may hold.
    #[serde(default)]
    pub exceptions: Vec<Condition>,
    /// What is done, in order.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Whether the rules behind it are not tried where it applies.
    #[serde(default)]
    pub stop: bool,
    /// What becomes of a message for which it cannot be evaluated.
    #[serde(default)]
    pub on_error: OnError,
}

fn yes() -> bool {
    true
}

impl TransportRule {
    /// The feature level of the cluster from which on every node understands it.
    pub fn level(&self) -> u32 {
        let conditions = self.conditions.iter().chain(&self.exceptions);
        let is_new = conditions.clone().any(Condition::is_of_level_4)
            || self.actions.iter().any(Action::is_of_level_4);
        if is_new { RULES_LEVEL } else { 1 }
    }

    /// Whether it is to be tried at a moment.
    pub fn is_active(&self, now: Timestamp) -> bool {
        let has_begun = self.active_from_unix_ms.is_none_or(|from| from <= now.unix_ms);
        self.enabled && has_begun && self.active_until_unix_ms.is_none_or(|end| now.unix_ms < end)
    }
}

/// Whether a rule acts (Exchange: Enforce, AuditAndNotify, Audit).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It acts.
    #[default]
    Enforce,
    /// It is only logged that it would have.
    Test,
}

/// What becomes of a message for which a rule cannot be evaluated (Exchange: RuleErrorAction).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The rule is passed over.
    #[default]
    Ignore,
    /// The message waits and is tried again, until it expires.
    Defer,
}

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The sender is told that it was refused; rules behind are not tried.
    Reject {
        /// The enhanced status code, `5.7.1` or `5.7.900` to `5.7.999`.
        #[serde(default = "reject_status")]
        status: String,
        /// The reason, in a line.
        text: String,
    },
    /// The message goes nowhere, and nobody is told; rules behind are not tried.
    Delete,
    /// These get it instead of the recipient.
    RedirectTo(Vec<String>),
    /// These get it too, and are named in the To field.
    AddTo(Vec<String>),
    /// These get it too, and are named in the Cc field.
    AddCc(Vec<String>),
    /// These get it too, and nobody sees that.
    BlindCopyTo(Vec<String>),
    /// Put before the subject, unless it begins so already.
    PrependSubject(String),
    /// A header field, in place of those of its name.
    SetHeader {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// All header fields of that name go.
    RemoveHeader(String),
    /// A text is put into the message.
    Disclaimer {
        /// The text, HTML. `%%display_name%%` and `%%address%%` become the sender's.
        html: String,
        /// At which end.
        #[serde(default)]
        place: Place,
        /// What is done where it cannot be put in: signed or encrypted mail.
        #[serde(default)]
        fallback: Fallback,
    },
    /// The spam confidence level, -1 (never) to 9.
    SetScl(i8),
    /// A report with the message attached goes to this address.
    Report {
        /// To whom.
        to: String,
    },
    /// The message's classification, in place of the one that it has (Exchange:
    /// ApplyClassification).
    Classify(String),
    /// The recipient is told of the message, whatever becomes of it (Exchange:
    /// GenerateNotification).
    NotifyRecipient {
        /// What they are told, HTML. `%%from%%`, `%%to%%`, `%%cc%%`, `%%subject%%` and `%%date%%`
        /// become the message's.
        html: String,
    },
    /// How grave it is that the rule applies: told in the log and in reports.
    SetSeverity(Severity),
}

impl Action {
    fn is_of_level_4(&self) -> bool {
        matches!(self, Self::Classify(_) | Self::NotifyRecipient { .. } | Self::SetSeverity(_))
    }
}

/// How grave something is, in the eyes of who has made a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Hardly.
    Low,
    /// Somewhat.
    Medium,
    /// Very.
    High,
}

fn reject_status() -> String {
    REJECT_STATUS.to_owned()
}

/// Where a disclaimer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Behind the text.
    #[default]
    Append,
    /// Before the text.
    Prepend,
}

/// What is done where a disclaimer cannot be put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The message is attached to a new one that has the text.
    #[default]
    Wrap,
    /// It goes without.
    Ignore,
    /// It is refused.
    Reject,
}

/// A message on which the rules are to be tried, without anything being done.
#[derive(Clone, Debug)]
pub struct Trial {
    /// MAIL FROM.
    pub sender: Option<Address>,
    /// Whether the sender would have signed in.
    pub is_authenticated: bool,
    /// From where it would have come; `None` where that is not known.
    pub ip: Option<IpAddr>,
    /// RCPT TO.
    pub recipients: Vec<Address>,
    /// The message.
    pub message: Bytes,
}

/// What the rules would do for one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Whose.
    pub recipient: Address,
    /// The rules that apply, in order.
    pub rules: Vec<String>,
    /// What is done, in words.
    pub actions: Vec<String>,
}

/// The transport rules of the organisation. Every change is one transaction with its audit record,
/// and is in effect on every node within about a second.
#[async_trait]
pub trait TransportRules: Send + Sync + 'static {
    /// All of them, in the order in which they are tried, as they are stored now.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn rules(&self) -> Result<Vec<Arc<TransportRule>>>;

    /// Finds out whether a rule could be made, or put in the place of the one of its name: what it
    /// says, its patterns, and whether all rules together are not too much. Nothing is written.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    async fn check_rule(&self, rule: &TransportRule) -> Result<()>;

    /// Makes one.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`], [`base::Kind::Limit`].
    async fn create_rule(&self, actor: &Actor, new: TransportRule) -> Result<Arc<TransportRule>>;

    /// Puts a rule in the place of the one of its name.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Invalid`].
    async fn replace_rule(&self, actor: &Actor, new: TransportRule) -> Result<Arc<TransportRule>>;

    /// Removes one.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn remove_rule(&self, actor: &Actor, name: &str) -> Result<()>;

    /// Tells what the rules would do to a message. Nothing is done, nothing is logged.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn try_rules(&self, trial: Trial) -> Result<Vec<Verdict>>;
}
