use std::fmt;

use url::Url;

use crate::scrub::Scrub;
use crate::secret::Secret;

/// Where sessions connect when nothing else is said.
const OPENAI: &str = "https://api.openai.com/v1";

/// The length, in bytes, of the shortest credential that is taken out of what a server says. Servers that need no key
/// are often given a word such as `none` or `x`, and replacing that would garble what they say.
const MIN_SECRET: usize = 8;

/// A Realtime server and the credentials for it (protocol.md sections 1.1 and 1.2).
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    key: Option<Secret>,
    /// Values may be credentials, so none is shown; an empty value is `None`.
    headers: Vec<(String, Option<Secret>)>,
}

/// What the user says of the server; all of it optional.
#[derive(Clone, Default)]
pub struct EndpointOptions {
    /// The server's URL: `ws`, `wss`, or an API's base address with `http` or `https`.
    pub url: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// More headers, which win over our own of the same name.
    pub headers: Vec<(String, String)>,
}

/// Why no endpoint can be made of what the user said.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The address is no URL, or not one of a Realtime server.
    #[error("`{shown}` is no address of a Realtime server: {why}")]
    BadUrl {
        /// The address, without its query.
        shown: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no key where one is needed.
    #[error("no API key: set {variable}, or try without one: --simulate")]
    NoKey {
        /// The environment variable that was looked up.
        variable: String,
    },
}

impl Endpoint {
    /// A server that needs no key, such as a simulator.
    ///
    /// # Errors
    /// When `url` is no address of a Realtime server.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Ok(Self {
            url: realtime_url(url)?,
            key: None,
            headers: Vec::new(),
        })
    }

    /// The same server with a key.
    pub fn with_key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// The same server with one more header.
    pub fn with_header(mut self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.headers.push((name.into(), Secret::new(value)));
        self
    }

    /// The endpoint for what the user said, completed from the environment: `OPENAI_BASE_URL`, `OPENAI_API_KEY`,
    /// `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID`, `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY`.
    ///
    /// A key from a variable that nobody named goes to OpenAI, to Azure, or to `OPENAI_BASE_URL` only, not to
    /// whatever server a URL happens to name.
    ///
    /// # Errors
    /// When the address is unusable or a key is missing.
    pub fn resolve(
        options: EndpointOptions,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EndpointError> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let base = default_base(&env);
        let named_base = options.url.is_none();
        let url = realtime_url(options.url.as_deref().unwrap_or(&base))?;
        let provider = Provider::of(&url);
        let key = match &options.api_key_env {
            Some(variable) => Some(env(variable).ok_or_else(|| EndpointError::NoKey {
                variable: variable.clone(),
            })?),
            None if named_base || provider != Provider::Other => env(provider.key_variable()),
            None => None,
        };
        let has_own_credentials = options.headers.iter().any(|(name, _)| is_credential(name))
            || url.query_pairs().any(|(name, _)| is_credential(&name));
        if key.is_none() && provider != Provider::Other && !has_own_credentials {
            return Err(EndpointError::NoKey {
                variable: provider.key_variable().to_owned(),
            });
        }
        let mut endpoint = Self {
            url,
            key: key.and_then(Secret::new),
            headers: Vec::new(),
        };
        if provider == Provider::OpenAi || named_base {
            for (name, variable) in [
                ("OpenAI-Organization", "OPENAI_ORG_ID"),
                ("OpenAI-Project", "OPENAI_PROJECT_ID"),
            ] {
                if let Some(value) = env(variable) {
                    endpoint = endpoint.with_header(name, value);
                }
            }
        }
        Ok(options
            .headers
            .into_iter()
            .fold(endpoint, |endpoint, (name, value)| {
                endpoint.with_header(name, value)
            }))
    }

    /// The URL to open for a model. A URL that already names a model, a deployment, a call or an intent stays as it is.
    pub(crate) fn url_for(&self, model: &str) -> Url {
        let mut url = self.url.clone();
        let named = ["model", "deployment", "call_id", "intent"];
        if !url.query_pairs().any(|(name, _)| named.contains(&&*name)) {
            url.query_pairs_mut().append_pair("model", model);
        }
        url
    }

    /// All headers of ours for the handshake: the user's own win over the others of the same name.
    pub(crate) fn headers(&self) -> Vec<(&str, String)> {
        let agent = concat!("realtime-run/", env!("CARGO_PKG_VERSION")).to_owned();
        let mut headers = vec![("User-Agent", agent)];
        if let Some(key) = &self.key {
            headers.push(match Provider::of(&self.url) {
                Provider::Azure => ("api-key", key.expose().to_owned()),
                Provider::OpenAi | Provider::Other => ("Authorization", format!("Bearer {}", key.expose())),
            });
        }
        for (name, value) in &self.headers {
            headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
            let value = value
                .as_ref()
                .map_or_else(String::new, |value| value.expose().to_owned());
            headers.push((name, value));
        }
        headers
    }

    /// The host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether this is OpenAI's own server, so that its key is also one for traces there.
    pub fn is_openai(&self) -> bool {
        Provider::of(&self.url) == Provider::OpenAi
    }

    /// Whether the URL joins a running call: such a session is already under way and sends no
    /// `session.created` (protocol.md section 5.13).
    pub fn joins_a_call(&self) -> bool {
        self.url.query_pairs().any(|(name, _)| name == "call_id")
    }

    /// `text` without any of the credentials: a server may quote them back.
    pub(crate) fn scrub(&self, text: &str) -> String {
        self.scrubber().clean(text)
    }

    /// What takes the credentials out of all that comes of this server.
    pub(crate) fn scrubber(&self) -> Scrub {
        let mut scrub = Scrub::default();
        self.credentials().for_each(|secret| scrub.hide(&secret));
        scrub
    }

    /// What must be shown nowhere: the key, headers that are credentials without the word before them, and a key in
    /// the URL.
    fn credentials(&self) -> impl Iterator<Item = String> {
        let headers = self
            .headers
            .iter()
            .filter(|(name, _)| is_credential(name))
            .filter_map(|(_, value)| {
                let value = value.as_ref()?.expose();
                let value = value.rsplit_once(' ').map_or(value, |(_, value)| value);
                Some(
                    value
                        .strip_prefix("openai-insecure-api-key.")
                        .unwrap_or(value)
                        .to_owned(),
                )
            });
        let in_url = self
            .url
            .query_pairs()
            .filter(|(name, _)| is_credential(name))
            .map(|(_, value)| value.into_owned());
        let key = self.key.iter().map(|key| key.expose().to_owned());
        key.chain(headers)
            .chain(in_url)
            .filter(|secret| secret.len() >= MIN_SECRET)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &without_secrets(self.url.as_str()))
            .field("key", &self.key)
            .field("headers", &self.headers)
            .finish()
    }
}

