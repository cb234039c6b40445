//! `[limits]`.

use std::net::IpAddr;

use crate::problem::ProblemKind;
use crate::read::Table;
use crate::schema::{Key, Sample, Section};
use crate::values;

/// Limits for one address (host), the network around it (site), and its provider's network: lists have these three, in this
/// order.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Do the limits by address apply? ([`Limits::recipients`] always does.)
    pub enabled: bool,
    /// New connections in any 60 seconds.
    pub connections_per_minute: [u32; 3],
    /// Connections open at the same time.
    pub open_connections: [u32; 3],
    /// Messages that other servers begin in any 60 seconds.
    pub messages_per_minute: [u32; 3],
    /// Failed logins in any 60 seconds; more are refused.
    pub failed_logins_per_minute: [u32; 3],
    /// Failed logins in any 24 hours; more are refused.
    pub failed_logins_per_day: [u32; 3],
    /// Failed logins to one account in any 24 hours, from all addresses together.
    pub failed_logins_per_account_per_day: u32,
    /// Networks without these limits: address and prefix length. IPv4-mapped ones are given as IPv4.
    pub exempt: Vec<(IpAddr, u8)>,
    /// Prefix lengths of host, site and provider for IPv4.
    pub ipv4_prefixes: [u8; 3],
    /// Prefix lengths of host, site and provider for IPv6.
    pub ipv6_prefixes: [u8; 3],
    /// Recipients of one message; at least 100.
    pub recipients: u32,
}

pub(crate) static SECTION: Section = Section {
    doc: &[
        "Rate limits, for a single address, its network and its provider's network: [host, site, provider].",
    ],
    keys: &[
        Key {
            name: "enabled",
            sample: Sample::Default("true"),
            doc: &["false: no limits by address. For tests and closed networks."],
        },
        Key {
            name: "connections_per_minute",
            sample: Sample::Default("[300, 900, 2700]"),
            doc: &["New connections in any minute."],
        },
        Key {
            name: "open_connections",
            sample: Sample::Default("[30, 90, 270]"),
            doc: &[
                "Connections open at the same time. The limit for all clients together is 20,000, or half of the limit on open",
                "files (ulimit -Hn, LimitNOFILE= of systemd).",
            ],
        },
        Key {
            name: "messages_per_minute",
            sample: Sample::Default("[500, 1500, 4500]"),
            doc: &[
                "Messages that other servers begin in any minute, for all accounts together, with twelve DNS queries for each.",
                "Users have limits of their own.",
            ],
        },
        Key {
            name: "failed_logins_per_minute",
            sample: Sample::Default("[10, 30, 90]"),
            doc: &[
                "Failed logins in any minute; more are refused, except to accounts that recently logged in from there. A login",
                "forgives only the failures of its own account. `moxd ctl blocked` shows who is held back.",
            ],
        },
        Key {
            name: "failed_logins_per_day",
            sample: Sample::Default("[50, 150, 450]"),
            doc: &["Failed logins in any 24 hours."],
        },
        Key {
            name: "failed_logins_per_account_per_day",
            sample: Sample::Default("200"),
            doc: &[
                "Failed logins to one account in any 24 hours, from all addresses together. Beyond the limit, or beyond 100 in any",
                "minute, logins to the account are let through one every two seconds, except from networks where it logged in",
                "during the last 30 days.",
            ],
        },
        Key {
            name: "exempt",
            sample: Sample::Default("[]"),
            doc: &["Networks without these limits, such as those of monitoring: [\"192.0.2.0/24\"]."],
        },
        Key {
            name: "ipv4_prefixes",
            sample: Sample::Default("[32, 26, 21]"),
            doc: &["Prefix lengths of host, site and provider for IPv4."],
        },
        Key {
            name: "ipv6_prefixes",
            sample: Sample::Default("[64, 48, 32]"),
            doc: &["Prefix lengths of host, site and provider for IPv6."],
        },
        Key {
            name: "recipients",
            sample: Sample::Default("1000"),
            doc: &["Recipients of one message, announced to clients. At least 100 (RFC 5321 §4.5.3.1.8)."],
        },
    ],
    children: &[],
};

/// RFC 5321 §4.5.3.1.8: a server must take at least 100 recipients.
const MIN_RECIPIENTS: u32 = 100;

pub(crate) fn read(table: &Table<'_>) -> Option<Limits> {
    let enabled = table.get("enabled", values::boolean);
    let connections_per_minute = widening(table, "connections_per_minute");
    let open_connections = widening(table, "open_connections");
    let messages_per_minute = widening(table, "messages_per_minute");
    let failed_logins_per_minute = widening(table, "failed_logins_per_minute");
    let failed_logins_per_day = widening(table, "failed_logins_per_day");
    let per_account = table.get("failed_logins_per_account_per_day", values::number(1));
    let exempt = table.list("exempt", values::network);
    let ipv4_prefixes = prefixes(table, "ipv4_prefixes", 32);
    let ipv6_prefixes = prefixes(table, "ipv6_prefixes", 128);
    let recipients = table.get("recipients", values::number(MIN_RECIPIENTS));
    Some(Limits {
        enabled: enabled?,
        connections_per_minute: connections_per_minute?,
        open_connections: open_connections?,
        messages_per_minute: messages_per_minute?,
        failed_logins_per_minute: failed_logins_per_minute?,
        failed_logins_per_day: failed_logins_per_day?,
        failed_logins_per_account_per_day: per_account?,
        exempt: exempt?,
        ipv4_prefixes: ipv4_prefixes?,
        ipv6_prefixes: ipv6_prefixes?,
        recipients: recipients?,
    })
}

fn three(table: &Table<'_>, name: &str) -> Option<[u32; 3]> {
    let numbers = table.list(name, values::number(1))?;
    let three = numbers.try_into().ok();
    if three.is_none() {
        let mend = "give one each for host, site and provider: [1, 2, 3]";
        table.problem(ProblemKind::BadValue, name, "is not a list of three numbers", mend);
    }
    three
}

/// Reads limits for host, site and provider, which must not shrink.
fn widening(table: &Table<'_>, name: &str) -> Option<[u32; 3]> {
    let limits = three(table, name)?;
    if !limits.is_sorted() {
        let mend = "give the smallest to the host and the largest to the provider";
        table.problem(ProblemKind::BadValue, name, "allows a network less than what is within it", mend);
    }
    Some(limits)
}

/// Reads prefix lengths of host, site and provider, which must not grow.
fn prefixes(table: &Table<'_>, name: &str, bits: u8) -> Option<[u8; 3]> {
    let lengths = three(table, name)?;
    let narrow = lengths.map(|length| u8::try_from(length).ok().filter(|length| *length <= bits));
    match narrow {
        [Some(host), Some(site), Some(provider)] if host >= site && site >= provider => {
            Some([host, site, provider])
        }
        _ => {
            let mend = format!("give three numbers from {bits} down to 1, the largest first");
            table.problem(ProblemKind::BadValue, name, "are no prefixes of ever wider networks", mend);
            None
        }
    }
}
