//! Response codes: why a command failed, for programs (RFC 2449 §8, RFC 3206, RFC 6856 §5).

/// A response code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Code {
    /// The mailbox is in use: too many sessions (RFC 2449 §8.1.2).
    InUse,
    /// Signed in again too soon (RFC 2449 §8.1.1).
    LoginDelay,
    /// Trying again later may help (RFC 3206 §4).
    SysTemp,
    /// Somebody must look first (RFC 3206 §4).
    SysPerm,
    /// Name or password are wrong, or may not be used (RFC 3206 §5).
    Auth,
    /// A message is not shown without UTF-8 mode (RFC 6856 §5).
    Utf8,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::InUse, Self::LoginDelay, Self::SysTemp, Self::SysPerm, Self::Auth, Self::Utf8];

    /// As it is written between brackets.
    pub fn word(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Utf8 => "UTF8",
        }
    }

    /// What a word means, in any case of letters; unknown ones mean nothing.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.word().eq_ignore_ascii_case(word))
    }
}
