//! Metrics of this process from `/proc`, under the names that every Prometheus client library uses.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use procfs::WithCurrentSystemInfo as _;
use procfs::process::{LimitValue, Process};

const CPU: &str = "process_cpu_seconds_total";
const OPEN: &str = "process_open_fds";
const MAX_OPEN: &str = "process_max_fds";
const RESIDENT: &str = "process_resident_memory_bytes";
const VIRTUAL: &str = "process_virtual_memory_bytes";
const START: &str = "process_start_time_seconds";
const THREADS: &str = "process_threads";

pub(crate) fn describe() {
    describe_counter!(CPU, Unit::Seconds, "User and system CPU time used, in whole seconds.");
    describe_gauge!(OPEN, Unit::Count, "Open file descriptors.");
    describe_gauge!(MAX_OPEN, Unit::Count, "Most file descriptors that may be open.");
    describe_gauge!(RESIDENT, Unit::Bytes, "Resident memory.");
    describe_gauge!(VIRTUAL, Unit::Bytes, "Virtual memory.");
    describe_gauge!(START, Unit::Seconds, "When the process started, in seconds since 1970.");
    describe_gauge!(THREADS, Unit::Count, "Threads of the process.");
}

/// Measures the process. Leaves out what the system does not tell.
pub(crate) fn measure() {
    let Ok(process) = Process::myself() else { return };
    if let Ok(open) = process.fd_count() {
        gauge!(OPEN).set(open as f64);
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        gauge!(MAX_OPEN).set(most as f64);
    }
    let Ok(stat) = process.stat() else { return };
    let ticks = procfs::ticks_per_second();
    counter!(CPU).absolute((stat.utime + stat.stime) / ticks);
    gauge!(RESIDENT).set(stat.rss_bytes().get() as f64);
    gauge!(VIRTUAL).set(stat.vsize as f64);
    gauge!(THREADS).set(stat.num_threads as f64);
    if let Ok(boot) = procfs::boot_time_secs() {
        gauge!(START).set(boot as f64 + stat.starttime as f64 / ticks as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn shows_what_the_process_uses() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            measure();
        });
        let page = recorder.handle().render();
        for name in [CPU, OPEN, MAX_OPEN, RESIDENT, VIRTUAL, START, THREADS] {
            let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
            let value: f64 = line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(-1.0);
            assert!(value > 0.0 || name == CPU && value == 0.0, "{name}: {page}");
            assert!(page.contains(&format!("# HELP {name} ")), "{name}");
        }
    }
}
