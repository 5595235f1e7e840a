//! Fonts, as far as they say which characters their codes are.

use super::cmap::{CMap, utf16};
use super::document::Document;
use super::glyphs;
use super::object::{Dict, Object};
use crate::charset;
use crate::job::Job;
use encoding_rs::Encoding;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The fonts of a document, by the numbers of their objects.
#[derive(Default)]
pub(super) struct Fonts {
    known: BTreeMap<u32, Rc<Font>>,
}

/// How codes are read.
pub(super) enum Font {
    /// By a table of its own.
    Mapped { map: CMap, is_wide: bool },
    /// One byte each: what each stands for.
    Simple(Vec<String>),
    /// By a charset.
    Encoded(&'static Encoding),
    /// UTF-16.
    Wide,
    /// By numbers of glyphs that nobody names.
    Unreadable,
}

impl Fonts {
    /// A font by its name in some resources.
    pub(super) fn get(
        &mut self,
        job: &mut Job<'_>,
        document: &Document<'_>,
        resources: Option<&Object>,
        name: &[u8],
    ) -> Option<Rc<Font>> {
        let Object::Dict(resources) = document.resolve(resources?) else { return None };
        let font = document.dict_in(resources, b"Font")?.get(name)?;
        let number = font.reference();
        if let Some(known) = number.and_then(|number| self.known.get(&number)) {
            return Some(known.clone());
        }
        let Object::Dict(dict) = document.resolve(font) else { return None };
        let font = Rc::new(Font::new(job, document, dict));
        if let Some(number) = number {
            self.known.insert(number, font.clone());
        }
        Some(font)
    }
}

impl Font {
    fn new(job: &mut Job<'_>, document: &Document<'_>, dict: &Dict) -> Self {
        let is_wide = dict.name(b"Subtype") == Some(b"Type0");
        let map = dict.get(b"ToUnicode").and_then(Object::reference);
        if let Some(number) = map {
            let bytes = document.stream(job, number);
            let map = CMap::parse(&bytes);
            let is_wide = if map.has_long != map.has_short { map.has_long } else { is_wide };
            return Self::Mapped { map, is_wide };
        }
        let encoding = document.value(dict, b"Encoding");
        match encoding {
            Some(Object::Name(name)) if is_wide => Self::by_name(name),
            _ if is_wide => Self::Unreadable,
            Some(Object::Name(name)) => Self::Simple(base(Some(name))),
            Some(Object::Dict(encoding)) => {
                let mut table = base(encoding.name(b"BaseEncoding"));
                let mut code = 0_usize;
                let differences = document.value(encoding, b"Differences");
                let Some(Object::Array(differences)) = differences else {
                    return Self::Simple(table);
                };
                for difference in differences {
                    match difference {
                        Object::Number(_) => code = difference.count().unwrap_or(256),
                        Object::Name(name) => {
                            if let (Some(place), Some(text)) =
                                (table.get_mut(code), glyphs::text(name))
                            {
                                *place = text;
                            }
                            code = code.saturating_add(1);
                        }
                        _ => {}
                    }
                }
                Self::Simple(table)
            }
            _ => Self::Simple(base(None)),
        }
    }

    /// The maps of codes that every reader knows, for scripts of East Asia.
    fn by_name(name: &[u8]) -> Self {
        let has = |part: &[u8]| name.windows(part.len()).any(|some| some == part);
        let encoded = |label: &[u8]| Encoding::for_label(label).map_or(Self::Wide, Self::Encoded);
        if has(b"UCS2") || has(b"UTF16") {
            Self::Wide
        } else if has(b"RKSJ") {
            encoded(b"shift_jis")
        } else if has(b"GBK") || has(b"GB-EUC") {
            encoded(b"gbk")
        } else if has(b"KSC") {
            encoded(b"euc-kr")
        } else if has(b"B5") {
            encoded(b"big5")
        } else {
            Self::Unreadable
        }
    }

    /// Adds what a string shows; says whether any of it could be read.
    pub(super) fn append(&self, bytes: &[u8], out: &mut String) -> bool {
        match self {
            Self::Mapped { map, is_wide } => {
                let width = if *is_wide { 2 } else { 1 };
                let mut is_known = bytes.is_empty();
                for code in bytes.chunks(width) {
                    let code = code.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
                    is_known |= map.append(code, out);
                }
                is_known
            }
            Self::Simple(table) => {
                out.extend(bytes.iter().filter_map(|byte| table.get(usize::from(*byte))).cloned());
                true
            }
            Self::Encoded(encoding) => {
                out.push_str(&encoding.decode_without_bom_handling(bytes).0);
                true
            }
            Self::Wide => {
                out.push_str(&utf16(bytes));
                true
            }
            Self::Unreadable => false,
        }
    }
}

/// What each byte stands for.
fn base(name: Option<&[u8]>) -> Vec<String> {
    let is_mac = name == Some(b"MacRomanEncoding");
    let text = |byte: u8| match is_mac {
        true => encoding_rs::MACINTOSH.decode_without_bom_handling(&[byte]).0.into_owned(),
        false => charset::decode_page(&[byte], 1252),
    };
    (0..=u8::MAX).map(text).collect()
}
