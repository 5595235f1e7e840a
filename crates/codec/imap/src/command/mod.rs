//! Commands: one file per family, each with its value, its parser and its printer.
//!
//! [`Command::parse`] takes what the framer cut out; [`Command::encode`] is its inverse, for clients.
//! Every command with arguments has a struct of its own with named fields, so that an extension
//! (CONDSTORE, ESEARCH) adds a field or a variant and no existing shape changes.

mod acl;
mod append;
mod authenticate;
mod compress;
mod copy;
mod fetch;
mod id;
mod list;
mod login;
mod manage;
mod quota;
mod returns;
mod search;
mod section;
mod select;
mod sort;
mod status;
mod store;

pub use acl::{AclEntry, AclMode, SetAcl};
pub use append::{
    Append, AppendData, AppendHead, AppendMessage, AppendOptions, append_head, is_append_message,
};
pub use authenticate::{Authenticate, SaslReply, is_idle_done, sasl_reply};
pub use compress::Compress;
pub use copy::{Copy, Expunge};
pub(crate) use fetch::put_part_numbers;
pub use fetch::{BinarySection, BodySection, Fetch, FetchItem, FetchModifiers, Partial};
pub use id::{Enable, Id};
pub use list::{List, ListReturn, ListSelection, Lsub};
pub use login::Login;
pub use manage::{Create, Delete, OfMailbox, Rename, Subscribe, Unsubscribe};
pub use quota::{GetQuota, SetQuota};
pub use returns::{PartialRange, SearchReturn};
pub use search::{Charset, Search, SearchKey};
pub use section::{Section, SectionText};
pub use select::{Resync, Select};
pub use sort::{Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm};
pub use status::{StatusCommand, StatusItem};
pub use store::{Store, StoreMode};

use crate::error::{ParseError, ParseErrorKind};
use crate::framer::RawCommand;
use crate::lex::{Cursor, is_astring_char};
use crate::value::{Names, Tag};
use crate::wire::LiteralForm;
use bytes::{BufMut, BytesMut};

/// A command with its tag (RFC 3501 §2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The tag to answer with.
    pub tag: Tag,
    /// What is asked.
    pub body: CommandBody,
}

/// What a command asks. Not `non_exhaustive`: a new command must be met in every dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandBody {
    /// RFC 3501 §6.1.1.
    Capability,
    /// RFC 3501 §6.1.2.
    Noop,
    /// RFC 3501 §6.1.3.
    Logout,
    /// RFC 3501 §6.2.1.
    StartTls,
    /// RFC 3501 §6.2.2, RFC 4959.
    Authenticate(Authenticate),
    /// RFC 3501 §6.2.3.
    Login(Login),
    /// RFC 2971.
    Id(Id),
    /// RFC 5161.
    Enable(Enable),
    /// RFC 3501 §6.3.1.
    Select(Select),
    /// RFC 3501 §6.3.2.
    Examine(Select),
    /// RFC 3501 §6.3.3.
    Create(Create),
    /// RFC 3501 §6.3.4.
    Delete(Delete),
    /// RFC 3501 §6.3.5.
    Rename(Rename),
    /// RFC 3501 §6.3.6.
    Subscribe(Subscribe),
    /// RFC 3501 §6.3.7.
    Unsubscribe(Unsubscribe),
    /// RFC 3501 §6.3.8, RFC 5258.
    List(List),
    /// RFC 3501 §6.3.9.
    Lsub(Lsub),
    /// RFC 2342.
    Namespace,
    /// RFC 3501 §6.3.10.
    Status(StatusCommand),
    /// RFC 3501 §6.3.11.
    Append(Append),
    /// RFC 2177.
    Idle,
    /// RFC 3501 §6.4.1.
    Check,
    /// RFC 3501 §6.4.2.
    Close,
    /// RFC 3691.
    Unselect,
    /// RFC 8437.
    Unauthenticate,
    /// RFC 3501 §6.4.3, RFC 4315 §2.1.
    Expunge(Expunge),
    /// RFC 3501 §6.4.4.
    Search(Search),
    /// RFC 3501 §6.4.5.
    Fetch(Fetch),
    /// RFC 3501 §6.4.6.
    Store(Store),
    /// RFC 3501 §6.4.7.
    Copy(Copy),
    /// RFC 6851.
    Move(Copy),
    /// RFC 5256 §3.
    Sort(Sort),
    /// RFC 5256 §3.
    Thread(Thread),
    /// RFC 4978 §3.
    Compress(Compress),
    /// RFC 9208 §4.1.1.
    GetQuota(GetQuota),
    /// RFC 9208 §4.1.2.
    GetQuotaRoot(OfMailbox),
    /// RFC 9208 §4.1.3.
    SetQuota(SetQuota),
    /// RFC 4314 §3.1.
    SetAcl(SetAcl),
    /// RFC 4314 §3.2.
    DeleteAcl(AclEntry),
    /// RFC 4314 §3.3.
    GetAcl(OfMailbox),
    /// RFC 4314 §3.4.
    ListRights(AclEntry),
    /// RFC 4314 §3.5.
    MyRights(OfMailbox),
}

