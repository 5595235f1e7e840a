//! Files that others are packed in: gzip (RFC 1952), tar, and the directory of a zip file.

use crate::inflate::{End, inflate};
use crate::job::Job;
use crate::{File, Outcome};
use std::borrow::Cow;
use std::ops::Range;

/// How many parts of a gzip file are put together.
const MEMBERS_MAX: usize = 1_000;

/// How many entries of an archive are read.
const ENTRIES_MAX: usize = 10_000;

/// The longest name that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 1_000;

/// RFC 1952 §2: members one behind the other, which are one file together.
pub(crate) fn gzip(job: &mut Job<'_>, file: &File<'_>, depth: usize) {
    let (mut out, mut at) = (Vec::new(), 0);
    for _ in 0..MEMBERS_MAX {
        let rest = file.bytes.get(at..).unwrap_or_default();
        let Some(head) = gzip_head(rest) else { break };
        let inflated = inflate(rest.get(head..).unwrap_or_default(), job.unpack_left());
        job.unpacked(inflated.bytes.len());
        out.extend_from_slice(&inflated.bytes);
        match inflated.end {
            End::Whole => {}
            End::Damaged => job.mark(Outcome::Damaged),
            End::Limit => job.mark(Outcome::Exceeded),
        }
        if inflated.end != End::Whole {
            break;
        }
        // The check sum and the length stand behind it.
        at += head + inflated.used_bytes + 8;
    }
    if at == 0 && out.is_empty() {
        job.mark(Outcome::Damaged);
    }
    let name = file.name.to_lowercase();
    let inner = match name.strip_suffix(".tgz") {
        Some(stem) => format!("{stem}.tar"),
        None => name.strip_suffix(".gz").unwrap_or(&name).to_owned(),
    };
    job.look(&File { name: &inner, bytes: &out, ..File::default() }, depth + 1);
}

/// How long the header of a member is; `None` where there is none.
fn gzip_head(bytes: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = bytes else { return None };
    let mut at = 10_usize;
    if flags & 4 != 0 {
        let extra = bytes.get(at..at + 2)?;
        at += 2 + usize::from(extra[0]) + usize::from(extra[1]) * 256;
    }
    // A name, and a remark.
    for bit in [8, 16] {
        if flags & bit != 0 {
            at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    Some(if flags & 2 != 0 { at + 2 } else { at })
}

/// POSIX's ustar and GNU's tar.
pub(crate) fn tar(job: &mut Job<'_>, file: &File<'_>, depth: usize) {
    let mut at = 0_usize;
    let mut long_name: Option<String> = None;
    for _ in 0..ENTRIES_MAX {
        let Some(head) = at.checked_add(512).and_then(|end| file.bytes.get(at..end)) else {
            return;
        };
        if head.iter().all(|byte| *byte == 0) {
            return;
        }
        let size = number(head.get(124..136).unwrap_or_default());
        let begin = at + 512;
        let whole = size.and_then(|size| begin.checked_add(size));
        let Some(body) = whole.and_then(|end| file.bytes.get(begin..end)) else {
            return job.mark(Outcome::Damaged);
        };
        match head.get(156).copied().unwrap_or_default() {
            b'L' => long_name = Some(text(body)),
            b'0' | 0 | b'7' => {
                let short = text(head.get(..100).unwrap_or_default());
                let name = long_name.take().unwrap_or(short);
                job.look(&File { name: &name, bytes: body, ..File::default() }, depth + 1);
            }
            _ => {}
        }
        at = begin.saturating_add(body.len().next_multiple_of(512));
    }
    job.mark(Outcome::Exceeded);
}

/// A number in octal, or in binary where the first bit says so.
fn number(field: &[u8]) -> Option<usize> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let bytes = field.get(4..)?;
        let value = bytes.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        return usize::try_from(value).ok();
    }
    let digits: String = field.iter().take_while(|byte| **byte != 0).map(|b| *b as char).collect();
    match digits.trim() {
        "" => Some(0),
        digits => usize::from_str_radix(digits, 8).ok(),
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end.min(NAME_BYTES_MAX)).unwrap_or_default()).into_owned()
}

/// A file in a zip file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    method: u16,
    pub(crate) is_encrypted: bool,
    /// Where its header stands.
    header_at: usize,
    packed_bytes: usize,
}

