//! What a search folder may ask for, and whether a message fulfils it: what the index and the
//! parsed header know. Text of bodies and of other header fields is refused, because it would have
//! to be read at every change of a message; so is what means something else in each folder or at
//! each moment (UIDs, change numbers).

use base::{Error, Kind, Result};
use bytes::Bytes;
use codec_mime::{Address, ParsedMessage, SentAt, encoded_word};
use contract_mailbox::search::DEPTH_MAX;
use contract_mailbox::{IndexEntry, Keywords, Search};

/// The most conditions of one search folder.
const CONDITIONS_MAX: usize = 256;

/// The longest criteria, in bytes as stored.
const CRITERIA_BYTES_MAX: usize = 16_000;

/// Refuses criteria that a search folder cannot have.
pub(super) fn check(search: &Search) -> Result<()> {
    let mut conditions = 0;
    check_below(search, 1, &mut conditions)?;
    if crate::rows::encode(search)?.len() > CRITERIA_BYTES_MAX {
        let text =
            format!("The criteria of a search folder have at most {CRITERIA_BYTES_MAX} bytes");
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
}

fn check_below(search: &Search, depth: usize, conditions: &mut usize) -> Result<()> {
    *conditions += 1;
    if depth > DEPTH_MAX || *conditions > CONDITIONS_MAX {
        let text = format!("A search folder has at most {CONDITIONS_MAX} conditions");
        return Err(Error::new(Kind::Limit, text));
    }
    match search {
        Search::And(all) | Search::Or(all) => {
            all.iter().try_for_each(|below| check_below(below, depth + 1, conditions))
        }
        Search::Not(below) => check_below(below, depth + 1, conditions),
        Search::Header { .. } | Search::Body(_) | Search::Text(_) => {
            let text = "A search folder cannot look into bodies or other header fields";
            Err(Error::new(Kind::CannotChange, text))
        }
        Search::Uids(_) | Search::ChangedSince(_) => {
            let text = "A search folder cannot ask for UIDs or change numbers";
            Err(Error::new(Kind::CannotChange, text))
        }
        _ => Ok(()),
    }
}

/// Whether the parsed header is needed.
pub(super) fn asks_envelope(search: &Search) -> bool {
    match search {
        Search::And(all) | Search::Or(all) => all.iter().any(asks_envelope),
        Search::Not(below) => asks_envelope(below),
        Search::From(_)
        | Search::To(_)
        | Search::Cc(_)
        | Search::Bcc(_)
        | Search::Subject(_)
        | Search::SentBefore(_)
        | Search::SentOn(_)
        | Search::SentSince(_) => true,
        _ => false,
    }
}

/// Whether a message fulfils the criteria. `parsed` must be there where they ask for it.
pub(super) fn matches(
    search: &Search,
    entry: &IndexEntry,
    parsed: Option<&ParsedMessage>,
    keywords: &Keywords,
) -> bool {
    let again = |below: &Search| matches(below, entry, parsed, keywords);
    let day = entry.received.unix_s().div_euclid(86_400);
    let sent = || parsed.and_then(|parsed| parsed.sent_at).map(sent_day);
    let list = |pick: fn(&ParsedMessage) -> &[Address], text: &str| {
        parsed.is_some_and(|parsed| pick(parsed).iter().any(|one| has_address(one, text)))
    };
    match search {
        Search::All => true,
        Search::And(all) => all.iter().all(again),
        Search::Or(all) => all.iter().any(again),
        Search::Not(below) => !again(below),
        Search::System(flags) => entry.flags.system.contains(*flags),
        Search::Keyword(name) => {
            keywords.bit(name).is_some_and(|bit| entry.flags.keywords & bit != 0)
        }
        Search::ReceivedBefore(limit) => day < i64::from(*limit),
        Search::ReceivedOn(wanted) => day == i64::from(*wanted),
        Search::ReceivedSince(limit) => day >= i64::from(*limit),
        Search::ReceivedAfter(limit) => entry.received >= *limit,
        Search::SentBefore(limit) => sent().is_some_and(|day| day < i64::from(*limit)),
        Search::SentOn(wanted) => sent().is_some_and(|day| day == i64::from(*wanted)),
        Search::SentSince(limit) => sent().is_some_and(|day| day >= i64::from(*limit)),
        Search::Larger(limit) => entry.size_bytes > *limit,
        Search::Smaller(limit) => entry.size_bytes < *limit,
        Search::From(text) => list(|parsed| &parsed.envelope.from, text),
        Search::To(text) => list(|parsed| &parsed.envelope.to, text),
        Search::Cc(text) => list(|parsed| &parsed.envelope.cc, text),
        Search::Bcc(text) => list(|parsed| &parsed.envelope.bcc, text),
        Search::Subject(text) => {
            let subject = parsed.and_then(|parsed| parsed.envelope.subject.as_ref());
            subject.is_some_and(|subject| has_text(subject, text))
        }
        Search::Uids(_)
        | Search::ChangedSince(_)
        | Search::Header { .. }
        | Search::Body(_)
        | Search::Text(_) => false,
    }
}

fn sent_day(sent: SentAt) -> i64 {
    (sent.unix_seconds + i64::from(sent.offset_minutes) * 60).div_euclid(86_400)
}

fn has_text(value: &Bytes, text: &str) -> bool {
    encoded_word::decode(value).to_lowercase().contains(&text.to_lowercase())
}

/// Whether `name <address>` contains the text.
fn has_address(address: &Address, text: &str) -> bool {
    let [name, _, mailbox, host] = address.imap_fields();
    let mut shown = name.map(|name| encoded_word::decode(name)).unwrap_or_default();
    if let (Some(mailbox), Some(host)) = (mailbox, host) {
        let (mailbox, host) = (String::from_utf8_lossy(mailbox), String::from_utf8_lossy(host));
        shown = format!("{shown} <{mailbox}@{host}>");
    }
    shown.to_lowercase().contains(&text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Change, ItemId, Timestamp, Uid};
    use contract_mailbox::{Flags, SystemFlags, UidSet};

    #[test]
    fn criteria_look_at_index_and_header() {
        let parsed = codec_mime::parse(
            b"From: =?utf-8?q?J=C3=BCrgen?= <jw@example.org>\r\nTo: team@rialto.test\r\n\
              Date: Wed, 31 Dec 1969 23:30:00 -0100\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n",
        );
        let entry = IndexEntry {
            uid: Uid(1),
            item: ItemId(1),
            flags: Flags { system: SystemFlags::FLAGGED, keywords: 0b10 },
            change: Change(1),
            size_bytes: 100,
            received: Timestamp { unix_ms: 86_400_000 },
        };
        let keywords = Keywords(vec!["red".into(), "Blue".into()]);
        let check = |search: Search, expect: bool| {
            assert_eq!(matches(&search, &entry, Some(&parsed), &keywords), expect, "{search:?}");
        };
        let text = String::from;
        check(Search::All, true);
        check(Search::System(SystemFlags::FLAGGED), true);
        check(Search::Not(Box::new(Search::System(SystemFlags::SEEN))), true);
        check(Search::Keyword(text("blue")), true);
        check(Search::Keyword(text("red")), false);
        check(Search::Keyword(text("green")), false);
        check(Search::ReceivedOn(1), true);
        check(Search::ReceivedBefore(1), false);
        check(Search::ReceivedSince(1), true);
        check(Search::ReceivedAfter(Timestamp { unix_ms: 86_400_001 }), false);
        // In its own zone it was sent on the last day of 1969; in UTC on the first of 1970.
        check(Search::SentOn(-1), true);
        check(Search::SentSince(0), false);
        check(Search::SentBefore(0), true);
        check(Search::Larger(100), false);
        check(Search::Smaller(101), true);
        check(Search::From(text("JÜRGEN <jw@")), true);
        check(Search::From(text("team")), false);
        check(Search::To(text("TEAM@")), true);
        check(Search::Cc(text("")), false);
        check(Search::Subject(text("grüße")), true);
        check(Search::And(vec![Search::All, Search::Subject(text("x"))]), false);
        check(Search::Or(vec![Search::Subject(text("x")), Search::All]), true);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let kind = |search: Search| check(&search).map_err(|error| error.kind);
        assert_eq!(kind(Search::Body("x".into())), Err(Kind::CannotChange));
        let deep = Search::Not(Box::new(Search::Uids(UidSet::all())));
        assert_eq!(kind(deep), Err(Kind::CannotChange));
        assert_eq!(kind(Search::Or(vec![Search::All; 300])), Err(Kind::Limit));
        let mut nested = Search::All;
        for _ in 0..100 {
            nested = Search::Not(Box::new(nested));
        }
        assert_eq!(kind(nested), Err(Kind::Limit));
        assert_eq!(kind(Search::Subject("x".repeat(20_000))), Err(Kind::Limit));
        assert_eq!(kind(Search::And(vec![Search::All, Search::From("a".into())])), Ok(()));
    }
}