impl Command {
    /// Parses a complete command, with mailbox names in modified UTF-7.
    ///
    /// # Errors
    /// [`ParseError`], with the tag if that much could be read.
    pub fn parse(raw: &RawCommand) -> Result<Command, ParseError> {
        Command::parse_with(raw, Names::Utf7)
    }

    /// The same, with mailbox names as the client has them.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub fn parse_with(raw: &RawCommand, names: Names) -> Result<Command, ParseError> {
        let mut cursor = Cursor::with_names(raw, names);
        if cursor.at_end() {
            return Err(ParseError { kind: ParseErrorKind::Empty, ..cursor.error("a command") });
        }
        let tag = parse_tag(&mut cursor)?;
        let body = parse_body(&mut cursor).and_then(|body| cursor.end().map(|()| body));
        match body {
            Ok(body) => Ok(Command { tag, body }),
            Err(error) => Err(ParseError { tag: Some(tag), ..error }),
        }
    }

    /// Prints the command with its line end, for clients. A [`AppendData::Streamed`] message ends the
    /// output behind its literal header: the message and CRLF are for the caller to send.
    pub fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_slice(self.tag.as_bytes());
        out.put_u8(b' ');
        self.body.encode(out, form);
        if !matches!(&self.body, CommandBody::Append(append) if append.is_streamed()) {
            out.put_slice(b"\r\n");
        }
    }
}

fn parse_tag(cursor: &mut Cursor<'_>) -> Result<Tag, ParseError> {
    let at = cursor.mark();
    let text = cursor.take_while(|b| is_astring_char(b) && b != b'+');
    let bad = ParseError { kind: ParseErrorKind::BadTag, ..cursor.error_at(at, "a tag") };
    let tag = Tag::new(text).ok_or_else(|| bad.clone())?;
    // A bad character right behind it means that this is no tag and must not be echoed as one.
    match cursor.peek() {
        Some(b' ') => Ok(tag),
        None if cursor.at_end() => {
            Err(ParseError { tag: Some(tag), ..cursor.error("a space and a command") })
        }
        _ => Err(bad),
    }
}

