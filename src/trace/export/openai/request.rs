//! From a batch to requests, and what is read of an answer.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Request, Response};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::sanitize::{may_need_it, sanitize};
use super::{ANSWER_BYTES, ANSWER_TIME, OpenAiExporter};
use crate::Secret;
use crate::cause::innermost;
use crate::trace::SpanRecord;
use crate::trace::export::{Item, wire};

const USER_AGENT_VALUE: &str = concat!("realtime-run/", env!("CARGO_PKG_VERSION"));

/// What goes into one request.
pub(super) struct Group<'a> {
    pub(super) api_key: Option<&'a Secret>,
    pub(super) items: Vec<&'a Item>,
}

/// One group per key, in the order in which the keys first appear.
pub(super) fn group_by_key<'a>(batch: &'a [Item], default: Option<&'a Secret>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for item in batch {
        let api_key = item.trace().api_key.as_ref().or(default);
        match groups.iter_mut().find(|group| group.api_key == api_key) {
            Some(group) => group.items.push(item),
            None => groups.push(Group {
                api_key,
                items: vec![item],
            }),
        }
    }
    groups
}

pub(super) fn build(
    client: &Client,
    exporter: &OpenAiExporter,
    key: &Secret,
    items: &[&Item],
) -> Result<Request, String> {
    let body =
        body(items, exporter.is_openai()).map_err(|error| format!("no JSON could be made: {error}"))?;
    client
        .request(Method::POST, exporter.endpoint.clone())
        .headers(headers(exporter, key)?)
        .body(body)
        .build()
        .map_err(|error| format!("no request could be made: {}", innermost(&error)))
}

fn headers(exporter: &OpenAiExporter, key: &Secret) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose()))
        .map_err(|_| "the API key has characters in it that no key has: check OPENAI_API_KEY".to_owned())?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("openai-beta", HeaderValue::from_static("traces=v1"));
    headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
    let optional = [
        ("openai-organization", &exporter.organization, "organization"),
        ("openai-project", &exporter.project, "project"),
    ];
    for (name, value, what) in optional {
        if let Some(value) = value {
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("the {what} has characters in it that no header can carry"))?;
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

/// The compact body `{"data":[…]}`.
pub(super) fn body(items: &[&Item], sanitized: bool) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(512 * items.len());
    serde_json::to_writer(
        &mut body,
        &Body {
            data: Data { items, sanitized },
        },
    )?;
    Ok(body)
}

#[derive(Serialize)]
struct Body<'a> {
    data: Data<'a>,
}

struct Data<'a> {
    items: &'a [&'a Item],
    sanitized: bool,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.items.len()))?;
        for item in self.items {
            match item {
                Item::Span(span) if self.sanitized && may_need_it(&span.data) => {
                    list.serialize_element(&Sanitized(span))?;
                }
                item => list.serialize_element(item)?,
            }
        }
        list.end()
    }
}

struct Sanitized<'a>(&'a SpanRecord);

impl Serialize for Sanitized<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serde_json::to_value(&self.0.data).map_err(serde::ser::Error::custom)?;
        if let Value::Object(data) = &mut data {
            sanitize(data);
        }
        wire::serialize_span(self.0, data, serializer)
    }
}

/// Reads an answer to its end, or so far as it is worth it, for the error code in it: a short word as
/// `invalid_api_key`. The rest of an answer may repeat what was sent, and is not passed on.
pub(super) async fn error_code(mut response: Response, key: &Secret) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        error: Error,
    }

    #[derive(Deserialize)]
    struct Error {
        code: Option<String>,
        r#type: Option<String>,
    }

    let mut answer = Vec::new();
    let read = async {
        while answer.len() < ANSWER_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk);
        }
    };
    let _ = timeout(ANSWER_TIME, read).await;
    let Answer { error } = serde_json::from_slice(&answer).ok()?;
    error
        .code
        .or(error.r#type)
        .filter(|code| is_code(code) && !code.contains(key.expose()))
}

/// A short word of small letters; keys have capitals, digits or dashes in them.
fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
