//! Which rules apply, and what they make of each recipient: pure, over [`Facts`].

use super::compile::{Check, Compiled, RuleSet};
use super::facts::{CLASS_FIELD, Facts, Person};
use super::patterns::Place;
use base::{Address, Timestamp};
use contract_transport::rule::{Action, Fallback, Mode, Place as End, Severity};
use std::collections::BTreeSet;

/// What the rules make of the message for one recipient. Recipients with equal effects get the
/// same message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects {
    pub(super) fate: Fate,
    /// Who gets it, too, and is named in it.
    pub(super) added: Vec<Address>,
    /// Who gets it, too, and nobody sees that.
    pub(super) blind: Vec<Address>,
    /// What is changed in it.
    pub(super) edits: Vec<Edit>,
    /// Who gets a report of it.
    pub(super) reports: Vec<Address>,
    /// What each recipient is told of it, HTML.
    pub(super) notices: Vec<String>,
    /// How grave it is; the gravest that a rule says.
    pub(super) severity: Option<Severity>,
    /// The rules that apply, in order.
    pub(super) rules: Vec<String>,
    /// Those that would, but are only tested.
    pub(super) tested: Vec<String>,
}

/// What becomes of a recipient.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    /// They get it.
    #[default]
    Gets,
    /// The sender is told that they do not.
    Refused { status: String, text: String },
    /// Nobody is told that they do not.
    Nothing,
    /// These get it instead.
    Redirected(Vec<Address>),
}

/// A change of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Edit {
    PrependSubject(String),
    Set {
        name: String,
        value: String,
    },
    Remove(String),
    /// To be named in the To field, or in the Cc field.
    NameInTo(Vec<Address>),
    NameInCc(Vec<Address>),
    Disclaimer {
        html: String,
        place: End,
        fallback: Fallback,
    },
}

/// The field that says how likely something is spam.
const SCL_FIELD: &str = "X-Rialto-SCL";

impl Effects {
    /// Whether the message stays as it is, and goes where it would.
    pub(super) fn is_nothing(&self) -> bool {
        self.fate == Fate::Gets
            && self.added.is_empty()
            && self.blind.is_empty()
            && self.edits.is_empty()
            && self.reports.is_empty()
            && self.notices.is_empty()
    }

    /// Whether two recipients get the same message, whichever rules say so.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.fate, &self.added, &self.blind) == (&other.fate, &other.added, &other.blind)
            && (&self.edits, &self.reports) == (&other.edits, &other.reports)
            && self.notices == other.notices
    }

    /// Takes an action in; answers whether rules behind it are still tried.
    fn take(&mut self, action: &Action) -> bool {
        let addresses = |list: &[String]| -> Vec<Address> {
            list.iter().filter_map(|text| Address::parse_plain(text)).collect()
        };
        match action {
            Action::Reject { status, text } => {
                self.fate = Fate::Refused { status: status.clone(), text: text.clone() };
                return false;
            }
            Action::Delete => {
                self.fate = Fate::Nothing;
                return false;
            }
            Action::RedirectTo(list) => self.fate = Fate::Redirected(addresses(list)),
            Action::AddTo(list) => {
                add(&mut self.added, &addresses(list));
                self.edits.push(Edit::NameInTo(addresses(list)));
            }
            Action::AddCc(list) => {
                add(&mut self.added, &addresses(list));
                self.edits.push(Edit::NameInCc(addresses(list)));
            }
            Action::BlindCopyTo(list) => add(&mut self.blind, &addresses(list)),
            Action::PrependSubject(text) => self.edits.push(Edit::PrependSubject(text.clone())),
            Action::SetHeader { name, value } => {
                self.edits.push(Edit::Set { name: name.clone(), value: value.clone() });
            }
            Action::RemoveHeader(name) => self.edits.push(Edit::Remove(name.clone())),
            Action::Disclaimer { html, place, fallback } => self.edits.push(Edit::Disclaimer {
                html: html.clone(),
                place: *place,
                fallback: *fallback,
            }),
            Action::SetScl(level) => {
                let (name, value) = (SCL_FIELD.to_owned(), level.to_string());
                self.edits.push(Edit::Set { name, value });
            }
            Action::Report { to } => self.reports.extend(Address::parse_plain(to)),
            Action::Classify(class) => {
                let (name, value) = (CLASS_FIELD.to_owned(), class.clone());
                self.edits.push(Edit::Set { name, value });
            }
            Action::NotifyRecipient { html } => self.notices.push(html.clone()),
            Action::SetSeverity(severity) => self.severity = self.severity.max(Some(*severity)),
        }
        true
    }
}

fn add(list: &mut Vec<Address>, more: &[Address]) {
    for address in more {
        if !list.contains(address) {
            list.push(address.clone());
        }
    }
}