fn parse_body(cursor: &mut Cursor<'_>) -> Result<CommandBody, ParseError> {
    cursor.space()?;
    let at = cursor.mark();
    let verb = cursor.word();
    Ok(match verb.as_bytes() {
        b"CAPABILITY" => CommandBody::Capability,
        b"NOOP" => CommandBody::Noop,
        b"LOGOUT" => CommandBody::Logout,
        b"STARTTLS" => CommandBody::StartTls,
        b"AUTHENTICATE" => CommandBody::Authenticate(Authenticate::parse(cursor)?),
        b"LOGIN" => CommandBody::Login(Login::parse(cursor)?),
        b"ID" => CommandBody::Id(Id::parse(cursor)?),
        b"ENABLE" => CommandBody::Enable(Enable::parse(cursor)?),
        b"SELECT" => CommandBody::Select(Select::parse(cursor)?),
        b"EXAMINE" => CommandBody::Examine(Select::parse(cursor)?),
        b"CREATE" => CommandBody::Create(Create::parse(cursor)?),
        b"DELETE" => CommandBody::Delete(Delete::parse(cursor)?),
        b"RENAME" => CommandBody::Rename(Rename::parse(cursor)?),
        b"SUBSCRIBE" => CommandBody::Subscribe(Subscribe::parse(cursor)?),
        b"UNSUBSCRIBE" => CommandBody::Unsubscribe(Unsubscribe::parse(cursor)?),
        b"LIST" => CommandBody::List(List::parse(cursor)?),
        b"LSUB" => CommandBody::Lsub(Lsub::parse(cursor)?),
        b"NAMESPACE" => CommandBody::Namespace,
        b"STATUS" => CommandBody::Status(StatusCommand::parse(cursor)?),
        b"APPEND" => CommandBody::Append(Append::parse(cursor)?),
        b"IDLE" => CommandBody::Idle,
        b"CHECK" => CommandBody::Check,
        b"CLOSE" => CommandBody::Close,
        b"UNSELECT" => CommandBody::Unselect,
        b"UNAUTHENTICATE" => CommandBody::Unauthenticate,
        b"EXPUNGE" => CommandBody::Expunge(Expunge { uids: None }),
        b"UID" => parse_uid(cursor)?,
        b"SEARCH" => CommandBody::Search(Search::parse(cursor, false)?),
        b"FETCH" => CommandBody::Fetch(Fetch::parse(cursor, false)?),
        b"STORE" => CommandBody::Store(Store::parse(cursor, false)?),
        b"COPY" => CommandBody::Copy(Copy::parse(cursor, false)?),
        b"MOVE" => CommandBody::Move(Copy::parse(cursor, false)?),
        b"SORT" => CommandBody::Sort(Sort::parse(cursor, false)?),
        b"THREAD" => CommandBody::Thread(Thread::parse(cursor, false)?),
        b"COMPRESS" => CommandBody::Compress(Compress::parse(cursor)?),
        b"GETQUOTA" => CommandBody::GetQuota(GetQuota::parse(cursor)?),
        b"GETQUOTAROOT" => CommandBody::GetQuotaRoot(OfMailbox::parse(cursor)?),
        b"SETQUOTA" => CommandBody::SetQuota(SetQuota::parse(cursor)?),
        b"SETACL" => CommandBody::SetAcl(SetAcl::parse(cursor)?),
        b"DELETEACL" => CommandBody::DeleteAcl(AclEntry::parse(cursor)?),
        b"GETACL" => CommandBody::GetAcl(OfMailbox::parse(cursor)?),
        b"LISTRIGHTS" => CommandBody::ListRights(AclEntry::parse(cursor)?),
        b"MYRIGHTS" => CommandBody::MyRights(OfMailbox::parse(cursor)?),
        _ => return Err(unknown(cursor.error_at(at, "a command"))),
    })
}

/// The commands behind `UID` (RFC 3501 §6.4.8, RFC 4315 §2.1, RFC 6851 §3.2).
fn parse_uid(cursor: &mut Cursor<'_>) -> Result<CommandBody, ParseError> {
    cursor.space()?;
    let at = cursor.mark();
    let verb = cursor.word();
    Ok(match verb.as_bytes() {
        b"SEARCH" => CommandBody::Search(Search::parse(cursor, true)?),
        b"FETCH" => CommandBody::Fetch(Fetch::parse(cursor, true)?),
        b"STORE" => CommandBody::Store(Store::parse(cursor, true)?),
        b"COPY" => CommandBody::Copy(Copy::parse(cursor, true)?),
        b"MOVE" => CommandBody::Move(Copy::parse(cursor, true)?),
        b"EXPUNGE" => CommandBody::Expunge(Expunge::parse_uid(cursor)?),
        b"SORT" => CommandBody::Sort(Sort::parse(cursor, true)?),
        b"THREAD" => CommandBody::Thread(Thread::parse(cursor, true)?),
        _ => return Err(unknown(cursor.error_at(at, "a command with UIDs"))),
    })
}

fn unknown(error: ParseError) -> ParseError {
    ParseError { kind: ParseErrorKind::UnknownCommand, ..error }
}

