//! A burst of spans on its way to a sink on this machine: through the store to the traces endpoint's form and to OTLP,
//! beside opentelemetry's batch processor with its own OTLP exporter, as it is by default and with a queue that takes the
//! whole burst. What is counted is what arrived, from the first span to the end of shutdown. Then the memory that the same
//! burst takes while the sink answers nothing, each in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _, TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace as otel;
use realtime_run::Secret;
use realtime_run::trace as ours;

const BURST: u64 = 100_000;
/// Spans for the sink that takes its time: a few seconds of it.
const FEW: u64 = 20_000;
const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);
const INPUT: &str = r#"{"city":"Tokyo","unit":"celsius"}"#;
const OUTPUT: &str = "sunny, 23 degrees, wind from the south";

/// Takes every request, and answers it after a while; never, if there is none.
fn sink(wait: Option<Duration>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap(), wait));
        }
    });
    address
}

fn serve(mut stream: TcpStream, wait: Option<Duration>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().unwrap());
    let mut body = Vec::new();
    while let Some(length) = head(&mut reader) {
        body.resize(length, 0);
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        match wait {
            Some(wait) => std::thread::sleep(wait),
            None => std::thread::park(),
        }
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .is_err()
        {
            return;
        }
    }
}

/// Reads up to a body, and tells how long that is.
fn head(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            match line.trim_end() {
                "" => return Some(length),
                _ => continue,
            }
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
}

/// What sends.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    OursJson,
    OursOtlp,
    TheirsByDefault,
    TheirsLarge,
}

const WAYS: [(&str, Way); 4] = [
    ("ours, JSON", Way::OursJson),
    ("ours, OTLP", Way::OursOtlp),
    ("opentelemetry, default queue", Way::TheirsByDefault),
    ("opentelemetry, large queue", Way::TheirsLarge),
];

/// Spans that can be recorded and are then delivered: says how many arrived.
enum Rig {
    Ours(
        ours::Tracer,
        ours::Context,
        std::sync::Arc<ours::StoreProcessor>,
        tempfile::TempDir,
    ),
    Theirs(otel::SdkTracerProvider, otel::SdkTracer),
}

/// Spans that opentelemetry's exporter has delivered; its processor does not tell.
static THEIRS: AtomicU64 = AtomicU64::new(0);

impl Rig {
    fn new(way: Way, address: &str) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let limits = ours::StoreLimits {
            size: 1 << 30,
            ..ours::StoreLimits::default()
        };
        let store = ours::TraceStore::new(dir.path()).limits(limits);
        let builder = ours::StoreProcessor::builder(store);
        let processor = match way {
            Way::OursJson => {
                let exporter =
                    ours::OpenAiExporter::new(Some(&format!("http://{address}/v1/traces"))).unwrap();
                builder.to(exporter.api_key(Secret::new("sk-bench"))).build()
            }
            Way::OursOtlp => {
                let endpoint = format!("http://{address}");
                let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
                let config = ours::OtlpConfig::from_variables(variable).unwrap();
                builder.to(ours::OtlpExporter::new(config)).build()
            }
            Way::TheirsByDefault => return Self::theirs(address, otel::BatchConfig::default()),
            Way::TheirsLarge => {
                let config = otel::BatchConfigBuilder::default().with_max_queue_size(2 * BURST as usize);
                return Self::theirs(address, config.build());
            }
        };
        let processor = std::sync::Arc::new(processor);
        let tracer = ours::Tracer::builder()
            .processor(std::sync::Arc::clone(&processor))
            .build();
        let place = tracer.trace("bench").start().context();
        Self::Ours(tracer, place, processor, dir)
    }

    fn theirs(address: &str, config: otel::BatchConfig) -> Self {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Plain(Mutex::new(TcpStream::connect(address).unwrap())))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("http://{address}/v1/traces"))
            .with_timeout(LIMIT)
            .build()
            .unwrap();
        let processor = otel::BatchSpanProcessor::builder(Counting(exporter))
            .with_batch_config(config)
            .build();
        let provider = otel::SdkTracerProvider::builder()
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("bench");
        Self::Theirs(provider, tracer)
    }

    fn record(&self, spans: u64) {
        match self {
            Self::Ours(_, place, ..) => (0..spans).for_each(|_| our_span(place)),
            Self::Theirs(_, tracer) => (0..spans).for_each(|_| their_span(tracer)),
        }
    }

    /// Ends it, and tells how many spans arrived.
    fn end(self) -> u64 {
        match self {
            Self::Ours(tracer, _, processor, _dir) => {
                tracer.shutdown(LIMIT);
                processor.report().lanes[0].own.sent_spans
            }
            Self::Theirs(provider, _) => {
                let _ = provider.shutdown_with_timeout(LIMIT);
                THEIRS.swap(0, Ordering::SeqCst)
            }
        }
    }
}

