//! `[limits]`.

use std::net::IpAddr;

use crate::problem::ProblemKind;
use crate::read::Table;
use crate::schema::{Key, Sample, Section};
use crate::values;

/// How much is taken from one address, from the site around it, and from its provider: each is a list of these three.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Do these limits hold at all? ([`Limits::recipients`] does in any event.)
    pub enabled: bool,
    /// Connections in a minute.
    pub connections_per_minute: [u32; 3],
    /// Connections open at a time.
    pub open_connections: [u32; 3],
    /// Messages that other servers begin in a minute.
    pub messages_per_minute: [u32; 3],
    /// Failed logins in a minute.
    pub failed_logins_per_minute: [u32; 3],
    /// Failed logins in a day.
    pub failed_logins_per_day: [u32; 3],
    /// Failed logins to one account in a day, from wherever.
    pub failed_logins_per_account_per_day: u32,
    /// Networks that are free of these limits: an address and how many bits of it count.
    pub exempt: Vec<(IpAddr, u8)>,
    /// How many bits of an IPv4 address make host, site and provider.
    pub ipv4_prefixes: [u8; 3],
    /// How many bits of an IPv6 address make host, site and provider.
    pub ipv6_prefixes: [u8; 3],
    /// Recipients of one message.
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
                "Connections open at a time. In all there may be 20,000, or half as many as the files that the process may",
                "have open (ulimit -Hn, LimitNOFILE= of systemd).",
            ],
        },
        Key {
            name: "messages_per_minute",
            sample: Sample::Default("[500, 1500, 4500]"),
            doc: &[
                "Messages that other servers begin in any minute, for all accounts together, and twelve questions to DNS for",
                "each. Users have limits of their own.",
            ],
        },
        Key {
            name: "failed_logins_per_minute",
            sample: Sample::Default("[10, 30, 90]"),
            doc: &[
                "Failed logins in any minute; more are refused, except to accounts that have logged in from there of late. A",
                "success forgives the failures of its own account alone. `moxd ctl blocked` shows who is held back.",
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
                "Failed logins to one account in any 24 hours, from wherever they come. Beyond it logins to the account take",
                "turns, one in two seconds, except from networks that it has logged in from in the last 30 days.",
            ],
        },
        Key {
            name: "exempt",
            sample: Sample::Default("[]"),
            doc: &["Networks free of all these limits, such as monitoring: [\"192.0.2.0/24\"]."],
        },
        Key {
            name: "ipv4_prefixes",
            sample: Sample::Default("[32, 26, 21]"),
            doc: &["How many bits of an IPv4 address make host, site and provider."],
        },
        Key {
            name: "ipv6_prefixes",
            sample: Sample::Default("[64, 48, 32]"),
            doc: &["How many bits of an IPv6 address make host, site and provider."],
        },
        Key {
            name: "recipients",
            sample: Sample::Default("1000"),
            doc: &[
                "Recipients of one message, as announced to clients. RFC 5321 §4.5.3.1.8 demands at least 100.",
            ],
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

/// Limits of ever wider networks.
fn widening(table: &Table<'_>, name: &str) -> Option<[u32; 3]> {
    let limits = three(table, name)?;
    if !limits.is_sorted() {
        let mend = "give the smallest to the host and the largest to the provider";
        table.problem(ProblemKind::BadValue, name, "allows a network less than what is within it", mend);
    }
    Some(limits)
}

/// Prefixes of ever wider networks.
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
