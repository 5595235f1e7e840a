//! `/api/v1/trace`: Get-MessageTrackingLog, and a message's story in words.

use super::{Admin, Answer, parse_address};
use axum::Json;
use axum::extract::{Path, Query, State};
use base::{Address, Error, QueueId, Result, Timestamp};
use contract_directory::Resolved;
use contract_transport::tracking::{Event, Found, Involved, Origin, Search, Tracked};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many recipients a row or a sentence names; of the others only the number is told.
const NAMED_MAX: usize = 5;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What is looked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    sender: Option<String>,
    recipient: Option<String>,
    message_id: Option<String>,
    subject: Option<String>,
    /// `30m`, `2h`, `7d`, `2026-11-22`, or a moment of that day as `more_before` tells it.
    since: Option<String>,
    /// The same.
    until: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn search(
    State(admin): State<Arc<Admin>>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let mut search = wanted.search()?;
    if let Some(sender) = &wanted.sender {
        search.senders = addresses(&admin, sender).await?;
    }
    if let Some(recipient) = &wanted.recipient {
        search.recipients = addresses(&admin, recipient).await?;
    }
    let found = admin.tracking.search(&search).await?;
    Ok(Json(page(&found)))
}

pub(super) async fn explain(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Answer {
    let mut stories = match QueueId::parse(&id) {
        Some(queue) => vec![admin.tracking.story(queue).await?],
        None => {
            let message_id = Some(id.clone());
            let search = Search { message_id, ..Search::default() };
            admin.tracking.search(&search).await?.stories
        }
    };
    stories.retain(|story| !story.is_empty());
    // The oldest first: the others are copies of it, or came after it.
    stories.reverse();
    if stories.is_empty() {
        return Err(Error::not_found(format!("A message {id}, in what is tracked,")).into());
    }
    let lines: Vec<String> = stories.iter().flat_map(|story| tell(story)).collect();
    let events: Vec<Value> = stories.iter().flatten().map(view).collect();
    Ok(Json(json!({ "story": lines, "events": events })))
}

/// The messages that were found, and whether there may be more: `more_before` is what to ask for
/// next as `until`.
fn page(found: &Found) -> Value {
    let more = found.more_before.map(moment_text);
    let rows: Vec<_> = found.stories.iter().map(|story| row(story)).collect();
    json!({ "messages": rows, "more_before": more })
}

/// An address, and the others of the same mailbox.
async fn addresses(admin: &Admin, text: &str) -> Result<Vec<Address>> {
    let asked = parse_address(text)?;
    let mut all = vec![asked.clone()];
    let found = admin.directory.resolve(&asked).await?;
    if let Resolved::Account(account) | Resolved::Contact(account) = found {
        all.extend(account.addresses().cloned());
        all.extend(account.flow.external.clone());
    }
    all.sort_unstable_by_key(ToString::to_string);
    all.dedup();
    Ok(all)
}

impl Wanted {
    fn search(&self) -> Result<Search> {
        let (since, within_ms) = self.since.as_deref().map_or(Ok((None, None)), moment)?;
        let (until, before_ms) = self.until.as_deref().map_or(Ok((None, None)), moment)?;
        Ok(Search {
            senders: Vec::new(),
            recipients: Vec::new(),
            message_id: self.message_id.clone(),
            subject: self.subject.clone(),
            since,
            within_ms,
            until,
            before_ms,
            limit: self.limit.unwrap_or_default(),
        })
    }
}

/// A moment as [`moment`] reads it: `2026-11-22T16:50:23.123Z`.
fn moment_text(at: Timestamp) -> String {
    let time = chrono::DateTime::from_timestamp_millis(at.unix_ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `7d` as so long ago in milliseconds, `2026-11-22` as the beginning of that day, or a moment
/// (RFC 3339 §5.6).
pub(super) fn moment(text: &str) -> Result<(Option<Timestamp>, Option<i64>)> {
    let wrong =
        || Error::invalid(format!("\"{}\" is no time: 2h, 7d, 2026-11-22", text.escape_debug()));
    if let Some(day) = parse_day(text) {
        return Ok((Some(day), None));
    }
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok((Some(Timestamp { unix_ms: time.timestamp_millis() }), None));
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok((None, Some(i64::from(number).saturating_mul(unit_ms))))
}

/// The beginning of a day.
fn parse_day(text: &str) -> Option<Timestamp> {
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(Timestamp { unix_ms: day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis() })
}

/// `2026-11-22 16:50:23.123 UTC`.
fn utc(at: Timestamp) -> String {
    let time = chrono::DateTime::from_timestamp_millis(at.unix_ms).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// One message as a row of a list.
fn row(story: &[Tracked]) -> Value {
    let Some(begun) = story.iter().find(|event| event.event.begins()).or(story.first()) else {
        return Value::Null;
    };
    json!({
        "id": begun.queue.to_string(),
        "accepted": utc(begun.queue.accepted_at()),
        "sender": sender(begun),
        "recipients": names(&begun.recipients),
        "status": status(story),
        "subject": begun.subject,
        "message_id": begun.message_id,
        "size_bytes": begun.size_bytes,
    })
}

fn sender(begun: &Tracked) -> String {
    begun.sender.as_ref().map_or("<>".to_owned(), ToString::to_string)
}

fn names(recipients: &[Involved]) -> String {
    let mut names: Vec<String> =
        recipients.iter().take(NAMED_MAX).map(|one| one.address.to_string()).collect();
    if recipients.len() > NAMED_MAX {
        names.push(format!("and {} more", recipients.len() - NAMED_MAX));
    }
    names.join(", ")
}

/// How a message stands, by what was tracked of it last and worst.
fn status(story: &[Tracked]) -> &'static str {
    let has = |event| story.iter().any(|one| one.event == event);
    let done = |event: Event| matches!(event, Event::Deliver | Event::Send | Event::Expand);
    // Who is meant is told in the same moment as what became of them, and behind it.
    let is_telling = |one: &&Tracked| !matches!(one.event, Event::Resolve | Event::Redirect);
    match story.iter().rfind(is_telling).map(|last| last.event) {
        Some(Event::Suspend) => "Suspended",
        Some(Event::Remove) => "Removed",
        Some(Event::PoisonMessage) => "Poison",
        Some(Event::Defer) => "Deferred",
        _ if has(Event::Fail) && (has(Event::Deliver) || has(Event::Send)) => "PartlyFailed",
        _ if has(Event::Fail) => "Failed",
        _ if story.iter().any(is_replacement) => "Replaced",
        Some(Event::Transfer) => "Queued",
        Some(last) if done(last) || has(Event::Deliver) || has(Event::Send) => "Delivered",
        _ => "Pending",
    }
}

/// Whether another message has taken its place, whose story tells the rest: after the rules, or
/// because it was routed anew.
fn is_replacement(event: &Tracked) -> bool {
    event.event == Event::Transfer && event.connector.is_none()
}

/// An event with all that is known of it.
fn view(event: &Tracked) -> Value {
    let recipients = event.recipients.iter().map(|one| {
        json!({ "address": one.address.to_string(), "status": one.status, "reason": one.reason })
    });
    json!({
        "at": utc(event.at),
        "at_unix_ms": event.at.unix_ms,
        "node": event.node.to_string(),
        "event": event.event.name(),
        "source": event.origin.name(),
        "id": event.queue.to_string(),
        "sender": event.event.begins().then(|| sender(event)),
        "recipients": recipients.collect::<Vec<_>>(),
        "message_id": event.message_id,
        "subject": event.subject,
        "size_bytes": event.event.begins().then_some(event.size_bytes),
        "connector": event.connector,
        "client": event.client,
        "server": event.server,
        "related": event.related.map(|related| related.to_string()),
        "reason": event.reason,
        "latency_ms": event.latency_ms,
    })
}

/// A message's story in sentences.
fn tell(story: &[Tracked]) -> Vec<String> {
    let Some(first) = story.iter().find(|event| event.event.begins()).or(story.first()) else {
        return Vec::new();
    };
    let about = |what: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("  {what} {text}")).unwrap_or_default()
    };
    let mut lines = vec![
        format!("Message {}{}", first.queue, about("with the Message-ID", &first.message_id)),
        format!("  from {} to {}", sender(first), names(&first.recipients)),
    ];
    lines.extend(first.subject.as_ref().map(|subject| format!("  Subject: {subject}")));
    for event in story {
        let place = format!("{}  {:<16} ", utc(event.at), event.event.name());
        lines.push(format!("{place}{}", sentence(event)));
        for one in event.recipients.iter().filter(|one| !one.reason.is_empty()).take(NAMED_MAX) {
            lines.push(match event.event {
                Event::Resolve => format!("    {}: as {}", one.address, one.reason),
                Event::Redirect => format!("    {}: for {}", one.address, one.reason),
                _ => format!("    {}: {} {}", one.address, one.status, one.reason),
            });
        }
    }
    lines.push(format!("It stands at: {}.", status(story)));
    lines
}

fn sentence(event: &Tracked) -> String {
    let to = names(&event.recipients);
    let by = |text: &Option<String>| text.clone().unwrap_or_else(|| "nobody named".to_owned());
    let after = event.latency_ms.map(|ms| format!(", {}", took(ms))).unwrap_or_default();
    let related = event.related.map(|related| related.to_string()).unwrap_or_default();
    let (node, reason) = (event.node, &event.reason);
    match event.event {
        Event::Receive if event.origin == Origin::Dsn => {
            format!("Rialto wrote it on {node}, as a report on {related}.")
        }
        Event::Receive if event.origin == Origin::Agent => {
            format!("It took the place of {related}, after the transport rules, on {node}.")
        }
        Event::Receive if event.origin == Origin::Queue => {
            format!("It took the place of {related}, which was routed anew, on {node}.")
        }
        Event::Receive => format!(
            "Accepted on {node} from {} by {reason}, {} bytes.",
            by(&event.client),
            event.size_bytes
        ),
        Event::Submit => format!("Sent from a mailbox on {node}, {} bytes.", event.size_bytes),
        Event::Expand => format!("The group {reason} became {to}."),
        Event::Resolve => format!("It was found to be meant for {to}."),
        Event::Redirect => format!("It is forwarded to {to}."),
        Event::AgentInfo => format!("Scanned by {reason}."),
        Event::Transfer if event.origin == Origin::Agent => {
            format!("The transport rules made {related} of it, for {to}.")
        }
        Event::Transfer if event.connector.is_none() => {
            format!("Routed anew as {related}, for {to}: {reason}.")
        }
        Event::Transfer => {
            let signed = if reason.is_empty() { String::new() } else { format!(", {reason}") };
            let hop = by(&event.connector);
            format!("Put into the queue for {hop} as {related}, for {to}{after}{signed}.")
        }
        Event::Deliver => format!("Delivered to the mailbox of {to} on {node}{after}."),
        Event::DuplicateDeliver => {
            format!("The mailbox of {to} had it already; it was not delivered again.")
        }
        Event::Send => format!("{} took it for {to}{after}.", by(&event.server)),
        Event::Defer if to.is_empty() => format!("It could not go on: {reason}."),
        Event::Defer => format!("It could not go on to {to}: {reason}."),
        Event::Fail if event.is_refusal() => format!(
            "It came to {node} from {} by {reason}, {} bytes, and was not accepted for {to}.",
            by(&event.client),
            event.size_bytes
        ),
        Event::Fail => format!("It will not reach {to}{after}."),
        Event::Dsn => format!("{to} is told so, by the message {related}."),
        Event::PoisonMessage => format!("It was set aside: {reason}."),
        Event::Suspend => "An administrator holds it back.".to_owned(),
        Event::Resume => "An administrator lets it go on.".to_owned(),
        Event::Retry => "An administrator has it tried at once.".to_owned(),
        Event::Remove => "An administrator took it out of its queue.".to_owned(),
    }
}

/// A time since acceptance in words.
fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms after it was accepted"),
        1_000..120_000 => format!("{}.{} s after it was accepted", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min after it was accepted", ms / 60_000),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::NodeId;

    #[test]
    fn times_are_read_and_shown() {
        let check = |text: &str, expect: Option<(Option<i64>, Option<i64>)>| {
            let found = moment(text).ok();
            let found = found.map(|(at, ago)| (at.map(|at| at.unix_ms / DAY_MS), ago));
            assert_eq!(found, expect, "{text}");
        };
        check("2h", Some((None, Some(7_200_000))));
        check("7d", Some((None, Some(7 * DAY_MS))));
        check("1970-01-01", Some((Some(0), None)));
        check("2024-02-29", Some((Some(19_782), None)));
        check("2024-02-29T01:02:03.004Z", Some((Some(19_782), None)));
        for wrong in ["", "h", "2x", "-2h", "2023-02-29", "2024-13-01", "é", "1-2-3-4"] {
            check(wrong, None);
        }
        let at = Timestamp { unix_ms: 19_782 * DAY_MS + 3_723_004 };
        assert_eq!(utc(at), "2024-02-29 01:02:03.004 UTC");
        assert_eq!(moment(&moment_text(at)).unwrap(), (Some(at), None));
    }

    #[test]
    fn a_search_that_stopped_says_where_to_go_on() {
        let mut found = Found::default();
        assert_eq!(page(&found), json!({ "messages": [], "more_before": null }));
        found.more_before = Some(Timestamp { unix_ms: 19_782 * DAY_MS });
        assert_eq!(page(&found)["more_before"], json!("2024-02-29T00:00:00.000Z"));
    }

    #[test]
    fn who_is_meant_and_forwarded_to_is_told() {
        let told = |what, from: &str| {
            let to = Involved::told(address("b"), "", from);
            tell(&[event(1, what, Origin::Resolver).about([to])]).join("\n")
        };
        let resolved = told(Event::Resolve, "alias@x.test");
        assert!(resolved.contains("meant for b@x.test."), "{resolved}");
        assert!(resolved.contains("    b@x.test: as alias@x.test"), "{resolved}");
        let meant = event(1, Event::Resolve, Origin::Resolver);
        assert_eq!(status(&[event(1, Event::Defer, Origin::Smtp), meant]), "Deferred");
        let redirected = told(Event::Redirect, "a@x.test");
        assert!(redirected.contains("forwarded to b@x.test."), "{redirected}");
        assert!(redirected.contains("    b@x.test: for a@x.test"), "{redirected}");
    }

    fn event(at_ms: i64, event: Event, origin: Origin) -> Tracked {
        let accepted = Timestamp { unix_ms: 19_782 * DAY_MS };
        let place = (accepted.plus_ms(at_ms), NodeId(2));
        Tracked::new(place, event, origin, QueueId::new(accepted, 7)).since(accepted)
    }

    fn address(name: &str) -> Address {
        Address::new(name, "x.test")
    }

    #[test]
    fn what_was_routed_anew_is_told_in_both_stories() {
        let related = Some(base::QueueId(7));
        let to = || [Involved::plain(address("b"))];
        let moved = Tracked { related, ..event(3, Event::Transfer, Origin::Routing) };
        let moved = moved.about(to()).because("its send connector is gone");
        let begun = Tracked { related, ..event(3, Event::Receive, Origin::Queue) }.about(to());
        assert!(sentence(&moved).starts_with("Routed anew as q"), "{}", sentence(&moved));
        assert!(sentence(&moved).ends_with(": its send connector is gone."));
        assert!(sentence(&begun).contains("which was routed anew"), "{}", sentence(&begun));
        assert_eq!(status(&[begun, moved]), "Replaced");
    }

    #[test]
    fn a_story_is_told_in_words() {
        let begun = Tracked {
            sender: Some(address("a")),
            message_id: Some("1@x".into()),
            subject: Some("Lunch".into()),
            client: Some("192.0.2.1 (there)".into()),
            size_bytes: 5_000,
            ..event(0, Event::Receive, Origin::Smtp)
        };
        let begun = begun.about([Involved::plain(address("all"))]).because("ESMTPS");
        let members = [Involved::plain(address("b")), Involved::plain(address("c"))];
        let expanded =
            event(1, Event::Expand, Origin::Resolver).about(members).because("all@x.test");
        let delivered = event(2, Event::Deliver, Origin::StoreDriver);
        let delivered = delivered.about([Involved::plain(address("b"))]);
        let full = Involved::told(address("c"), "5.2.2", "The mailbox is full");
        let failed = event(130_000, Event::Fail, Origin::StoreDriver).about([full]);
        let mut story = vec![begun, expanded, delivered];
        assert_eq!(status(&story), "Delivered");
        story.push(failed);
        assert_eq!(status(&story), "PartlyFailed");
        let told = tell(&story).join("\n");
        for words in [
            "with the Message-ID 1@x",
            "from a@x.test to all@x.test",
            "Subject: Lunch",
            "2024-02-29 00:00:00.000 UTC  RECEIVE",
            "from 192.0.2.1 (there) by ESMTPS, 5000 bytes",
            "The group all@x.test became b@x.test, c@x.test.",
            "Delivered to the mailbox of b@x.test on n2, 2 ms after it was accepted.",
            "It will not reach c@x.test, 2 min after it was accepted.",
            "c@x.test: 5.2.2 The mailbox is full",
            "It stands at: PartlyFailed.",
        ] {
            assert!(told.contains(words), "{words} in\n{told}");
        }
        let shown = row(&story);
        assert_eq!(
            (&shown["status"], &shown["recipients"]),
            (&json!("PartlyFailed"), &json!("all@x.test"))
        );
        assert_eq!(view(&story[2])["event"], json!("DELIVER"));
        let all: Vec<_> = (0..8).map(|n| Involved::plain(address(&format!("r{n}")))).collect();
        assert!(names(&all).ends_with("r4@x.test, and 3 more"), "{}", names(&all));
    }
}
