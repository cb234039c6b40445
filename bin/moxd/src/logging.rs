//! Logs: to standard error, one line an event, as text or as JSON.

use crate::cli::LogFormat;
use anyhow::{Context, Result};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets logging up for the process. `filter` is a level, or filters such as `info,smtpserver=trace`; parts of moxd go
/// by their short names.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<()> {
    let directives = format!("{QUIET},{}", full_names(filter));
    let filter = EnvFilter::builder().parse(directives).with_context(|| format!("log level {filter:?}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            registry.with(Layer::new().with_writer(std::io::stderr).with_ansi(ansi)).init();
        }
        LogFormat::Json => registry.with(Layer::new().with_writer(std::io::stderr).json()).init(),
    }
    Ok(())
}

/// Libraries that warn of what strangers' name servers do, which the results say already. What the operator writes comes
/// after it and wins.
const QUIET: &str = "hickory_net=error,hickory_proto=error,hickory_resolver=error,rustls=error";

/// The crates of this workspace have a prefix in their targets, which nobody has to write.
fn full_names(filter: &str) -> String {
    let full = |directive: &str| match directive.split_once('=') {
        Some((target, level)) if HOUSE.contains(&target) => {
            format!("moxd_{}={level}", target.replace('-', "_"))
        }
        _ => directive.to_owned(),
    };
    filter.split(',').map(full).collect::<Vec<_>>().join(",")
}

const HOUSE: &[&str] = &["dns-hickory", "intake", "smtpserver", "store"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_enough() {
        assert_eq!(full_names("info,smtpserver=trace,hyper=warn"), "info,moxd_smtpserver=trace,hyper=warn");
        assert_eq!(full_names("dns-hickory=debug"), "moxd_dns_hickory=debug");
    }
}
