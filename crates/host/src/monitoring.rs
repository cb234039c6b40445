//! Metrics for Prometheus, served at `/metrics` and nowhere else.

use crate::process;
use crate::sockets::Sockets;
use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nix::sys::statvfs::statvfs;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How many clients may be connected at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 16;
/// Time for a client to send the header of its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a connection, so that a client that never reads the answer does not keep its place.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after a failed accept, which fails again and again while no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How often histograms are aggregated while no client reads the metrics, so that they do not grow.
const MAINTENANCE: Duration = Duration::from_secs(5);

const BUILD: &str = "mox_build_info";
const DISK_FREE: &str = "mox_store_disk_free_bytes";
const DISK_SIZE: &str = "mox_store_disk_size_bytes";

/// The program's descriptions of its metrics.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// The commit that it was built from.
    pub commit: &'a str,
    /// Upper bounds of histograms, by the end of their names. No name may have two of these ends.
    pub buckets: &'a [(&'a str, &'a [f64])],
}

/// Starts to record metrics and to serve them at the address, in a task of the current runtime. `data` is the data directory,
/// whose disk is measured.
///
/// # Errors
/// No program can listen at the address, or metrics are recorded already.
pub fn start(address: SocketAddr, data: &Path, about: &About<'_>, sockets: &mut Sockets) -> Result<()> {
    let mut builder = PrometheusBuilder::new();
    for (suffix, bounds) in about.buckets {
        builder = builder.set_buckets_for_metric(Matcher::Suffix((*suffix).to_owned()), bounds)?;
    }
    let recorder = builder.build_recorder();
    let page = Arc::new(Page { handle: recorder.handle(), data: data.to_owned() });
    let listener = sockets.listen(address).context("serve metrics")?;
    let listener = TcpListener::from_std(listener)?;
    metrics::set_global_recorder(recorder).map_err(|_| anyhow::anyhow!("metrics are recorded already"))?;
    process::describe();
    describe_gauge!(BUILD, "The version and the commit of the program; the value is 1.");
    describe_gauge!(DISK_FREE, Unit::Bytes, "Room left for mail on the disk of the data directory.");
    describe_gauge!(DISK_SIZE, Unit::Bytes, "Size of the disk of the data directory.");
    gauge!(BUILD, "version" => about.version.to_owned(), "commit" => about.commit.to_owned()).set(1.0);
    tokio::spawn(accept(listener, page));
    Ok(())
}

/// The sources of the metrics page.
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
    let mut maintenance = tokio::time::interval(MAINTENANCE);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            _ = maintenance.tick() => page.handle.run_upkeep(),
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
