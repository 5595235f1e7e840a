//! Attributes of people, as the API says them: by their names.

use base::Error;
use contract_directory::{Attribute, Attributes};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is to be set, by name; an empty text is no value.
pub(super) type Said = BTreeMap<String, String>;

/// As the directory takes it.
///
/// # Errors
/// [`base::Kind::Invalid`] for an attribute that there is not.
pub(super) fn change(said: Said) -> Result<Vec<(Attribute, String)>, Error> {
    let named = said.into_iter().map(|(name, value)| {
        let attribute = Attribute::of(&name);
        let unknown = || format!("\"{}\" is no attribute", name.escape_debug());
        Ok((attribute.ok_or_else(|| Error::invalid(unknown()))?, value))
    });
    named.collect()
}

/// All that are set.
pub(super) fn view(attributes: &Attributes) -> Value {
    let all = attributes.iter().map(|(name, value)| (name.to_string(), Value::from(value)));
    Value::Object(all.collect::<Map<_, _>>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_named() {
        let said = |name: &str| Said::from([(name.to_owned(), "x".to_owned())]);
        let known = change(said("Custom12")).unwrap();
        assert_eq!(known, [(Attribute::Custom(12), "x".to_owned())]);
        assert!(change(said("colour")).unwrap_err().text.contains("\"colour\""));
        let mut attributes = Attributes::default();
        known.iter().for_each(|(name, value)| attributes.set(*name, value));
        assert_eq!(view(&attributes), serde_json::json!({ "custom12": "x" }));
    }
}
