//! The seeds of the fuzz targets, replayed: inputs that reach corners, past findings among them.

use codec_imap::fuzzing;

const SEEDS: [&[u8]; 20] = [
    b"",
    b"\r\n\r\n",
    b"a NOOP\r\n",
    b"a LOGIN {3}\r\njoe {4+}\r\nword\r\n",
    b"a APPEND x (\\Seen) {5+}\r\nhello\r\nb NOOP\r\n",
    b"a APPEND x {5+}\r\nhe\0lo\r\nb NOOP\r\n",
    b"a APPEND x {9000+}\r\n",
    b"a APPEND {1+}\r\nx ~{2+}\r\n\0\0\r\n",
    b"a SEARCH CHARSET x OR (NOT 1:*,*) UID 5:2 HEADER \"a\" {0+}\r\n\r\n",
    b"a UID FETCH *:4294967295 (BODY.PEEK[1.2.HEADER.FIELDS (\"x y\" z)]<1.2> FULL)\r\n",
    b"a FETCH 1 FULL\r\n",
    b"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% &AOk-*) RETURN (CHILDREN)\r\n",
    b"a ID (\"a\" NIL \"b\" \"\\\"\\\\\")\r\n",
    b"a STORE 1 -FLAGS.SILENT \\seen $x\r\n",
    b"a APPEND x \"31-Dec-9999 23:59:60 -2359\" {0+}\r\n\r\n",
    b"{18446744073709551615+}\r\n",
    b"* 1 FETCH (BODY[HEADER.FIELDS (\"]\")]<0> {3}\r\nabc FLAGS (\\*))\r\n",
    b"* OK [PERMANENTFLAGS (\\*)] x\r\n+ \r\n* BYE\r\n1 OK [\r\n",
    b"&AOk-&2D3eAA-&-&",
    b"\xff\xfe\r\n\x00\n",
];

#[test]
fn seeds() {
    for seed in SEEDS {
        fuzzing::command(seed);
        fuzzing::framer(seed);
        fuzzing::response(seed);
        fuzzing::utf7(seed);
    }
    let long = [b"a NOOP ".as_slice(), &[b'x'; 5000], b" {3+}\r\nabc\r\nb NOOP\r\n"].concat();
    fuzzing::framer(&long);
    fuzzing::command(&long);
}
