//! Writes a message as its plan says.

use super::plan::{Action, Edit, Encoding, Plan};
use super::{LINE_BYTES_MAX, Target, encode, header};
use crate::decode::TransferDecoder;
use encode::Encoder;

/// The third reading of a message: what goes in comes out converted.
pub struct Converter {
    plan: Plan,
    /// The current stretch.
    number: usize,
    offset: u64,
    state: State,
    /// The last two octets that were written.
    last: [u8; 2],
}

enum State {
    /// The stretch has not begun.
    Before,
    Keep,
    Tidy(Tidy),
    Header(Vec<u8>),
    Encode {
        decoder: TransferDecoder,
        encoder: Encoder,
        octets: Vec<u8>,
    },
}

impl Converter {
    /// A converter at the start of the message that the plan is for.
    pub fn new(plan: Plan) -> Self {
        Converter { plan, number: 0, offset: 0, state: State::Before, last: *b"\r\n" }
    }

    /// Takes the next octets and appends what they become. What is held back is one header, or one
    /// line.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        self.take(chunk, out);
        self.note(&out[from..]);
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let Some(stretch) = self.plan.stretches.get(self.number) else { return };
            let left = usize::try_from(stretch.range.end - self.offset).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(left));
            self.begin();
            match &mut self.state {
                State::Before | State::Keep => out.extend_from_slice(now),
                State::Tidy(tidy) => tidy.push(now, out),
                State::Header(held) => held.extend_from_slice(now),
                State::Encode { decoder, encoder, octets } => {
                    octets.clear();
                    decoder.push(now, octets);
                    encoder.push(octets, out);
                }
            }
            self.offset += now.len() as u64;
            rest = later;
            self.end_stretches(out);
        }
    }

    fn begin(&mut self) {
        let Some(stretch) = self.plan.stretches.get(self.number) else { return };
        if !matches!(self.state, State::Before) {
            return;
        }
        self.state = match stretch.action {
            Action::Keep => State::Keep,
            Action::Tidy => State::Tidy(Tidy::new(self.plan.target)),
            Action::Header(_) => State::Header(Vec::new()),
            Action::Encode(from, to) => State::Encode {
                decoder: TransferDecoder::new(from),
                encoder: match to {
                    Encoding::Base64 => Encoder::Base64(encode::Base64::default()),
                    _ => Encoder::Quoted(encode::Quoted::default()),
                },
                octets: Vec::new(),
            },
        };
    }

    /// Ends the stretches that end here; some are empty.
    fn end_stretches(&mut self, out: &mut Vec<u8>) {
        while let Some(stretch) = self.plan.stretches.get(self.number)
            && stretch.range.end <= self.offset
        {
            let action = stretch.action;
            self.begin();
            match std::mem::replace(&mut self.state, State::Before) {
                State::Before | State::Keep => {}
                State::Tidy(tidy) => tidy.finish(out),
                State::Header(held) => {
                    if let Action::Header(edit) = action {
                        rewrite(&held, edit, self.plan.target, out);
                    }
                }
                State::Encode { decoder, mut encoder, mut octets } => {
                    octets.clear();
                    decoder.finish(&mut octets);
                    encoder.push(&octets, out);
                    encoder.finish(out);
                }
            }
            self.number += 1;
        }
    }

    fn note(&mut self, written: &[u8]) {
        match written {
            [] => {}
            [one] => self.last = [self.last[1], *one],
            [.., before, last] => self.last = [*before, *last],
        }
    }

    /// Ends the message: whatever it was, its last line is ended.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let from = out.len();
        self.end_stretches(out);
        self.note(&out[from..]);
        if self.last != *b"\r\n" {
            // Of quoted-printable the line must end without one being read.
            let encoded = self.plan.stretches.iter().rev().find(|one| !one.range.is_empty());
            let quoted = encoded
                .is_some_and(|one| matches!(one.action, Action::Encode(_, Encoding::Quoted)));
            out.extend_from_slice(if quoted { b"=\r\n" } else { b"\r\n" });
        }
    }
}

/// Writes a header as it is to become, in lines where lines are wanted.
fn rewrite(held: &[u8], edit: Edit, target: Target, out: &mut Vec<u8>) {
    if target != Target::Lines {
        return header::write(held, edit, out);
    }
    let mut written = Vec::with_capacity(held.len());
    header::write(held, edit, &mut written);
    let mut tidy = Tidy::new(target);
    tidy.push(&written, out);
    tidy.finish(out);
}

/// Repairs what is no content.
struct Tidy {
    is_ascii: bool,
    column: usize,
    after_cr: bool,
}

impl Tidy {
    fn new(target: Target) -> Self {
        Tidy { is_ascii: target == Target::SevenBit, column: 0, after_cr: false }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            if after_cr && *byte != b'\n' {
                self.octet(b'\r', out);
            }
            match byte {
                b'\r' => {}
                b'\n' => {
                    out.extend_from_slice(b"\r\n");
                    self.column = 0;
                }
                _ => self.octet(*byte, out),
            }
        }
    }

    fn octet(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.column >= LINE_BYTES_MAX {
            // Folded, so that no part of a line is taken for a delimiter.
            out.extend_from_slice(b"\r\n ");
            self.column = 1;
        }
        // A CR that ends no line is white space, as for the scanner.
        out.push(match byte {
            b'\r' => b' ',
            0 => b'?',
            _ if self.is_ascii && !byte.is_ascii() => b'?',
            _ => byte,
        });
        self.column += 1;
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if self.after_cr {
            self.octet(b'\r', out);
        }
    }
}
