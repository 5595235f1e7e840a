//! The notation of the recorded vectors: hex, runs, stamps, relative and absolute keys.

use super::Vars;

/// All relative keys begin so.
pub const PREFIX: &[u8] = b"fv/";

/// Bytes in hex, or `rep:78*1000,79*1` (byte*count), or hex with `{stamp}` in it.
pub fn bytes(text: &str, vars: &Vars) -> Vec<u8> {
    if let Some(runs) = text.strip_prefix("rep:") {
        return runs.split(',').flat_map(run).collect();
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').expect("a closed stamp name");
        out.extend(hex(before));
        out.extend_from_slice(&vars.stamps[name]);
        rest = tail;
    }
    out.extend(hex(rest));
    out
}

fn run(run: &str) -> Vec<u8> {
    let (byte, count) = run.split_once('*').expect("byte*count");
    hex(byte).repeat(count.parse().expect("a count"))
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex {text}");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A key: relative to [`PREFIX`], or absolute after `abs:`.
pub fn key(text: &str, vars: &Vars) -> Vec<u8> {
    match text.strip_prefix("abs:") {
        Some(absolute) => bytes(absolute, vars),
        None => [PREFIX, &bytes(text, vars)].concat(),
    }
}

/// Bytes in hex for a message, cut where they are many.
pub fn show(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(40).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > 40 { format!("{shown}..({} bytes)", bytes.len()) } else { shown }
}

/// The `number`-th of generated keys: `%06d (ascii)`, `k%04d (ascii)`, with `+ rep:..` behind.
pub fn generated_key(pattern: &str, number: u64, vars: &Vars) -> Vec<u8> {
    let (head, tail) = pattern.split_once(" + ").unwrap_or((pattern, ""));
    let head = head.trim_end_matches(" (ascii)");
    let text = match head.split_once('%') {
        Some((before, "06d")) => format!("{before}{number:06}"),
        Some((before, "04d")) => format!("{before}{number:04}"),
        _ => panic!("unknown key pattern {pattern}"),
    };
    [PREFIX, text.as_bytes(), &bytes(tail, vars)].concat()
}
