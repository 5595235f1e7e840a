//! Response codes (RFC 3501 §7.1, RFC 4315, RFC 5530, RFC 7162).

use super::put_capabilities;
use crate::value::{Capability, Flag, IdRange, put_ranges};
use crate::wire::{LiteralForm, put_astring, put_flags, put_list, put_number};
use bytes::{BufMut, BytesMut};

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code<'a> {
    /// The text must be shown to the user.
    Alert,
    /// The charsets that SEARCH knows.
    BadCharset(&'a [&'a str]),
    /// The capabilities, so that the client need not ask.
    Capability(&'a [Capability]),
    /// A message could not be parsed.
    Parse,
    /// The flags that stay, and whether the client may make new ones (`\*`).
    PermanentFlags {
        /// The flags.
        flags: &'a [Flag],
        /// Whether new keywords may be made.
        allow_new: bool,
    },
    /// EXAMINE, or a mailbox without write access.
    ReadOnly,
    /// SELECT with write access.
    ReadWrite,
    /// CREATE would help.
    TryCreate,
    /// The next UID.
    UidNext(u32),
    /// The UIDVALIDITY.
    UidValidity(u32),
    /// The first message without `\Seen`.
    Unseen(u32),
    /// RFC 4315 §3: UIDVALIDITY and UIDs of what was appended.
    AppendUid {
        /// UIDVALIDITY of the target.
        uid_validity: u32,
        /// The new UIDs, in the order of the messages.
        uids: &'a [IdRange],
    },
    /// RFC 4315 §3: what was copied to where; positions correspond.
    CopyUid {
        /// UIDVALIDITY of the target.
        uid_validity: u32,
        /// UIDs in the source.
        source: &'a [IdRange],
        /// UIDs in the target.
        target: &'a [IdRange],
    },
    /// RFC 4315 §3: the mailbox does not keep UIDs.
    UidNotSticky,
    /// A part of the server is not there now (RFC 5530, as those below).
    Unavailable,
    /// Wrong user or password.
    AuthenticationFailed,
    /// The user may not act as whom he asked for.
    AuthorizationFailed,
    /// The password or ticket has run out.
    Expired,
    /// Only under TLS.
    PrivacyRequired,
    /// The administrator must be asked.
    ContactAdmin,
    /// Missing rights.
    NoPerm,
    /// Another session has it.
    InUse,
    /// Something expunged is still shown.
    ExpungeIssued,
    /// The stored data are damaged.
    Corruption,
    /// A bug of the server.
    ServerBug,
    /// A bug of the client.
    ClientBug,
    /// Never possible here.
    Cannot,
    /// A limit of the server.
    Limit,
    /// Over quota.
    OverQuota,
    /// There is one already.
    AlreadyExists,
    /// There is none.
    NonExistent,
    /// DELETE of a mailbox with children (RFC 9051 §7.1).
    HasChildren,
    /// The mailbox that was open is closed (RFC 7162 §3.2.11, RFC 9051 §7.1).
    Closed,
    /// The message is larger than APPEND allows (RFC 7889 §4).
    TooBig,
    /// The newest modification sequence (RFC 7162 §3.1.2.1).
    HighestModSeq(u64),
    /// A transfer encoding that cannot be undone, or NUL where it cannot be stored (RFC 3516 §7).
    UnknownCte,
    /// Message numbers where only UIDs are known (RFC 9586 §3).
    UidRequired,
    /// What a conditional STORE left alone (RFC 7162 §3.1.3): message numbers or UIDs.
    Modified(&'a [IdRange]),
    /// The connection is compressed already (RFC 4978 §3).
    CompressionActive,
}

impl Code<'_> {
    /// The code with its brackets.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'[');
        out.put_slice(self.name().as_bytes());
        self.encode_arguments(out);
        out.put_u8(b']');
    }

    fn encode_arguments(&self, out: &mut BytesMut) {
        match self {
            Code::BadCharset(charsets) if !charsets.is_empty() => {
                out.put_u8(b' ');
                put_list(out, *charsets, |out, charset| {
                    put_astring(out, charset.as_bytes(), LiteralForm::Plain);
                });
            }
            Code::Capability(capabilities) => put_capabilities(out, capabilities),
            Code::PermanentFlags { flags, allow_new } => {
                out.put_u8(b' ');
                let star = allow_new.then_some("\\*");
                put_flags(out, flags.iter().map(Flag::as_str).chain(star));
            }
            Code::UidNext(number) | Code::UidValidity(number) | Code::Unseen(number) => {
                out.put_u8(b' ');
                put_number(out, u64::from(*number));
            }
            Code::HighestModSeq(number) => {
                out.put_u8(b' ');
                put_number(out, *number);
            }
            Code::Modified(ids) => {
                out.put_u8(b' ');
                put_ranges(out, ids);
            }
            Code::AppendUid { uid_validity, uids } => {
                out.put_u8(b' ');
                put_number(out, u64::from(*uid_validity));
                out.put_u8(b' ');
                put_ranges(out, uids);
            }
            Code::CopyUid { uid_validity, source, target } => {
                out.put_u8(b' ');
                put_number(out, u64::from(*uid_validity));
                out.put_u8(b' ');
                put_ranges(out, source);
                out.put_u8(b' ');
                put_ranges(out, target);
            }
            _ => {}
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::BadCharset(_) => "BADCHARSET",
            Code::Capability(_) => "CAPABILITY",
            Code::Parse => "PARSE",
            Code::PermanentFlags { .. } => "PERMANENTFLAGS",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unseen(_) => "UNSEEN",
            Code::AppendUid { .. } => "APPENDUID",
            Code::CopyUid { .. } => "COPYUID",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::Unavailable => "UNAVAILABLE",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::Expired => "EXPIRED",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ContactAdmin => "CONTACTADMIN",
            Code::NoPerm => "NOPERM",
            Code::InUse => "INUSE",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::Corruption => "CORRUPTION",
            Code::ServerBug => "SERVERBUG",
            Code::ClientBug => "CLIENTBUG",
            Code::Cannot => "CANNOT",
            Code::Limit => "LIMIT",
            Code::OverQuota => "OVERQUOTA",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::NonExistent => "NONEXISTENT",
            Code::HasChildren => "HASCHILDREN",
            Code::Closed => "CLOSED",
            Code::TooBig => "TOOBIG",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::Modified(_) => "MODIFIED",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::UidRequired => "UIDREQUIRED",
            Code::CompressionActive => "COMPRESSIONACTIVE",
        }
    }
}
