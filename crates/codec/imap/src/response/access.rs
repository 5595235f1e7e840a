//! Who may do what, and how much there is room for: the values of ACL, LISTRIGHTS, MYRIGHTS
//! (RFC 4314 §3.6 to §3.8), QUOTA and QUOTAROOT (RFC 9208 §4.2).

use crate::value::{Names, Rights};
use crate::wire::{LiteralForm, put_astring, put_list, put_name, put_number};
use bytes::{BufMut, BytesMut};

/// One resource of a quota root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaResource<'a> {
    /// `STORAGE` and the like, an atom.
    pub name: &'a str,
    /// What is used, in the unit of the resource; of STORAGE 1024 bytes.
    pub usage: u64,
    /// What may be used.
    pub limit: u64,
}

pub(super) fn put_quota(out: &mut BytesMut, root: &str, resources: &[QuotaResource<'_>]) {
    out.put_slice(b"QUOTA ");
    put_text(out, root);
    out.put_u8(b' ');
    put_list(out, resources, |out, resource| {
        out.put_slice(resource.name.as_bytes());
        out.put_u8(b' ');
        put_number(out, resource.usage);
        out.put_u8(b' ');
        put_number(out, resource.limit);
    });
}

pub(super) fn put_quota_root(out: &mut BytesMut, (mailbox, names): (&str, Names), roots: &[&str]) {
    out.put_slice(b"QUOTAROOT ");
    put_name(out, mailbox, names);
    for root in roots {
        out.put_u8(b' ');
        put_text(out, root);
    }
}

pub(super) fn put_acl(
    out: &mut BytesMut,
    (mailbox, names): (&str, Names),
    entries: &[(String, Rights)],
) {
    out.put_slice(b"ACL ");
    put_name(out, mailbox, names);
    for (identifier, rights) in entries {
        out.put_u8(b' ');
        put_text(out, identifier);
        out.put_u8(b' ');
        put_text(out, &rights.to_string());
    }
}

pub(super) fn put_list_rights(
    out: &mut BytesMut,
    (mailbox, names): (&str, Names),
    identifier: &str,
    groups: &[Rights],
) {
    out.put_slice(b"LISTRIGHTS ");
    put_name(out, mailbox, names);
    out.put_u8(b' ');
    put_text(out, identifier);
    for rights in groups {
        out.put_u8(b' ');
        put_text(out, &rights.to_string());
    }
}

pub(super) fn put_my_rights(out: &mut BytesMut, (mailbox, names): (&str, Names), rights: Rights) {
    out.put_slice(b"MYRIGHTS ");
    put_name(out, mailbox, names);
    out.put_u8(b' ');
    put_text(out, &rights.to_string());
}

fn put_text(out: &mut BytesMut, text: &str) {
    put_astring(out, text.as_bytes(), LiteralForm::Plain);
}
