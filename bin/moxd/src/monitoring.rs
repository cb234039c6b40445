//! Metrics for Prometheus.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::net::SocketAddr;

/// Upper bounds of the histograms of seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// Upper bounds of the histogram of batches that share a sync.
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The parts whose panics are counted, shown as 0 from the start.
const PARTS: &[&str] =
    &["ctl", "dkimverify", "dmarcverify", "import", "iprev", "serve", "smtpserver", "spfverify"];

/// Installs the recorder, and serves what it has at `/metrics` of the address, if there is one.
pub(crate) async fn start(address: Option<SocketAddr>) -> Result<()> {
    let Some(address) = address else { return Ok(()) };
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        // A histogram of seconds with the name of a counter: the original system called it so.
        .set_buckets_for_metric(Matcher::Full("mox_iprev_lookup_total".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full("mox_store_group_batches".to_owned()), BATCHES)?
        .with_http_listener(address);
    let (recorder, exporter) = builder.build().with_context(|| format!("serve metrics on {address}"))?;
    metrics::set_global_recorder(recorder).map_err(|_| anyhow::anyhow!("metrics are recorded already"))?;
    tokio::spawn(async move {
        if exporter.await.is_err() {
            tracing::error!(%address, "metrics are not served any more");
        }
    });
    for part in PARTS {
        metrics::counter!("mox_panic_total", "pkg" => *part).absolute(0);
    }
    Ok(())
}
