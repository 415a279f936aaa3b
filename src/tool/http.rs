use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::limit::{Head, OUTPUT_LIMIT, Tail};
use super::{Tool, ToolCall, ToolError, ToolFuture, ToolOutput, ToolSpec};
use crate::cause::innermost;
use crate::context::{Template, Variables, render_encoded};
use crate::scrub::Scrub;
use crate::trace::{Context, keys};

/// How much of the end of an answer an error quotes, in bytes.
const ANSWER_TAIL: usize = 2 * 1024;
/// Redirects that are followed one after the other.
const MAX_REDIRECTS: usize = 5;

/// Where the arguments of a call go in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendArguments {
    /// Into the query of the address; an array gives its key several times.
    Query,
    /// Into the body, as JSON.
    Body,
    /// Nowhere but where the address names them.
    None,
}

/// A tool that makes a request over HTTP and answers with what comes back.
///
/// The address is a template that knows the call's arguments as `args`, and the context; what it puts in is
/// percent-encoded, and the host is never part of it. A status of 400 or more is an error that quotes the end of the
/// answer. In a trace the request tells the place of its call (`traceparent`), unless it has such a header of its own.
/// Headers may hold credentials: they are shown nowhere, and no redirect takes them to another host.
#[derive(Clone)]
pub struct HttpTool {
    spec: ToolSpec,
    request: Arc<Request>,
}

#[derive(Clone)]
struct Request {
    method: Method,
    url: Template,
    headers: HeaderMap,
    send_arguments: SendArguments,
    timeout: Duration,
    max_response_bytes: usize,
    /// Made at the first call: finding the system's certificates takes a while.
    client: OnceCell<Client>,
}

/// What is wrong with how a request is described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(&'static str);

impl HttpTool {
    /// How long a request may take in all unless said otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// A tool that requests `url` by `method`. Arguments go into the query, or into the body with methods that have
    /// one.
    ///
    /// # Errors
    /// When the address is not of HTTP, its host is not spelt out, or there is no such method.
    pub fn new(spec: ToolSpec, method: &str, url: Template) -> Result<Self, InvalidRequest> {
        check_url(url.source())?;
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| InvalidRequest("there is no such method"))?;
        let send_arguments = match method {
            Method::POST | Method::PUT | Method::PATCH => SendArguments::Body,
            _ => SendArguments::Query,
        };
        let request = Request {
            method,
            url,
            headers: HeaderMap::new(),
            send_arguments,
            timeout: Self::DEFAULT_TIMEOUT,
            max_response_bytes: OUTPUT_LIMIT,
            client: OnceCell::new(),
        };
        Ok(Self {
            spec,
            request: Arc::new(request),
        })
    }

    /// Adds a header, which may hold a credential.
    ///
    /// # Errors
    /// When HTTP has no such name or value of a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidRequest> {
        let (name, value) = header(name, value)?;
        Arc::make_mut(&mut self.request).headers.insert(name, value);
        Ok(self)
    }

    /// Sets where the arguments of a call go.
    #[must_use]
    pub fn send_arguments(mut self, send: SendArguments) -> Self {
        Arc::make_mut(&mut self.request).send_arguments = send;
        self
    }

    /// Sets how long a request may take in all.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.request).timeout = timeout;
        self
    }

    /// Sets how much of an answer is kept, in bytes: 262,144 at the most.
    #[must_use]
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        Arc::make_mut(&mut self.request).max_response_bytes = limit.min(OUTPUT_LIMIT);
        self
    }
}

/// Whether an address, as it is written, can be requested. A host that a model can choose would get the credentials.
pub(crate) fn check_url(written: &str) -> Result<(), InvalidRequest> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| written.strip_prefix(scheme))
        .ok_or(InvalidRequest(
            "the address must start with `https://` or `http://`",
        ))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains(['{', '}']) {
        return Err(InvalidRequest(
            "the host must be spelt out: only what follows it can be filled in",
        ));
    }
    match Url::parse(&format!("http://{host}/")) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => Ok(()),
        Ok(_) => Err(InvalidRequest(
            "a user name or a password belongs into the headers, not into the address",
        )),
        Err(_) => Err(InvalidRequest("this is no valid address")),
    }
}

/// A header as it is sent, or why it can't be.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidRequest> {
    let name =
        HeaderName::try_from(name).map_err(|_| InvalidRequest("this can't be the name of a header"))?;
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        InvalidRequest("the value of this header has characters in it that no header can carry")
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

impl Tool for HttpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        let request = Arc::clone(&self.request);
        Box::pin(async move {
            let url = request.address(&call)?;
            match tokio::time::timeout(request.timeout, request.run(&url, &call.arguments)).await {
                Ok(answer) => answer,
                Err(_) => Err(ToolError::new(format!(
                    "{} did not answer within {:?}",
                    host(&url),
                    request.timeout
                ))),
            }
        })
    }
}

