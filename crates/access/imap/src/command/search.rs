//! SEARCH and UID SEARCH (RFC 3501 §6.4.4), with RETURN (RFC 4731), `$` (RFC 5182), OLDER and YOUNGER
//! (RFC 5032) and MODSEQ (RFC 7162 §3.1.5).
//!
//! What the view knows (flags, UIDs, numbers, sizes, dates of arrival) is answered from it, after
//! asking what changed; only a search for text goes to the mailbox. Either way the result holds
//! messages that the client knows, and nothing else.

mod result;

use super::{bring_up_to_date, failed};
use crate::modseq;
use crate::reply::{Answer, Reply, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::view::View;
use base::{Change, Timestamp, Uid};
use bytes::Bytes;
use codec_imap::command::{Charset, Search as Command, SearchKey, SearchReturn};
use codec_imap::{Code, Date, SequenceSet, Tag};
use contract_mailbox::search::DEPTH_MAX;
use contract_mailbox::{Search, SystemFlags, UidSet};

const SECONDS_PER_DAY: i64 = 86_400;

/// Conditions that are tried before other sessions get a turn.
const TESTS_PER_TURN: usize = 100_000;

/// SEARCH, UID SEARCH.
pub(crate) async fn run(session: &mut Session, tag: &Tag, command: Command) -> Answer {
    session.state.selected()?;
    if asks_mod_seq(&command.key) {
        modseq::enable(session, "SEARCH").await?;
    }
    let found = find(session, &command).await;
    let Session { wire, state, .. } = session;
    let (user, selected) = state.selected()?;
    let rev2 = user.enabled.rev2;
    let saves = command.returns.is_some_and(|returns| returns.save);
    let rows = match found {
        Ok(rows) => rows,
        // What was saved before would be taken for the result (RFC 5182 §2.1).
        Err(stop) => {
            if saves {
                selected.view.save(UidSet::default());
            }
            return Err(stop);
        }
    };
    let found = result::Found { rows: &rows, uid: command.uid, view: &selected.view };
    let mod_seqs = asks_mod_seq(&command.key);
    match &command.returns {
        // IMAP4rev2 knows no other answer (RFC 9051 §6.4.4).
        None if rev2 => found.put(wire, tag, &SearchReturn::default(), mod_seqs),
        None => found.put_all(wire, mod_seqs),
        Some(returns) => found.put(wire, tag, returns, mod_seqs),
    }
    if let Some(returns) = command.returns.filter(|returns| returns.save) {
        let uids = found.saved(&returns);
        selected.view.save(uids);
    }
    Ok(Reply::ok("Done"))
}

/// The rows that a SEARCH finds, ascending.
async fn find(session: &mut Session, command: &Command) -> Result<Vec<usize>, Stop> {
    // Where all text is UTF-8 nothing else may be said to be (RFC 6855 §3).
    let enabled = session.state.user()?.enabled;
    if command.charset.is_some() && enabled.utf8 && !enabled.rev2 {
        return Err(Reply::bad("Text is UTF-8 once UTF8=ACCEPT is enabled").into());
    }
    check_charset(command.charset.as_ref())?;
    let now = session.shared.env.clock.now();
    let (user, selected) = session.state.selected()?;
    bring_up_to_date(user, selected, "SEARCH").await?;
    let view = &selected.view;
    let search = condition(&command.key, view, now)?;
    if is_local(&search) {
        return Ok(local(&search, view).await);
    }
    let found = user.mailbox.search(selected.folder, search).await;
    let mut uids = found.map_err(|error| failed("SEARCH", error))?;
    uids.sort_unstable();
    Ok(uids.into_iter().filter_map(|uid| view.row_of(uid)).collect())
}

/// Whether a key looks at modification sequences: then they are told (RFC 7162 §3.1.5).
pub(super) fn asks_mod_seq(key: &SearchKey) -> bool {
    match key {
        SearchKey::ModSeq(_) => true,
        SearchKey::Not(key) => asks_mod_seq(key),
        SearchKey::Or(a, b) => asks_mod_seq(a) || asks_mod_seq(b),
        SearchKey::And(keys) => keys.iter().any(asks_mod_seq),
        _ => false,
    }
}

/// Received more than so many seconds, and so many milliseconds, before now.
fn received_after(now: Timestamp, seconds: u32, plus_ms: i64) -> Search {
    let second = now.unix_s().saturating_sub(i64::from(seconds));
    let unix_ms = second.saturating_mul(1_000).saturating_add(plus_ms);
    Search::ReceivedAfter(Timestamp { unix_ms })
}

/// Refuses charsets that are not known.
pub(super) fn check_charset(charset: Option<&Charset>) -> Result<(), Stop> {
    if let Some(Charset::Other(_)) = charset {
        let code = Code::BadCharset(&["US-ASCII", "UTF-8"]);
        return Err(Reply::no(code, "That charset is not known").into());
    }
    Ok(())
}

/// The key as a condition on messages, for the mailbox.
pub(super) fn condition(key: &SearchKey, view: &View, now: Timestamp) -> Result<Search, Stop> {
    translate(key, view, now, DEPTH_MAX)
}

/// The key as a condition on messages. Numbers and \Recent, which are the session's own, become
/// UIDs.
fn translate(key: &SearchKey, view: &View, now: Timestamp, depth: usize) -> Result<Search, Stop> {
    use Search as S;
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let flag = |flag| Ok(S::System(flag));
    let no_flag = |flag| Ok(S::Not(Box::new(S::System(flag))));
    let days = |date: &Date| date.to_unix_days().clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let recent = || S::Uids(view.recent().clone());
    match key {
        SearchKey::All => Ok(S::All),
        SearchKey::Answered => flag(SystemFlags::ANSWERED),
        SearchKey::Deleted => flag(SystemFlags::DELETED),
        SearchKey::Draft => flag(SystemFlags::DRAFT),
        SearchKey::Flagged => flag(SystemFlags::FLAGGED),
        SearchKey::Seen => flag(SystemFlags::SEEN),
        SearchKey::Unanswered => no_flag(SystemFlags::ANSWERED),
        SearchKey::Undeleted => no_flag(SystemFlags::DELETED),
        SearchKey::Undraft => no_flag(SystemFlags::DRAFT),
        SearchKey::Unflagged => no_flag(SystemFlags::FLAGGED),
        SearchKey::Unseen => no_flag(SystemFlags::SEEN),
        SearchKey::Recent => Ok(recent()),
        SearchKey::Old => Ok(S::Not(Box::new(recent()))),
        SearchKey::New => Ok(S::And(vec![recent(), no_flag(SystemFlags::SEEN)?])),
        SearchKey::Keyword(name) => Ok(S::Keyword(name.clone())),
        SearchKey::Unkeyword(name) => Ok(S::Not(Box::new(S::Keyword(name.clone())))),
        SearchKey::Bcc(bytes) => Ok(S::Bcc(text(bytes)?)),
        SearchKey::Body(bytes) => Ok(S::Body(text(bytes)?)),
        SearchKey::Cc(bytes) => Ok(S::Cc(text(bytes)?)),
        SearchKey::From(bytes) => Ok(S::From(text(bytes)?)),
        SearchKey::Subject(bytes) => Ok(S::Subject(text(bytes)?)),
        SearchKey::Text(bytes) => Ok(S::Text(text(bytes)?)),
        SearchKey::To(bytes) => Ok(S::To(text(bytes)?)),
        SearchKey::Header(name, bytes) => Ok(S::Header { name: text(name)?, text: text(bytes)? }),
        SearchKey::Before(date) => Ok(S::ReceivedBefore(days(date))),
        SearchKey::On(date) => Ok(S::ReceivedOn(days(date))),
        SearchKey::Since(date) => Ok(S::ReceivedSince(days(date))),
        SearchKey::SentBefore(date) => Ok(S::SentBefore(days(date))),
        SearchKey::SentOn(date) => Ok(S::SentOn(days(date))),
        SearchKey::SentSince(date) => Ok(S::SentSince(days(date))),
        SearchKey::Larger(size) => Ok(S::Larger(*size)),
        SearchKey::Smaller(size) => Ok(S::Smaller(*size)),
        // Both ends count, in whole seconds (RFC 5032 §3).
        SearchKey::Older(seconds) => Ok(S::Not(Box::new(received_after(now, *seconds, 999)))),
        SearchKey::Younger(seconds) => Ok(received_after(now, *seconds, -1)),
        SearchKey::ModSeq(number) => Ok(S::ChangedSince(Change(*number))),
        SearchKey::Sequence(set) => uids(set, false, view),
        SearchKey::Uid(set) => uids(set, true, view),
        SearchKey::Not(key) => Ok(S::Not(Box::new(translate(key, view, now, depth)?))),
        SearchKey::Or(a, b) => {
            Ok(S::Or(vec![translate(a, view, now, depth)?, translate(b, view, now, depth)?]))
        }
        SearchKey::And(keys) => {
            let each = keys.iter().map(|key| translate(key, view, now, depth));
            Ok(S::And(each.collect::<Result<_, Stop>>()?))
        }
    }
}

fn uids(set: &SequenceSet, uid: bool, view: &View) -> Result<Search, Stop> {
    Ok(Search::Uids(Selection::resolve(set, uid, view)?.uids(view)))
}

fn text(bytes: &Bytes) -> Result<String, Stop> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        let code = Code::BadCharset(&["US-ASCII", "UTF-8"]);
        Reply::no(code, "That text is not UTF-8").into()
    })
}

