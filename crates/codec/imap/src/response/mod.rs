//! Responses: borrowed values and their printing. Nothing here allocates but the output.
//!
//! [`StatusResponse`] is every line that carries a condition (tagged, untagged OK/NO/BAD, PREAUTH,
//! BYE); [`Response`] is the data; FETCH has a writer of its own, [`FetchWriter`], as its big literals are
//! streamed by the session. Whatever a value holds, a response is the lines it should be and no others
//! (attack 29).

mod access;
mod body;
mod code;
mod envelope;
mod esearch;
mod fetch;
mod list;
mod status;
mod thread;

pub use access::QuotaResource;
pub use body::{BodyStructure, Disposition, MultiPart, Param, PartKind, SinglePart};
pub use code::Code;
pub use envelope::{Address, Envelope};
pub use esearch::ESearch;
pub use fetch::FetchWriter;
pub use list::{ChildInfo, ListAttribute, ListItem, NamespaceItem};
pub use status::{Status, StatusResponse, put_continuation};
pub use thread::ThreadNode;

use crate::command::StatusItem;
use crate::lex::is_atom_char;
use crate::value::{Capability, Flag, IdRange, Names, Rights, put_ranges};
use crate::wire::{
    LiteralForm, put_flags, put_list, put_name, put_nstring, put_number, put_spaced, put_string,
};
use bytes::{BufMut, BytesMut};
use list::put_namespaces;

