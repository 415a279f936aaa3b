//! What all exporters over HTTP need.

use std::time::Duration;

use reqwest::{Certificate, Client};
use url::Url;

use super::retry::Failure;
use crate::cause::innermost;

/// An endpoint that can be sent to, or what is wrong with it.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{}:` is not `http:` or `https:`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password in it".to_owned());
    }
    Ok(url)
}

/// An endpoint's host and port, for messages: a path or a query may hold what is nobody's business.
pub(super) fn host(endpoint: &Url) -> &str {
    &endpoint[url::Position::BeforeHost..url::Position::AfterPort]
}

/// A client whose requests may take that long, which trusts `certificate` as well as the system's.
pub(super) fn client(timeout: Duration, certificate: Option<Certificate>) -> Result<Client, reqwest::Error> {
    crate::tls::choose_provider();
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout);
    match certificate {
        Some(certificate) => client.add_root_certificate(certificate).build(),
        None => client.build(),
    }
}

/// Why a try got no answer.
pub(super) fn no_answer(host: &str, timeout: Duration, error: &reqwest::Error) -> Failure {
    let reason = if error.is_timeout() {
        format!("{host} did not answer within {timeout:?}")
    } else {
        format!("{host} could not be reached ({})", innermost(error))
    };
    Failure {
        reason,
        is_refused: false,
        retry: Some(None),
    }
}
