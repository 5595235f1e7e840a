//! How large an item may be, apart from its blobs: what one command brings has to fit into one
//! transaction.

use base::{Error, Kind, Result};
use contract_blob::{Place, Staged};
use contract_mailbox::{
    Attachment, AttachmentData, ItemEdit, ItemTree, NewItem, Properties, PropertyValue,
    TREE_DEPTH_MAX,
};

/// The longest PtypBinary inside a bag, in bytes; longer ones are streams.
const BINARY_BYTES_MAX: usize = 64 * 1024;

/// The most that bags, recipients and attachments' bags of one command may take as rows, in bytes.
pub(super) const TREE_BYTES_MAX: usize = 2_000_000;

/// The most that an item may take as rows altogether, in bytes: a copy of it has to fit into one
/// transaction.
pub(super) const ITEM_ROW_BYTES_MAX: u64 = 4_000_000;

/// The most blobs that properties, recipients and native form may name together, and the most of
/// one attachment: they are listed in one row.
pub(super) const BLOBS_MAX: usize = 1_500;

/// The most bytes of small blobs that one command may bring along.
const STAGED_BYTES_MAX: usize = 5_000_000;

/// The longest DAV resource name, in bytes.
const HREF_BYTES_MAX: usize = 1_024;

/// The longest foreign SourceKey, in bytes.
const SOURCE_KEY_BYTES_MAX: usize = 255;

/// The most replicas in a predecessor list.
const PREDECESSORS_MAX: usize = 1_000;

/// The most attachments that an item may have.
pub(super) const ATTACHMENTS_MAX: u32 = 5_000;

/// Refuses an item that is too large.
pub(super) fn check_new(new: &NewItem) -> Result<()> {
    check_tree(&new.tree, 1)?;
    if let Some(href) = &new.href
        && (href.is_empty() || href.len() > HREF_BYTES_MAX || href.chars().any(char::is_control))
    {
        return Err(Error::invalid("That is no name of a resource"));
    }
    if let Some(key) = &new.source_key
        && (key.is_empty() || key.len() > SOURCE_KEY_BYTES_MAX)
    {
        return Err(Error::invalid("That is no SourceKey"));
    }
    if let Some((_, list)) = &new.version {
        check_predecessors(list.len())?;
    }
    check_staged(&new.staged)
}

/// Refuses an edit that is too large.
pub(super) fn check_edit(edit: &ItemEdit) -> Result<()> {
    check_properties(&edit.set)?;
    edit.recipients.iter().flatten().try_for_each(check_properties)?;
    edit.add_attachments.iter().try_for_each(|attachment| check_attachment(attachment, 1))?;
    if let Some((_, list)) = &edit.version {
        check_predecessors(list.len())?;
    }
    check_staged(&edit.staged)
}

pub(super) fn check_predecessors(count: usize) -> Result<()> {
    match count <= PREDECESSORS_MAX {
        true => Ok(()),
        false => Err(too_much(format!("At most {PREDECESSORS_MAX} replicas can change an item"))),
    }
}

fn check_tree(tree: &ItemTree, depth: usize) -> Result<()> {
    if depth > TREE_DEPTH_MAX {
        return Err(too_much(format!("Items can be embedded {TREE_DEPTH_MAX} deep")));
    }
    check_properties(&tree.properties)?;
    tree.recipients.iter().try_for_each(check_properties)?;
    tree.attachments.iter().try_for_each(|attachment| check_attachment(attachment, depth))
}

fn check_attachment(attachment: &Attachment, depth: usize) -> Result<()> {
    check_properties(&attachment.properties)?;
    match &attachment.data {
        AttachmentData::Item(tree) => check_tree(tree, depth + 1),
        AttachmentData::Bytes(_) | AttachmentData::None => Ok(()),
    }
}

fn check_properties(properties: &Properties) -> Result<()> {
    let too_long = |value: &PropertyValue| match value {
        PropertyValue::Binary(bytes) => bytes.len() > BINARY_BYTES_MAX,
        PropertyValue::ManyBinary(all) => all.iter().any(|one| one.len() > BINARY_BYTES_MAX),
        _ => false,
    };
    if properties.values().any(too_long) {
        let text = format!("A binary value over {BINARY_BYTES_MAX} bytes has to be a stream");
        return Err(too_much(text));
    }
    Ok(())
}

fn check_staged(staged: &[Staged]) -> Result<()> {
    let inline = staged.iter().map(|staged| match &staged.place {
        Place::Inline(bytes) => bytes.len(),
        Place::Uploaded { .. } | Place::Stored => 0,
    });
    match inline.sum::<usize>() <= STAGED_BYTES_MAX {
        true => Ok(()),
        false => Err(too_much("Too much at once; add the attachments one after the other".into())),
    }
}

pub(super) fn too_much(text: String) -> Error {
    Error::new(Kind::Limit, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use contract_mailbox::PropertyName;

    fn nested(depth: usize) -> ItemTree {
        let mut tree = ItemTree::default();
        for _ in 1..depth {
            let data = AttachmentData::Item(Box::new(tree));
            let attachment = Attachment { number: 0, properties: Properties::new(), data };
            tree = ItemTree { attachments: vec![attachment], ..ItemTree::default() };
        }
        tree
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let check = |new: NewItem, expect: Result<(), Kind>| {
            assert_eq!(check_new(&new).map_err(|error| error.kind), expect);
        };
        let with = |tree| NewItem { tree, ..NewItem::default() };
        check(with(nested(TREE_DEPTH_MAX)), Ok(()));
        check(with(nested(TREE_DEPTH_MAX + 1)), Err(Kind::Limit));
        let binary = |len: usize| {
            let value = PropertyValue::Binary(Bytes::from(vec![0; len]));
            let properties = Properties::from([(PropertyName::Tag(1), value)]);
            with(ItemTree { properties, ..ItemTree::default() })
        };
        check(binary(BINARY_BYTES_MAX), Ok(()));
        check(binary(BINARY_BYTES_MAX + 1), Err(Kind::Limit));
        let href = |href: &str| NewItem { href: Some(href.into()), ..NewItem::default() };
        check(href("a.ics"), Ok(()));
        check(href(""), Err(Kind::Invalid));
        check(href("a\nb"), Err(Kind::Invalid));
        check(href(&"a".repeat(2_000)), Err(Kind::Invalid));
        let key = |len| NewItem { source_key: Some(vec![1; len].into()), ..NewItem::default() };
        check(key(22), Ok(()));
        check(key(0), Err(Kind::Invalid));
        check(key(256), Err(Kind::Invalid));
    }
}
