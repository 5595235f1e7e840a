//! Capabilities: the lines of CAPA (RFC 2449 §6 and what others added).

use bytes::BytesMut;

/// How long messages that were fetched are kept (RFC 2449 §6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expire {
    /// Until somebody removes them.
    Never,
    /// So many days.
    Days(u32),
}

/// One thing that a server can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Capability {
    /// TOP.
    Top,
    /// USER and PASS.
    User,
    /// AUTH with these mechanisms (RFC 5034 §3).
    Sasl(Vec<String>),
    /// Response codes in brackets.
    RespCodes,
    /// SYS and AUTH among them (RFC 3206 §6).
    AuthRespCode,
    /// Commands may be sent before answers have come.
    Pipelining,
    /// How long messages are kept.
    Expire(Expire),
    /// UIDL.
    Uidl,
    /// STLS (RFC 2595 §4).
    Stls,
    /// UTF8, and names and passwords in UTF-8 (RFC 6856 §2.2).
    Utf8User,
    /// LANG (RFC 6856 §3).
    Lang,
    /// What the server is.
    Implementation(String),
    /// Something that is not known here, as it was read.
    Other(String),
}

impl Capability {
    /// Appends its line with CRLF.
    pub fn encode(&self, out: &mut BytesMut) {
        let text = match self {
            Self::Top => "TOP".to_owned(),
            Self::User => "USER".to_owned(),
            Self::Sasl(mechanisms) => format!("SASL {}", mechanisms.join(" ")),
            Self::RespCodes => "RESP-CODES".to_owned(),
            Self::AuthRespCode => "AUTH-RESP-CODE".to_owned(),
            Self::Pipelining => "PIPELINING".to_owned(),
            Self::Expire(Expire::Never) => "EXPIRE NEVER".to_owned(),
            Self::Expire(Expire::Days(days)) => format!("EXPIRE {days}"),
            Self::Uidl => "UIDL".to_owned(),
            Self::Stls => "STLS".to_owned(),
            Self::Utf8User => "UTF8 USER".to_owned(),
            Self::Lang => "LANG".to_owned(),
            Self::Implementation(name) => format!("IMPLEMENTATION {name}"),
            Self::Other(line) => line.clone(),
        };
        out.extend(text.bytes().filter(|byte| !byte.is_ascii_control()));
        out.extend_from_slice(b"\r\n");
    }

    /// Parses a line, without its CRLF.
    pub fn parse(line: &str) -> Self {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let days = |rest: &str| rest.split(' ').next().and_then(|days| days.parse().ok());
        match (name.to_ascii_uppercase().as_str(), rest) {
            ("TOP", "") => Self::Top,
            ("USER", "") => Self::User,
            ("SASL", rest) if !rest.is_empty() => {
                let words = rest.split(' ').filter(|word| !word.is_empty());
                Self::Sasl(words.map(str::to_ascii_uppercase).collect())
            }
            ("RESP-CODES", "") => Self::RespCodes,
            ("AUTH-RESP-CODE", "") => Self::AuthRespCode,
            ("PIPELINING", "") => Self::Pipelining,
            ("EXPIRE", "NEVER") => Self::Expire(Expire::Never),
            ("EXPIRE", rest) => match days(rest) {
                Some(days) => Self::Expire(Expire::Days(days)),
                None => Self::Other(line.to_owned()),
            },
            ("UIDL", "") => Self::Uidl,
            ("STLS", "") => Self::Stls,
            ("UTF8", "USER") => Self::Utf8User,
            ("LANG", "") => Self::Lang,
            ("IMPLEMENTATION", rest) if !rest.is_empty() => Self::Implementation(rest.to_owned()),
            _ => Self::Other(line.to_owned()),
        }
    }
}
