//! What names, addresses and quotas may look like. Every refusal names what and where.
//!
//! Addresses that we hand out are stricter than what SMTP can carry: a dot-atom (RFC 5322
//! §3.2.3) whose letters may be any alphanumeric character (RFC 6531), so that no address of
//! ours ever needs quoting and nothing invisible can make two of them look alike.

use crate::config::PASSWORD_BYTES_MAX;
use crate::names::{DOMAIN_BYTES_MAX, LOCAL_BYTES_MAX, Name};
use base::{Address, Error, Result};
use contract_directory::{ATTRIBUTE_BYTES_MAX, Attribute, Dynamic, Filter, Quota, Secret};

/// The longest display name, in bytes (Exchange: 256 characters).
pub(crate) const DISPLAY_NAME_BYTES_MAX: usize = 512;
/// The longest label of a domain, in bytes (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// The longest domain that can be looked up, in bytes (RFC 1035 §2.3.4, less the root).
const OWN_DOMAIN_BYTES_MAX: usize = 253;

/// Checks an address that is to be ours and gives its name.
pub(crate) fn own_address(address: &Address) -> Result<Name> {
    let refuse = |why: String| Err(Error::invalid(format!("address {}: {why}", shown(address))));
    let local = &address.local;
    if local.is_empty() {
        return refuse("nothing before the @".into());
    }
    if local.len() > LOCAL_BYTES_MAX {
        return refuse(format!("more than {LOCAL_BYTES_MAX} bytes before the @"));
    }
    if local.split('.').any(str::is_empty) {
        return refuse("a dot at the beginning, at the end or beside another".into());
    }
    if let Some(c) = local.chars().find(|c| !in_atom(*c)) {
        return refuse(format!("the character {c:?} before the @"));
    }
    domain(&address.domain)?;
    match Name::of(address) {
        Some(name) => Ok(name),
        None => refuse("a character that can be mistaken for a plain letter".into()),
    }
}

/// Checks a group member's address, which may be anybody's anywhere.
pub(crate) fn member_address(address: &Address) -> Result<Name> {
    let fine = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_control() || hidden(c));
    if !fine(&address.local) || !fine(&address.domain) || address.domain.contains(['@', ' ']) {
        return Err(Error::invalid(format!("member {}: not an address", shown(address))));
    }
    if address.domain.len() > DOMAIN_BYTES_MAX {
        return Err(Error::invalid(format!("member {}: the domain is too long", shown(address))));
    }
    Name::of(address).ok_or_else(|| {
        Error::invalid(format!("member {}: the part before the @ is not usable", shown(address)))
    })
}

/// Checks a domain name and gives its lower-case form.
pub(crate) fn domain(name: &str) -> Result<String> {
    let refuse = |why: &str| Err(Error::invalid(format!("domain {}: {why}", cut(name))));
    if name.is_empty() || name.len() > OWN_DOMAIN_BYTES_MAX {
        return refuse("must have 1 to 253 bytes");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return refuse("each part between dots must have 1 to 63 bytes");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refuse("a part begins or ends with a hyphen");
        }
        if !label.chars().all(|c| c == '-' || c.is_ascii_alphanumeric() || plain_letter(c)) {
            return refuse("only letters, digits and hyphens may stand between the dots");
        }
    }
    Ok(name.to_lowercase())
}

/// Checks a name for people.
pub(crate) fn display_name(name: &str) -> Result<()> {
    if name.len() > DISPLAY_NAME_BYTES_MAX {
        let text = format!("display name {}: more than 512 bytes", cut(name));
        return Err(Error::invalid(text));
    }
    match name.chars().find(|c| c.is_control() || hidden(*c)) {
        Some(c) => Err(Error::invalid(format!("display name {}: the character {c:?}", cut(name)))),
        None => Ok(()),
    }
}

/// Checks the value of an attribute.
pub(crate) fn attribute(attribute: Attribute, value: &str) -> Result<()> {
    if value.len() > ATTRIBUTE_BYTES_MAX {
        let text = format!("{attribute} {}: more than {ATTRIBUTE_BYTES_MAX} bytes", cut(value));
        return Err(Error::invalid(text));
    }
    match value.chars().find(|c| c.is_control() || hidden(*c)) {
        Some(c) => Err(Error::invalid(format!("{attribute} {}: the character {c:?}", cut(value)))),
        None => Ok(()),
    }
}

/// Checks by what members of a dynamic group are to be found.
pub(crate) fn dynamic(dynamic: &Dynamic) -> Result<Dynamic> {
    Filter::parse(&dynamic.filter)?;
    let domain = dynamic.domain.as_deref().map(domain).transpose()?;
    Ok(Dynamic { filter: dynamic.filter.clone(), domain })
}

