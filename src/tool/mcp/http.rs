use std::collections::HashMap;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use super::client::TracedClient;
use super::server::McpHttp;
use crate::tool;
use crate::tool::scrub::Scrub;

/// How often a request may be sent elsewhere on the same server.
const MAX_REDIRECTS: usize = 5;

/// The way to a server on the network, or why there is none, in words. Credentials that are read on the way are hidden
/// by `scrub` from then on.
pub(super) fn transport(
    http: &McpHttp,
    scrub: &mut Scrub,
) -> Result<StreamableHttpClientTransport<TracedClient>, String> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(http.url.as_str());
    if let Some(variable) = &http.bearer_token_env_var {
        let token = std::env::var(variable)
            .ok()
            .filter(|token| !token.trim().is_empty());
        let token = token.ok_or_else(|| {
            format!(
                "needs a token, but the environment variable `{variable}` is not set (`bearer_token_env_var`)"
            )
        })?;
        scrub.hide(token.trim());
        config = config.auth_header(token.trim());
    }
    let client = client().map_err(|error| format!("can't be reached over HTTP: {error}"))?;
    Ok(StreamableHttpClientTransport::with_client(
        TracedClient(client),
        config.custom_headers(headers(http, scrub)?),
    ))
}

fn headers(http: &McpHttp, scrub: &mut Scrub) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let from_environment = http
        .env_headers
        .iter()
        .filter_map(|(name, variable)| Some((name, std::env::var(variable).ok()?)));
    let given = http.headers.iter().map(|(name, value)| (name, value.clone()));
    given
        .chain(from_environment)
        .map(|(name, value)| {
            scrub.hide(&value);
            tool::header(name, &value).map_err(|why| format!("can't be sent the header `{name}`: {why}"))
        })
        .collect()
}

fn client() -> Result<Client, reqwest::Error> {
    crate::tls::choose_provider();
    Client::builder().redirect(Policy::custom(follow)).build()
}

/// Follows a server that has moved within its own origin and wants the same request again. Anything else would lose the
/// message, or carry credentials to another server.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same_request =
        [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&attempt.status());
    let first = attempt.previous().first();
    let same_origin = first.is_some_and(|first| first.origin() == attempt.url().origin());
    if same_request && same_origin && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
