//! LIST (RFC 3501 §6.3.8) with LIST-EXTENDED (RFC 5258), CHILDREN (RFC 3348) and SPECIAL-USE
//! (RFC 6154), and LIST-STATUS (RFC 5819). Special uses and children are always told, as §2 of both allows.

mod others;

use super::{failed, status, tree};
use crate::reply::{Answer, Reply, Stop};
use crate::rights;
use crate::service::Shared;
use crate::session::Session;
use crate::state::User;
use crate::tree::{DELIMITER, Entry, Tree, ancestors, special_use};
use codec_imap::ListPattern;
use codec_imap::command::{List, ListSelection};
use codec_imap::response::{ChildInfo, ListAttribute, ListItem, Response};
use contract_mailbox::Permission;
use others::Visit;
use std::collections::{BTreeMap, BTreeSet};

/// A name that LIST may show.
#[derive(Clone, Copy, Default)]
struct Name {
    exists: bool,
    selectable: bool,
    children: bool,
    subscribed: bool,
    special: Option<ListAttribute>,
    /// What the user may do there, as bits of [`contract_mailbox::Permission`].
    rights: u32,
    /// Whose it is, as an index of the visits; `None`: the user's own.
    visit: Option<usize>,
}

impl Name {
    fn of(entry: &Entry<'_>) -> Self {
        Self {
            exists: true,
            selectable: entry.selectable,
            children: entry.children,
            subscribed: entry.info.subscribed,
            special: special_use(entry.info),
            rights: others::OWNERS_RIGHTS,
            visit: None,
        }
    }
}

/// Names that are matched before other sessions get a turn: matching costs name × pattern.
const NAMES_PER_TURN: usize = 64;

/// LIST.
pub(crate) async fn run(session: &mut Session, command: &List) -> Answer {
    status::enable_for(session, &command.status).await?;
    let user = session.state.user()?;
    if let [pattern] = &command.patterns[..]
        && pattern.as_str().is_empty()
    {
        put_delimiter(session);
        return Ok(Reply::ok("Done"));
    }
    let tree = tree(user).await?;
    let (names, visits) = names(&session.shared, user, &tree, command).await?;
    let chosen = |name: &Name| is_chosen(&command.selection, name);
    let with_chosen_below: BTreeSet<&str> = match command.selection.recursive_match {
        true => {
            let below = names.iter().filter(|(_, name)| chosen(name));
            below.flat_map(|(path, _)| ancestors(path)).collect()
        }
        false => BTreeSet::new(),
    };
    for (index, (path, name)) in names.iter().enumerate() {
        if index % NAMES_PER_TURN == NAMES_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        let below = with_chosen_below.contains(path.as_str());
        if !(chosen(name) || below) || !matches_any(command, path) {
            continue;
        }
        let told = command.returns.subscribed || command.selection.subscribed;
        let attributes = attributes(name, told);
        let child_info = if below { child_info(&command.selection) } else { Vec::new() };
        session.wire.put(&Response::List(ListItem {
            attributes: &attributes,
            delimiter: Some(DELIMITER),
            name: path,
            child_info: &child_info,
        }));
        let (visit, path) = (name.visit.and_then(|index| visits.get(index)), path.as_str());
        put_status(session, &tree, visit, command, (path, name)).await?;
        if command.returns.my_rights && name.selectable {
            session.wire.put(&Response::MyRights(path, rights::of(name.rights)));
        }
        session.wire.relieve().await?;
    }
    Ok(Reply::ok("Done"))
}

/// STATUS of a mailbox that can be opened and read (RFC 5819 §2), if it was asked for. One of
/// others' that cannot be asked now has none: what is listed must not depend on it.
async fn put_status(
    session: &mut Session,
    own: &Tree,
    visit: Option<&Visit>,
    command: &List,
    (path, name): (&str, &Name),
) -> Result<(), Stop> {
    if command.status.is_empty() || name.rights & Permission::READ_ANY == 0 {
        return Ok(());
    }
    let limit = session.shared.config.message_bytes_max;
    let values = match visit {
        None => match own.find(path) {
            Some(info) => {
                status::values(session.state.user()?, limit, info, &command.status).await?
            }
            None => return Ok(()),
        },
        Some(visit) => match visit.find(path) {
            Some(info) => {
                match status::values(&visit.visitor, limit, info, &command.status).await {
                    Ok(values) => values,
                    Err(_) => return Ok(()),
                }
            }
            None => return Ok(()),
        },
    };
    session.wire.put(&Response::Status(path, &values));
    Ok(())
}

