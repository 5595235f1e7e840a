//! Status lines and capabilities, both directions.

use bytes::BytesMut;
use codec_pop3::{Capability, Code, Expire, ServerLine, StatusLine, put_challenge};

fn shown(ok: bool, code: Option<Code>, text: &str) -> String {
    let mut out = BytesMut::new();
    StatusLine { ok, code, text }.encode(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn status_lines() {
    let check = |ok, code, text: &str, expect: &str| {
        assert_eq!(shown(ok, code, text), format!("{expect}\r\n"));
        let read = ServerLine::parse(expect.as_bytes());
        let text = text.trim_start().to_owned();
        assert_eq!(read, Some(ServerLine::Status { ok, code, text }), "{expect}");
    };
    check(true, None, "", "+OK");
    check(true, None, "2 320", "+OK 2 320");
    check(false, None, "no such message", "-ERR no such message");
    check(false, Some(Code::SysTemp), "later", "-ERR [SYS/TEMP] later");
    check(false, Some(Code::InUse), "", "-ERR [IN-USE]");
    for code in Code::ALL {
        check(false, Some(code), "x", &format!("-ERR [{}] x", code.word()));
    }
    check(true, None, "größe", "+OK größe");
    for unknown in ["", "OK", "+OKAY", "-err", "* OK"] {
        assert_eq!(ServerLine::parse(unknown.as_bytes()), None, "{unknown}");
    }
    let other = ServerLine::parse(b"-ERR [XYZ] what");
    let text = "[XYZ] what".to_owned();
    assert_eq!(other, Some(ServerLine::Status { ok: false, code: None, text }));
}

#[test]
fn attack_29_texts_cannot_break_out_of_their_line() {
    assert_eq!(shown(false, None, "no\r\n+OK yes"), "-ERR no??+OK yes\r\n");
    assert_eq!(shown(true, None, " [SYS/PERM] evil"), "+OK (SYS/PERM] evil\r\n");
    assert_eq!(shown(true, None, &"a".repeat(10_000)).len(), 512);
    let long = shown(false, Some(Code::Auth), &"ä".repeat(10_000));
    assert!((511..=512).contains(&long.len()));
}

#[test]
fn challenges() {
    let mut out = BytesMut::new();
    put_challenge(&mut out, "");
    put_challenge(&mut out, "VXNlcm5hbWU6");
    assert_eq!(&out[..], b"+ \r\n+ VXNlcm5hbWU6\r\n");
    let read = ServerLine::parse(b"+ VXNlcm5hbWU6");
    assert_eq!(read, Some(ServerLine::Challenge("VXNlcm5hbWU6".into())));
    assert_eq!(ServerLine::parse(b"+ "), Some(ServerLine::Challenge(String::new())));
}

#[test]
fn capabilities() {
    let check = |capability: Capability, line: &str| {
        let mut out = BytesMut::new();
        capability.encode(&mut out);
        assert_eq!(&out[..], format!("{line}\r\n").as_bytes());
        assert_eq!(Capability::parse(line), capability);
    };
    check(Capability::Top, "TOP");
    check(Capability::User, "USER");
    check(Capability::Sasl(vec!["PLAIN".into(), "LOGIN".into()]), "SASL PLAIN LOGIN");
    check(Capability::RespCodes, "RESP-CODES");
    check(Capability::AuthRespCode, "AUTH-RESP-CODE");
    check(Capability::Pipelining, "PIPELINING");
    check(Capability::Expire(Expire::Never), "EXPIRE NEVER");
    check(Capability::Expire(Expire::Days(30)), "EXPIRE 30");
    check(Capability::Uidl, "UIDL");
    check(Capability::Stls, "STLS");
    check(Capability::Utf8User, "UTF8 USER");
    check(Capability::Lang, "LANG");
    check(Capability::Implementation("Rialto".into()), "IMPLEMENTATION Rialto");
    check(Capability::Other("X-RETRACT now".into()), "X-RETRACT now");
    assert_eq!(Capability::parse("top"), Capability::Top);
    assert_eq!(Capability::parse("EXPIRE 5 USER"), Capability::Expire(Expire::Days(5)));
    assert_eq!(Capability::parse("EXPIRE soon"), Capability::Other("EXPIRE soon".into()));
}
