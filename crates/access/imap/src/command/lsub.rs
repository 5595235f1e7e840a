//! LSUB (RFC 3501 §6.3.9): subscribed names, whether they exist or not; of names below a `%` the
//! part that matches, not selectable.

use super::list::matches;
use super::{failed, tree};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::tree::{DELIMITER, ancestors};
use codec_imap::command::Lsub;
use codec_imap::response::{ListAttribute, ListItem, Response};
use std::collections::BTreeMap;

/// LSUB.
pub(crate) async fn run(session: &mut Session, command: &Lsub) -> Answer {
    let user = session.state.user()?;
    let tree = tree(user).await?;
    let paths = user.mailbox.subscriptions().await.map_err(|error| failed("LSUB", error))?;
    let is_match = |path: &str| matches(&command.pattern, &command.reference, path);
    // Whether the name itself is subscribed to, or only something below it.
    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    for path in paths.iter().map(|path| tree.shown_path(path)) {
        if tree.is_hidden(&path) {
            continue;
        }
        if is_match(&path) {
            found.insert(path, true);
        } else if command.pattern.as_str().ends_with('%') {
            for above in ancestors(&path).filter(|above| is_match(above)) {
                found.entry(above.to_owned()).or_insert(false);
            }
        }
        tokio::task::consume_budget().await;
    }
    for (path, subscribed) in &found {
        let attributes: &[ListAttribute] = match subscribed {
            true => &[],
            false => &[ListAttribute::NoSelect],
        };
        session.wire.put(&Response::Lsub(ListItem {
            attributes,
            delimiter: Some(DELIMITER),
            name: path,
            child_info: &[],
        }));
        session.wire.relieve().await?;
    }
    Ok(Reply::ok("Done"))
}