/// The files of a zip file, as its directory at the end names them; `None` where there is none.
pub(crate) fn entries(job: &mut Job<'_>, bytes: &[u8]) -> Option<Vec<Entry>> {
    let end = end_of_directory(bytes)?;
    let count = usize::from(u16_at(bytes, end + 10)?);
    let mut at = u32_at(bytes, end + 16)?;
    let (mut entries, mut packed) = (Vec::new(), 0_usize);
    while bytes.get(at..)?.starts_with(b"PK\x01\x02") {
        if entries.len() >= ENTRIES_MAX {
            job.mark(Outcome::Exceeded);
            break;
        }
        let lengths = [28, 30, 32].map(|place| u16_at(bytes, at + place).map(usize::from));
        let [name, extra, comment] = [lengths[0]?, lengths[1]?, lengths[2]?];
        let packed_bytes = u32_at(bytes, at + 20)?;
        let entry = Entry {
            name: text(bytes.get(at + 46..at + 46 + name)?),
            method: u16_at(bytes, at + 10)?,
            is_encrypted: u16_at(bytes, at + 8)? & 1 != 0,
            header_at: u32_at(bytes, at + 42)?,
            packed_bytes,
        };
        packed = packed.saturating_add(packed_bytes);
        entries.push(entry);
        at += 46 + name + extra + comment;
    }
    // Files that lie over each other are a bomb; a directory that names none is a lie.
    if packed > bytes.len() || (entries.is_empty() && count > 0) {
        job.mark(Outcome::Damaged);
    }
    Some(entries)
}

/// Where the record stands that ends the directory.
fn end_of_directory(bytes: &[u8]) -> Option<usize> {
    // A remark of 64 kB may stand behind it.
    let from = bytes.len().saturating_sub(22 + 0xffff);
    let place = bytes.get(from..)?.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    Some(from + place)
}

/// A file's bytes, unpacked. What there is of it where it is cut off.
pub(crate) fn unpack<'b>(job: &mut Job<'_>, bytes: &'b [u8], entry: &Entry) -> Cow<'b, [u8]> {
    if entry.is_encrypted {
        job.protect();
        return Cow::Borrowed(&[]);
    }
    let Some(packed) = body(bytes, entry).and_then(|range| bytes.get(range)) else {
        job.mark(Outcome::Damaged);
        return Cow::Borrowed(&[]);
    };
    match entry.method {
        0 => {
            let taken = packed.len().min(job.unpack_left());
            if taken < packed.len() {
                job.mark(Outcome::Exceeded);
            }
            job.unpacked(taken);
            Cow::Borrowed(packed.get(..taken).unwrap_or_default())
        }
        8 => {
            let inflated = inflate(packed, job.unpack_left());
            job.unpacked(inflated.bytes.len());
            match inflated.end {
                End::Whole => {}
                End::Damaged => job.mark(Outcome::Damaged),
                End::Limit => job.mark(Outcome::Exceeded),
            }
            Cow::Owned(inflated.bytes)
        }
        _ => {
            job.mark(Outcome::Unsupported);
            Cow::Borrowed(&[])
        }
    }
}

fn body(bytes: &[u8], entry: &Entry) -> Option<Range<usize>> {
    let at = entry.header_at;
    if !bytes.get(at..)?.starts_with(b"PK\x03\x04") {
        return None;
    }
    let (name, extra) = (u16_at(bytes, at + 26)?, u16_at(bytes, at + 28)?);
    let begin = at + 30 + usize::from(name) + usize::from(extra);
    Some(begin..begin.checked_add(entry.packed_bytes)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes([four[0], four[1], four[2], four[3]])).ok()
}

/// All files of a zip file that is nothing but an archive.
pub(crate) fn zip(job: &mut Job<'_>, bytes: &[u8], entries: &[Entry], depth: usize) {
    for entry in entries {
        // The name of a file that cannot be unpacked still says something.
        if entry.is_encrypted && crate::is_program_name(&entry.name.to_lowercase()) {
            job.has_program();
        }
        if entry.name.ends_with('/') {
            continue;
        }
        if job.unpack_left() == 0 {
            return job.mark(Outcome::Exceeded);
        }
        let unpacked = unpack(job, bytes, entry);
        job.look(&File { name: &entry.name, bytes: &unpacked, ..File::default() }, depth + 1);
    }
}
