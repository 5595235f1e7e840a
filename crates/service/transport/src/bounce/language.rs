//! In which language a sender is told, and with which words.
//!
//! What programs read of a report is the same in every language, and so is what other servers say.

use codec_mime::header;
use codec_mime::report::Action;

/// A language in which reports are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
}

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum About {
    Failure,
    Delay,
    Relay,
    Delivery,
}

/// The words of a language. `{host}` and `{number}` stand for what is put in.
struct Words {
    system: &'static str,
    said: &'static str,
    more: &'static str,
    /// The beginnings of subjects, as [`About`] has them.
    subjects: [&'static str; 4],
    /// The first paragraphs, as [`About`] has them.
    intros: [&'static str; 4],
    delivered: &'static str,
    expanded: &'static str,
    relayed: &'static str,
    reasons: Reasons,
}

/// Why a recipient does not have the message.
struct Reasons {
    unknown: &'static str,
    no_route: &'static str,
    full: &'static str,
    too_large: &'static str,
    circles: &'static str,
    expired: &'static str,
    refused: &'static str,
    waits: &'static str,
    other: &'static str,
}

const ENGLISH: Words = Words {
    system: "This is the mail system at {host}.",
    said: "{host} said: ",
    more: "and {number} more",
    subjects: ["Undeliverable: ", "Delayed: ", "Relayed: ", "Delivered: "],
    intros: [
        "Your message could not be delivered to the following recipients:",
        "Your message has not been delivered to the following recipients yet. \
         Delivery is still being tried; you need not send it again.",
        "Your message has been sent on for the following recipients. \
         There will be no further report:",
        "Your message has been delivered to the following recipients:",
    ],
    delivered: "delivered to the mailbox",
    expanded: "delivered to a group; nothing is told of its members",
    relayed: "passed on to a server that does not confirm delivery",
    // In English the reason that is written down is told.
    reasons: Reasons {
        unknown: "",
        no_route: "",
        full: "",
        too_large: "",
        circles: "",
        expired: "",
        refused: "",
        waits: "",
        other: "",
    },
};

const GERMAN: Words = Words {
    system: "Dies ist das E-Mail-System auf {host}.",
    said: "Antwort von {host}: ",
    more: "und {number} weitere",
    subjects: ["Unzustellbar: ", "Verzögert: ", "Weitergeleitet: ", "Zugestellt: "],
    intros: [
        "Ihre Nachricht konnte den folgenden Empfängern nicht zugestellt werden:",
        "Ihre Nachricht konnte den folgenden Empfängern noch nicht zugestellt werden. \
         Die Zustellung wird weiter versucht; Sie brauchen die Nachricht nicht noch einmal zu senden.",
        "Ihre Nachricht wurde für die folgenden Empfänger weitergeleitet. \
         Es folgt kein weiterer Bericht:",
        "Ihre Nachricht wurde den folgenden Empfängern zugestellt:",
    ],
    delivered: "in das Postfach zugestellt",
    expanded: "an eine Gruppe zugestellt; über ihre Mitglieder wird nicht berichtet",
    relayed: "an einen Server übergeben, der die Zustellung nicht bestätigt",
    reasons: Reasons {
        unknown: "Ein Postfach mit dieser Adresse gibt es nicht.",
        no_route: "Zu dieser Domäne führt kein Weg.",
        full: "Das Postfach des Empfängers ist voll.",
        too_large: "Die Nachricht ist zu groß.",
        circles: "Die Nachricht läuft im Kreis.",
        expired: "Die Zustellung wurde so lange versucht, bis die Frist abgelaufen war.",
        refused: "Die Nachricht wurde nicht angenommen.",
        waits: "Die Zustellung ist bisher nicht gelungen.",
        other: "Die Nachricht konnte nicht zugestellt werden.",
    },
};

const FRENCH: Words = Words {
    system: "Ceci est le système de messagerie de {host}.",
    said: "Réponse de {host} : ",
    more: "et {number} autres",
    subjects: ["Non remis : ", "Retardé : ", "Relayé : ", "Remis : "],
    intros: [
        "Votre message n’a pas pu être remis aux destinataires suivants :",
        "Votre message n’a pas encore pu être remis aux destinataires suivants. \
         Les tentatives continuent ; il est inutile de le renvoyer.",
        "Votre message a été transmis plus loin pour les destinataires suivants. \
         Il n’y aura pas d’autre rapport :",
        "Votre message a été remis aux destinataires suivants :",
    ],
    delivered: "remis dans la boîte aux lettres",
    expanded: "remis à un groupe ; rien n’est signalé au sujet de ses membres",
    relayed: "transmis à un serveur qui ne confirme pas la remise",
    reasons: Reasons {
        unknown: "Il n’existe pas de boîte aux lettres à cette adresse.",
        no_route: "Aucun chemin ne mène à ce domaine.",
        full: "La boîte aux lettres du destinataire est pleine.",
        too_large: "Le message est trop volumineux.",
        circles: "Le message tourne en rond.",
        expired: "La remise a été tentée jusqu’à l’expiration du délai.",
        refused: "Le message n’a pas été accepté.",
        waits: "La remise n’a pas encore réussi.",
        other: "Le message n’a pas pu être remis.",
    },
};

const SPANISH: Words = Words {
    system: "Este es el sistema de correo de {host}.",
    said: "Respuesta de {host}: ",
    more: "y {number} más",
    subjects: ["No se puede entregar: ", "Retrasado: ", "Retransmitido: ", "Entregado: "],
    intros: [
        "Su mensaje no se pudo entregar a los siguientes destinatarios:",
        "Su mensaje todavía no se pudo entregar a los siguientes destinatarios. \
         Se sigue intentando; no es necesario que lo envíe de nuevo.",
        "Su mensaje se ha transmitido para los siguientes destinatarios. \
         No habrá más informes:",
        "Su mensaje se ha entregado a los siguientes destinatarios:",
    ],
    delivered: "entregado en el buzón",
    expanded: "entregado a un grupo; no se informa sobre sus miembros",
    relayed: "transmitido a un servidor que no confirma la entrega",
    reasons: Reasons {
        unknown: "No existe ningún buzón con esta dirección.",
        no_route: "No hay ningún camino a este dominio.",
        full: "El buzón del destinatario está lleno.",
        too_large: "El mensaje es demasiado grande.",
        circles: "El mensaje está dando vueltas.",
        expired: "La entrega se intentó hasta que venció el plazo.",
        refused: "El mensaje no fue aceptado.",
        waits: "La entrega todavía no se ha logrado.",
        other: "El mensaje no se pudo entregar.",
    },
};

impl Language {
    /// The language that the writer of a message wants (Accept-Language), or else writes in
    /// (Content-Language; both RFC 3282), where reports can be written in it.
    pub(crate) fn of(header: &[u8]) -> Option<Self> {
        let field = |name: &str| {
            let wanted =
                |field: &header::Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
            let field = header::fields(header).find(wanted)?;
            Self::first_of(&String::from_utf8_lossy(field.value))
        };
        field("Accept-Language").or_else(|| field("Content-Language"))
    }

    /// The best of a list of language tags, each perhaps with a weight (`de-AT, en;q=0.5`).
    fn first_of(list: &str) -> Option<Self> {
        let mut best: Option<(u16, Self)> = None;
        for one in list.split(',') {
            let (tag, parameters) = one.split_once(';').unwrap_or((one, ""));
            let Some(language) = Self::of_tag(tag) else { continue };
            let weight = parameters.trim().strip_prefix("q=");
            let weight = weight.and_then(|weight| weight.trim().parse::<f32>().ok());
            // In thousandths; what is no weight counts as none.
            let weight = (weight.unwrap_or(1.0).clamp(0.0, 1.0) * 1_000.0) as u16;
            if weight > best.map_or(0, |(known, _)| known) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// The language of a tag such as `de-AT` (RFC 5646 §2.1).
    pub(crate) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            "fr" => Some(Self::French),
            "es" => Some(Self::Spanish),
            _ => None,
        }
    }

    fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
        }
    }