impl fmt::Debug for EndpointOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("EndpointOptions")
            .field("url", &self.url.as_deref().map(without_secrets))
            .field("api_key_env", &self.api_key_env)
            .field("headers", &names)
            .finish()
    }
}

/// Whose server a URL names, as far as credentials differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    OpenAi,
    Azure,
    Other,
}

impl Provider {
    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        if host == "openai.com" || host.ends_with(".openai.com") {
            Self::OpenAi
        } else if [
            ".openai.azure.com",
            ".cognitiveservices.azure.com",
            ".services.ai.azure.com",
        ]
        .iter()
        .any(|suffix| host.ends_with(suffix))
        {
            Self::Azure
        } else {
            Self::Other
        }
    }

    fn key_variable(self) -> &'static str {
        match self {
            Self::Azure => "AZURE_OPENAI_API_KEY",
            Self::OpenAi | Self::Other => "OPENAI_API_KEY",
        }
    }
}

/// The base address that the environment names.
fn default_base(env: &impl Fn(&str) -> Option<String>) -> String {
    if let Some(base) = env("OPENAI_BASE_URL") {
        return base;
    }
    match env("AZURE_OPENAI_ENDPOINT") {
        Some(azure) if env("OPENAI_API_KEY").is_none() => {
            format!("{}/openai/v1", azure.trim_end_matches('/'))
        }
        _ => OPENAI.to_owned(),
    }
}

