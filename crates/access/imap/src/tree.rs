//! Folder names as IMAP clients see them: paths with `/`, the Inbox as `INBOX`, only folders of
//! mail.
//!
//! Shown are the folders below the root ("Top of Information Store") that hold mail and are neither
//! hidden nor the Outbox, which is MAPI's alone. A folder of another class appears, without being
//! selectable, only where mail folders are below it. A mailbox keeps subscriptions under its own
//! names, where the Inbox is called `Inbox`.

use base::FolderId;
use codec_imap::response::ListAttribute;
use contract_mailbox::{FolderClass, FolderInfo, FolderKind, SpecialUse};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The hierarchy delimiter.
pub(crate) const DELIMITER: char = '/';
const INBOX: &str = "INBOX";

/// All folders of a mailbox by path.
pub(crate) struct Tree {
    folders: Arc<Vec<FolderInfo>>,
    nodes: BTreeMap<String, Node>,
    root: FolderId,
    inbox_name: String,
}

#[derive(Clone, Copy)]
struct Node {
    /// Its place in `folders`.
    index: usize,
    /// Whether it can be selected.
    mail: bool,
    /// Whether a mail folder is below it.
    children: bool,
}

/// One folder as LIST shows it.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a str,
    pub(crate) info: &'a FolderInfo,
    pub(crate) selectable: bool,
    pub(crate) children: bool,
}

impl Tree {
    /// From the folders of a mailbox, parents first.
    pub(crate) fn new(folders: Arc<Vec<FolderInfo>>) -> Self {
        let role = |role| folders.iter().find(move |info: &&FolderInfo| info.role == Some(role));
        let root = role(SpecialUse::Root).map_or(SpecialUse::Root.folder_id(), |info| info.id);
        let inbox_name = role(SpecialUse::Inbox).map_or("Inbox".to_owned(), |i| i.name.clone());
        let mut paths: HashMap<FolderId, String> = HashMap::from([(root, String::new())]);
        let mut nodes = BTreeMap::new();
        for (index, info) in folders.iter().enumerate() {
            let Some(above) = info.parent.and_then(|parent| paths.get(&parent)) else {
                continue;
            };
            if info.hidden {
                continue;
            }
            let name = match info.role {
                Some(SpecialUse::Inbox) if above.is_empty() => INBOX,
                _ => &info.name,
            };
            let path = join(above, name);
            nodes.insert(path.clone(), Node { index, mail: is_mail(info), children: false });
            paths.insert(info.id, path);
        }
        let mut tree = Self { folders, nodes, root, inbox_name };
        tree.mark_parents();
        tree
    }

    fn mark_parents(&mut self) {
        let mail = self.nodes.iter().filter(|(_, node)| node.mail);
        let parents: Vec<String> =
            mail.flat_map(|(path, _)| ancestors(path)).map(str::to_owned).collect();
        for path in parents {
            if let Some(node) = self.nodes.get_mut(&path) {
                node.children = true;
            }
        }
    }

    /// All folders that are shown, in order of path.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let shown = self.nodes.iter().filter(|(_, node)| node.mail || node.children);
        shown.map(|(path, node)| Entry {
            path,
            info: &self.folders[node.index],
            selectable: node.mail,
            children: node.children,
        })
    }

    /// The folder of a name that a client gave, if it can be selected.
    pub(crate) fn find(&self, name: &str) -> Option<&FolderInfo> {
        let node = self.nodes.get(&normal(name)).filter(|node| node.mail)?;
        self.folders.get(node.index)
    }

    /// Whether there is a folder of that path, shown or not.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    /// Whether mail folders are below a name.
    pub(crate) fn has_children(&self, name: &str) -> bool {
        self.nodes.get(&normal(name)).is_some_and(|node| node.children)
    }

    /// The deepest folder on the way to a name, and the names that are missing below it.
    pub(crate) fn way_to<'n>(&self, name: &'n str) -> (FolderId, Vec<&'n str>) {
        let mut at = (self.root, String::new());
        let mut parts = name.split(DELIMITER).peekable();
        while let Some(part) = parts.peek() {
            let path = if at.1.is_empty() { normal(part) } else { join(&at.1, part) };
            let Some(info) = self.any(&path) else { break };
            at = (info.id, path);
            parts.next();
        }
        (at.0, parts.collect())
    }

    /// Any folder of that path that is not hidden.
    fn any(&self, path: &str) -> Option<&FolderInfo> {
        self.nodes.get(path).and_then(|node| self.folders.get(node.index))
    }

    /// Whether a name is that of a folder which is not shown to IMAP clients.
    pub(crate) fn is_hidden(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| !node.mail && !node.children)
    }

    /// The mailbox's own path for a name of a client.
    pub(crate) fn stored_path(&self, name: &str) -> String {
        let name = normal(name);
        match name.strip_prefix(INBOX) {
            Some(rest) if rest.is_empty() || rest.starts_with(DELIMITER) => {
                format!("{}{rest}", self.inbox_name)
            }
            _ => name,
        }
    }

    /// The client's name for the mailbox's own path.
    pub(crate) fn shown_path(&self, path: &str) -> String {
        match path.strip_prefix(&self.inbox_name) {
            Some(rest) if rest.is_empty() || rest.starts_with(DELIMITER) => {
                format!("{INBOX}{rest}")
            }
            _ => path.to_owned(),
        }
    }
}

