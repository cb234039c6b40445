//! Metrics of the resolver.

use dns::{Answer, Kind, LookupError, LookupErrorKind, Record};
use metrics::{Unit, describe_histogram, histogram};
use tokio::time::Instant;

const LOOKUP_DURATION: &str = "mox_dns_lookup_duration_seconds";

/// Describes the metrics of this crate to the installed recorder. To be called once, after it is installed.
pub fn describe_metrics() {
    describe_histogram!(
        LOOKUP_DURATION,
        Unit::Seconds,
        "DNS lookups by the part that asks, type and result, cached answers included."
    );
}

/// Times one lookup. A lookup that is dropped before its end counts as canceled.
pub(crate) struct Timer {
    started: Instant,
    part: &'static str,
    kind: Kind,
    result: &'static str,
}

impl Timer {
    pub(crate) fn start(part: &'static str, kind: Kind) -> Self {
        Self { started: Instant::now(), part, kind, result: "canceled" }
    }

    pub(crate) fn finish(mut self, outcome: &Result<Answer<Record>, LookupError>) {
        self.result = match outcome.as_ref().map_err(LookupError::kind) {
            Ok(_) => "ok",
            Err(LookupErrorKind::NoName | LookupErrorKind::NoData) => "nxdomain",
            Err(LookupErrorKind::Temporary) => "temporary",
            Err(LookupErrorKind::Timeout) => "timeout",
            Err(_) => "error",
        };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let kind = match self.kind {
            Kind::A | Kind::Aaaa => "ip",
            Kind::Ptr => "addr",
            Kind::Mx => "mx",
            Kind::Txt => "txt",
            Kind::Tlsa => "tlsa",
            Kind::Cname => "cname",
            _ => "other",
        };
        let seconds = self.started.elapsed().as_secs_f64();
        histogram!(LOOKUP_DURATION, "pkg" => self.part, "type" => kind, "result" => self.result)
            .record(seconds);
    }
}
