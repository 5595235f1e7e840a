//! Bytes of any charset to text. Never fails: what cannot be decoded becomes U+FFFD.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// The longest name of a charset that is looked up, in bytes.
const LABEL_BYTES_MAX: usize = 40;

/// Decodes by the byte order mark, else by the charset that is named, else as UTF-8 where it is
/// that, else as windows-1252.
pub(crate) fn decode<'b>(bytes: &'b [u8], label: &str) -> Cow<'b, str> {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(mark_bytes..).unwrap_or_default();
        return encoding.decode_without_bom_handling(rest).0;
    }
    let label = label.trim().trim_matches('"').as_bytes();
    let is_none = label.is_empty() || label.len() > LABEL_BYTES_MAX;
    let is_plain = label.eq_ignore_ascii_case(b"us-ascii") || label.eq_ignore_ascii_case(b"ascii");
    let named = match is_none || is_plain {
        true => None,
        false => Encoding::for_label_no_replacement(label),
    };
    match (named, std::str::from_utf8(bytes)) {
        (Some(encoding), _) if encoding != UTF_8 => encoding.decode_without_bom_handling(bytes).0,
        (_, Ok(text)) => Cow::Borrowed(text),
        (Some(_), Err(_)) => String::from_utf8_lossy(bytes),
        (None, Err(_)) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Decodes by a Windows code page; as windows-1252 where there is none of that number.
pub(crate) fn decode_page(bytes: &[u8], page: u32) -> String {
    let label = match page {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        65_001 => "utf-8".to_owned(),
        page => format!("windows-{page}"),
    };
    let encoding = Encoding::for_label_no_replacement(label.as_bytes()).unwrap_or(WINDOWS_1252);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_found_out() {
        let check = |bytes: &[u8], label: &str, expect: &str| {
            assert_eq!(decode(bytes, label), expect, "{label}");
        };
        check("\u{fc}".as_bytes(), "", "\u{fc}");
        check(b"\xfc", "", "\u{fc}");
        check(b"\xfc", "us-ascii", "\u{fc}");
        check(b"\xe4", "iso-8859-2", "\u{e4}");
        check(b"\xff\xfea\0", "utf-8", "a");
        check(b"\xef\xbb\xbfa", "", "a");
        check(b"a\xff", "utf-8", "a\u{fffd}");
        check(b"\x93\xfa\x96\x7b", "Shift_JIS", "\u{65e5}\u{672c}");
        check(b"a", "../../x", "a");
        assert_eq!(decode_page(b"\xe0", 1251), "\u{430}");
        assert_eq!(decode_page(b"\xe4", 7), "\u{e4}");
    }
}
