//! What the directory knows of people beside their addresses: a bounded set of standard attributes
//! (Exchange: those of a recipient that its filters ask for most, and custom attributes 1 to 15).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The feature level of the cluster from which on every node knows of attributes and of groups
/// whose members are found by a filter; before that nothing of it may be written.
pub const FILTERS_LEVEL: u32 = 4;

/// The longest value of an attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 1_024;

/// How many custom attributes there are.
pub const CUSTOM_MAX: u8 = 15;

/// The name of an attribute. Stable in the store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Attribute {
    /// The part of the organisation.
    Department,
    /// The organisation.
    Company,
    /// The room or building.
    Office,
    /// What somebody is there.
    Title,
    /// Where.
    City,
    /// State or province.
    State,
    /// Country or region.
    Country,
    /// Whatever the organisation wants; from 1 to [`CUSTOM_MAX`].
    Custom(u8),
}

impl Attribute {
    const NAMED: [(Self, &'static str); 7] = [
        (Self::Department, "department"),
        (Self::Company, "company"),
        (Self::Office, "office"),
        (Self::Title, "title"),
        (Self::City, "city"),
        (Self::State, "state"),
        (Self::Country, "country"),
    ];

    /// The attribute of a name, in whatever case.
    pub fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let named = Self::NAMED.iter().find(|(_, known)| *known == lower);
        named.map(|(attribute, _)| *attribute).or_else(|| {
            // As Exchange calls them, or short.
            let number = lower.strip_prefix("customattribute").or(lower.strip_prefix("custom"))?;
            let number: u8 = number.parse().ok().filter(|_| !number.starts_with(['0', '+']))?;
            (1..=CUSTOM_MAX).contains(&number).then_some(Self::Custom(number))
        })
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(number) => write!(f, "custom{number}"),
            named => {
                let known = Self::NAMED.iter().find(|(attribute, _)| attribute == named);
                f.write_str(known.map_or("", |(_, name)| *name))
            }
        }
    }
}

/// What is known of somebody. An attribute that is not set is as good as empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attributes(BTreeMap<Attribute, String>);

impl Attributes {
    /// An attribute's value; empty where there is none.
    pub fn get(&self, attribute: Attribute) -> &str {
        self.0.get(&attribute).map_or("", String::as_str)
    }

    /// Gives an attribute a value; an empty one is no value.
    pub fn set(&mut self, attribute: Attribute, value: &str) {
        match value {
            "" => self.0.remove(&attribute),
            value => self.0.insert(attribute, value.to_owned()),
        };
    }

    /// All that are set, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Attribute, &str)> {
        self.0.iter().map(|(attribute, value)| (*attribute, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_names() {
        for attribute in Attribute::NAMED.map(|(attribute, _)| attribute) {
            assert_eq!(Attribute::of(&attribute.to_string()), Some(attribute));
        }
        let custom = (1..=15).map(|number| Attribute::of(&format!("Custom{number}")));
        assert!(custom.eq((1..=15).map(|number| Some(Attribute::Custom(number)))));
        assert_eq!(Attribute::of("CustomAttribute7"), Some(Attribute::Custom(7)));
        assert_eq!(Attribute::of("DEPARTMENT"), Some(Attribute::Department));
        for wrong in ["", "custom", "custom0", "custom16", "custom01", "custom+1", "name"] {
            assert_eq!(Attribute::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_set_to_nothing_is_not_set() {
        let mut known = Attributes::default();
        known.set(Attribute::City, "Venice");
        assert_eq!((known.get(Attribute::City), known.get(Attribute::State)), ("Venice", ""));
        known.set(Attribute::City, "");
        assert_eq!(known, Attributes::default());
    }
}
