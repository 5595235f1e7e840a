//! XML, as far as text has to be taken out of it: tags and what stands between them, in order. No
//! entity is ever expanded but the five that every document knows and numbers of characters, and
//! nothing outside the document is looked at.

/// What comes next in a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event<'a> {
    /// An element begins; `is_empty` where it ends as well.
    Open(Tag<'a>),
    /// An element of this name ends, without the prefix of its namespace.
    Close(&'a str),
    /// Text, with its entities.
    Text(&'a str),
    /// Text as it stands.
    Raw(&'a str),
}

/// The beginning of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag<'a> {
    /// Its name, without the prefix of its namespace.
    pub(crate) name: &'a str,
    attributes: &'a str,
    pub(crate) is_empty: bool,
}

impl<'a> Tag<'a> {
    /// The value of an attribute, by its name without a prefix; entities are left as they are.
    pub(crate) fn attribute(&self, wanted: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        loop {
            let (name, behind) = rest.split_once('=')?;
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, next) = behind.get(1..)?.split_once(quote)?;
            if local(name.trim()) == wanted {
                return Some(value);
            }
            rest = next;
        }
    }
}

/// A name without the prefix of its namespace.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Walks through a document.
pub(crate) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: &'a str) -> Self {
        Self { rest: document }
    }

    /// Cuts off what stands before `end`, and `end`; all that is left where it is missing.
    fn up_to(&mut self, end: &str) -> &'a str {
        match self.rest.split_once(end) {
            Some((before, behind)) => {
                self.rest = behind;
                before
            }
            None => std::mem::take(&mut self.rest),
        }
    }

    /// Leaves out a declaration of a document's type, with what is declared inside.
    fn skip_declaration(&mut self) {
        let mut depth = 0_usize;
        let end = self.rest.char_indices().find(|(_, c)| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == '>' && depth == 0
        });
        self.rest = end.and_then(|(at, _)| self.rest.get(at + 1..)).unwrap_or_default();
    }

    fn tag(&mut self) -> Option<Event<'a>> {
        let inside = self.up_to_tag_end();
        if let Some(name) = inside.strip_prefix('/') {
            return Some(Event::Close(local(name.trim())));
        }
        let (inside, is_empty) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let end = inside.find(|c: char| c.is_ascii_whitespace()).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at_checked(end)?;
        Some(Event::Open(Tag { name: local(name), attributes, is_empty }))
    }

    /// Cuts off a tag; a `>` inside quotes does not end it.
    fn up_to_tag_end(&mut self) -> &'a str {
        let mut quote = None;
        let end = self.rest.bytes().position(|byte| match quote {
            Some(open) => {
                if byte == open {
                    quote = None;
                }
                false
            }
            None => {
                if matches!(byte, b'"' | b'\'') {
                    quote = Some(byte);
                }
                byte == b'>'
            }
        });
        match end.and_then(|at| Some((self.rest.get(..at)?, self.rest.get(at + 1..)?))) {
            Some((inside, behind)) => {
                self.rest = behind;
                inside
            }
            None => std::mem::take(&mut self.rest),
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        loop {
            let Some(behind) = self.rest.strip_prefix('<') else {
                if self.rest.is_empty() {
                    return None;
                }
                let at = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, behind) = self.rest.split_at_checked(at)?;
                self.rest = behind;
                return Some(Event::Text(text));
            };
            self.rest = behind;
            if let Some(behind) = self.rest.strip_prefix("![CDATA[") {
                self.rest = behind;
                return Some(Event::Raw(self.up_to("]]>")));
            }
            if self.rest.starts_with("!--") {
                self.up_to("-->");
            } else if self.rest.starts_with('?') {
                self.up_to("?>");
            } else if self.rest.starts_with('!') {
                self.skip_declaration();
            } else {
                return self.tag();
            }
        }
    }
}

/// Text with the entities decoded that every document knows; others are left as they stand.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let known = behind.get(..behind.floor_char_boundary(12)).unwrap_or_default();
        let entity = known.split_once(';').and_then(|(name, _)| Some((character(name)?, name)));
        match entity {
            Some((character, name)) => {
                out.push(character);
                rest = behind.get(name.len() + 1..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(document: &str) -> String {
        let events = Reader::new(document).map(|event| match event {
            Event::Open(tag) if tag.is_empty => format!("<{}/>", tag.name),
            Event::Open(tag) => format!("<{}>", tag.name),
            Event::Close(name) => format!("</{name}>"),
            Event::Text(text) => decoded(text),
            Event::Raw(text) => format!("[{text}]"),
        });
        events.collect()
    }

    #[test]
    fn documents_are_walked_through() {
        let check = |document: &str, expect: &str| assert_eq!(words(document), expect);
        check("<?xml version='1.0'?><w:p a=\"x>y\">a<w:t/></w:p >", "<p>a<t/></p>");
        check("<a>1 &lt; 2 &amp;amp; &#x41;&#66;&apos;</a>", "<a>1 < 2 &amp; AB'</a>");
        check("<a><![CDATA[<b>&amp;]]></a>", "<a>[<b>&amp;]</a>");
        check("a<!-- <b> -->c", "ac");
        check("cut <b", "cut <b>");
        check("<![CDATA[cut", "[cut]");
        check("&unknown; &#xD800; & x", "&unknown; &#xD800; & x");
    }

    #[test]
    fn attack_49_nothing_that_a_document_declares_is_expanded() {
        let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">\
                      <!ENTITY x SYSTEM \"file:///etc/passwd\">]><l>&b;&x;</l>";
        assert_eq!(words(laughs), "<l>&b;&x;</l>");
        let deep = "<a>".repeat(100_000);
        assert_eq!(Reader::new(&deep).count(), 100_000);
        let many = format!("<a {}/>", "x='1' ".repeat(100_000));
        let Some(Event::Open(tag)) = Reader::new(&many).next() else { panic!() };
        assert_eq!(tag.attribute("y"), None);
    }

    #[test]
    fn attributes_are_found() {
        let document = "<c r=\"A1\" t = 's' x:name=\"n\">";
        let Some(Event::Open(tag)) = Reader::new(document).next() else { panic!() };
        assert_eq!(tag.attribute("t"), Some("s"));
        assert_eq!(tag.attribute("name"), Some("n"));
        assert_eq!(tag.attribute("q"), None);
    }
}