/// Whether a header, or a parameter of a URL, of that name lets one in. Browsers' way of sending a key is a
/// subprotocol (protocol.md section 1.2).
fn is_credential(name: &str) -> bool {
    ["authorization", "api-key", "x-api-key", "sec-websocket-protocol"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// An address as it may be shown: without its query and without credentials.
fn without_secrets(address: &str) -> String {
    let shown = address.split(['?', '#']).next().unwrap_or_default();
    match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => shown.to_owned(),
    }
}

/// The WebSocket URL for an address: a `ws` URL with a path is taken as it is, a base address gets `/realtime`.
fn realtime_url(address: &str) -> Result<Url, EndpointError> {
    let bad = |why: &str| EndpointError::BadUrl {
        shown: without_secrets(address),
        why: why.to_owned(),
    };
    let mut url = Url::parse(address.trim()).map_err(|error| bad(&error.to_string()))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "credentials do not belong in an address: use --api-key-env or --header",
        ));
    }
    if url
        .query_pairs()
        .any(|(name, value)| name == "intent" && value == "transcription")
    {
        return Err(bad("a transcription session holds no conversation"));
    }
    let (scheme, is_base) = match url.scheme() {
        "https" => ("wss", true),
        "http" => ("ws", true),
        "wss" => ("wss", false),
        "ws" => ("ws", false),
        _ => return Err(bad("it must begin with wss://, ws://, https:// or http://")),
    };
    let path = url.path().trim_end_matches('/').to_owned();
    if path.is_empty() {
        url.set_path("/v1/realtime");
    } else if is_base && !path.ends_with("/realtime") {
        url.set_path(&format!("{path}/realtime"));
    }
    url.set_fragment(None);
    url.set_scheme(scheme)
        .map_err(|()| bad("its scheme can't be turned into that of a WebSocket"))?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, vars: &[(&str, &str)]) -> Result<Endpoint, EndpointError> {
        let options = EndpointOptions {
            url: url.map(str::to_owned),
            ..EndpointOptions::default()
        };
        let vars: Vec<_> = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Endpoint::resolve(options, move |name| {
            vars.iter().find(|(own, _)| own == name).map(|(_, v)| v.clone())
        })
    }

    fn url(endpoint: &Endpoint) -> String {
        endpoint.url_for("gpt-realtime").to_string()
    }

    #[test]
    fn urls_take_every_documented_form() {
        let key = [("OPENAI_API_KEY", "sk-1")];
        let cases = [
            (None, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
            (
                Some("https://gateway.example/api/?tag=1"),
                "wss://gateway.example/api/realtime?tag=1&model=gpt-realtime",
            ),
            (
                Some("http://127.0.0.1:8080"),
                "ws://127.0.0.1:8080/v1/realtime?model=gpt-realtime",
            ),
            (
                Some("ws://127.0.0.1:8080/x"),
                "ws://127.0.0.1:8080/x?model=gpt-realtime",
            ),
            (
                Some("wss://api.openai.com/v1/realtime?call_id=rtc_1"),
                "wss://api.openai.com/v1/realtime?call_id=rtc_1",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(url(&resolve(given, &key).unwrap()), expected);
        }
    }

    #[test]
    fn azure_gets_its_own_header() {
        let vars = [
            ("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/"),
            ("AZURE_OPENAI_API_KEY", "az"),
        ];
        let endpoint = resolve(None, &vars).unwrap();
        assert_eq!(
            url(&endpoint),
            "wss://me.openai.azure.com/openai/v1/realtime?model=gpt-realtime"
        );
        assert!(endpoint.headers().contains(&("api-key", "az".to_owned())));
    }

    #[test]
    fn a_key_nobody_named_goes_to_no_foreign_server() {
        let endpoint = resolve(
            Some("wss://elsewhere.example/v1/realtime"),
            &[("OPENAI_API_KEY", "sk-1")],
        )
        .unwrap();
        assert!(endpoint.headers().iter().all(|(name, _)| *name == "User-Agent"));
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        let error = resolve(None, &[("OPENAI_API_KEY", " ")]).unwrap_err();
        assert!(error.to_string().contains("set OPENAI_API_KEY"), "{error}");
        let options = EndpointOptions {
            api_key_env: Some("XAI_API_KEY".into()),
            ..EndpointOptions::default()
        };
        let error = Endpoint::resolve(options, |_| None).unwrap_err();
        assert!(error.to_string().contains("XAI_API_KEY"), "{error}");
    }

    #[test]
    fn the_users_header_wins() {
        let endpoint = Endpoint::new("ws://h")
            .unwrap()
            .with_key(Secret::new("k").unwrap())
            .with_header("authorization", "mine");
        let headers = endpoint.headers();
        assert_eq!(
            headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
                .count(),
            1
        );
        assert!(headers.contains(&("authorization", "mine".to_owned())));
    }

    #[test]
    fn bad_addresses_say_why_and_never_show_their_query() {
        for address in [
            "",
            "nonsense",
            "ftp://h/x",
            "ws://",
            "ws://me:pw@h",
            "wss://h/?intent=transcription",
        ] {
            assert!(Endpoint::new(address).is_err(), "{address}");
        }
        let error = Endpoint::new("ftp://h/x?api-key=planted").unwrap_err();
        assert!(!error.to_string().contains("planted"), "{error}");
        assert!(
            !Endpoint::new("ws://me:planted@h")
                .unwrap_err()
                .to_string()
                .contains("planted")
        );
    }

    #[test]
    fn every_kind_of_credential_is_scrubbed_and_a_placeholder_is_not() {
        let endpoint = Endpoint::new("ws://h?api-key=url-planted")
            .unwrap()
            .with_key(Secret::new("key-planted").unwrap())
            .with_header("Authorization", "Basic basic-planted")
            .with_header(
                "Sec-WebSocket-Protocol",
                "realtime, openai-insecure-api-key.sub-planted",
            )
            .with_header("X-Team", "harmless-header");
        let quoted =
            "url-planted key-planted basic-planted openai-insecure-api-key.sub-planted harmless-header";
        assert_eq!(
            endpoint.scrub(quoted),
            "*** *** *** openai-insecure-api-key.*** harmless-header"
        );
        let placeholder = Endpoint::new("ws://h")
            .unwrap()
            .with_key(Secret::new("x").unwrap());
        assert_eq!(placeholder.scrub("six boxes"), "six boxes");
        assert!(!placeholder.scrubber().is_quoted_in("six boxes"));
    }

    #[test]
    fn debug_output_hides_credentials() {
        let endpoint = Endpoint::new("ws://h?api-key=planted")
            .unwrap()
            .with_key(Secret::new("planted").unwrap())
            .with_header("x", "planted");
        assert!(!format!("{endpoint:?}").contains("planted"));
        let options = EndpointOptions {
            url: Some("ws://h?api-key=planted".into()),
            api_key_env: None,
            headers: vec![("authorization".into(), "planted".into())],
        };
        assert!(!format!("{options:?}").contains("planted"));
    }
}
