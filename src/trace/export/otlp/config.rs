//! Where and how to send, by OpenTelemetry's variables (specification: "OpenTelemetry Protocol Exporter", "Resource
//! SDK").

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::trace::export::http;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What the traces are of, unless told otherwise.
const SERVICE_NAME: &str = env!("CARGO_PKG_NAME");

/// Where and how an [`OtlpExporter`](super::OtlpExporter) sends.
#[derive(Clone)]
pub struct OtlpConfig {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Url,
    /// May hold credentials.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    /// A certificate to trust beside the system's, in PEM.
    pub(super) certificate: Option<Vec<u8>>,
    /// What is told of the sender, by name.
    pub(super) resource: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// A variable whose value can't be used. The value itself, which may be a credential, is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct InvalidOtlpConfig {
    variable: String,
    reason: String,
}

impl OtlpConfig {
    /// Reads the variables as `lookup` gives them; in a program that is `|name| std::env::var(name).ok()`.
    ///
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` (to which `v1/traces` is added for HTTP; by default `http://localhost:4318`, for gRPC
    /// `http://localhost:4317`), `_PROTOCOL` (`http/protobuf`, which is the default, or `grpc`), `_HEADERS`, `_TIMEOUT` (of
    /// one request, in milliseconds; 10,000), `_COMPRESSION` (`gzip` or `none`), `_CERTIFICATE` (a file) and `_INSECURE`,
    /// each also with `TRACES_` before the last word, which comes first; then `OTEL_SERVICE_NAME`, by default
    /// `realtime-run`, and `OTEL_RESOURCE_ATTRIBUTES`.
    ///
    /// # Errors
    /// When a variable's value can't be used; nothing is guessed instead.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidOtlpConfig> {
        let variables = Variables(&lookup);
        let protocol = match variables.get("PROTOCOL") {
            None => Protocol::Http,
            Some(it) => it.read(protocol)?,
        };
        let headers = variables.get("HEADERS").map(|it| it.read(headers)).transpose()?;
        let timeout = variables.get("TIMEOUT").map(|it| it.read(millis)).transpose()?;
        let gzip = variables
            .get("COMPRESSION")
            .map(|it| it.read(compression))
            .transpose()?;
        let certificate = variables.get("CERTIFICATE").map(|it| it.read(file)).transpose()?;
        Ok(Self {
            protocol,
            endpoint: endpoint(&variables, protocol)?,
            headers: headers.unwrap_or_default(),
            timeout: timeout.unwrap_or(TIMEOUT),
            gzip: gzip.unwrap_or_default(),
            certificate,
            resource: resource(&variables)?,
        })
    }

    pub(super) fn host(&self) -> &str {
        http::host(&self.endpoint)
    }
}

/// Headers and certificates are nobody's business, nor is all of the endpoint.
impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("protocol", &self.protocol)
            .field("host", &self.host())
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A variable that is set.
struct Variable {
    name: String,
    value: String,
}

impl Variables<'_> {
    /// One of the exporter's: that for traces, else that for everything.
    fn get(&self, name: &str) -> Option<Variable> {
        let own = self.named(format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        own.or_else(|| self.named(format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    /// An empty one counts as not set.
    fn named(&self, name: String) -> Option<Variable> {
        let value = (self.0)(&name)?.trim().to_owned();
        (!value.is_empty()).then_some(Variable { name, value })
    }
}

impl Variable {
    fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, InvalidOtlpConfig> {
        read(&self.value).map_err(|reason| InvalidOtlpConfig {
            variable: self.name.clone(),
            reason,
        })
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::Http),
        "http/json" => Err("`http/json` is not supported: use `http/protobuf` or `grpc`".to_owned()),
        _ => Err("expected `http/protobuf` or `grpc`".to_owned()),
    }
}

fn compression(text: &str) -> Result<bool, String> {
    match text {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err("expected `gzip` or `none`".to_owned()),
    }
}

fn millis(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
        _ => Err("expected a number of milliseconds from 1".to_owned()),
    }
}

fn file(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("the file can't be read: {error}"))
}

fn endpoint(variables: &Variables<'_>, protocol: Protocol) -> Result<Url, InvalidOtlpConfig> {
    let Some(variable) = variables.get("ENDPOINT") else {
        let default = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::Http => "http://localhost:4318/v1/traces",
        };
        let default = Variable {
            name: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            value: default.to_owned(),
        };
        return default.read(http::endpoint);
    };
    variable.read(|text| {
        if protocol == Protocol::Grpc && !text.contains("://") {
            let is_insecure = variables
                .get("INSECURE")
                .is_some_and(|it| it.value.eq_ignore_ascii_case("true"));
            return http::endpoint(&format!(
                "{}://{text}",
                if is_insecure { "http" } else { "https" }
            ));
        }
        let mut url = http::endpoint(text)?;
        let is_for_all = variable.name == "OTEL_EXPORTER_OTLP_ENDPOINT";
        if protocol == Protocol::Http && is_for_all {
            url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        }
        Ok(url)
    })
}

fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text)? {
        let name = HeaderName::try_from(name).map_err(|_| "there is a name in it that no header can have")?;
        let value = HeaderValue::try_from(value);
        let mut value = value.map_err(|_| format!("the value of `{name}` is none that a header can have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn resource(variables: &Variables<'_>) -> Result<Vec<(String, String)>, InvalidOtlpConfig> {
    let name = variables.named("OTEL_SERVICE_NAME".to_owned());
    let attributes = variables.named("OTEL_RESOURCE_ATTRIBUTES".to_owned());
    let mut attributes = attributes.map_or(Ok(Vec::new()), |it| it.read(pairs))?;
    let is_name = |(key, _): &(String, String)| key == "service.name";
    if name.is_some() {
        attributes.retain(|attribute| !is_name(attribute));
    }
    if !attributes.iter().any(is_name) {
        let name = name.map_or_else(|| SERVICE_NAME.to_owned(), |it| it.value);
        attributes.insert(0, ("service.name".to_owned(), name));
    }
    Ok(attributes)
}

/// `a=b,c=d`, in which values are percent-encoded where need be.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (key, value) = entry.split_once('=').ok_or("expected `name=value,name=value`")?;
            Ok((key.trim().to_owned(), decoded(value.trim())))
        })
        .collect()
}

/// What is no percent-encoding stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<OtlpConfig, String> {
        let lookup = |name: &str| {
            let own = variables.iter().find(|(own, _)| *own == name);
            own.map(|(_, value)| (*value).to_owned())
        };
        OtlpConfig::from_variables(lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn without_variables_a_collector_on_this_machine_is_sent_to() {
        let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "")]).unwrap();
        assert_eq!(config.endpoint.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!(config.protocol, Protocol::Http);
        assert_eq!(
            (config.timeout, config.gzip, config.headers.len()),
            (TIMEOUT, false, 0)
        );
        assert_eq!(config.resource, [("service.name".into(), "realtime-run".into())]);
        let grpc = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert_eq!(grpc.endpoint.as_str(), "http://localhost:4317/");
    }

    #[test]
    fn the_general_endpoint_is_a_base_and_that_of_traces_is_the_address() {
        let endpoint = |variables: &[_]| read(variables).unwrap().endpoint.to_string();
        let (all, traces) = (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        );
        assert_eq!(endpoint(&[(all, "https://h/base/")]), "https://h/base/v1/traces");
        assert_eq!(endpoint(&[(all, "https://h?key=1")]), "https://h/v1/traces?key=1");
        assert_eq!(
            endpoint(&[(all, "https://h"), (traces, "https://i/x")]),
            "https://i/x"
        );
        let grpc = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc");
        assert_eq!(
            endpoint(&[grpc, (all, "collector:4317")]),
            "https://collector:4317/"
        );
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(
            endpoint(&[grpc, insecure, (all, "collector:4317")]),
            "http://collector:4317/"
        );
    }

    #[test]
    fn those_for_traces_come_first() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Api-Key=x%20%zz=, b = 2 ,"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ])
        .unwrap();
        let headers: Vec<_> = config
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(headers, [("api-key", "x %zz="), ("b", "2")]);
        assert_eq!((config.timeout, config.gzip), (Duration::from_millis(2500), true));
    }

    #[test]
    fn the_service_s_own_variable_names_it() {
        let resource = |variables: &[_]| read(variables).unwrap().resource;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,site=north%2C1");
        assert_eq!(
            resource(&[attributes]),
            [pair("service.name", "a"), pair("site", "north,1")]
        );
        let name = ("OTEL_SERVICE_NAME", "b");
        assert_eq!(
            resource(&[attributes, name]),
            [pair("service.name", "b"), pair("site", "north,1")]
        );
    }

    #[test]
    fn a_bad_value_is_told_by_its_variable_and_not_repeated() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "planted"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "planted"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:planted@h"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "planted"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=planted"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=planted%0a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/planted"),
            ("OTEL_RESOURCE_ATTRIBUTES", "planted"),
        ] {
            let told = read(&[(name, value)]).unwrap_err();
            assert!(
                told.starts_with(name) && !told.contains("planted"),
                "{value}: {told}"
            );
        }
    }

    #[test]
    fn debug_output_holds_no_credentials() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h/planted?key=planted"),
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("\"h\"") && !shown.contains("planted"), "{shown}");
    }
}