fn too_deep() -> Stop {
    Reply::no(Code::Limit, "The search is nested too deep").into()
}

/// Whether the view knows enough.
fn is_local(search: &Search) -> bool {
    match search {
        Search::And(all) | Search::Or(all) => all.iter().all(is_local),
        Search::Not(one) => is_local(one),
        Search::All
        | Search::Uids(_)
        | Search::System(_)
        | Search::Keyword(_)
        | Search::ReceivedBefore(_)
        | Search::ReceivedOn(_)
        | Search::ReceivedSince(_)
        | Search::Larger(_)
        | Search::Smaller(_)
        | Search::ChangedSince(_)
        | Search::ReceivedAfter(_) => true,
        _ => false,
    }
}

async fn local(search: &Search, view: &View) -> Vec<usize> {
    let rows_per_turn = (TESTS_PER_TURN / weight(search)).max(1);
    let mut found = Vec::new();
    for row in 0..view.len() {
        if row % rows_per_turn == rows_per_turn - 1 {
            tokio::task::yield_now().await;
        }
        if holds(search, view, row) {
            found.push(row);
        }
    }
    found
}

/// How many conditions there are.
fn weight(search: &Search) -> usize {
    match search {
        Search::And(all) | Search::Or(all) => 1 + all.iter().map(weight).sum::<usize>(),
        Search::Not(one) => 1 + weight(one),
        _ => 1,
    }
}