fn our_span(place: &ours::Context) {
    let mut span = place.span(ours::SpanData::Function {
        name: "get_weather".into(),
        input: Some(INPUT.into()),
        output: None,
        mcp_data: None,
    });
    span.update(|data| {
        if let ours::SpanData::Function { output, .. } = data {
            *output = Some(OUTPUT.into());
        }
    });
    span.finish();
}

fn their_span(tracer: &otel::SdkTracer) {
    let attributes = [KeyValue::new("input", INPUT.to_owned())];
    let builder = SpanBuilder::from_name("get_weather".to_owned()).with_attributes(attributes);
    let mut span = tracer.build(builder);
    span.set_attribute(KeyValue::new("output", OUTPUT.to_owned()));
    span.end();
}

/// Counts what an exporter delivers.
#[derive(Debug)]
struct Counting(opentelemetry_otlp::SpanExporter);

impl otel::SpanExporter for Counting {
    async fn export(&self, batch: Vec<otel::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        let spans = batch.len() as u64;
        self.0.export(batch).await?;
        THEIRS.fetch_add(spans, Ordering::SeqCst);
        Ok(())
    }
}

/// The least that an HTTP client can do: one connection, and no more than is needed here.
#[derive(Debug)]
struct Plain(Mutex<TcpStream>);

impl HttpClient for Plain {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let mut stream = self.0.lock().unwrap();
            let body = request.into_body();
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat())?;
            let mut reader = BufReader::new(&mut *stream);
            head_only(&mut reader);
            Ok(Response::new(Bytes::new()))
        })
    }
}

fn head_only(reader: &mut impl BufRead) {
    head(reader).expect("the sink answers");
}

/// Spans that arrived, and how many of them in a second.
struct Arrived {
    spans: u64,
    rate: f64,
}

fn burst(way: Way, address: &str, spans: u64) -> Arrived {
    let rig = Rig::new(way, address);
    let begun = Instant::now();
    rig.record(spans);
    let arrived = rig.end();
    Arrived {
        spans: arrived,
        rate: arrived as f64 / begun.elapsed().as_secs_f64(),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(what: &str, wait: Duration, spans: u64, rounds: usize) {
    let address = sink(Some(wait));
    let mut results: Vec<Vec<Arrived>> = WAYS.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (index, (_, way)) in WAYS.iter().enumerate() {
            results[index].push(burst(*way, &address, spans));
        }
    }
    println!("{what}");
    let rate = |index: usize| median(results[index].iter().map(|it| it.rate).collect());
    for (index, (name, _)) in WAYS.iter().enumerate() {
        let arrived = median(results[index].iter().map(|it| it.spans as f64).collect());
        println!(
            "  {name:<29} {arrived:>7} of {spans} arrived, {:>8.0} a second, {:.2} of the last one's rate",
            rate(index),
            rate(index) / rate(WAYS.len() - 1),
        );
    }
}

/// What this process holds, in MiB, where the system tells.
fn memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The memory that a burst takes when nothing is answered. Printed for the process that asks.
fn hold(way: Way) {
    let address = sink(None);
    let rig = Rig::new(way, &address);
    let before = memory();
    rig.record(BURST);
    if let Rig::Ours(_, _, processor, dir) = &rig {
        let written = || {
            let files = std::fs::read_dir(dir.path()).unwrap();
            files
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum::<u64>()
        };
        let mut last = 0;
        while last == 0 || last != written() {
            last = written();
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(processor.report().trouble, None);
    }
    if let Some((before, after)) = before.zip(memory()) {
        println!("{:.1}", after - before);
    }
    // Without the end of the rig: nothing will be answered.
    std::process::exit(0);
}

fn main() {
    let held = std::env::args()
        .skip_while(|argument| argument != "--hold")
        .nth(1);
    if let Some(way) = held.and_then(|name| WAYS.iter().find(|(known, _)| *known == name)) {
        hold(way.1);
    }
    println!("a tool call's span with arguments and result, {ROUNDS} interleaved rounds, medians");
    compare(
        "100,000 spans as fast as possible, a sink that answers at once",
        Duration::ZERO,
        BURST,
        ROUNDS,
    );
    compare(
        "20,000 spans as fast as possible, a sink that answers after 100 ms",
        Duration::from_millis(100),
        FEW,
        1,
    );
    println!("memory for 100,000 spans that wait for a sink which does not answer");
    for (name, way) in WAYS {
        if way == Way::TheirsByDefault {
            continue; // It has lost most of them.
        }
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--hold", name])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        println!("  {name:<29} {told} MiB");
    }
}