/// An untagged data response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// `CAPABILITY` (RFC 3501 §7.2.1).
    Capability(&'a [Capability]),
    /// `ENABLED` (RFC 5161 §3.2).
    Enabled(&'a [Capability]),
    /// `ID` (RFC 2971 §3.2); none gives `NIL`.
    Id(&'a [(&'a str, Option<&'a str>)]),
    /// `LIST` (RFC 3501 §7.2.2).
    List(ListItem<'a>),
    /// `LSUB` (RFC 3501 §7.2.3).
    Lsub(ListItem<'a>),
    /// `NAMESPACE` (RFC 2342 §5): personal, other users', shared.
    Namespace {
        /// The user's own.
        personal: &'a [NamespaceItem<'a>],
        /// Other users'.
        other: &'a [NamespaceItem<'a>],
        /// Shared with many.
        shared: &'a [NamespaceItem<'a>],
    },
    /// `STATUS` (RFC 3501 §7.2.4): the mailbox in Unicode and the values.
    Status(&'a str, &'a [(StatusItem, u64)]),
    /// `SEARCH` (RFC 3501 §7.2.5), with the highest modification sequence of what was found where
    /// MODSEQ was searched for (RFC 7162 §3.1.6).
    Search(&'a [u32], Option<u64>),
    /// `ESEARCH` (RFC 4731 §3.1).
    ESearch(ESearch<'a>),
    /// `FLAGS` (RFC 3501 §7.2.6).
    Flags(&'a [Flag]),
    /// `EXISTS` (RFC 3501 §7.3.1).
    Exists(u32),
    /// `RECENT` (RFC 3501 §7.3.2).
    Recent(u32),
    /// `EXPUNGE` of this message number (RFC 3501 §7.4.1).
    Expunge(u32),
    /// `VANISHED` (RFC 7162 §3.2.10): UIDs that are gone, ascending.
    Vanished {
        /// Whether they had gone before the mailbox was opened, or were asked for.
        earlier: bool,
        /// Which.
        uids: &'a [IdRange],
    },
    /// `SORT` (RFC 5256 §4), and the newest modification sequence among what was found
    /// (RFC 7162 §3.1.6).
    Sort(&'a [u32], Option<u64>),
    /// `THREAD` (RFC 5256 §4).
    Thread(&'a [ThreadNode]),
    /// `QUOTA` (RFC 9208 §4.2.1): a quota root and its resources.
    Quota(&'a str, &'a [QuotaResource<'a>]),
    /// `QUOTAROOT` (RFC 9208 §4.2.2): a mailbox and its quota roots.
    QuotaRoot(&'a str, &'a [&'a str]),
    /// `ACL` (RFC 4314 §3.6): a mailbox, and who has what rights in it.
    Acl(&'a str, &'a [(String, Rights)]),
    /// `LISTRIGHTS` (RFC 4314 §3.7): a mailbox, an identifier, the rights it always has, and those
    /// that can be given, tied ones together.
    ListRights(&'a str, &'a str, &'a [Rights]),
    /// `MYRIGHTS` (RFC 4314 §3.8).
    MyRights(&'a str, Rights),
}

impl Response<'_> {
    /// Prints the response with its line end, mailbox names in modified UTF-7.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_with(out, Names::Utf7);
    }

    /// The same, with mailbox names as the client has them.
    pub fn encode_with(&self, out: &mut BytesMut, names: Names) {
        out.put_slice(b"* ");
        match self {
            Response::Capability(capabilities) => {
                out.put_slice(b"CAPABILITY");
                put_capabilities(out, capabilities);
            }
            Response::Enabled(capabilities) => {
                out.put_slice(b"ENABLED");
                put_capabilities(out, capabilities);
            }
            Response::Id(params) => put_id(out, params),
            Response::List(item) => {
                out.put_slice(b"LIST ");
                item.encode(out, names);
            }
            Response::Lsub(item) => {
                out.put_slice(b"LSUB ");
                item.encode(out, names);
            }
            Response::Namespace { personal, other, shared } => {
                out.put_slice(b"NAMESPACE ");
                put_spaced(out, [personal, other, shared], |out, items| {
                    put_namespaces(out, items, names);
                });
            }
            Response::Status(mailbox, items) => {
                out.put_slice(b"STATUS ");
                put_name(out, mailbox, names);
                out.put_u8(b' ');
                put_list(out, *items, |out, (item, value)| {
                    out.put_slice(item.name().as_bytes());
                    out.put_u8(b' ');
                    put_number(out, *value);
                });
            }
            Response::Search(ids, mod_seq) => put_ids(out, "SEARCH", ids, *mod_seq),
            Response::ESearch(found) => found.encode(out),
            Response::Vanished { earlier, uids } => put_vanished(out, *earlier, uids),
            Response::Flags(flags) => {
                out.put_slice(b"FLAGS ");
                put_flags(out, flags.iter().map(Flag::as_str));
            }
            Response::Exists(count) => put_count(out, *count, " EXISTS"),
            Response::Recent(count) => put_count(out, *count, " RECENT"),
            Response::Expunge(number) => put_count(out, *number, " EXPUNGE"),
            Response::Sort(ids, mod_seq) => put_ids(out, "SORT", ids, *mod_seq),
            Response::Thread(nodes) => put_thread(out, nodes),
            Response::Quota(root, resources) => access::put_quota(out, root, resources),
            Response::QuotaRoot(mailbox, roots) => {
                access::put_quota_root(out, (mailbox, names), roots);
            }
            Response::Acl(mailbox, entries) => access::put_acl(out, (mailbox, names), entries),
            Response::ListRights(mailbox, identifier, groups) => {
                access::put_list_rights(out, (mailbox, names), identifier, groups);
            }
            Response::MyRights(mailbox, rights) => {
                access::put_my_rights(out, (mailbox, names), *rights);
            }
        }
        out.put_slice(b"\r\n");
    }
}

/// `NAME id id … (MODSEQ n)`
fn put_ids(out: &mut BytesMut, name: &str, ids: &[u32], mod_seq: Option<u64>) {
    out.put_slice(name.as_bytes());
    for &id in ids {
        out.put_u8(b' ');
        put_number(out, u64::from(id));
    }
    if let Some(mod_seq) = mod_seq {
        out.put_slice(b" (MODSEQ ");
        put_number(out, mod_seq);
        out.put_u8(b')');
    }
}

fn put_vanished(out: &mut BytesMut, earlier: bool, uids: &[IdRange]) {
    out.put_slice(if earlier { b"VANISHED (EARLIER) ".as_slice() } else { b"VANISHED " });
    put_ranges(out, uids);
}

fn put_thread(out: &mut BytesMut, nodes: &[ThreadNode]) {
    out.put_slice(b"THREAD");
    if !nodes.is_empty() {
        out.put_u8(b' ');
        thread::put_threads(out, nodes);
    }
}

fn put_count(out: &mut BytesMut, count: u32, name: &str) {
    put_number(out, u64::from(count));
    out.put_slice(name.as_bytes());
}

/// ` NAME NAME …`; a name that is no atom is left out rather than printed.
fn put_capabilities(out: &mut BytesMut, capabilities: &[Capability]) {
    for capability in capabilities {
        let name = capability.to_string();
        if name.bytes().all(is_atom_char) {
            out.put_u8(b' ');
            out.put_slice(name.as_bytes());
        }
    }
}

fn put_id(out: &mut BytesMut, params: &[(&str, Option<&str>)]) {
    out.put_slice(b"ID ");
    if params.is_empty() {
        out.put_slice(b"NIL");
        return;
    }
    put_list(out, params, |out, (field, value)| {
        put_string(out, field.as_bytes(), LiteralForm::Plain);
        out.put_u8(b' ');
        put_nstring(out, value.map(str::as_bytes), LiteralForm::Plain);
    });
}
