//! Real messages through a session: every byte must be kept, and parsed right behind our trace
//! field. Runs where the corpus is (`RIALTO_CORPUS`, else `/work/shared/corpus/eml`).

use crate::world::{config, run};
use access_smtp::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ENVELOPE: &[u8] = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@rialto.test>\r\nDATA\r\n";

/// The files with CRLF line ends, in order of their names.
fn messages() -> Vec<(String, Vec<u8>)> {
    let directory = std::env::var("RIALTO_CORPUS");
    let directory = directory.unwrap_or_else(|_| "/work/shared/corpus/eml".to_owned());
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("no corpus in {directory}: nothing is tested");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            let mut crlf = Vec::with_capacity(bytes.len() + 1024);
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                crlf.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                crlf.extend_from_slice(b"\r\n");
            }
            (path.display().to_string(), crlf)
        })
        .collect()
}

fn has_bare_cr(message: &[u8]) -> bool {
    message.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

#[test]
fn the_corpus_comes_through_byte_for_byte() {
    let messages = messages();
    run(config(Role::Server), async |world| {
        let (client, session) = world.connect();
        let (mut reader, mut writer) = tokio::io::split(client);
        let sent = messages.clone();
        let writing = tokio::spawn(async move {
            writer.write_all(b"EHLO c.example\r\n").await.unwrap();
            for (_, message) in sent {
                let mut bytes = ENVELOPE.to_vec();
                // The codec's own stuffer would mend bare CRs, unlike senders outside.
                for line in message.split_inclusive(|byte| *byte == b'\n') {
                    bytes.extend_from_slice(if line[0] == b'.' { b"." } else { b"" });
                    bytes.extend_from_slice(line);
                }
                bytes.extend_from_slice(b".\r\n");
                writer.write_all(&bytes).await.unwrap();
            }
            writer.write_all(b"QUIT\r\n").await.unwrap();
        });
        let mut said = String::new();
        reader.read_to_string(&mut said).await.unwrap();
        writing.await.unwrap();
        session.await.unwrap();
        let verdicts: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("250 2.6.0") || line.starts_with('5'))
            .collect();
        assert_eq!(verdicts.len(), messages.len());
        let mut taken = world.taken().into_iter();
        for ((name, message), verdict) in messages.iter().zip(verdicts) {
            if has_bare_cr(message) {
                assert_eq!(verdict, "550 5.6.0 message contains bare CR or LF", "{name}");
                continue;
            }
            assert!(verdict.starts_with("250"), "{name}: {verdict}");
            let taken = taken.next().unwrap();
            assert!(taken.bytes.ends_with(message), "{name}");
            let trace = taken.bytes.slice(..taken.bytes.len() - message.len());
            assert!(trace.starts_with(b"Received: ") && trace.ends_with(b"+0000\r\n"), "{name}");
            assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes), "{name}");
        }
    });
}