/// Whether a condition that [`is_local`] holds for a row.
fn holds(search: &Search, view: &View, row: usize) -> bool {
    let day = || view.received_s(row).div_euclid(SECONDS_PER_DAY);
    match search {
        Search::All => true,
        Search::And(all) => all.iter().all(|one| holds(one, view, row)),
        Search::Or(all) => all.iter().any(|one| holds(one, view, row)),
        Search::Not(one) => !holds(one, view, row),
        Search::Uids(uids) => has_uid(uids, view.uid(row)),
        Search::System(flags) => view.flags(row).0.system.contains(*flags),
        Search::Keyword(name) => {
            let bit = view.keywords().bit(name);
            bit.is_some_and(|bit| view.flags(row).0.keywords & bit != 0)
        }
        Search::ReceivedBefore(date) => day() < i64::from(*date),
        Search::ReceivedOn(date) => day() == i64::from(*date),
        Search::ReceivedSince(date) => day() >= i64::from(*date),
        Search::Larger(size) => view.size_bytes(row) > *size,
        Search::Smaller(size) => view.size_bytes(row) < *size,
        Search::ChangedSince(change) => view.mod_seq(row).is_some_and(|number| number >= change.0),
        Search::ReceivedAfter(moment) => view.received_s(row) * 1_000 > moment.unix_ms,
        _ => false,
    }
}

fn has_uid(uids: &UidSet, uid: Option<Uid>) -> bool {
    uid.is_some_and(|uid| uids.contains(uid))
}
