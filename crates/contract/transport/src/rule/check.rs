//! What can never work in a rule is refused when it is made, naming what and where.

use super::{Action, Condition, TransportRule};
use crate::receive::AddressRange;
use base::{Address, Error, Result};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The most conditions, exceptions, and actions, each.
const PARTS_MAX: usize = 50;

/// The most values of one condition or action, and the longest, in bytes.
const VALUES_MAX: usize = 1_000;
const VALUE_BYTES_MAX: usize = 1_000;

/// The longest disclaimer, in bytes (Exchange: 5,000 characters).
const DISCLAIMER_BYTES_MAX: usize = 20_000;

/// All texts of a rule together: it is one row.
const RULE_BYTES_MAX: usize = 60_000;

impl TransportRule {
    /// Refuses what can never work. Whether its patterns can be compiled is for the service to say.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the place and the reason.
    pub fn check(&self) -> Result<()> {
        let name = self.name.trim();
        if name.is_empty()
            || name.len() != self.name.len()
            || name.chars().count() > NAME_CHARS_MAX
            || name.chars().any(|c| c.is_control() || c == '/')
        {
            let text = "a rule's name has 1 to 64 characters, no \"/\", no space at its ends";
            return Err(Error::invalid(text));
        }
        let place = |what: &str, number: usize| format!("rule {name}: {what} {}", number + 1);
        for (what, list) in [("condition", &self.conditions), ("exception", &self.exceptions)] {
            if list.len() > PARTS_MAX {
                return Err(Error::invalid(format!("rule {name}: over {PARTS_MAX} {what}s")));
            }
            for (number, condition) in list.iter().enumerate() {
                check_condition(condition, &place(what, number))?;
            }
        }
        if self.actions.is_empty() && !self.stop {
            return Err(Error::invalid(format!("rule {name}: it does nothing")));
        }
        if self.actions.len() > PARTS_MAX {
            return Err(Error::invalid(format!("rule {name}: over {PARTS_MAX} actions")));
        }
        for (number, action) in self.actions.iter().enumerate() {
            check_action(action, &place("action", number))?;
        }
        let texts = |rule: &Self| format!("{rule:?}").len();
        if self.comments.len() > VALUE_BYTES_MAX || texts(self) > RULE_BYTES_MAX {
            return Err(Error::invalid(format!("rule {name}: it is too long")));
        }
        if let (Some(from), Some(until)) = (self.active_from_unix_ms, self.active_until_unix_ms)
            && until <= from
        {
            return Err(Error::invalid(format!("rule {name}: it ends before it begins")));
        }
        Ok(())
    }
}

fn check_condition(condition: &Condition, place: &str) -> Result<()> {
    use Condition as C;
    match condition {
        C::From(list)
        | C::FromMemberOf(list)
        | C::SentTo(list)
        | C::SentToMemberOf(list)
        | C::AnyOfToHeader(list)
        | C::AnyOfCcHeader(list)
        | C::AnyOfToCcHeader(list)
        | C::AnyOfToMemberOf(list)
        | C::AnyOfCcMemberOf(list)
        | C::AnyOfToCcMemberOf(list) => check_addresses(list, place),
        C::BetweenMemberOf(one, other) => check_addresses(&[one.clone(), other.clone()], place),
        C::SenderDomainIs(list) | C::RecipientDomainIs(list) => check_domains(list, place),
        C::SenderIpIn(list) => check_ranges(list, place),
        C::HeaderWords { header, words: list } | C::HeaderMatches { header, patterns: list } => {
            check_field(header, place)?;
            check_values(list, place)
        }
        C::AttachmentPropertyWords { property, words } => {
            check_line(property, place)?;
            check_values(words, place)
        }
        C::SclOver(level) => check_scl(*level, place),
        other => values(other).map_or(Ok(()), |list| check_values(list, place)),
    }
}

/// The words or patterns of a condition that has nothing else to be checked; `None` where it has
/// none.
fn values(condition: &Condition) -> Option<&[String]> {
    use Condition as C;
    match condition {
        C::FromAddressWords(list)
        | C::FromAddressMatches(list)
        | C::RecipientAddressWords(list)
        | C::RecipientAddressMatches(list)
        | C::AnyRecipientAddressWords(list)
        | C::AnyRecipientAddressMatches(list)
        | C::SubjectWords(list)
        | C::SubjectMatches(list)
        | C::SubjectOrBodyWords(list)
        | C::SubjectOrBodyMatches(list)
        | C::AttachmentNameMatches(list)
        | C::AttachmentExtensionIs(list)
        | C::AttachmentWords(list)
        | C::AttachmentMatches(list)
        | C::SenderAttributeWords { words: list, .. }
        | C::SenderAttributeMatches { patterns: list, .. }
        | C::RecipientAttributeWords { words: list, .. }
        | C::RecipientAttributeMatches { patterns: list, .. }
        | C::HasClassification(list)
        | C::CharsetIs(list) => Some(list),
        _ => None,
    }
}