    /// The subject of a report on a message with a subject, or without one.
    pub(crate) fn subject(self, about: About, original: Option<&str>) -> String {
        let word = self.words().subjects[about as usize];
        match original {
            Some(original) => format!("{word}{original}"),
            None => word.trim_end_matches([' ', ':', '\u{a0}']).to_owned(),
        }
    }

    /// The first lines.
    pub(crate) fn opening(self, about: About, host: &str) -> String {
        let Words { system, intros, .. } = self.words();
        format!("{}\n\n{}\n\n", system.replace("{host}", host), intros[about as usize])
    }

    /// What has become of a recipient, in one or two lines: in the language, and, where the reason
    /// that is written down says more, that.
    pub(crate) fn outcome(self, action: Action, status: &str, text: &str) -> Vec<String> {
        let Words { delivered, expanded, relayed, .. } = self.words();
        let told = match action {
            Action::Delivered => delivered,
            Action::Expanded => expanded,
            Action::Relayed => relayed,
            Action::Failed | Action::Delayed if self == Self::English => text,
            Action::Failed | Action::Delayed => {
                let mut lines = vec![format!("{} ({status})", self.reason(action, status))];
                lines.extend((!text.is_empty()).then(|| text.to_owned()));
                return lines;
            }
        };
        vec![format!("{told} ({status})")]
    }

