//! Writes a message for the wire: CRLF line ends only, dots doubled, the end marked.
//!
//! What is stored may hold bare CR or LF (an IMAP APPEND, an old import). On the wire they would
//! let a message be read as two by a sloppy receiver, so both writers turn each of them into CRLF:
//! [`DotStuffer`] for DATA (RFC 5321 §4.5.2), [`CrlfNormaliser`] for BDAT, where nothing is stuffed
//! but the line rule is the same. Clean input passes through as slices of itself.

use bytes::Bytes;

use crate::{gather::Gather, scan};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Middle,
    Cr,
}

#[derive(Debug, Clone)]
struct Writer {
    state: State,
    stuffs_dots: bool,
}

impl Writer {
    fn push(&mut self, input: &Bytes, out: &mut Vec<Bytes>) {
        let mut gather = Gather::new(out);
        let mut at = 0;
        let mut run_start = 0;
        while at < input.len() {
            let byte = input[at];
            match self.state {
                State::LineStart => {
                    if byte == b'.' && self.stuffs_dots {
                        gather.push_run(input.slice(run_start..at));
                        run_start = at;
                        gather.push_copy(b".");
                    }
                    self.state = State::Middle;
                }
                State::Middle => {
                    let Some(found) = scan::cr_or_lf(&input[at..]) else {
                        break;
                    };
                    at += found;
                    if input[at] == b'\r' {
                        self.state = State::Cr;
                    } else {
                        gather.push_run(input.slice(run_start..at));
                        gather.push_copy(b"\r");
                        run_start = at;
                        self.state = State::LineStart;
                    }
                    at += 1;
                }
                State::Cr => {
                    if byte == b'\n' {
                        at += 1;
                    } else {
                        gather.push_run(input.slice(run_start..at));
                        gather.push_copy(b"\n");
                        run_start = at;
                    }
                    self.state = State::LineStart;
                }
            }
        }
        gather.push_run(input.slice(run_start..));
        gather.flush();
    }

    /// What is missing to end the last line.
    fn line_end(&self) -> &'static [u8] {
        match self.state {
            State::LineStart => b"",
            State::Middle => b"\r\n",
            State::Cr => b"\n",
        }
    }
}

/// Writes one message for DATA.
#[derive(Debug, Clone)]
pub struct DotStuffer(Writer);

impl DotStuffer {
    /// At the start of a message.
    #[must_use]
    pub fn new() -> DotStuffer {
        DotStuffer(Writer { state: State::LineStart, stuffs_dots: true })
    }

    /// Appends the wire form of the next part of the message to `out`.
    pub fn push(&mut self, input: &Bytes, out: &mut Vec<Bytes>) {
        self.0.push(input, out);
    }

    /// Ends the last line if need be, and the message.
    pub fn finish(self, out: &mut Vec<Bytes>) {
        out.push(Bytes::from_static(match self.0.state {
            State::LineStart => b".\r\n",
            State::Middle => b"\r\n.\r\n",
            State::Cr => b"\n.\r\n",
        }));
    }
}

impl Default for DotStuffer {
    fn default() -> DotStuffer {
        DotStuffer::new()
    }
}

/// Writes one message for BDAT: line ends repaired, nothing else. The size of a chunk is known
/// only after this.
#[derive(Debug, Clone)]
pub struct CrlfNormaliser(Writer);

impl CrlfNormaliser {
    /// At the start of a message.
    #[must_use]
    pub fn new() -> CrlfNormaliser {
        CrlfNormaliser(Writer { state: State::LineStart, stuffs_dots: false })
    }

    /// Appends the next part of the message to `out`.
    pub fn push(&mut self, input: &Bytes, out: &mut Vec<Bytes>) {
        self.0.push(input, out);
    }

    /// Ends the last line if need be.
    pub fn finish(self, out: &mut Vec<Bytes>) {
        let line_end = self.0.line_end();
        if !line_end.is_empty() {
            out.push(Bytes::from_static(line_end));
        }
    }
}

impl Default for CrlfNormaliser {
    fn default() -> CrlfNormaliser {
        CrlfNormaliser::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &'static [u8], stuffed: &[u8], normalised: &[u8]) {
        for step in 1..=input.len().max(1) {
            let (mut data, mut bdat) = (DotStuffer::new(), CrlfNormaliser::new());
            let (mut data_out, mut bdat_out) = (Vec::new(), Vec::new());
            for piece in input.chunks(step) {
                data.push(&Bytes::from_static(piece), &mut data_out);
                bdat.push(&Bytes::from_static(piece), &mut bdat_out);
            }
            data.finish(&mut data_out);
            bdat.finish(&mut bdat_out);
            assert_eq!(data_out.concat(), stuffed, "{:?}", String::from_utf8_lossy(input));
            assert_eq!(bdat_out.concat(), normalised, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn clean_messages() {
        check(b"", b".\r\n", b"");
        check(b"a\r\n", b"a\r\n.\r\n", b"a\r\n");
        check(b".a\r\n.\r\n", b"..a\r\n..\r\n.\r\n", b".a\r\n.\r\n");
        check(b"a.b\r\n", b"a.b\r\n.\r\n", b"a.b\r\n");
    }

    #[test]
    fn attack_02_bare_line_ends_never_leave() {
        check(b"a", b"a\r\n.\r\n", b"a\r\n");
        check(b"a\n.\nb\r", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n");
        check(b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n");
        check(b"\n\r\r\n\r", b"\r\n\r\n\r\n\r\n.\r\n", b"\r\n\r\n\r\n\r\n");
        check(b"a\r\n.\n", b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n");
    }

    #[test]
    fn clean_input_is_not_copied() {
        let input = Bytes::from(b"0123456789abcdef\r\n".repeat(1000));
        let mut out = Vec::new();
        DotStuffer::new().push(&input, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), input.as_ptr());
    }
}