impl Request {
    fn address(&self, call: &ToolCall) -> Result<Url, ToolError> {
        let variables = Variables::of(&call.context.values()).with("args", &call.arguments);
        let filled = render_encoded(&self.url, &variables)
            .map_err(|error| ToolError::new(format!("its address can't be worked out: {error}")))?;
        let path = filled.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(ToolError::new("`.` and `..` can't be parts of its address"));
        }
        let mut url = Url::parse(&filled).map_err(|_| ToolError::new("its address is not valid"))?;
        if let (SendArguments::Query, Value::Object(arguments)) = (self.send_arguments, &call.arguments)
            && !arguments.is_empty()
        {
            let mut query = url.query_pairs_mut();
            for (key, value) in arguments {
                for value in value
                    .as_array()
                    .map_or(std::slice::from_ref(value), Vec::as_slice)
                {
                    query.append_pair(
                        key,
                        &value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                    );
                }
            }
        }
        Ok(url)
    }

    async fn run(&self, url: &Url, arguments: &Value) -> Result<ToolOutput, ToolError> {
        let failed = |error: reqwest::Error| {
            ToolError::new(format!("{} can't be reached: {}", host(url), innermost(&error)))
        };
        let build = || async { build_client(!self.headers.is_empty()) };
        let client = self.client.get_or_try_init(build).await.map_err(failed)?;
        let mut request = client
            .request(self.method.clone(), url.clone())
            .headers(self.headers.clone());
        if !self.headers.contains_key(keys::TRACEPARENT) {
            request = tell_place(request);
        }
        if self.send_arguments == SendArguments::Body {
            if !self.headers.contains_key(CONTENT_TYPE) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(arguments.to_string());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(ToolError::new(redirected(url, &response)));
        }
        if status.is_client_error() || status.is_server_error() {
            let end = self.hide(&self.end_of(response).await);
            return Err(ToolError::new(match end.trim() {
                "" => format!("{} answered {status}", host(url)),
                end => format!("{} answered {status}: {end}", host(url)),
            }));
        }
        let broken = |error| {
            ToolError::new(format!(
                "the answer of {} broke off: {}",
                host(url),
                innermost(&error)
            ))
        };
        Ok(ToolOutput::Text(
            self.hide(&self.text_of(response).await.map_err(broken)?),
        ))
    }

    async fn text_of(&self, mut response: Response) -> Result<String, reqwest::Error> {
        let mut head = Head::new(self.max_response_bytes);
        while let Some(chunk) = response.chunk().await? {
            head.push(&chunk);
            if head.is_cut() {
                return Ok(head.into_text_left_off());
            }
        }
        Ok(head.into_text())
    }

    /// The end of what an error says, as far as it can be had.
    async fn end_of(&self, mut response: Response) -> String {
        let mut tail = Tail::new(ANSWER_TAIL);
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            tail.push(&chunk);
            read += chunk.len();
            if read > self.max_response_bytes {
                break;
            }
        }
        tail.text()
    }

    /// Takes out credentials that a server repeats.
    fn hide(&self, text: &str) -> String {
        let values = self
            .headers
            .iter()
            .filter(|(name, _)| ![ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT].contains(name))
            .filter_map(|(_, value)| value.to_str().ok());
        let mut scrub = Scrub::default();
        values.for_each(|value| scrub.hide(value));
        scrub.clean(text)
    }
}

/// Adds the current place in the trace, by the headers of W3C Trace Context; nothing where nothing is recorded.
fn tell_place(mut request: RequestBuilder) -> RequestBuilder {
    let place = Context::current();
    if let Some(parent) = place.traceparent() {
        request = request.header(keys::TRACEPARENT, parent.to_string());
    }
    if let Some(state) = place.tracestate() {
        request = request.header(keys::TRACESTATE, state);
    }
    request
}

fn redirected(url: &Url, response: &Response) -> String {
    let target = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok());
    match target.and_then(|location| url.join(location).ok()) {
        Some(target) if target.origin() != url.origin() => format!(
            "{} redirects to {}, where the headers may not go: if that is right, name that host in `url`",
            host(url),
            host(&target)
        ),
        _ => format!(
            "{} answered {} and redirects without an end",
            host(url),
            response.status()
        ),
    }
}

/// The host of an address, with its port: the rest may hold a credential.
fn host(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

fn build_client(has_headers: bool) -> Result<Client, reqwest::Error> {
    crate::tls::choose_provider();
    let follow = move |attempt: Attempt<'_>| {
        let is_same_origin = attempt
            .previous()
            .last()
            .is_some_and(|from| from.origin() == attempt.url().origin());
        if attempt.previous().len() > MAX_REDIRECTS || (has_headers && !is_same_origin) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    };
    Client::builder()
        .user_agent(concat!("realtime-run/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::custom(follow))
        // It would tell the next host the whole address, with what is secret in it.
        .referer(false)
        .build()
}

/// Shows neither headers nor the address, which may hold credentials.
impl fmt::Debug for HttpTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTool")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}