    fn reason(self, action: Action, status: &str) -> &'static str {
        let reasons = &self.words().reasons;
        match status {
            _ if action == Action::Delayed => reasons.waits,
            "5.1.0" | "5.1.1" => reasons.unknown,
            "5.1.2" | "5.4.4" | "4.4.4" => reasons.no_route,
            "5.2.2" => reasons.full,
            "5.2.3" | "5.3.4" => reasons.too_large,
            "5.4.6" => reasons.circles,
            "4.4.7" => reasons.expired,
            _ if status.starts_with("5.7.") => reasons.refused,
            _ => reasons.other,
        }
    }

    /// What another server said.
    pub(crate) fn said(self, host: &str, reply: &str) -> String {
        format!("{}{reply}", self.words().said.replace("{host}", host))
    }

    /// That there are so many more recipients.
    pub(crate) fn more(self, number: usize) -> String {
        self.words().more.replace("{number}", &number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Option<Language>) {
        assert_eq!(Language::of(header.as_bytes()), expect, "{header:?}");
    }

    #[test]
    fn the_language_is_what_the_writer_wants() {
        use Language::{English, French, German, Spanish};
        check("Subject: de\r\n\r\n", None);
        check("Accept-Language: de\r\n\r\n", Some(German));
        check("accept-language: de-DE, en-US\r\n\r\n", Some(German));
        check("Accept-Language: it, ES-mx;q=0.8, en;q=0.7\r\n\r\n", Some(Spanish));
        check("Accept-Language: en;q=0.2,\r\n fr;q=0.9\r\n\r\n", Some(French));
        check("Accept-Language: de;q=0, en;q=0.1\r\n\r\n", Some(English));
        check("Accept-Language: it\r\nContent-Language: fr\r\n\r\n", Some(French));
        check("Content-Language: es, de\r\nAccept-Language: de\r\n\r\n", Some(German));
        check("Content-Language: x-klingon\r\n\r\n", None);
        check("Accept-Language: ;;,,q=\u{fc},de;q=x\r\n\r\n", Some(German));
        check("Accept-Language: deutsch\r\n\r\n", None);
        check("\r\nAccept-Language: de\r\n", None);
    }

    #[test]
    fn every_language_has_all_the_words() {
        for language in [Language::German, Language::French, Language::Spanish] {
            let Words { system, said, more, subjects, intros, .. } = language.words();
            assert!(system.contains("{host}") && said.contains("{host}"));
            assert!(more.contains("{number}"));
            for (words, english) in
                subjects.iter().chain(intros).zip(ENGLISH.subjects.iter().chain(&ENGLISH.intros))
            {
                assert!(!words.is_empty() && words != english, "{language:?}: {words}");
            }
            for status in ["5.1.1", "5.4.4", "5.2.2", "5.3.4", "5.4.6", "4.4.7", "5.7.1", "5.0.0"] {
                for action in [Action::Failed, Action::Delayed] {
                    assert!(!language.reason(action, status).is_empty(), "{language:?} {status}");
                }
            }
        }
    }

    #[test]
    fn a_message_without_a_subject_has_a_report_with_one() {
        let check = |language: Language, about, original, expect: &str| {
            assert_eq!(language.subject(about, original), expect);
        };
        check(Language::English, About::Failure, None, "Undeliverable");
        check(Language::French, About::Failure, None, "Non remis");
        check(Language::French, About::Delay, Some("Été"), "Retardé : Été");
        check(Language::German, About::Delivery, Some("x"), "Zugestellt: x");
    }
}
