//! Message-ID lists (RFC 5322 §3.6.4), for threading.

use bytes::Bytes;

/// RFC 5322 §2.1.1: a line; nothing genuine is longer.
const ID_BYTES: usize = 998;

/// The ids in an unfolded References, In-Reply-To or Message-ID, without angle brackets and in
/// order; of more than `max` the newest are kept together with the first, the root of the thread.
/// Text without any `<` is split at white space, and words with `@` are taken.
pub fn parse_list(value: &Bytes, max: usize) -> Vec<Bytes> {
    let mut ids = if value.contains(&b'<') { bracketed(value) } else { bare(value) };
    if ids.len() > max {
        let surplus = ids.len() - max;
        let first = usize::from(max > 0);
        ids.drain(first..first + surplus);
    }
    ids
}

fn bracketed(value: &Bytes) -> Vec<Bytes> {
    let mut ids = Vec::new();
    let mut start = None;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'<' => start = Some(at + 1),
            b'>' => {
                if let Some(start) = start.take() {
                    push(&mut ids, value.slice(start..at));
                }
            }
            _ => {}
        }
    }
    if let Some(start) = start {
        let end = value[start..].iter().position(u8::is_ascii_whitespace);
        push(&mut ids, value.slice(start..end.map_or(value.len(), |end| start + end)));
    }
    ids
}

fn bare(value: &Bytes) -> Vec<Bytes> {
    let mut ids = Vec::new();
    for word in value.split(|byte| byte.is_ascii_whitespace() || *byte == b',') {
        if word.contains(&b'@') {
            push(&mut ids, value.slice_ref(word));
        }
    }
    ids
}

/// White space inside an id comes from mailers that fold too eagerly.
fn push(ids: &mut Vec<Bytes>, id: Bytes) {
    let id = if id.iter().any(u8::is_ascii_whitespace) {
        id.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
    } else {
        id
    };
    if !id.is_empty() && id.len() <= ID_BYTES {
        ids.push(id);
    }
}
