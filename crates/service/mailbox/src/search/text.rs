//! Looking for texts without regard to case, in a stream of any length.
//!
//! Case is taken away by mapping each character to its lower case (the final sigma to the common
//! one), which needs no context and so no look ahead. It is not Unicode's full case folding: `ß`
//! does not find `SS`. Accents and compositions are not touched either.

/// A text without case.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Appends a text without case.
pub(super) fn fold_into(text: &str, folded: &mut String) {
    if text.is_ascii() {
        let start = folded.len();
        folded.push_str(text);
        folded[start..].make_ascii_lowercase();
        return;
    }
    for c in text.chars() {
        match c {
            'ς' => folded.push('σ'),
            _ => folded.extend(c.to_lowercase()),
        }
    }
}

/// Looks for several texts in one stream. Holds back only as much as may be the beginning of a
/// text.
pub(super) struct Finder<'n> {
    /// Number and folded text of those not found yet.
    wanted: Vec<(usize, &'n str)>,
    window: String,
    /// How many bytes stay, at least: one less than the longest text.
    kept_bytes: usize,
}

impl<'n> Finder<'n> {
    pub(super) fn new(wanted: Vec<(usize, &'n str)>) -> Self {
        let longest = wanted.iter().map(|(_, text)| text.len()).max();
        let kept_bytes = longest.unwrap_or(0).saturating_sub(1);
        Self { wanted, window: String::new(), kept_bytes }
    }

    /// Takes more of the stream, and tells which texts are in it now that were not before.
    pub(super) fn push(&mut self, text: &str, mut found: impl FnMut(usize)) {
        fold_into(text, &mut self.window);
        let window = &self.window;
        self.wanted.retain(|(number, text)| {
            let is_here = window.contains(text);
            if is_here {
                found(*number);
            }
            !is_here
        });
        let cut = self.window.len().saturating_sub(self.kept_bytes);
        self.window.drain(..self.window.floor_char_boundary(cut));
    }

    /// Ends a stretch of text: nothing is found across it.
    pub(super) fn gap(&mut self) {
        self.window.clear();
    }

    /// Whether there is nothing left to look for.
    pub(super) fn is_done(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Gives up texts that do not matter any more.
    pub(super) fn keep(&mut self, open: &[bool]) {
        self.wanted.retain(|(number, _)| open[*number]);
    }
}