/// The special-use attribute of a folder (RFC 6154 §2).
pub(crate) fn special_use(info: &FolderInfo) -> Option<ListAttribute> {
    match info.role? {
        SpecialUse::Drafts => Some(ListAttribute::Drafts),
        SpecialUse::Sent => Some(ListAttribute::Sent),
        SpecialUse::Trash => Some(ListAttribute::Trash),
        SpecialUse::Junk => Some(ListAttribute::Junk),
        SpecialUse::Archive => Some(ListAttribute::Archive),
        _ => None,
    }
}

/// The paths above a path, the nearest first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let above = |path: &'_ str| path.rfind(DELIMITER);
    std::iter::successors(above(path).map(|end| &path[..end]), move |path| {
        above(path).map(|end| &path[..end])
    })
}

fn is_mail(info: &FolderInfo) -> bool {
    let kept = !matches!(info.role, Some(SpecialUse::Outbox));
    info.class == FolderClass::Mail && info.kind != FolderKind::Search && kept
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}{DELIMITER}{name}") }
}

/// A name with its first part in upper case if that is the Inbox (RFC 3501 §5.1), without the
/// delimiter that may follow the name of a folder to come (§6.3.3).
pub(crate) fn normal(name: &str) -> String {
    let name = name.strip_suffix(DELIMITER).unwrap_or(name);
    let (first, rest) = name.split_at(name.find(DELIMITER).unwrap_or(name.len()));
    if first.eq_ignore_ascii_case(INBOX) { format!("{INBOX}{rest}") } else { name.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::{Change, Uid};
    use contract_mailbox::{FolderCounts, default_folders};

    fn folder(id: u64, parent: u64, name: &str, class: FolderClass) -> FolderInfo {
        FolderInfo {
            id: FolderId(id),
            parent: (parent > 0).then_some(FolderId(parent)),
            name: name.to_owned(),
            class,
            kind: FolderKind::Normal,
            role: None,
            hidden: false,
            subscribed: false,
            counts: FolderCounts::default(),
            uid_validity: 1,
            uid_next: Uid(1),
            highest_change: Change(0),
            recent_from: Uid(1),
            own_change: Change(0),
        }
    }

    /// The default folders, and some of people's own.
    fn tree() -> Tree {
        let mut folders: Vec<FolderInfo> = default_folders()
            .iter()
            .map(|known| FolderInfo {
                role: Some(known.role),
                hidden: known.hidden,
                ..folder(
                    known.role.folder_id().0,
                    known.parent.map_or(0, |parent| parent.folder_id().0),
                    known.name,
                    known.class,
                )
            })
            .collect();
        let calendar = SpecialUse::Calendar.folder_id().0;
        let inbox = SpecialUse::Inbox.folder_id().0;
        folders.push(folder(100, calendar, "mail", FolderClass::Mail));
        folders.push(folder(101, inbox, "Sub", FolderClass::Mail));
        folders.push(folder(102, 1, "People", FolderClass::Contacts));
        folders.push(FolderInfo {
            kind: FolderKind::Search,
            ..folder(103, 1, "Found", FolderClass::Mail)
        });
        Tree::new(Arc::new(folders))
    }

    #[test]
    fn only_mail_is_shown() {
        let tree = tree();
        let shown: Vec<(&str, bool, bool)> =
            tree.entries().map(|entry| (entry.path, entry.selectable, entry.children)).collect();
        let expect = [
            ("Archive", true, false),
            ("Calendar", false, true),
            ("Calendar/mail", true, false),
            ("Deleted Items", true, false),
            ("Drafts", true, false),
            ("INBOX", true, true),
            ("INBOX/Sub", true, false),
            ("Junk Email", true, false),
            ("Sent Items", true, false),
        ];
        assert_eq!(shown, expect);
    }

    #[test]
    fn names_are_found() {
        let tree = tree();
        let check = |name: &str, expect: Option<u64>| {
            assert_eq!(tree.find(name).map(|info| info.id.0), expect, "{name}");
        };
        check("inbox", Some(SpecialUse::Inbox.folder_id().0));
        check("InBox/Sub", Some(101));
        check("INBOX/sub", None);
        check("Calendar", None);
        check("Calendar/mail/", Some(100));
        check("Recoverable Items", None);
        check("", None);
        let (at, missing) = tree.way_to("inbox/Sub/a/b");
        assert_eq!((at, missing), (FolderId(101), vec!["a", "b"]));
        assert_eq!(tree.way_to("Calendar").1, Vec::<&str>::new());
    }

    #[test]
    fn paths_of_the_mailbox_and_names_of_the_client() {
        let tree = tree();
        for (name, path) in [("INBOX", "Inbox"), ("INBOX/x", "Inbox/x"), ("INBOXES", "INBOXES")] {
            assert_eq!(tree.stored_path(name), path);
            assert_eq!(tree.shown_path(path), name);
        }
        assert_eq!(tree.stored_path("inbox/x"), "Inbox/x");
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
    }
}