/// The request for the delimiter (RFC 3501 §6.3.8).
fn put_delimiter(session: &mut Session) {
    session.wire.put(&Response::List(ListItem {
        attributes: &[ListAttribute::NoSelect],
        delimiter: Some(DELIMITER),
        name: "",
        child_info: &[],
    }));
}

/// The mailbox that is being opened, by its own name (RFC 9051 §6.3.2); `name` is the one in its
/// owner's folders, whom the user may visit.
pub(super) fn put_opened(session: &mut Session, tree: &Tree, name: &str, visit: Option<&User>) {
    let Some(info) = tree.find(name) else { return };
    let entry = tree.entries().find(|entry| entry.info.id == info.id);
    let Some(entry) = entry else { return };
    let owner = visit.and_then(|visit| visit.visiting.as_ref());
    let (name, path) = match owner {
        Some(owner) => {
            let path = crate::others::shown(&owner.address, entry.path);
            (Name { special: None, ..Name::of(&entry) }, path)
        }
        None => (Name::of(&entry), entry.path.to_owned()),
    };
    let attributes = attributes(&name, false);
    session.wire.put(&Response::List(ListItem {
        attributes: &attributes,
        delimiter: Some(DELIMITER),
        name: &path,
        child_info: &[],
    }));
}

/// All folders, and with SUBSCRIBED the subscribed names that are none; whose they are.
async fn names(
    shared: &Shared,
    user: &User,
    tree: &Tree,
    command: &List,
) -> Result<(BTreeMap<String, Name>, Vec<Visit>), Stop> {
    let mut names: BTreeMap<String, Name> = BTreeMap::new();
    for entry in tree.entries() {
        names.insert(entry.path.to_owned(), Name::of(&entry));
    }
    let mut subscribed = BTreeSet::new();
    if command.selection.subscribed || command.returns.subscribed {
        let paths = user.mailbox.subscriptions().await.map_err(|error| failed("LIST", error))?;
        subscribed.extend(paths);
    }
    if command.selection.subscribed {
        for path in &subscribed {
            let path = tree.shown_path(path);
            if tree.is_hidden(&path) {
                continue;
            }
            if command.selection.recursive_match {
                for above in ancestors(&path) {
                    names.entry(above.to_owned()).or_default().children = true;
                }
            }
            names.entry(path).or_default().subscribed = true;
        }
    }
    let visits = others::add(shared, user, tree, command, &mut names, &subscribed).await?;
    Ok((names, visits))
}

fn is_chosen(selection: &ListSelection, name: &Name) -> bool {
    let wanted = !selection.subscribed || name.subscribed;
    wanted && (!selection.special_use || name.special.is_some())
}

fn matches_any(command: &List, path: &str) -> bool {
    command.patterns.iter().any(|pattern| matches(pattern, &command.reference, path))
}

/// Whether a pattern matches. A pattern that asks for more characters than the name has is not
/// tried, which bounds the cost by the name's length (attack 28).
pub(super) fn matches(pattern: &ListPattern, reference: &str, path: &str) -> bool {
    let plain = reference.chars().chain(pattern.as_str().chars());
    let least = plain.filter(|c| !matches!(c, '*' | '%')).take(path.len() + 1).count();
    least <= path.chars().count() && pattern.matches(reference, path, Some(DELIMITER))
}

fn attributes(name: &Name, tell_subscribed: bool) -> Vec<ListAttribute> {
    let mut attributes = Vec::with_capacity(4);
    if !name.exists {
        attributes.push(ListAttribute::NonExistent);
    } else if !name.selectable {
        attributes.push(ListAttribute::NoSelect);
    }
    if name.exists || name.children {
        attributes.push(match name.children {
            true => ListAttribute::HasChildren,
            false => ListAttribute::HasNoChildren,
        });
    }
    if tell_subscribed && name.subscribed {
        attributes.push(ListAttribute::Subscribed);
    }
    attributes.extend(name.special);
    attributes
}

/// Why a parent is shown (RFC 5258 §3.5).
fn child_info(selection: &ListSelection) -> Vec<ChildInfo> {
    let mut info = Vec::with_capacity(2);
    if selection.subscribed {
        info.push(ChildInfo::Subscribed);
    }
    if selection.special_use {
        info.push(ChildInfo::SpecialUse);
    }
    info
}
