//! What is shown on a page: strings, in the order in which they are painted.

use super::document::Document;
use super::font::{Font, Fonts};
use super::object::{Lexer, Object, Token, is_blank};
use crate::Outcome;
use crate::job::Job;
use std::rc::Rc;

/// How many values an operator is given at most.
const OPERANDS_MAX: usize = 1_000;

/// A gap of more than so many thousandths of the font's size divides words.
const GAP: f64 = -180.0;

pub(super) fn read(
    job: &mut Job<'_>,
    document: &Document<'_>,
    bytes: &[u8],
    resources: Option<&Object>,
    fonts: &mut Fonts,
) {
    let mut page = Page { job, font: None, text: String::new() };
    let mut operands: Vec<Object> = Vec::new();
    let mut lexer = Lexer::new(bytes);
    while let Some(token) = lexer.next(false) {
        let word = match token {
            Token::Value(value) => {
                if operands.len() < OPERANDS_MAX {
                    operands.push(value);
                }
                continue;
            }
            Token::Word(word) => word,
        };
        match &word[..] {
            b"Tf" => {
                if let Some(Object::Name(name)) = operands.first() {
                    page.font = fonts.get(page.job, document, resources, name);
                }
            }
            b"BI" => skip_picture(&mut lexer),
            word => page.obey(word, &operands),
        }
        operands.clear();
        if page.job.is_full() {
            break;
        }
    }
    page.flush();
}

/// Pictures stand in the page as they are.
fn skip_picture(lexer: &mut Lexer<'_>) {
    let rest = lexer.bytes.get(lexer.at..).unwrap_or_default();
    let is_end = |four: &[u8]| matches!(four, [before, b'E', b'I', behind] if is_blank(*before) && is_blank(*behind));
    let length = rest.windows(4).position(is_end).map_or(rest.len(), |at| at + 3);
    lexer.at += length;
}

struct Page<'j, 'l> {
    job: &'j mut Job<'l>,
    font: Option<Rc<Font>>,
    /// What is shown and not yet given on.
    text: String,
}

impl Page<'_, '_> {
    fn obey(&mut self, word: &[u8], operands: &[Object]) {
        match word {
            b"Tj" => self.show(operands.last()),
            b"'" | b"\"" => {
                self.text.push('\n');
                self.show(operands.last());
            }
            b"TJ" => {
                let Some(Object::Array(list)) = operands.last() else { return };
                for item in list {
                    match item {
                        Object::Number(gap) if *gap < GAP => self.text.push(' '),
                        Object::Number(_) => {}
                        item => self.show(Some(item)),
                    }
                }
            }
            b"Td" | b"TD" | b"T*" | b"Tm" | b"ET" => self.text.push(' '),
            _ => {}
        }
        if self.text.len() > 4_096 {
            self.flush();
        }
    }

    fn show(&mut self, string: Option<&Object>) {
        let Some(Object::String(bytes)) = string else { return };
        match &self.font {
            Some(font) => {
                if !font.append(bytes, &mut self.text) {
                    self.job.mark(Outcome::Unsupported);
                }
            }
            None => self.text.push_str(&crate::charset::decode_page(bytes, 1252)),
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.job.say(&text);
    }
}
