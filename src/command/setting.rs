//! `rialto setting`.

use super::{ask, change};
use crate::cli::SettingVerb;
use crate::client::escape;
use base::Result;
use hyper::Method;
use serde_json::json;

const PATH: &str = "/api/v1/settings";

pub(super) async fn run(verb: SettingVerb) -> Result<()> {
    match verb {
        SettingVerb::List(reach) => ask(&reach, PATH).await,
        SettingVerb::Set { name, value, change: reach } => {
            let (path, body) = (of(&name), json!({ "value": value }));
            change(&reach, Method::PUT, &path, "", Some(&body)).await
        }
        SettingVerb::Reset { name, change: reach } => {
            change(&reach, Method::DELETE, &of(&name), "", None).await
        }
    }
}

fn of(name: &str) -> String {
    format!("{PATH}/{}", escape(name))
}
