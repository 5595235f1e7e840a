//! `rialto certificate`.

use super::{ask, change};
use crate::cli::CertificateVerb;
use base::Result;
use hyper::Method;

const PATH: &str = "/api/v1/certificate";

pub(super) async fn run(verb: CertificateVerb) -> Result<()> {
    match verb {
        CertificateVerb::Get(reach) => ask(&reach, PATH).await,
        CertificateVerb::Reload(reach) => {
            change(&reach, Method::POST, &format!("{PATH}/reload"), "", None).await
        }
    }
}
