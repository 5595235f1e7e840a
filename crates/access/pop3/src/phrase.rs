//! The words of the server's answers, in the languages that LANG offers (RFC 6856 §3).

use std::fmt;

/// A language.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Language {
    /// What is spoken until a client asks for another one.
    #[default]
    English,
    German,
    French,
    Spanish,
}

impl Language {
    /// All of them, as LANG lists them.
    pub(crate) const ALL: [Self; 4] = [Self::English, Self::German, Self::French, Self::Spanish];

    /// The tag (RFC 5646).
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }

    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
            Self::Spanish => "Español",
        }
    }

    /// What a client asks for: `*` is the server's choice, a region or script does not matter.
    pub(crate) fn find(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        match primary.to_ascii_lowercase().as_str() {
            "*" | "i" => Some(Self::English),
            primary => Self::ALL.into_iter().find(|language| language.tag() == primary),
        }
    }
}

/// Something that is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phrase {
    Greeting,
    Goodbye,
    Done,
    Capabilities,
    Mechanisms,
    Languages,
    LanguageChanged,
    NoSuchLanguage,
    Utf8On,
    BeginTls,
    NoTls,
    UseTls,
    NameTaken,
    NameFirst,
    NotThisMechanism,
    NotSignedIn,
    SignedInAlready,
    WrongPassword,
    TooManyAttempts,
    OnlyOwnMailbox,
    TooManySessions,
    AccountChanged,
    GivenUp,
    Malformed,
    NoSuchMessage,
    Marked,
    Restored,
    Gone,
    Later,
    Damaged,
    NotAllowed,
    BadCommand,
    TooManyBadCommands,
    NothingAfterStls,
    ShuttingDown,
}