fn check_ranges(list: &[String], place: &str) -> Result<()> {
    check_values(list, place)?;
    let parsed = list.iter().map(|text| text.parse::<AddressRange>());
    match parsed.filter_map(Result::err).next() {
        Some(error) => Err(Error::invalid(format!("{place}: {}", error.text))),
        None => Ok(()),
    }
}

fn check_action(action: &Action, place: &str) -> Result<()> {
    match action {
        Action::Reject { status, text } => {
            let number = status.strip_prefix("5.7.").and_then(|rest| rest.parse::<u16>().ok());
            if !number.is_some_and(|number| number == 1 || (900..1000).contains(&number)) {
                let text = format!("{place}: the status is 5.7.1 or 5.7.900 to 5.7.999");
                return Err(Error::invalid(text));
            }
            check_line(text, place)
        }
        Action::RedirectTo(list)
        | Action::AddTo(list)
        | Action::AddCc(list)
        | Action::BlindCopyTo(list) => check_addresses(list, place),
        Action::Report { to } => check_addresses(std::slice::from_ref(to), place),
        Action::PrependSubject(text) => check_line(text, place),
        Action::SetHeader { name, value } => {
            check_field(name, place)?;
            check_line(value, place)
        }
        Action::RemoveHeader(name) => check_field(name, place),
        Action::Classify(text) => check_line(text, place),
        Action::Disclaimer { html, .. } | Action::NotifyRecipient { html } => {
            if html.trim().is_empty() || html.len() > DISCLAIMER_BYTES_MAX {
                let text = format!("{place}: its text has 1 to {DISCLAIMER_BYTES_MAX} bytes");
                return Err(Error::invalid(text));
            }
            Ok(())
        }
        Action::SetScl(level) => check_scl(*level, place),
        Action::Delete | Action::SetSeverity(_) => Ok(()),
    }
}

fn check_values(list: &[String], place: &str) -> Result<()> {
    if list.is_empty() || list.len() > VALUES_MAX {
        return Err(Error::invalid(format!("{place}: it needs 1 to {VALUES_MAX} values")));
    }
    list.iter().try_for_each(|value| check_line(value, place))
}

fn check_line(text: &str, place: &str) -> Result<()> {
    if text.trim().is_empty() || text.len() > VALUE_BYTES_MAX || text.chars().any(char::is_control)
    {
        let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        let text = format!("{place}: \"{shown}\" is no line of 1 to {VALUE_BYTES_MAX} bytes");
        return Err(Error::invalid(text));
    }
    Ok(())
}

fn check_addresses(list: &[String], place: &str) -> Result<()> {
    check_values(list, place)?;
    match list.iter().find(|text| Address::parse_plain(text).is_none()) {
        Some(text) => {
            let shown = text.escape_debug();
            Err(Error::invalid(format!("{place}: \"{shown}\" is no address")))
        }
        None => Ok(()),
    }
}

fn check_domains(list: &[String], place: &str) -> Result<()> {
    check_values(list, place)?;
    let is_domain = |text: &String| {
        let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        text.split('.').all(|label| !label.is_empty() && label.chars().all(plain))
    };
    match list.iter().find(|text| !is_domain(text)) {
        Some(text) => {
            let shown = text.escape_debug();
            Err(Error::invalid(format!("{place}: \"{shown}\" is no domain")))
        }
        None => Ok(()),
    }
}

/// Fields that say how a message is built: changing them breaks it.
const STRUCTURE: [&str; 3] = ["content-type", "content-transfer-encoding", "mime-version"];

fn check_field(name: &str, place: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || name.len() > 76 || !name.chars().all(plain) {
        let shown = name.escape_debug();
        return Err(Error::invalid(format!("{place}: \"{shown}\" is no header field")));
    }
    if STRUCTURE.iter().any(|field| name.eq_ignore_ascii_case(field)) {
        return Err(Error::invalid(format!("{place}: {name} is not for rules")));
    }
    Ok(())
}

