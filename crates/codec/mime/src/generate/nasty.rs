//! Messages that nobody sends in good faith: deep, numerous, or made of the bytes that parsers look
//! for.

use super::Writer;

impl Writer<'_> {
    pub(super) fn nested(&mut self, depth: usize) {
        for level in 0..depth {
            self.put(&format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n"));
            self.put(&format!("--b{level}\r\n"));
        }
        self.plain();
        for level in (0..depth).rev() {
            if self.random.below(4) > 0 {
                self.put(&format!("\r\n--b{level}--\r\n"));
            }
        }
    }

    pub(super) fn parameters(&mut self, count: usize) {
        self.put("Content-Type: application/octet-stream");
        for number in 0..count {
            self.put(&format!(";\r\n name*{number}*=%41"));
        }
        self.put("\r\n\r\nbody\r\n");
    }

    pub(super) fn parts(&mut self, count: usize) {
        let boundary = self.multipart("multipart/mixed");
        for _ in 0..count {
            self.put(&format!("--{boundary}\r\n\r\nx\r\n"));
        }
        self.put(&format!("--{boundary}--\r\n"));
    }

    pub(super) fn junk(&mut self, bytes: usize) {
        const PIECES: [&[u8]; 22] = [
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b"--",
            b"--a",
            b"--a--",
            b"--ab",
            b"\r\n--a\r\n",
            b"\r\n--a--\r\n",
            b"\r\n--ab\r\n",
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
            b"Content-Type: multipart/digest; boundary=\"ab\"\r\n\r\n",
            b"Content-Type: message/rfc822\r\n\r\n",
            b"Content-Type: (boundary=a) text/plain\r\n",
            b"Subject: =?utf-8?b?4p",
            b"To: \"a\" <b@c>, g: d@e;\r\n",
            b" ",
            b"\t",
            b"\0",
            b"\xff",
            b"Content-Disposition: attachment; filename*0*=utf-8''a%\r\n",
        ];
        let mut written = 0;
        while written < bytes {
            let piece = PIECES.get(self.random.below(PIECES.len() + 4)).copied();
            let random = self.random.next_u64().to_le_bytes();
            let piece = piece.unwrap_or(&random[..3]);
            (self.out)(piece);
            written += piece.len();
        }
    }
}