impl CommandBody {
    /// The command word, in upper case; `UID` is not part of it.
    pub fn name(&self) -> &'static str {
        match self {
            CommandBody::Capability => "CAPABILITY",
            CommandBody::Noop => "NOOP",
            CommandBody::Logout => "LOGOUT",
            CommandBody::StartTls => "STARTTLS",
            CommandBody::Authenticate(_) => "AUTHENTICATE",
            CommandBody::Login(_) => "LOGIN",
            CommandBody::Id(_) => "ID",
            CommandBody::Enable(_) => "ENABLE",
            CommandBody::Select(_) => "SELECT",
            CommandBody::Examine(_) => "EXAMINE",
            CommandBody::Create(_) => "CREATE",
            CommandBody::Delete(_) => "DELETE",
            CommandBody::Rename(_) => "RENAME",
            CommandBody::Subscribe(_) => "SUBSCRIBE",
            CommandBody::Unsubscribe(_) => "UNSUBSCRIBE",
            CommandBody::List(_) => "LIST",
            CommandBody::Lsub(_) => "LSUB",
            CommandBody::Namespace => "NAMESPACE",
            CommandBody::Status(_) => "STATUS",
            CommandBody::Append(_) => "APPEND",
            CommandBody::Idle => "IDLE",
            CommandBody::Check => "CHECK",
            CommandBody::Close => "CLOSE",
            CommandBody::Unselect => "UNSELECT",
            CommandBody::Unauthenticate => "UNAUTHENTICATE",
            CommandBody::Expunge(_) => "EXPUNGE",
            CommandBody::Search(_) => "SEARCH",
            CommandBody::Fetch(_) => "FETCH",
            CommandBody::Store(_) => "STORE",
            CommandBody::Copy(_) => "COPY",
            CommandBody::Move(_) => "MOVE",
            CommandBody::Sort(_) => "SORT",
            CommandBody::Thread(_) => "THREAD",
            CommandBody::Compress(_) => "COMPRESS",
            CommandBody::GetQuota(_) => "GETQUOTA",
            CommandBody::GetQuotaRoot(_) => "GETQUOTAROOT",
            CommandBody::SetQuota(_) => "SETQUOTA",
            CommandBody::SetAcl(_) => "SETACL",
            CommandBody::DeleteAcl(_) => "DELETEACL",
            CommandBody::GetAcl(_) => "GETACL",
            CommandBody::ListRights(_) => "LISTRIGHTS",
            CommandBody::MyRights(_) => "MYRIGHTS",
        }
    }

    /// Whether the command is of the `UID` family: its numbers are UIDs.
    pub fn is_uid(&self) -> bool {
        match self {
            CommandBody::Expunge(expunge) => expunge.uids.is_some(),
            CommandBody::Search(search) => search.uid,
            CommandBody::Fetch(fetch) => fetch.uid,
            CommandBody::Store(store) => store.uid,
            CommandBody::Copy(copy) | CommandBody::Move(copy) => copy.uid,
            CommandBody::Sort(sort) => sort.uid,
            CommandBody::Thread(thread) => thread.uid,
            _ => false,
        }
    }

    fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        if self.is_uid() {
            out.put_slice(b"UID ");
        }
        out.put_slice(self.name().as_bytes());
        match self {
            CommandBody::Capability
            | CommandBody::Noop
            | CommandBody::Logout
            | CommandBody::StartTls
            | CommandBody::Namespace
            | CommandBody::Idle
            | CommandBody::Check
            | CommandBody::Close
            | CommandBody::Unselect
            | CommandBody::Unauthenticate => {}
            CommandBody::Authenticate(authenticate) => authenticate.encode(out),
            CommandBody::Login(login) => login.encode(out, form),
            CommandBody::Id(id) => id.encode(out, form),
            CommandBody::Enable(enable) => enable.encode(out),
            CommandBody::Select(select) | CommandBody::Examine(select) => select.encode(out, form),
            CommandBody::Create(create) => create.encode(out, form),
            CommandBody::Delete(delete) => delete.encode(out, form),
            CommandBody::Rename(rename) => rename.encode(out, form),
            CommandBody::Subscribe(subscribe) => subscribe.encode(out, form),
            CommandBody::Unsubscribe(unsubscribe) => unsubscribe.encode(out, form),
            CommandBody::List(list) => list.encode(out, form),
            CommandBody::Lsub(lsub) => lsub.encode(out, form),
            CommandBody::Status(status) => status.encode(out, form),
            CommandBody::Append(append) => append.encode(out, form),
            CommandBody::Expunge(expunge) => expunge.encode(out),
            CommandBody::Search(search) => search.encode(out, form),
            CommandBody::Fetch(fetch) => fetch.encode(out),
            CommandBody::Store(store) => store.encode(out),
            CommandBody::Copy(copy) | CommandBody::Move(copy) => copy.encode(out, form),
            CommandBody::Sort(sort) => sort.encode(out, form),
            CommandBody::Thread(thread) => thread.encode(out, form),
            CommandBody::Compress(compress) => compress.encode(out),
            CommandBody::GetQuota(get) => get.encode(out, form),
            CommandBody::SetQuota(set) => set.encode(out, form),
            CommandBody::SetAcl(set) => set.encode(out, form),
            CommandBody::DeleteAcl(entry) | CommandBody::ListRights(entry) => {
                entry.encode(out, form);
            }
            CommandBody::GetQuotaRoot(of) | CommandBody::GetAcl(of) | CommandBody::MyRights(of) => {
                of.encode(out, form);
            }
        }
    }
}
