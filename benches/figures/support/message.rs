//! Messages that are all different, made quickly.

/// A plain text message of about so many bytes, without the final dot.
pub fn message(bytes: usize, number: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 512);
    text.extend_from_slice(
        format!(
            "From: Bench <bench@peer.test>\r\nTo: somebody@rialto.test\r\n\
             Subject: message {number}\r\nMessage-ID: <{number}.bench@peer.test>\r\n\
             Date: Sun, 22 Nov 2026 03:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n"
        )
        .as_bytes(),
    );
    let mut word = number;
    let mut column = 0;
    while text.len() < bytes {
        // Words that differ from message to message, so that nothing is stored only once.
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let digits = std::array::from_fn::<u8, 16, _>(|at| {
            b"0123456789abcdef"[(word >> (4 * at)) as usize & 15]
        });
        text.extend_from_slice(&digits);
        column = (column + 1) % 4;
        text.extend_from_slice(if column == 0 { b"\r\n" } else { b" " });
    }
    text
}