fn check_scl(level: i8, place: &str) -> Result<()> {
    match (-1..=9).contains(&level) {
        true => Ok(()),
        false => Err(Error::invalid(format!("{place}: a spam confidence level is -1 to 9"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(json: &str, refusal: Option<&str>) {
        let rule: TransportRule = serde_json::from_str(json).unwrap();
        match (rule.check(), refusal) {
            (Ok(()), None) => {}
            (Err(error), Some(words)) => assert!(error.text.contains(words), "{error}, {json}"),
            (result, _) => panic!("{result:?}, {json}"),
        }
    }

    #[test]
    fn what_can_never_work_is_refused_with_its_place() {
        check(r#"{"name": "a", "stop": true}"#, None);
        check(r#"{"name": " a", "stop": true}"#, Some("name"));
        check(r#"{"name": "a/b", "stop": true}"#, Some("name"));
        check(r#"{"name": "a"}"#, Some("does nothing"));
        let with = |condition: &str| {
            format!(r#"{{"name": "a", "conditions": [{condition}], "actions": ["delete"]}}"#)
        };
        check(&with(r#"{"from": ["a@example.org"]}"#), None);
        check(&with(r#"{"from": ["nobody"]}"#), Some("condition 1: \"nobody\" is no address"));
        check(&with(r#"{"from": []}"#), Some("condition 1: it needs 1"));
        check(&with(r#"{"subject_words": ["a\r\nb"]}"#), Some("is no line"));
        check(&with(r#"{"sender_domain_is": ["a..b"]}"#), Some("is no domain"));
        check(&with(r#"{"header_words": {"header": "a b", "words": ["x"]}}"#), Some("no header"));
        check(&with(r#"{"scl_over": 10}"#), Some("-1 to 9"));
        check(&with(r#""has_attachment""#), None);
        check(&with(r#"{"sender_ip_in": ["192.0.2.0/24", "2001:db8::1"]}"#), None);
        check(&with(r#"{"sender_ip_in": ["192.0.2.1/24"]}"#), Some("condition 1: \"192.0.2.1/24"));
        check(&with(r#"{"any_of_to_member_of": ["x"]}"#), Some("is no address"));
        let words = r#"{"sender_attribute_words": {"attribute": "kind", "words": ["room"]}}"#;
        check(&with(words), None);
        check(&with(r#"{"attachment_words": []}"#), Some("condition 1: it needs 1"));
        let property = r#"{"attachment_property_words": {"property": "", "words": ["x"]}}"#;
        check(&with(property), Some("is no line"));
        check(&with(r#""attachment_is_password_protected""#), None);
        let with = |action: &str| format!(r#"{{"name": "a", "actions": ["delete", {action}]}}"#);
        check(&with(r#"{"reject": {"text": "No"}}"#), None);
        check(&with(r#"{"reject": {"text": "No", "status": "4.7.1"}}"#), Some("action 2: the st"));
        check(&with(r#"{"reject": {"text": "No\nBcc: x"}}"#), Some("action 2: \"No\\nBcc"));
        check(&with(r#"{"set_header": {"name": "Content-Type", "value": "x"}}"#), Some("not for"));
        check(&with(r#"{"disclaimer": {"html": " "}}"#), Some("its text has"));
        check(&with(r#"{"report": {"to": "x"}}"#), Some("is no address"));
        check(&with(r#"{"notify_recipient": {"html": ""}}"#), Some("its text has"));
        check(&with(r#"{"set_severity": "high"}, {"classify": "Internal"}"#), None);
        let ends = r#"{"name": "a", "stop": true, "active_from_unix_ms": 5,
                       "active_until_unix_ms": 5}"#;
        check(ends, Some("ends before"));
    }

    #[test]
    fn a_rule_is_active_in_its_window() {
        let json = r#"{"name": "a", "stop": true, "active_from_unix_ms": 5,
                       "active_until_unix_ms": 7}"#;
        let mut rule: TransportRule = serde_json::from_str(json).unwrap();
        let active = |rule: &TransportRule, unix_ms| rule.is_active(base::Timestamp { unix_ms });
        assert_eq!([4, 5, 6, 7].map(|at| active(&rule, at)), [false, true, true, false]);
        rule.enabled = false;
        assert!(!active(&rule, 5));
    }

    #[test]
    fn what_is_new_needs_its_feature_level() {
        let level = |parts: &str| {
            let json = format!(r#"{{"name": "a", {parts}}}"#);
            serde_json::from_str::<TransportRule>(&json).unwrap().level()
        };
        assert_eq!(level(r#""conditions": ["has_attachment"], "actions": ["delete"]"#), 1);
        assert_eq!(level(r#""conditions": [{"message_type_is": "signed"}], "stop": true"#), 1);
        let new = super::super::RULES_LEVEL;
        assert_eq!(level(r#""conditions": [{"message_type_is": "voicemail"}], "stop": true"#), new);
        assert_eq!(level(r#""exceptions": ["has_no_classification"], "stop": true"#), new);
        assert_eq!(level(r#""actions": [{"set_severity": "low"}]"#), new);
    }
}
