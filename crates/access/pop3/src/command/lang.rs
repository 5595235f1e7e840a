//! LANG (RFC 6856 §3): the language of the server's words.

use crate::phrase::{Language, Phrase};
use crate::reply::{Answer, Reply, Said, Text};
use crate::session::Session;

/// LANG: alone it lists the languages.
pub(crate) fn run(session: &mut Session, tag: Option<&str>) -> Answer {
    let Some(tag) = tag else {
        session.wire.say(&Reply::ok(Phrase::Languages));
        for language in Language::ALL {
            session.wire.put(&format!("{} {}", language.tag(), language.name()));
        }
        session.wire.put(".");
        return Ok(Said::All);
    };
    match Language::find(tag) {
        Some(language) => {
            session.wire.language = language;
            let text = Text::Tagged(Phrase::LanguageChanged);
            Ok(Reply { ok: true, code: None, text }.into())
        }
        None => {
            let text = Text::Tagged(Phrase::NoSuchLanguage);
            Err(Reply { ok: false, code: None, text }.into())
        }
    }
}
