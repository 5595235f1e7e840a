//! UIDONLY (RFC 9586): once it is enabled, messages have no numbers, neither in commands nor in
//! responses.

use crate::reply::Reply;
use crate::session::Session;
use codec_imap::command::SearchKey;
use codec_imap::{Code, CommandBody};

/// The answer to a command that counts messages, where the client has said that it does not.
pub(crate) fn refusal(session: &Session, body: &CommandBody) -> Option<Reply> {
    let uid_only = session.state.user().is_ok_and(|user| user.enabled.uid_only);
    let refused = uid_only && counts(body);
    refused.then(|| Reply {
        status: codec_imap::Status::Bad,
        ..Reply::no(Code::UidRequired, "Messages have no numbers here")
    })
}

fn counts(body: &CommandBody) -> bool {
    match body {
        CommandBody::Fetch(_)
        | CommandBody::Store(_)
        | CommandBody::Copy(_)
        | CommandBody::Move(_) => !body.is_uid(),
        CommandBody::Search(search) => !search.uid || has_numbers(&search.key),
        CommandBody::Sort(sort) => !sort.uid || has_numbers(&sort.key),
        CommandBody::Thread(thread) => !thread.uid || has_numbers(&thread.key),
        CommandBody::Select(select) | CommandBody::Examine(select) => {
            select.resync.as_ref().is_some_and(|resync| resync.seq_match.is_some())
        }
        _ => false,
    }
}

/// Whether a key names messages by number; `$` is none.
fn has_numbers(key: &SearchKey) -> bool {
    match key {
        SearchKey::Sequence(set) => !set.is_saved(),
        SearchKey::Not(key) => has_numbers(key),
        SearchKey::Or(a, b) => has_numbers(a) || has_numbers(b),
        SearchKey::And(keys) => keys.iter().any(has_numbers),
        _ => false,
    }
}
