//! THREAD and UID THREAD (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES. The mailbox puts the threads
//! together; told is what the client knows of them.

use super::search::{self, asks_mod_seq, check_charset};
use super::{bring_up_to_date, failed};
use crate::modseq;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::command::{Thread, ThreadAlgorithm};
use codec_imap::response::{Response, ThreadNode};
use contract_mailbox::{ThreadEntry, Threading};

/// THREAD, UID THREAD.
pub(crate) async fn run(session: &mut Session, command: Thread) -> Answer {
    session.state.selected()?;
    check_charset(Some(&command.charset))?;
    let threading = match command.algorithm {
        ThreadAlgorithm::OrderedSubject => Threading::OrderedSubject,
        ThreadAlgorithm::References => Threading::References,
        ThreadAlgorithm::Other(_) => {
            return Err(Reply::bad("There is no such threading algorithm").into());
        }
    };
    if asks_mod_seq(&command.key) {
        modseq::enable(session, "THREAD").await?;
    }
    let now = session.shared.env.clock.now();
    let (user, selected) = session.state.selected()?;
    bring_up_to_date(user, selected, "THREAD").await?;
    let view = &selected.view;
    let search = search::condition(&command.key, view, now)?;
    let entries = user.mailbox.threads(selected.folder, search, threading).await;
    let entries = entries.map_err(|error| failed("THREAD", error))?;
    let nodes = known(&entries, |uid| {
        let row = view.row_of(uid)?;
        Some(if command.uid { uid.0 } else { row as u32 + 1 })
    });
    session.wire.put(&Response::Thread(&nodes));
    Ok(Reply::ok("Done"))
}

/// The threads without the messages that the client does not know: what is below them moves up, and
/// they stay as missing ones only at the top, with several below.
fn known(entries: &[ThreadEntry], id: impl Fn(base::Uid) -> Option<u32>) -> Vec<ThreadNode> {
    let mut nodes = Vec::with_capacity(entries.len());
    // The depths of those above that were taken out.
    let mut out: Vec<u32> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        while out.last().is_some_and(|depth| *depth >= entry.depth) {
            out.pop();
        }
        let shown = |entry: &ThreadEntry| entry.uid.and_then(&id);
        let known = shown(entry);
        let depth = entry.depth - out.len() as u32;
        let several = || children(&entries[index..], |entry| shown(entry).is_some()) > 1;
        let stays = known.is_some() || depth == 0 && several();
        match stays {
            true => nodes.push(ThreadNode { depth, id: known }),
            false => out.push(entry.depth),
        }
    }
    nodes
}

/// How many known entries will be right below the first when the others below it are taken out.
fn children(entries: &[ThreadEntry], known: impl Fn(&ThreadEntry) -> bool) -> usize {
    let Some(first) = entries.first() else { return 0 };
    // The depth of the known one that was counted last.
    let (mut count, mut counted) = (0, u32::MAX);
    for entry in entries[1..].iter().take_while(|entry| entry.depth > first.depth) {
        if entry.depth <= counted {
            counted = u32::MAX;
            if known(entry) {
                (count, counted) = (count + 1, entry.depth);
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Uid;

    #[test]
    fn only_what_the_client_knows_is_told() {
        let check = |entries: &[(u32, u32)], unknown: &[u32], expect: &[(u32, u32)]| {
            let entry = |(depth, uid): &(u32, u32)| ThreadEntry {
                depth: *depth,
                uid: (*uid > 0).then_some(Uid(*uid)),
            };
            let entries: Vec<ThreadEntry> = entries.iter().map(entry).collect();
            let nodes = known(&entries, |uid| (!unknown.contains(&uid.0)).then_some(uid.0));
            let shown: Vec<(u32, u32)> =
                nodes.iter().map(|node| (node.depth, node.id.unwrap_or(0))).collect();
            assert_eq!(shown, expect);
        };
        let all = [(0, 1), (1, 2), (2, 3), (1, 4), (0, 5)];
        check(&all, &[], &all);
        check(&all, &[2], &[(0, 1), (1, 3), (1, 4), (0, 5)]);
        check(&all, &[1], &[(0, 0), (1, 2), (2, 3), (1, 4), (0, 5)]);
        check(&all, &[1, 4], &[(0, 2), (1, 3), (0, 5)]);
        check(&[(0, 0), (1, 2), (1, 3)], &[2], &[(0, 3)]);
        check(&all, &[1, 2, 5], &[(0, 0), (1, 3), (1, 4)]);
        check(&[(0, 1), (1, 2), (2, 3)], &[1], &[(0, 2), (1, 3)]);
        check(&[(0, 0), (1, 2), (1, 3)], &[], &[(0, 0), (1, 2), (1, 3)]);
        check(&[(0, 1)], &[1], &[]);
    }
}
