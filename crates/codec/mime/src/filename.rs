//! Names of attachments made safe for any file system and any download dialogue (attack 46).

/// What a part without a usable name is called.
const NAMELESS: &str = "attachment";
/// File systems allow 255 octets; browsers add ` (1)` and the like.
const NAME_BYTES: usize = 200;
/// Extensions longer than this are not extensions.
const EXTENSION_BYTES: usize = 16;
/// A raw name is looked at up to here; senders have no use for more.
const RAW_BYTES: usize = 16 * 1024;

/// Turns what a sender wrote into a bare file name: no directory, no control or invisible or
/// direction-changing characters, no character Windows forbids, no device name, no leading dot,
/// at most 200 octets with the extension kept, never empty.
pub fn safe(raw: &str) -> String {
    let raw = &raw[raw.floor_char_boundary(raw.len().saturating_sub(RAW_BYTES))..];
    let base = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base.chars().filter(|c| !is_unseen(*c)).map(allowed).collect();
    let trimmed = clean
        .trim_start_matches(|c: char| c == '.' || c.is_whitespace())
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if trimmed.is_empty() {
        return NAMELESS.to_owned();
    }
    let short = shortened(trimmed);
    if is_device(&short) { format!("_{short}") } else { short }
}

fn allowed(c: char) -> char {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

/// Control characters, and those that hide or reorder what a person sees: zero-width and
/// bidirectional controls, byte order mark, tags, variation selectors stay out.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}'
            | '\u{e0000}'..='\u{e007f}')
}

fn shortened(name: &str) -> String {
    if name.len() <= NAME_BYTES {
        return name.to_owned();
    }
    let extension = match name.rfind('.') {
        Some(dot) if name.len() - dot <= EXTENSION_BYTES => &name[dot..],
        _ => "",
    };
    let stem = &name[..name.floor_char_boundary(NAME_BYTES - extension.len())];
    format!("{}{extension}", stem.trim_end_matches(|c: char| c == '.' || c.is_whitespace()))
}

/// Names that Windows gives to devices, whatever the extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        let mut digits = number.chars();
        let digit = |c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³');
        digits.next().is_some_and(digit) && digits.next().is_none()
    })
}
