//! Metrics for Prometheus, served at `/metrics` and nowhere else.

use crate::system::Sockets;
use crate::{process, version};
use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{Unit, counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nix::sys::statvfs::statvfs;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Upper bounds of the histograms of seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// Upper bounds of the histogram of batches that share a sync.
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The parts whose panics are counted, shown as 0 from the start.
const PARTS: &[&str] =
    &["ctl", "dkimverify", "dmarcverify", "import", "iprev", "serve", "smtpserver", "spfverify"];

/// Most connections at a time that ask for metrics; others wait to be accepted.
const MAX_CONNECTIONS: usize = 16;
/// Time for a client to send the header of its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a whole connection, so that a client which does not read the answer gives its place back.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after a failed accept: it fails while there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How often histograms are tidied while no client reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

const BUILD: &str = "mox_build_info";
const CERTIFICATE: &str = "mox_tls_certificate_not_after_timestamp_seconds";
const DISK_FREE: &str = "mox_store_disk_free_bytes";
const DISK_SIZE: &str = "mox_store_disk_size_bytes";

/// Installs the recorder, and serves what it has at the address, if there is one. `data` is the data directory.
pub(crate) fn start(address: Option<SocketAddr>, data: &Path, sockets: &mut Sockets) -> Result<()> {
    let Some(address) = address else { return Ok(()) };
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        // A histogram of seconds with the name of a counter: the original system called it so.
        .set_buckets_for_metric(Matcher::Full("mox_iprev_lookup_total".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full("mox_store_group_batches".to_owned()), BATCHES)?
        .build_recorder();
    let page = Arc::new(Page { handle: recorder.handle(), data: data.to_owned() });
    let listener = sockets.listen(address).context("serve metrics")?;
    let listener = TcpListener::from_std(listener)?;
    metrics::set_global_recorder(recorder).map_err(|_| anyhow::anyhow!("metrics are recorded already"))?;
    describe();
    tokio::spawn(accept(listener, page));
    Ok(())
}

fn describe() {
    process::describe();
    describe_gauge!(BUILD, "The version and the commit of the program; the value is 1.");
    describe_gauge!(
        CERTIFICATE,
        Unit::Seconds,
        "When a certificate expires, in seconds since 1970, by file."
    );
    describe_gauge!(DISK_FREE, Unit::Bytes, "Room left for mail on the disk of the data directory.");
    describe_gauge!(DISK_SIZE, Unit::Bytes, "Size of the disk of the data directory.");
    gauge!(BUILD, "version" => version::NUMBER, "commit" => version::COMMIT).set(1.0);
    for part in PARTS {
        counter!("mox_panic_total", "pkg" => *part).absolute(0);
    }
}

/// When a certificate expires.
pub(crate) fn certificate(file: &Path, not_after: i64) {
    gauge!(CERTIFICATE, "file" => file.display().to_string()).set(not_after as f64);
}

/// What the page is made from.
struct Page {
    handle: PrometheusHandle,
    data: PathBuf,
}

impl Page {
    fn render(&self) -> String {
        process::measure();
        if let Ok(disk) = statvfs(&self.data) {
            let blocks = disk.fragment_size() as f64;
            gauge!(DISK_FREE).set(disk.blocks_available() as f64 * blocks);
            gauge!(DISK_SIZE).set(disk.blocks() as f64 * blocks);
        }
        self.handle.render()
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let text = |status, text: String| {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            response
        };
        if request.uri().path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        text(StatusCode::OK, self.render())
    }
}

async fn accept(listener: TcpListener, page: Arc<Page>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            _ = upkeep.tick() => page.handle.run_upkeep(),
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let page = Arc::clone(&page);
                    tokio::spawn(async move {
                        let _place = place;
                        serve(stream, page).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "metrics: accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn serve(stream: TcpStream, page: Arc<Page>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let response = page.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).keep_alive(false);
    let connection = http.serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "metrics: a client went away"),
        Err(_) => tracing::debug!("metrics: a client did not take its answer in time"),
    }
}
