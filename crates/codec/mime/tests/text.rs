//! Encoded words, transfer encodings, character sets.

use codec_mime::charset::{CharsetDecoder, to_utf8};
use codec_mime::decode::{TextDecoder, TransferDecoder, TransferEncoding, whole};
use codec_mime::{encoded_word, parse};

#[test]
fn encoded_words_decode() {
    let table: [(&[u8], &str); 24] = [
        (b"plain", "plain"),
        (b"=?iso-8859-1?Q?caf=E9?=", "café"),
        (b"=?UTF-8?B?w7w=?= x", "ü x"),
        (b"a =?utf-8?q?b_c?= d", "a b c d"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\t =?iso-8859-1?q?=E9?=", "aé"),
        (b"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        // A character split between words, in both encodings.
        (b"=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        (b"=?utf-8?q?=E2=82?= =?UTF-8?Q?=AC?=", "€"),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"=?utf-8?Q?=C3?=", "\u{fffd}"),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=??q?a?=", "=??q?a?="),
        (b"=?=?utf-8?q?a?=", "=?a"),
        (b"=?nonsense?q?=FC?=", "ü"),
        (b"caf\xe9", "café"),
        (b"caf\xc3\xa9", "café"),
        (b"\xef\xbb\xbfa =?utf-8?q?=EF=BB=BFb?=", "a b"),
        (b"=?utf-8?q?a=0D=0AX:_y=00?=", "a  X: y "),
        (b"=?gb2312?b?xOO6ww==?=", "你好"),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?iso-2022-jp?b?GyRCRnwbKEI=?= =?ISO-2022-JP?b?GyRCS1wbKEI=?=", "日本"),
        (b"=?utf-7?q?+AOk-?=", "é"),
    ];
    for (value, expected) in table {
        assert_eq!(encoded_word::decode(value), expected, "{}", String::from_utf8_lossy(value));
    }
}

#[test]
fn encoded_words_encode() {
    assert_eq!(encoded_word::encode("plain"), "plain");
    assert_eq!(encoded_word::encode("a\r\nBcc: x"), "a  Bcc: x");
    assert_eq!(encoded_word::encode("ü"), "=?UTF-8?B?w7w=?=");
    let long = "日本語".repeat(40);
    let encoded = encoded_word::encode(&long);
    assert!(encoded.split(' ').all(|word| word.len() <= 75));
    assert_eq!(encoded_word::decode(encoded.as_bytes()), long);
    assert_eq!(encoded_word::encode_phrase("Pat Smith"), "Pat Smith");
    assert_eq!(encoded_word::encode_phrase("Smith, \"P\""), "\"Smith, \\\"P\\\"\"");
    assert_eq!(encoded_word::encode_phrase("Zoë"), "=?UTF-8?B?Wm/Dqw==?=");
    assert_eq!(encoded_word::encode_phrase(""), "\"\"");
}

#[test]
fn transfer_encodings() {
    use TransferEncoding::{Base64, Identity, QuotedPrintable};
    let table: [(TransferEncoding, &[u8], &[u8]); 16] = [
        (Identity, b"a=\r\n", b"a=\r\n"),
        (Base64, b"aGVs\r\nbG8=\r\n", b"hello"),
        (Base64, b"aGVsbG8", b"hello"),
        (Base64, b"aA==aA==", b"hh"),
        (Base64, b"!a G*V s", b"hel"),
        (Base64, b"", b""),
        (QuotedPrintable, b"a=3Db=\r\nc\r\n", b"a=bc\r\n"),
        (QuotedPrintable, b"a =\r\n b", b"a  b"),
        (QuotedPrintable, b"a=  \r\nb", b"ab"),
        (QuotedPrintable, b"a  \t\r\nb \n", b"a\r\nb\n"),
        (QuotedPrintable, b"a=\nb", b"ab"),
        (QuotedPrintable, b"=e9=E9", b"\xe9\xe9"),
        (QuotedPrintable, b"=zz=4", b"=zz=4"),
        (QuotedPrintable, b"==41", b"=A"),
        (QuotedPrintable, b"a=", b"a"),
        (QuotedPrintable, b"a ", b"a "),
    ];
    for (encoding, input, expected) in table {
        assert_eq!(whole(encoding, input), expected, "{encoding:?} {input:?}");
        let mut decoder = TransferDecoder::new(encoding);
        let mut out = Vec::new();
        input.chunks(1).for_each(|octet| decoder.push(octet, &mut out));
        decoder.finish(&mut out);
        assert_eq!(out, expected, "{encoding:?} {input:?} octet by octet");
    }
    let named = |name: &[u8]| TransferEncoding::from_header(Some(name));
    assert_eq!(named(b" BASE64 "), Base64);
    assert_eq!(named(b"quoted-printable (x)"), QuotedPrintable);
    assert_eq!(named(b"x-uuencode"), Identity);
    assert_eq!(TransferEncoding::from_header(None), Identity);
}

#[test]
fn attack_41_character_sets() {
    let table: [(&str, &[u8], &str); 20] = [
        ("utf-8", b"\xc3\xbc", "ü"),
        // Overlong forms and encoded surrogates are not characters.
        ("utf-8", b"\xc0\xaf", "\u{fffd}\u{fffd}"),
        ("utf-8", b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        ("iso-8859-1", b"\xfc", "ü"),
        ("\"windows-1252", b"\x80", "€"),
        ("us-ascii", b"\xc3\xbc", "ü"),
        ("us-ascii", b"ab\xfc\xfc", "abüü"),
        ("../../etc/passwd", b"\xfc", "ü"),
        ("", b"\xfc", "ü"),
        ("iso-2022-kr", b"abc", "abc"),
        ("hz-gb-2312", b"abc", "abc"),
        ("utf-16le", b"\xfc\0\0\xd8", "ü\u{fffd}"),
        ("utf-16be", b"\xd8\x3d\xde\0", "😀"),
        ("iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本"),
        // An escape sequence cut short by another.
        ("iso-2022-jp", b"\x1b$B\x1b\x1b$F", "\u{fffd}\u{fffd}て"),
        ("utf-7", b"a+-b +AOk-c+2D3eAA d", "a+b éc😀 d"),
        // A lone high surrogate, a lone low one, an end within a run.
        ("utf-7", b"+2D0-x+3gA-y+2D0", "\u{fffd}x\u{fffd}y\u{fffd}"),
        ("utf-7", b"\xff+", "\u{fffd}"),
        ("shift_jis", b"\x93\xfa", "日"),
        ("big5", b"\xa4\xa4", "中"),
    ];
    for (label, input, expected) in table {
        assert_eq!(to_utf8(label.as_bytes(), input), expected, "{label} {input:?}");
        let mut decoder = CharsetDecoder::new(label.as_bytes());
        let mut text = String::new();
        input.chunks(1).for_each(|octet| decoder.push(octet, &mut text));
        decoder.finish(&mut text);
        assert_eq!(text, expected, "{label} {input:?} octet by octet");
    }
    let long = vec![b'x'; 100_000];
    assert_eq!(to_utf8(&long, b"\xfc"), "ü");
}

#[test]
fn text_of_a_part() {
    let message = parse(
        b"Content-Type: text/plain; charset=\"ISO-8859-15\"\r\nContent-Transfer-Encoding: \
          quoted-printable\r\n\r\n=A4 ca=\r\nf=E9\r\n",
    );
    let mut decoder = TextDecoder::new(&message.root);
    let mut text = String::new();
    b"=A4 ca=\r\nf=E9\r\n".chunks(3).for_each(|chunk| decoder.push(chunk, &mut text));
    decoder.finish(&mut text);
    assert_eq!(text, "€ café\r\n");
}
