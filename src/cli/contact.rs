//! `rialto contact …`, and who may write to contacts, mailboxes and groups.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};

/// Who may write to somebody.
#[derive(Args, Debug)]
pub(crate) struct Restrict {
    /// Only this one may write to it, or all members of this group; may be repeated; "" everybody
    #[arg(long)]
    pub accept_from: Option<Vec<String>>,
    /// This one may not write to it, nor the members of this group; may be repeated; "" nobody
    #[arg(long)]
    pub reject_from: Option<Vec<String>>,
    /// Whether only people of ours may write to it
    #[arg(long)]
    pub authenticated_only: Option<bool>,
    /// The largest message that it takes, in megabytes; 0 for no limit of its own
    #[arg(long)]
    pub receive_mb_max: Option<u64>,
}

/// What the directory knows of somebody beside; "" removes a value.
#[derive(Args, Debug)]
pub(crate) struct AttributeValues {
    /// The part of the organisation
    #[arg(long)]
    pub department: Option<String>,
    /// The organisation
    #[arg(long)]
    pub company: Option<String>,
    /// The room or building
    #[arg(long)]
    pub office: Option<String>,
    /// What somebody is there
    #[arg(long)]
    pub title: Option<String>,
    /// Where
    #[arg(long)]
    pub city: Option<String>,
    /// State or province
    #[arg(long)]
    pub state: Option<String>,
    /// Country or region
    #[arg(long)]
    pub country: Option<String>,
    /// A custom attribute, 1 to 15, and its value: 3=external; may be repeated
    #[arg(long, value_name = "NUMBER=VALUE", value_parser = custom)]
    pub custom: Vec<(u8, String)>,
}

fn custom(text: &str) -> Result<(u8, String), String> {
    let (number, value) = text.split_once('=').ok_or("NUMBER=VALUE is expected")?;
    let number: u8 = number.parse().map_err(|_| "the number is 1 to 15".to_owned())?;
    match number {
        1..=15 => Ok((number, value.to_owned())),
        _ => Err("the number is 1 to 15".to_owned()),
    }
}

/// `rialto contact …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ContactVerb {
    /// Makes a contact: an entry of the directory that stands for somebody elsewhere
    New {
        /// Where its mail goes
        external: String,
        /// Its address here, in an accepted domain; where absent, it is known by the external one
        #[arg(long)]
        address: Option<String>,
        /// The name for people
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows one contact, or all
    Get {
        /// Its address; all where absent
        address: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Changes a contact
    Set(Box<ContactSet>),
    /// Removes a contact
    Remove {
        /// Its address
        address: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto contact set`.
#[derive(Args, Debug)]
pub(crate) struct ContactSet {
    /// Its address
    pub address: String,
    /// Where its mail goes from now on
    #[arg(long)]
    pub external: Option<String>,
    /// A new name for people
    #[arg(long)]
    pub name: Option<String>,
    /// Adds an alias; may be repeated
    #[arg(long = "add-alias")]
    pub add_aliases: Vec<String>,
    /// Removes an alias; may be repeated
    #[arg(long = "remove-alias")]
    pub remove_aliases: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub restrict: Restrict,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub attributes: AttributeValues,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
