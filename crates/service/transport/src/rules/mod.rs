//! Transport rules: tried once, before anything else is done with a message.
//!
//! - `table` rows below `T/r/`, compiled (`compile`, `patterns`) when they change.
//! - `facts` gathers what the rules ask of a message, `attachments` looks into those where that
//!   alone can tell whether a rule applies, `evaluate` says what they make of each
//!   recipient, `fork` makes the messages (`edit`, `disclaimer`).
//!
//! Where rules change nothing, nothing is written: the message goes on as it was accepted. Where
//! they do, one transaction ends it and writes the messages that take its place, marked as seen by
//! the rules; so each message meets them once, whatever dies in between.

mod attachments;
mod compile;
mod disclaimer;
mod edit;
mod evaluate;
mod facts;
mod fork;
mod members;
mod notice;
mod patterns;
mod text;

use crate::context::Context;
use crate::table::{Derived, Setting, Settings, Table};
use attachments::{Patience, Turns};
use base::{AccountId, Error, Kind, Result, Timestamp};
use codec_mime::ParsedMessage;
pub(crate) use compile::RuleSet;
use contract_blob::Content;
use contract_transport::rule::{RULES_MAX, TransportRule, Trial, Verdict};
use contract_transport::{Envelope, QueueEntry, Recipient, Source};
use facts::{Facts, Message};
pub(crate) use fork::{Forked, Successor};
use members::Members;
use std::sync::Arc;

impl Setting for TransportRule {
    const PREFIX: &'static [u8] = b"T/r/";
    const CHANGED: &'static [u8] = b"T/x";
    const COUNT_MAX: usize = RULES_MAX;
    const NOUN: &'static str = "transport rule";
    const ACTION: &'static str = "rule";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        TransportRule::check(self)?;
        let own = Arc::new(Self { enabled: true, ..self.clone() });
        let compiled = RuleSet::new(std::iter::once(&own));
        compiled
            .map(|_| ())
            .map_err(|error| Error::invalid(format!("rule {}: {}", self.name, error.text)))
    }

    fn check_beside(&self, others: &Table<Self>) -> Result<()> {
        let own = Arc::new(self.clone());
        let others = others.values().filter(|other| other.name != self.name);
        RuleSet::new(others.chain(std::iter::once(&own))).map(|_| ())
    }

    fn parameters(&self) -> String {
        let Self { priority, enabled, mode, conditions, exceptions, actions, stop, .. } = self;
        let mut text = format!(
            "priority={priority} enabled={enabled} mode={mode:?} stop={stop} \
             conditions={conditions:?} exceptions={exceptions:?} actions={actions:?}"
        );
        if text.len() > PARAMETERS_BYTES_MAX {
            text.truncate(text.floor_char_boundary(PARAMETERS_BYTES_MAX));
            text.push('…');
        }
        text
    }
}

/// For how long a message comes again because too many others have their attachments looked into,
/// in milliseconds from its acceptance; then what cannot be looked into cannot be told.
const INSPECTION_WAIT_MS: i64 = 10 * 60 * 1000;

/// How much of a rule an audit record tells, in bytes.
const PARAMETERS_BYTES_MAX: usize = 8_000;

/// The rules as this node knows them.
pub(crate) struct Rules {
    pub(crate) settings: Arc<Settings<TransportRule>>,
    compiled: Derived<TransportRule, RuleSet>,
    members: Members,
    turns: Turns,
}

/// What the rules make of a message.
pub(crate) enum Ruled {
    /// It goes on as it is.
    AsItIs,
    /// So it does because the rules could not be tried, and are to be passed over.
    Untried,
    /// Other messages take its place.
    Forked(Forked),
}

impl Rules {
    pub(crate) fn new(settings: Arc<Settings<TransportRule>>) -> Self {
        let (compiled, members) = (Derived::default(), Members::default());
        Self { settings, compiled, members, turns: Turns::default() }
    }

    /// The rules, compiled; that is done when they have changed.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for rules of another version of this program that this one cannot
    /// compile.
    pub(crate) fn set(&self) -> Result<Arc<RuleSet>> {
        self.compiled.of(self.settings.table(), |table| RuleSet::new(table.values()))
    }

