//! Programs: files that a machine runs.

/// Endings of files that Windows runs.
const ENDINGS: [&str; 24] = [
    "exe", "com", "scr", "pif", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "wsh", "msi",
    "msp", "dll", "cpl", "hta", "jar", "ps1", "lnk", "reg", "sys", "ocx", "gadget",
];

/// How programs for Windows, Linux and macOS, and classes of Java, begin.
const MAGICS: [&[u8]; 7] = [
    b"MZ",
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\xfe\xed\xfa\xcf",
    b"\xfe\xed\xfa\xce",
];

/// Whether a file of this name, in lower case, is run when it is opened.
pub fn is_program_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.trim());
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether a file's first bytes are those of a program.
pub fn is_program(head: &[u8]) -> bool {
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_names() {
        assert!(is_program_name("invoice.pdf.exe") && is_program_name("a.js "));
        assert!(!is_program_name("exe") && !is_program_name("a.docx"));
    }

    #[test]
    fn programs_are_known_by_their_bytes() {
        assert!(is_program(b"MZ\x90\0") && is_program(b"\x7fELF\x02"));
        assert!(!is_program(b"M") && !is_program(b"%PDF-1.4") && !is_program(b""));
    }
}
