//! LOGIN: asks for the name, then for the password. Never standardised, but what older clients
//! use; the prompts are the ones they wait for.

use super::{Credentials, SaslError, Secret, name, password};

/// "Username:" in base64.
const NAME_PROMPT: &str = "VXNlcm5hbWU6";
/// "Password:" in base64.
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

/// One LOGIN exchange.
#[derive(Debug, Clone, Default)]
pub struct Login {
    authcid: Option<String>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginStep {
    /// Send this challenge (base64) and wait for a response.
    Ask(&'static str),
    /// Everything is there.
    Done(Credentials),
}

impl Login {
    /// An exchange that has not begun.
    #[must_use]
    pub fn new() -> Login {
        Login::default()
    }

    /// Begins. An initial response, where the client sent one, is the name.
    ///
    /// # Errors
    /// As [`Login::answer`].
    pub fn begin(&mut self, initial: Option<&Secret>) -> Result<LoginStep, SaslError> {
        self.authcid = None;
        match initial {
            Some(initial) if !initial.expose().is_empty() => self.answer(initial),
            _ => Ok(LoginStep::Ask(NAME_PROMPT)),
        }
    }

    /// Takes the decoded response to the last challenge.
    ///
    /// # Errors
    /// `Malformed`, `TooLong`, `NotUtf8`; the exchange is over then.
    pub fn answer(&mut self, response: &Secret) -> Result<LoginStep, SaslError> {
        let Some(authcid) = self.authcid.take() else {
            self.authcid = Some(name(response.expose())?);
            return Ok(LoginStep::Ask(PASSWORD_PROMPT));
        };
        let password = password(response.expose())?;
        Ok(LoginStep::Done(Credentials { authzid: None, authcid, password }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{
        super::{decode_line, decode_response, encode},
        *,
    };

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn both_ways_to_begin() {
        let expected = LoginStep::Done(Credentials {
            authzid: None,
            authcid: "alice".to_owned(),
            password: secret("pw"),
        });
        let mut login = Login::new();
        assert_eq!(login.begin(None), Ok(LoginStep::Ask(NAME_PROMPT)));
        assert_eq!(login.answer(&secret("alice")), Ok(LoginStep::Ask(PASSWORD_PROMPT)));
        assert_eq!(login.answer(&secret("pw")), Ok(expected.clone()));
        assert_eq!(login.begin(Some(&secret("alice"))), Ok(LoginStep::Ask(PASSWORD_PROMPT)));
        assert_eq!(login.answer(&secret("pw")), Ok(expected));
        assert_eq!(decode_response(NAME_PROMPT.as_bytes()).unwrap().expose(), b"Username:");
        assert_eq!(decode_response(PASSWORD_PROMPT.as_bytes()).unwrap().expose(), b"Password:");
    }

    #[test]
    fn attack_14_responses_are_bounded_and_checked() {
        let mut login = Login::new();
        assert_eq!(login.answer(&secret("a\0b")), Err(SaslError::Malformed));
        assert_eq!(login.answer(&secret("")), Err(SaslError::Malformed));
        assert_eq!(decode_line(&vec![b'A'; 1 << 20]), Err(SaslError::TooLong));
        assert_eq!(decode_line(b"*"), Err(SaslError::Cancelled));
        for bad in ["=", "AA", "AA==AA==", "A A=", "AB==", "\u{e9}"] {
            assert_eq!(decode_line(bad.as_bytes()), Err(SaslError::NotBase64), "{bad}");
        }
        assert_eq!(encode(b"\0a\0b"), "AGEAYg==");
    }

    #[test]
    fn secrets_do_not_print() {
        let step = Login { authcid: Some("alice".to_owned()) }.answer(&secret("hunter2")).unwrap();
        assert!(!format!("{step:?}").contains("hunter2"));
        assert_eq!(secret("a"), secret("a"));
        assert_ne!(secret("a"), secret("b"));
        assert_ne!(secret("a"), secret("aa"));
    }
}