    /// Tries the rules on a message.
    ///
    /// # Errors
    /// Temporary ones where a rule wants to wait until it can be evaluated.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        entry: &QueueEntry,
        set: &RuleSet,
        parsed: &Arc<ParsedMessage>,
    ) -> Result<Ruled> {
        let message = Message { envelope: &entry.envelope, content: &entry.content, parsed };
        let now = context.env.clock.now();
        let mut waits = set.rules.iter().filter(|one| one.waits_for_facts(now));
        // Who has waited for long is not to wait for ever.
        let patience = match entry.accepted.plus_ms(INSPECTION_WAIT_MS) > now {
            true => Patience::ComesAgain,
            false => Patience::Over,
        };
        let facts = match self.facts(context, set, message, (now, patience)).await {
            // There is no room to look into attachments. That passes, and whoever waits in the queue
            // holds nobody up.
            Ok(None) => {
                let text = "Too many attachments are looked into now";
                return Err(Error::new(Kind::Overloaded, text));
            }
            Ok(Some(facts)) if waits.any(|one| !one.groups.is_disjoint(&facts.unknown_groups)) => {
                return Err(Error::unavailable("A group of a transport rule cannot be expanded"));
            }
            Ok(Some(facts)) => facts,
            Err(error) if waits.next().is_some() => return Err(error),
            Err(error) => {
                tracing::warn!(queue = %entry.queue, %error, "the rules cannot be tried");
                return Ok(Ruled::Untried);
            }
        };
        let effects = evaluate::evaluate(set, &facts, now);
        for (effects, recipient) in effects.iter().zip(&entry.envelope.recipients) {
            if !effects.rules.is_empty() || !effects.tested.is_empty() {
                tracing::info!(
                    target: "tracking", event = "AGENTINFO", source = "AGENT",
                    queue = %entry.queue, recipient = %recipient.address,
                    rules = ?effects.rules, tested = ?effects.tested,
                    severity = ?effects.severity,
                );
            }
        }
        if effects.iter().all(evaluate::Effects::is_nothing) {
            let all = facts.unknown_groups.is_empty();
            return Ok(if all { Ruled::AsItIs } else { Ruled::Untried });
        }
        fork::fork(context, entry, parsed, &facts, &effects).await.map(Ruled::Forked)
    }

    /// All that the rules of a set need to know of a message; `None` where it is to come again.
    async fn facts(
        &self,
        context: &Context,
        set: &RuleSet,
        message: Message<'_>,
        (now, patience): (Timestamp, Patience),
    ) -> Result<Option<Facts>> {
        let mut facts = facts::gather(context, set, &self.members, message).await?;
        if let Some(needed) = evaluate::needed(set, &facts, now) {
            let how = (needed, patience);
            if !attachments::inspect(context, set, message, &mut facts, how).await? {
                return Ok(None);
            }
        }
        Ok(Some(facts))
    }

    /// Tells what the rules, as they are stored now, would do.
    ///
    /// # Errors
    /// Temporary ones.
    pub(crate) async fn test(&self, context: &Context, trial: Trial) -> Result<Vec<Verdict>> {
        let table = self.settings.reload().await?;
        let set = RuleSet::new(table.values())?;
        let parsed = codec_mime::parse(&trial.message);
        let content = Content::default().with_prefix(trial.message);
        let recipients: Vec<_> = trial.recipients.into_iter().map(Recipient::plain).collect();
        let unknown = std::net::Ipv4Addr::UNSPECIFIED.into();
        let ip = trial.ip.or((!trial.is_authenticated).then_some(unknown));
        let source = Source { ip, helo: String::new(), protocol: String::new() };
        let envelope = Envelope {
            sender: trial.sender,
            recipients,
            // Whoever signs in may come from anywhere.
            authenticated: trial.is_authenticated.then_some(AccountId(0)),
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source,
        };
        let message = Message { envelope: &envelope, content: &content, parsed: &parsed };
        let now = context.env.clock.now();
        let facts = self.facts(context, &set, message, (now, Patience::Waits)).await?;
        let facts = facts.ok_or_else(|| Error::internal("no room for a trial"))?;
        let effects = evaluate::evaluate(&set, &facts, now);
        let verdicts = envelope.recipients.into_iter().zip(effects).map(|(recipient, effects)| {
            let actions = evaluate::in_words(&effects);
            Verdict { recipient: recipient.address, rules: effects.rules, actions }
        });
        Ok(verdicts.collect())
    }

    /// The rules in the order in which they are tried, as they are stored now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn list(&self) -> Result<Vec<Arc<TransportRule>>> {
        let mut rules: Vec<_> = self.settings.reload().await?.values().cloned().collect();
        rules.sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
        Ok(rules)
    }
}
