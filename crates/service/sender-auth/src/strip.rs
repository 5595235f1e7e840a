//! Fields that only we may write are taken out of what comes in (RFC 8601 §5).

use bytes::Bytes;
use codec_mime::author::{Naming, naming};
use codec_mime::header;

/// Names that begin so are ours, or what others of an organisation's own servers have found.
const OWN_PREFIXES: [&[u8]; 2] = [b"x-rialto-", b"x-ms-exchange-organization-"];

/// A header without `Authentication-Results` of ours, and without fields of our own names. It is
/// copied only if something is taken out. `own_names` are in lower case.
pub fn strip(raw: Bytes, own_names: &[String]) -> Bytes {
    let mut kept = Vec::new();
    let mut at = 0;
    for field in header::fields(&raw) {
        let is_forged = match naming(&field, &raw, b"Authentication-Results") {
            Naming::Exact => names_one_of(field.value, own_names),
            // Some reader may take it for such a field; no honest server writes it.
            Naming::Odd => true,
            Naming::Other => {
                let seen = field.name.iter().filter(|byte| byte.is_ascii_graphic());
                let seen = seen.map(u8::to_ascii_lowercase);
                OWN_PREFIXES.iter().any(|own| seen.clone().take(own.len()).eq(own.iter().copied()))
            }
        };
        if is_forged {
            kept.push(at..field.range.start);
            at = field.range.end;
        }
    }
    if at == 0 && kept.is_empty() {
        return raw;
    }
    kept.push(at..raw.len());
    kept.into_iter().flat_map(|range| raw[range].iter().copied()).collect()
}

/// Whether results are said to be from one of these servers; so are results of nobody.
fn names_one_of(value: &[u8], names: &[String]) -> bool {
    match author(value) {
        Some(author) => {
            let author = author.to_ascii_lowercase();
            let author = author.strip_suffix(b".").unwrap_or(&author);
            author.is_empty() || names.iter().any(|name| name.as_bytes() == author)
        }
        None => true,
    }
}

/// The authserv-id (RFC 8601 §2.2): a word or a quoted string, comments in front of it left out.
fn author(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = value.iter().copied().peekable();
    loop {
        match *bytes.peek()? {
            b' ' | b'\t' | b'\r' | b'\n' => {
                bytes.next();
            }
            b'(' => {
                let mut depth = 0_u32;
                loop {
                    match bytes.next()? {
                        b'\\' => drop(bytes.next()?),
                        b'(' => depth += 1,
                        b')' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            b'"' => {
                bytes.next();
                let mut word = Vec::new();
                loop {
                    match bytes.next()? {
                        b'"' => return Some(word),
                        b'\\' => word.push(bytes.next()?),
                        byte => word.push(byte),
                    }
                }
            }
            _ => {
                let ends = |byte: &u8| !b" \t\r\n;(".contains(byte);
                return Some(bytes.take_while(ends).collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_20_what_only_we_may_write_is_removed() {
        let names = ["mx.rialto.test".to_owned()];
        let check = |header: &str, expected: &str| {
            let stripped = strip(Bytes::from(header.to_owned()), &names);
            assert_eq!(stripped, expected.as_bytes(), "{header:?}");
        };
        let rest = "From: a@b.test\r\nSubject: hello\r\n\r\n";
        check(rest, rest);
        for forged in [
            "Authentication-Results: mx.rialto.test; dmarc=pass",
            "AUTHENTICATION-RESULTS :\r\n\t(really (\\) us)) MX.Rialto.test 1;\r\n dkim=pass",
            "Authentication-Results: \"mx.rialto.test\"; spf=pass",
            "Authentication-Results: mx.rialto.test(us); spf=pass",
            "Authentication-Results: mx.rialto.test.; spf=pass",
            "Authentication-Results: (endless; dmarc=pass",
            "Authentication-Results: ; dmarc=pass",
            "Authentication-\x08Results: mx.rialto.test; dmarc=pass",
            "X-Rialto-Spam: none",
            "x-rialto-anything:",
        ] {
            let (before, behind) = ("Received: by x\r\n", rest);
            check(&format!("{before}{forged}\r\n{behind}"), &format!("{before}{behind}"));
            check(&format!("{forged}\r\n{forged}\r\n{behind}"), behind);
            check(&format!("Subject: x\r\n{forged}\r\n\r\n"), "Subject: x\r\n\r\n");
        }
        for kept in [
            "Authentication-Results: mx.elsewhere.test; dmarc=pass",
            "Authentication-Results: mx.rialto.test.evil; dmarc=pass",
            "Subject: Authentication-Results: mx.rialto.test; dmarc=pass",
            "ARC-Authentication-Results: i=1; mx.rialto.test; dmarc=pass",
            "X-Rialtonian: yes",
            "no field at all",
        ] {
            let header = format!("{kept}\r\n{rest}");
            check(&header, &header);
        }
    }
}
