//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL password`, in one response.

use super::{Credentials, SaslError, name, password};

/// Parses a decoded PLAIN response.
///
/// # Errors
/// `Malformed` unless there are exactly two NULs with a name and a password behind them, `TooLong`,
/// `NotUtf8`.
pub fn parse_plain(response: &[u8]) -> Result<Credentials, SaslError> {
    let mut parts = response.split(|&byte| byte == 0);
    let mut part = || parts.next().ok_or(SaslError::Malformed);
    let (authzid, authcid, secret) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(SaslError::Malformed);
    }
    let authzid = if authzid.is_empty() { None } else { Some(name(authzid)?) };
    Ok(Credentials { authzid, authcid: name(authcid)?, password: password(secret)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(response: &[u8], expected: Result<(Option<&str>, &str, &str), SaslError>) {
        let parsed = parse_plain(response);
        let shown = parsed.as_ref().map(|c| {
            let password = str::from_utf8(c.password.expose()).unwrap();
            (c.authzid.as_deref(), c.authcid.as_str(), password)
        });
        assert_eq!(shown, expected.as_ref().map(|e| *e), "{response:?}");
    }

    #[test]
    fn responses() {
        check(b"\0alice\0secret", Ok((None, "alice", "secret")));
        check(b"bob\0alice\0s p", Ok((Some("bob"), "alice", "s p")));
        check("\0jürgen\0größe".as_bytes(), Ok((None, "jürgen", "größe")));
    }

    #[test]
    fn attack_14_nul_and_other_malformed_responses() {
        use SaslError::{Malformed, NotUtf8, TooLong};
        for response in [
            &b""[..],
            b"alice",
            b"\0alice",
            b"\0\0secret",
            b"\0alice\0",
            b"\0alice\0sec\0ret",
            b"\0\0\0",
            b"\0al\r\nice\0secret",
            b"x\ny\0alice\0secret",
        ] {
            check(response, Err(Malformed));
        }
        check(b"\0\xff\0secret", Err(NotUtf8));
        check(b"\0alice\0\xff", Err(NotUtf8));
        check(&[b"\0", &b"a".repeat(256)[..], b"\0secret"].concat(), Err(TooLong));
        check(&[b"\0alice\0", &b"a".repeat(4097)[..]].concat(), Err(TooLong));
    }
}