/// What all rules make of each recipient, in the order of the envelope.
pub(super) fn evaluate(rules: &RuleSet, facts: &Facts, now: Timestamp) -> Vec<Effects> {
    let mut effects = vec![Effects::default(); facts.recipients.len()];
    let mut open = vec![true; facts.recipients.len()];
    for compiled in rules.rules.iter().filter(|one| one.rule.is_active(now)) {
        // Whoever wants to wait until it can be tried does not come here.
        if !compiled.groups.is_disjoint(&facts.unknown_groups) {
            continue;
        }
        let Some(same) = Same::of(compiled, facts) else { continue };
        for (number, recipient) in facts.recipients.iter().enumerate() {
            if !open[number] || !same.applies_to(compiled, facts, recipient) {
                continue;
            }
            let effects = &mut effects[number];
            if compiled.rule.mode == Mode::Test {
                effects.tested.push(compiled.rule.name.clone());
                continue;
            }
            effects.rules.push(compiled.rule.name.clone());
            let goes_on = compiled.rule.actions.iter().all(|action| effects.take(action));
            open[number] = goes_on && !compiled.rule.stop;
        }
    }
    effects
}

/// What has to be looked into for the rules.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Needed {
    /// Files that others are packed in: whether there is a program among them.
    Archives,
    /// All attachments.
    All,
}

/// What of the attachments has to be looked into, if anything: where all else that a rule asks for
/// holds, and only the inside of attachments can tell. `None` as a rule.
pub(super) fn needed(rules: &RuleSet, facts: &Facts, now: Timestamp) -> Option<Needed> {
    if facts.attachments.is_empty() {
        return None;
    }
    let of_rule = |compiled: &Compiled| {
        let parts = compiled.conditions.iter().chain(&compiled.exceptions);
        let needed = parts.filter_map(|check| needed_for(check, facts)).max()?;
        let holds_all = |recipient: &Person| {
            let known = |check: &&Check| needed_for(check, facts).is_none();
            let holds = |check: &Check| holds(check, facts, Some(recipient));
            compiled.conditions.iter().filter(known).all(holds)
                && !compiled.exceptions.iter().filter(known).any(holds)
        };
        facts.recipients.iter().any(holds_all).then_some(needed)
    };
    let active = rules.rules.iter().filter(|one| one.rule.is_active(now));
    let known = active.filter(|one| one.groups.is_disjoint(&facts.unknown_groups));
    known.filter(|one| one.asks_for_content).filter_map(of_rule).max()
}

/// What has to be looked into to tell whether a condition holds.
fn needed_for(check: &Check, facts: &Facts) -> Option<Needed> {
    match check {
        Check::AttachmentIsExecutable => {
            (!facts.attachments.iter().any(|one| one.is_executable)).then_some(Needed::Archives)
        }
        check => check.is_about_content().then_some(Needed::All),
    }
}

/// What is the same of a rule for all recipients, answered once: it may apply.
struct Same;

impl Same {
    /// `None` where the rule applies to nobody.
    fn of(compiled: &Compiled, facts: &Facts) -> Option<Self> {
        let same = |check: &&Check| !check.is_about_recipient();
        let holds = |check: &Check| holds(check, facts, None);
        let applies = compiled.conditions.iter().filter(same).all(holds)
            && !compiled.exceptions.iter().filter(same).any(holds);
        applies.then_some(Self)
    }

    fn applies_to(&self, compiled: &Compiled, facts: &Facts, recipient: &Person) -> bool {
        let own = |check: &&Check| check.is_about_recipient();
        let holds = |check: &Check| holds(check, facts, Some(recipient));
        compiled.conditions.iter().filter(own).all(holds)
            && !compiled.exceptions.iter().filter(own).any(holds)
    }
}

