//! Capability names (RFC 3501 §7.2.1 and the IANA registry) for CAPABILITY, ENABLE and ENABLED.

use std::borrow::Cow;
use std::fmt;

/// One capability. Names compare without case; `Other` and `Auth` hold the upper-case form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// `IMAP4rev1` (RFC 3501).
    Imap4Rev1,
    /// `STARTTLS` (RFC 3501 §6.2.1).
    StartTls,
    /// `LOGINDISABLED` (RFC 3501 §6.2.3).
    LoginDisabled,
    /// `LITERAL+` (RFC 7888).
    LiteralPlus,
    /// `SASL-IR` (RFC 4959).
    SaslIr,
    /// `ID` (RFC 2971).
    Id,
    /// `ENABLE` (RFC 5161).
    Enable,
    /// `IDLE` (RFC 2177).
    Idle,
    /// `NAMESPACE` (RFC 2342).
    Namespace,
    /// `CHILDREN` (RFC 3348).
    Children,
    /// `LIST-EXTENDED` (RFC 5258).
    ListExtended,
    /// `SPECIAL-USE` (RFC 6154).
    SpecialUse,
    /// `UIDPLUS` (RFC 4315).
    UidPlus,
    /// `MOVE` (RFC 6851).
    Move,
    /// `UNSELECT` (RFC 3691).
    Unselect,
    /// `CONDSTORE` (RFC 7162 §3.1).
    CondStore,
    /// `QRESYNC` (RFC 7162 §3.2).
    QResync,
    /// `IMAP4rev2` (RFC 9051).
    Imap4Rev2,
    /// `UTF8=ACCEPT` (RFC 6855).
    Utf8Accept,
    /// `UIDONLY` (RFC 9586).
    UidOnly,
    /// `AUTH=mechanism` (RFC 3501 §6.2.2).
    Auth(Cow<'static, str>),
    /// Any other capability.
    Other(Cow<'static, str>),
}

const NAMES: [(Capability, &str); 20] = [
    (Capability::Imap4Rev1, "IMAP4rev1"),
    (Capability::StartTls, "STARTTLS"),
    (Capability::LoginDisabled, "LOGINDISABLED"),
    (Capability::LiteralPlus, "LITERAL+"),
    (Capability::SaslIr, "SASL-IR"),
    (Capability::Id, "ID"),
    (Capability::Enable, "ENABLE"),
    (Capability::Idle, "IDLE"),
    (Capability::Namespace, "NAMESPACE"),
    (Capability::Children, "CHILDREN"),
    (Capability::ListExtended, "LIST-EXTENDED"),
    (Capability::SpecialUse, "SPECIAL-USE"),
    (Capability::UidPlus, "UIDPLUS"),
    (Capability::Move, "MOVE"),
    (Capability::Unselect, "UNSELECT"),
    (Capability::CondStore, "CONDSTORE"),
    (Capability::QResync, "QRESYNC"),
    (Capability::Imap4Rev2, "IMAP4rev2"),
    (Capability::Utf8Accept, "UTF8=ACCEPT"),
    (Capability::UidOnly, "UIDONLY"),
];

impl Capability {
    /// The capability of this name, without regard to case. The name must be an atom.
    pub fn from_name(name: &str) -> Capability {
        if let Some((known, _)) = NAMES.iter().find(|(_, text)| text.eq_ignore_ascii_case(name)) {
            return known.clone();
        }
        let upper = name.to_ascii_uppercase();
        match upper.strip_prefix("AUTH=") {
            Some(mechanism) if !mechanism.is_empty() => {
                Capability::Auth(Cow::Owned(mechanism.to_owned()))
            }
            _ => Capability::Other(Cow::Owned(upper)),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::Auth(mechanism) => write!(f, "AUTH={mechanism}"),
            Capability::Other(name) => f.write_str(name),
            known => {
                f.write_str(NAMES.iter().find(|(one, _)| one == known).map_or("", |(_, text)| text))
            }
        }
    }
}