impl Phrase {
    /// In a language.
    pub(crate) fn words(self, language: Language) -> &'static str {
        let [english, german, french, spanish] = self.all();
        match language {
            Language::English => english,
            Language::German => german,
            Language::French => french,
            Language::Spanish => spanish,
        }
    }

    /// In all languages, in the order of [`Language::ALL`].
    #[rustfmt::skip]
    fn all(self) -> [&'static str; 4] {
        match self {
            Self::Greeting => ["Rialto is ready", "Rialto ist bereit", "Rialto est prêt", "Rialto está listo"],
            Self::Goodbye => ["Until next time", "Bis zum nächsten Mal", "À la prochaine", "Hasta la próxima"],
            Self::Done => ["Done", "Erledigt", "C'est fait", "Hecho"],
            Self::Capabilities => ["This is what works", "Das geht", "Voici ce qui marche", "Esto es lo que funciona"],
            Self::Mechanisms => ["Mechanisms follow", "Die Verfahren", "Voici les mécanismes", "Estos son los mecanismos"],
            Self::Languages => ["Languages follow", "Die Sprachen", "Voici les langues", "Estos son los idiomas"],
            Self::LanguageChanged => ["Now in English", "Jetzt auf Deutsch", "Maintenant en français", "Ahora en español"],
            Self::NoSuchLanguage => ["That language is not spoken here", "Diese Sprache gibt es hier nicht", "Cette langue n'est pas parlée ici", "Ese idioma no se habla aquí"],
            Self::Utf8On => ["UTF-8 it is", "Jetzt mit UTF-8", "UTF-8 est actif", "UTF-8 está activo"],
            Self::BeginTls => ["Begin TLS now", "Jetzt mit TLS beginnen", "Commencez TLS", "Comience TLS"],
            Self::NoTls => ["STLS is not available", "STLS gibt es hier nicht", "STLS n'est pas disponible", "STLS no está disponible"],
            Self::UseTls => ["Use STLS first", "Zuerst STLS", "D'abord STLS", "Primero STLS"],
            Self::NameTaken => ["Now the password", "Jetzt das Kennwort", "Maintenant le mot de passe", "Ahora la contraseña"],
            Self::NameFirst => ["Say USER first", "Zuerst USER", "D'abord USER", "Primero USER"],
            Self::NotThisMechanism => ["There is no such way to sign in", "So kann man sich hier nicht anmelden", "On ne peut pas se connecter ainsi", "No se puede entrar de esa manera"],
            Self::NotSignedIn => ["Sign in first", "Bitte zuerst anmelden", "Connectez-vous d'abord", "Primero identifíquese"],
            Self::SignedInAlready => ["You have signed in already", "Sie sind schon angemeldet", "Vous êtes déjà connecté", "Ya se ha identificado"],
            Self::WrongPassword => ["Wrong name or password", "Name oder Kennwort ist falsch", "Nom ou mot de passe incorrect", "Nombre o contraseña incorrectos"],
            Self::TooManyAttempts => ["Too many attempts, try later", "Zu viele Versuche, später wieder", "Trop de tentatives, plus tard", "Demasiados intentos, más tarde"],
            Self::OnlyOwnMailbox => ["You may open your own mailbox only", "Nur das eigene Postfach kann geöffnet werden", "Seule votre boîte peut être ouverte", "Sólo puede abrir su propio buzón"],
            Self::TooManySessions => ["You have too many sessions", "Sie haben zu viele Sitzungen", "Vous avez trop de sessions", "Tiene demasiadas sesiones"],
            Self::AccountChanged => ["Your account has changed, sign in again", "Ihr Konto wurde geändert, bitte neu anmelden", "Votre compte a changé, reconnectez-vous", "Su cuenta ha cambiado, entre de nuevo"],
            Self::GivenUp => ["Given up", "Abgebrochen", "Abandonné", "Abandonado"],
            Self::Malformed => ["That is no response of this mechanism", "Das ist keine Antwort dieses Verfahrens", "Ce n'est pas une réponse de ce mécanisme", "Ésa no es una respuesta de este mecanismo"],
            Self::NoSuchMessage => ["There is no such message", "Diese Nachricht gibt es nicht", "Ce message n'existe pas", "No existe ese mensaje"],
            Self::Marked => ["To be removed at QUIT", "Wird bei QUIT gelöscht", "Sera supprimé à QUIT", "Se borrará con QUIT"],
            Self::Restored => ["Nothing will be removed", "Nichts wird gelöscht", "Rien ne sera supprimé", "No se borrará nada"],
            Self::Gone => ["Somebody else has removed that message", "Diese Nachricht wurde anderswo gelöscht", "Ce message a été supprimé ailleurs", "Ese mensaje fue borrado en otro lugar"],
            Self::Later => ["The mailbox cannot be reached, try later", "Das Postfach ist nicht erreichbar, später wieder", "La boîte n'est pas accessible, plus tard", "El buzón no está disponible, más tarde"],
            Self::Damaged => ["The server cannot do this, tell its operator", "Der Server kann das nicht, bitte den Betreiber verständigen", "Le serveur ne peut pas, prévenez l'exploitant", "El servidor no puede, avise al operador"],
            Self::NotAllowed => ["You may not do this", "Das ist nicht erlaubt", "Ce n'est pas permis", "No está permitido"],
            Self::BadCommand => ["That is no command", "Das ist kein Befehl", "Ce n'est pas une commande", "Eso no es un comando"],
            Self::TooManyBadCommands => ["Too much that is no command", "Zu vieles, das kein Befehl ist", "Trop de ce qui n'est pas une commande", "Demasiado que no es un comando"],
            Self::NothingAfterStls => ["Nothing may follow STLS", "Nach STLS darf nichts kommen", "Rien ne doit suivre STLS", "Nada puede seguir a STLS"],
            Self::ShuttingDown => ["Shutting down, come again", "Der Server hält an, bitte wiederkommen", "Le serveur s'arrête, revenez", "El servidor se detiene, vuelva"],
        }
    }
}

/// So many of so many messages were not removed.
pub(crate) struct NotRemoved {
    pub(crate) left: usize,
    pub(crate) all: usize,
    pub(crate) language: Language,
}

impl fmt::Display for NotRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, all, language } = self;
        match language {
            Language::English => write!(f, "{left} of {all} messages were not removed"),
            Language::German => write!(f, "{left} von {all} Nachrichten wurden nicht gelöscht"),
            Language::French => write!(f, "{left} messages sur {all} n'ont pas été supprimés"),
            Language::Spanish => write!(f, "{left} de {all} mensajes no se han borrado"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_their_tags() {
        let check = |tag, expect| assert_eq!(Language::find(tag), expect, "{tag}");
        check("en", Some(Language::English));
        check("EN-gb", Some(Language::English));
        check("de-AT", Some(Language::German));
        check("fr", Some(Language::French));
        check("es-419", Some(Language::Spanish));
        check("*", Some(Language::English));
        check("i-default", Some(Language::English));
        check("it", None);
        check("", None);
        check("-de", None);
    }

    #[test]
    fn english_is_plain() {
        // It is spoken to clients that have not asked for anything.
        assert!(Phrase::WrongPassword.words(Language::English).is_ascii());
        for language in Language::ALL {
            let shown = NotRemoved { left: 2, all: 5, language }.to_string();
            assert!(shown.contains('2') && shown.contains('5'), "{shown}");
        }
    }
}