/// Whether a condition holds; one that is about a recipient holds for none but a given one.
fn holds(check: &Check, facts: &Facts, recipient: Option<&Person>) -> bool {
    let about = |holds: &dyn Fn(&Person) -> bool| recipient.is_some_and(holds);
    let sender = &facts.sender;
    match check {
        Check::Found(wanted) => match &wanted.place {
            Place::Recipient => about(&|person| person.hits.has(wanted)),
            Place::Sender => sender.hits.has(wanted),
            Place::SenderAttribute(attribute) => {
                sender.attribute_hits.get(attribute).is_some_and(|hits| hits.has(wanted))
            }
            Place::RecipientAttribute(attribute) => about(&|person| {
                person.attribute_hits.get(attribute).is_some_and(|hits| hits.has(wanted))
            }),
            _ => facts.hits.get(&wanted.place).is_some_and(|hits| hits.has(wanted)),
        },
        Check::FoundInAny(wanted) => facts.recipients.iter().any(|one| one.hits.has(wanted)),
        Check::SenderIs(list) => sender.is_one_of(list),
        Check::SenderScope(scope) => sender.scope == *scope,
        Check::SenderIn(groups) => is_in(sender, groups),
        Check::SenderDomain(domains) => has_domain(sender, domains),
        Check::RecipientIs(list) => about(&|person| person.is_one_of(list)),
        Check::RecipientScope(scope) => about(&|person| person.scope == *scope),
        Check::RecipientIn(groups) => about(&|person| is_in(person, groups)),
        Check::RecipientDomain(domains) => about(&|person| has_domain(person, domains)),
        Check::Between(one, other) => about(&|person| {
            let across = |from: &Address, to: &Address| {
                sender.groups.contains(from) && person.groups.contains(to)
            };
            across(one, other) || across(other, one)
        }),
        Check::Named(fields, list) => {
            let named = |named: &[Address]| named.iter().any(|one| list.contains(one));
            (fields.to && named(&facts.to)) || (fields.cc && named(&facts.cc))
        }
        Check::HasAttachment => !facts.attachments.is_empty(),
        Check::AttachmentExtension(endings) => facts.attachments.iter().any(|one| {
            let ending = one.name.rsplit_once('.').map(|(_, ending)| ending);
            ending.is_some_and(|ending| endings.iter().any(|wanted| wanted == ending))
        }),
        Check::AttachmentSizeOver(size) => {
            facts.attachments.iter().any(|one| one.size_bytes > *size)
        }
        Check::AttachmentIsExecutable => facts.attachments.iter().any(|one| one.is_executable),
        Check::SizeOver(size_bytes) => facts.size_bytes > *size_bytes,
        Check::Charset(names) => facts.charsets.iter().any(|name| names.contains(name)),
        Check::Importance(importance) => facts.importance == *importance,
        Check::Type(kind) => facts.types.contains(kind),
        Check::SclOver(level) => facts.scl.is_some_and(|scl| scl >= *level),
        Check::SenderIp(ranges) => {
            facts.ip.is_some_and(|ip| ranges.iter().any(|range| range.contains(ip)))
        }
        Check::Compared { attribute, equal } => about(&|person| {
            let [one, other] = [sender, person].map(|one| one.attribute(*attribute).to_lowercase());
            (!one.is_empty() && one == other) == *equal
        }),
        Check::NamedIn(fields, groups) => {
            let named = |named: &BTreeSet<Address>| groups.iter().any(|one| named.contains(one));
            (fields.to && named(&facts.to_groups)) || (fields.cc && named(&facts.cc_groups))
        }
        Check::Classification(classes) => {
            facts.classification.as_ref().is_some_and(|class| classes.contains(class))
        }
        Check::NoClassification => facts.classification.is_none(),
        Check::AttachmentUnreadable => facts.attachments.iter().any(|one| one.is_unreadable),
        Check::AttachmentCutOff => facts.attachments.iter().any(|one| one.is_cut_off),
        Check::AttachmentProtected => facts.attachments.iter().any(|one| one.is_protected),
    }
}

fn is_in(person: &Person, groups: &[Address]) -> bool {
    person.groups.iter().any(|group| groups.contains(group))
}

/// Whether somebody's domain is one of these, or below one.
fn has_domain(person: &Person, domains: &[String]) -> bool {
    let Some(address) = &person.address else { return false };
    domains.iter().any(|wanted| match address.domain.strip_suffix(wanted.as_str()) {
        Some("") => true,
        Some(above) => above.ends_with('.'),
        None => false,
    })
}

/// What is done, in words for people.
pub(super) fn in_words(effects: &Effects) -> Vec<String> {
    let list = |list: &[Address]| {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        list.join(", ")
    };
    let mut words = Vec::new();
    match &effects.fate {
        Fate::Gets => {}
        Fate::Refused { status, text } => words.push(format!("refused with {status} {text}")),
        Fate::Nothing => words.push("deleted, and nobody is told".to_owned()),
        Fate::Redirected(to) => words.push(format!("redirected to {}", list(to))),
    }
    if !effects.added.is_empty() {
        words.push(format!("sent to {}, too", list(&effects.added)));
    }
    if !effects.blind.is_empty() {
        words.push(format!("copied to {}", list(&effects.blind)));
    }
    words.extend(effects.edits.iter().map(|edit| match edit {
        Edit::PrependSubject(text) => format!("the subject begins with \"{text}\""),
        Edit::Set { name, value } => format!("{name} is set to \"{value}\""),
        Edit::Remove(name) => format!("{name} is removed"),
        Edit::NameInTo(to) => format!("To names {}", list(to)),
        Edit::NameInCc(to) => format!("Cc names {}", list(to)),
        Edit::Disclaimer { place: End::Append, .. } => "a disclaimer is appended".to_owned(),
        Edit::Disclaimer { place: End::Prepend, .. } => "a disclaimer is prepended".to_owned(),
    }));
    if !effects.reports.is_empty() {
        words.push(format!("reported to {}", list(&effects.reports)));
    }
    words.extend(effects.notices.iter().map(|_| "the recipient is told of it".to_owned()));
    words.extend(
        effects.severity.map(|severity| format!("of {severity:?} severity").to_lowercase()),
    );
    words.extend(effects.tested.iter().map(|name| format!("\"{name}\" is only tested")));
    words
}