/// Checks a password that is to be set. NUL cannot be sent by SASL PLAIN (RFC 4616 §2).
pub(crate) fn password(password: &Secret) -> Result<()> {
    let text = &password.0;
    if text.is_empty() || text.len() > PASSWORD_BYTES_MAX {
        return Err(Error::invalid("password: must have 1 to 1024 bytes"));
    }
    if text.contains(['\0', '\r', '\n']) {
        return Err(Error::invalid("password: must not contain NUL or a line end"));
    }
    Ok(())
}

/// Checks that the levels of a quota rise: warn ≤ no send ≤ no receive, of those that are set.
pub(crate) fn quota(quota: &Quota) -> Result<()> {
    let levels = [
        ("warn_bytes", quota.warn_bytes),
        ("no_send_bytes", quota.no_send_bytes),
        ("no_receive_bytes", quota.no_receive_bytes),
    ];
    let mut below: Option<(&str, u64)> = None;
    for (name, level) in levels {
        let Some(level) = level else { continue };
        if let Some((lower, bytes)) = below
            && bytes > level
        {
            let text = format!("quota: {lower} ({bytes}) is above {name} ({level})");
            return Err(Error::invalid(text));
        }
        below = Some((name, level));
    }
    Ok(())
}

fn in_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || plain_letter(c)
}

/// A letter or digit outside ASCII that shows.
fn plain_letter(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric() && !hidden(c)
}

/// Characters that do not show or that turn the direction of what follows.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// An address as a message may show it.
pub(crate) fn shown(address: &Address) -> String {
    cut(&address.to_string())
}

/// A text in quotes, escaped, and cut where it is long.
pub(crate) fn cut(text: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    if text.chars().nth(SHOWN_CHARS).is_none() {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(SHOWN_CHARS).collect();
    format!("{head:?}…")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(local: &str, domain: &str, refusal: Option<&str>) {
        let result = own_address(&Address::new(local, domain));
        match refusal {
            None => assert!(result.is_ok(), "{local:?}@{domain:?}: {result:?}"),
            Some(part) => {
                let text = result.unwrap_err().text;
                assert!(text.contains(part), "{local:?}@{domain:?}: {text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn addresses_of_ours() {
        check("alice", "rialto.test", None);
        check("o'neil+x", "a-b.test", None);
        check("élodie", "exämple.test", None);
        check("", "rialto.test", Some("nothing before"));
        check("a..b", "rialto.test", Some("dot"));
        check(".a", "rialto.test", Some("dot"));
        check(&"a".repeat(65), "rialto.test", Some("64 bytes"));
        check("a", "rialto..test", Some("between dots"));
        check("a", "-x.test", Some("hyphen"));
        check("a", "[127.0.0.1]", Some("only letters"));
        check("a", &"x".repeat(254), Some("253"));
    }

    #[test]
    fn attack_11_attack_12_addresses_that_smuggle_or_deceive() {
        check("a\r\nRCPT TO:<x", "rialto.test", Some("'\\r'"));
        check("a\0b", "rialto.test", Some("'\\0'"));
        check("a b", "rialto.test", Some("' '"));
        check("a@b", "rialto.test", Some("'@'"));
        check("ali\u{200b}ce", "rialto.test", Some("200b"));
        check("\u{202e}ecila", "rialto.test", Some("202e"));
        check("mar\u{212a}", "rialto.test", Some("mistaken"));
        check("a", "rialto\u{200b}.test", Some("only letters"));
    }

    #[test]
    fn display_names_and_passwords() {
        assert!(display_name("Dr. Ålice \"A\" <x>").is_ok());
        assert!(display_name("a\r\nBcc: x").unwrap_err().text.contains("'\\r'"));
        assert!(display_name(&"x".repeat(513)).unwrap_err().text.contains("512"));
        assert!(password(&Secret("x".into())).is_ok());
        for bad in ["", "a\0b", "a\nb", &"x".repeat(1025)] {
            assert!(password(&Secret(bad.into())).unwrap_err().text.starts_with("password:"));
        }
    }

    #[test]
    fn attributes_are_plain_text_of_bounded_length() {
        let check = |value: &str| attribute(Attribute::City, value);
        assert!(check("Mestre (VE)").is_ok() && check("").is_ok());
        assert!(check(&"x".repeat(1_025)).unwrap_err().text.contains("1024"));
        assert!(check("a\r\nb").unwrap_err().text.contains("'\\r'"));
    }

    #[test]
    fn quota_levels_rise() {
        let check = |warn, send, receive, fine: bool| {
            let levels = Quota { warn_bytes: warn, no_send_bytes: send, no_receive_bytes: receive };
            assert_eq!(quota(&levels).is_ok(), fine, "{levels:?}");
        };
        check(Some(1), Some(1), Some(1), true);
        check(None, None, None, true);
        check(Some(1), None, Some(2), true);
        check(Some(2), Some(1), None, false);
        check(Some(2), None, Some(1), false);
        check(None, Some(2), Some(1), false);
    }
}
