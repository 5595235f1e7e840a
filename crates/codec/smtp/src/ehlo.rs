//! The answer to EHLO: the server's name and its extensions (RFC 5321 §4.1.1.1).

use crate::reply::Reply;

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhloResponse {
    /// The server's name, perhaps with a greeting behind it.
    pub greeting: String,
    /// In the order given.
    pub extensions: Vec<Extension>,
}

/// One line of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Uppercase.
    pub keyword: String,
    /// What stands behind the keyword.
    pub params: Vec<String>,
}

impl EhloResponse {
    /// A response without extensions.
    #[must_use]
    pub fn new(host: &str) -> EhloResponse {
        EhloResponse { greeting: host.to_owned(), extensions: Vec::new() }
    }

    /// Adds an extension without parameters.
    #[must_use]
    pub fn with(self, keyword: &str) -> EhloResponse {
        self.with_params(keyword, std::iter::empty::<&str>())
    }

    /// Adds an extension with parameters.
    #[must_use]
    pub fn with_params(
        mut self,
        keyword: &str,
        params: impl IntoIterator<Item = impl Into<String>>,
    ) -> EhloResponse {
        let params = params.into_iter().map(Into::into).collect();
        self.extensions.push(Extension { keyword: keyword.to_ascii_uppercase(), params });
        self
    }

    /// Adds `SIZE` (RFC 1870 §3).
    #[must_use]
    pub fn with_size(self, limit_bytes: u64) -> EhloResponse {
        self.with_params("SIZE", [limit_bytes.to_string()])
    }

    /// The reply to send.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let first = Reply::new(250, None, self.greeting.clone());
        self.extensions.iter().fold(first, |reply, Extension { keyword, params }| {
            let words = std::iter::once(keyword).chain(params).map(String::as_str);
            reply.with_line(words.collect::<Vec<_>>().join(" "))
        })
    }

    /// Reads a reply to EHLO; `None` unless it is positive.
    #[must_use]
    pub fn parse(reply: &Reply) -> Option<EhloResponse> {
        let (greeting, lines) = reply.lines().split_first()?;
        let extensions = lines.iter().filter_map(|line| {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            let keyword = words.next()?.to_ascii_uppercase();
            Some(Extension { keyword, params: words.map(str::to_owned).collect() })
        });
        reply.is_positive().then(|| EhloResponse {
            greeting: greeting.clone().into_owned(),
            extensions: extensions.collect(),
        })
    }

    /// The parameters of an extension, if it is offered.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&[String]> {
        let found = self.extensions.iter().find(|e| e.keyword.eq_ignore_ascii_case(keyword))?;
        Some(&found.params)
    }

    /// Whether an extension is offered.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.get(keyword).is_some()
    }

    /// The largest message the server takes, if it says so; 0 and no number mean no limit (RFC
    /// 1870 §4).
    #[must_use]
    pub fn size_limit_bytes(&self) -> Option<u64> {
        self.get("SIZE")?.first()?.parse().ok().filter(|&limit_bytes| limit_bytes > 0)
    }

    /// Whether a SASL mechanism is offered.
    #[must_use]
    pub fn has_mechanism(&self, mechanism: &str) -> bool {
        self.get("AUTH").is_some_and(|all| all.iter().any(|m| m.eq_ignore_ascii_case(mechanism)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_offer_and_back() {
        let offer = EhloResponse::new("mx.rialto.test")
            .with("PIPELINING")
            .with_size(37_748_736)
            .with_params("AUTH", ["PLAIN", "LOGIN"]);
        assert_eq!(
            &offer.reply().to_bytes()[..],
            b"250-mx.rialto.test\r\n250-PIPELINING\r\n250-SIZE 37748736\r\n250 AUTH PLAIN LOGIN\r\n"
        );
        let parsed = EhloResponse::parse(&offer.reply()).unwrap();
        assert_eq!(parsed, offer);
        assert_eq!(parsed.size_limit_bytes(), Some(37_748_736));
        assert!(parsed.has("pipelining") && parsed.has_mechanism("plain"));
        assert!(!parsed.has("STARTTLS") && !parsed.has_mechanism("XOAUTH2"));
        assert_eq!(EhloResponse::parse(&Reply::unrecognised()), None);
    }
}
