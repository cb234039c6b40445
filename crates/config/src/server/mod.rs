//! `moxd.toml`: settings that are read once, at the start.

mod limits;
mod listener;
mod log;
mod timeouts;

pub use limits::Limits;
pub use listener::{Listener, Smtp, Submission, Submissions, TlsFiles};
pub use log::{BadFilter, Log, LogFilter, LogFormat, LogLevel};
pub use timeouts::Timeouts;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dns::Domain;

use crate::problem::{Place, ProblemKind};
use crate::read::Table;
use crate::schema::{Child, Key, Sample, Section, Shape};
use crate::values;

/// Everything in `moxd.toml`.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Server {
    /// The name of this host, in greetings and in the header fields that moxd adds to messages.
    pub hostname: Domain,
    /// The folder of all mail and state.
    pub data_dir: PathBuf,
    /// The user that the server becomes once all sockets are open.
    pub user: Option<String>,
    /// Refuse what is merely bad style.
    pub pedantic: bool,
    /// Largest message in bytes, for listeners without a limit of their own.
    pub max_message_size: u64,
    /// Offer CRAM-MD5?
    pub cram_md5: bool,
    /// Offer SCRAM bound to the TLS connection?
    pub scram_plus: bool,
    /// The address that serves `/metrics`, if any.
    pub metrics: Option<SocketAddr>,
    /// DNS servers to query; the system's if the list is empty.
    pub dns_servers: Vec<SocketAddr>,
    /// `[log]`.
    pub log: Log,
    /// The recipient of mail for `postmaster`.
    pub postmaster: Postmaster,
    /// Limits for each client address and its networks.
    pub limits: Limits,
    /// Timeouts of sessions and of the shutdown.
    pub timeouts: Timeouts,
    /// Addresses and services, sorted by name.
    pub listeners: Vec<Listener>,
    pub(crate) places: Places,
}

/// Where settings stand that [`crate::Config::questions`] asks about.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) hostname: Place,
    pub(crate) metrics: Place,
}

/// The data folder and its owner: all that verbs on mail at rest need of `moxd.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPlace {
    /// The folder of all mail and state.
    pub data_dir: PathBuf,
    /// The user that the server becomes, who owns the folder.
    pub user: Option<String>,
}

impl From<&Server> for DataPlace {
    fn from(server: &Server) -> Self {
        Self { data_dir: server.data_dir.clone(), user: server.user.clone() }
    }
}

impl Server {
    /// The names of the settings or sections in which another version of the file differs.
    pub fn differences(&self, other: &Server) -> Vec<String> {
        let Server {
            hostname,
            data_dir,
            user,
            pedantic,
            max_message_size,
            cram_md5,
            scram_plus,
            metrics,
            dns_servers,
            log,
            postmaster,
            limits,
            timeouts,
            listeners,
            places: _,
        } = self;
        let postmaster_differs = (&postmaster.account, &postmaster.mailbox)
            != (&other.postmaster.account, &other.postmaster.mailbox);
        let single = [
            ("hostname", *hostname != other.hostname),
            ("data_dir", *data_dir != other.data_dir),
            ("user", *user != other.user),
            ("max_message_size", *max_message_size != other.max_message_size),
            ("pedantic", *pedantic != other.pedantic),
            ("cram_md5", *cram_md5 != other.cram_md5),
            ("scram_plus", *scram_plus != other.scram_plus),
            ("metrics", *metrics != other.metrics),
            ("dns_servers", *dns_servers != other.dns_servers),
            ("log.level", log.level != other.log.level),
            ("log.format", log.format != other.log.format),
            ("postmaster", postmaster_differs),
            ("limits", *limits != other.limits),
            ("timeouts", *timeouts != other.timeouts),
        ];
        let mut names: Vec<String> =
            single.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect();
        for listener in listeners.iter().chain(&other.listeners) {
            let name = format!("listeners.{}", listener.name);
            let is_in_both = [listeners, &other.listeners].iter().all(|all| all.contains(listener));
            if !is_in_both && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// The recipient of mail for `postmaster` at the names of this host.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Postmaster {
    /// An account of `domains.toml`.
    pub account: String,
    /// Created when the first message arrives.
    pub mailbox: String,
    pub(crate) place: Place,
}

pub(crate) static SECTION: Section = Section {
    doc: &[
        "moxd.toml: the server. It is read at the start; a change needs a restart.",
        "",
        "Lines with ## explain. A line with one # is a setting that may be left out; it shows the default, or an example",
        "if there is no default. Relative paths start at the folder of this file. Domains and accounts are in",
        "domains.toml beside it. `moxd config test` checks both.",
    ],
    keys: &[
        Key {
            name: "hostname",
            sample: Sample::Required("\"mail.example.org\""),
            doc: &[
                "The name of this host in DNS, for greetings and for the header fields that moxd adds to messages.",
            ],
        },
        Key {
            name: "data_dir",
            sample: Sample::Default("\"../data\""),
            doc: &["The folder of all mail and state. /var/lib/moxd where this file is /etc/moxd/moxd.toml."],
        },
        Key {
            name: "user",
            sample: Sample::Optional("\"moxd\""),
            doc: &[
                "The user that the server becomes once all ports are open, if root starts it. The user should be able to read",
                "the keys of certificates and of DKIM; otherwise a reload cannot load new ones.",
            ],
        },
        Key {
            name: "max_message_size",
            sample: Sample::Default("\"100 MiB\""),
            doc: &["The largest message accepted: a number of bytes, or with KiB, MiB or GiB."],
        },
        Key {
            name: "pedantic",
            sample: Sample::Default("false"),
            doc: &[
                "true: refuse messages and commands that break a rule harmlessly. For testing other programs.",
            ],
        },
        Key {
            name: "cram_md5",
            sample: Sample::Default("false"),
            doc: &[
                "true: offer the login mechanism CRAM-MD5, for old clients. The secret stored for it is as good as the password.",
            ],
        },
        Key {
            name: "scram_plus",
            sample: Sample::Default("true"),
            doc: &[
                "false: do not offer SCRAM-SHA-256-PLUS and SCRAM-SHA-1-PLUS, for clients that choose them and then cannot",
                "bind to TLS 1.3, such as mutt with gsasl. SCRAM without PLUS is still offered.",
            ],
        },
        Key {
            name: "metrics",
            sample: Sample::Optional("\"127.0.0.1:8010\""),
            doc: &["Serve metrics in Prometheus form at this address under /metrics."],
        },
        Key {
            name: "dns_servers",
            sample: Sample::Default("[]"),
            doc: &["Query these DNS servers (address:port) instead of the system's."],
        },
    ],
    children: &[
        Child { name: "log", shape: Shape::One, is_optional: false, section: &log::SECTION },
        Child { name: "postmaster", shape: Shape::One, is_optional: false, section: &POSTMASTER },
        Child {
            name: "listeners",
            shape: Shape::Named(&["public"]),
            is_optional: false,
            section: &listener::SECTION,
        },
        Child { name: "limits", shape: Shape::One, is_optional: false, section: &limits::SECTION },
        Child { name: "timeouts", shape: Shape::One, is_optional: false, section: &timeouts::SECTION },
    ],
};

static POSTMASTER: Section = Section {
    doc: &["The recipient of mail for postmaster at the names of this host (required by RFC 5321 §4.5.1)."],
    keys: &[
        Key { name: "account", sample: Sample::Required("\"alice\""), doc: &["An account of domains.toml."] },
        Key {
            name: "mailbox",
            sample: Sample::Default("\"Postmaster\""),
            doc: &["The mailbox, created when the first message arrives."],
        },
    ],
    children: &[],
};

pub(crate) fn read(root: &Table<'_>) -> Option<Server> {
    let hostname = root.get("hostname", values::hostname);
    let place = read_data_place(root);
    let pedantic = root.get("pedantic", values::boolean);
    let max_message_size = root.get("max_message_size", values::size);
    let cram_md5 = root.get("cram_md5", values::boolean);
    let scram_plus = root.get("scram_plus", values::boolean);
    let metrics = root.get("metrics", values::socket(8010));
    let dns_servers = root.list("dns_servers", values::socket(53));
    let log = root.child_or_defaults("log").and_then(|table| log::read(&table));
    let postmaster = read_postmaster(root);
    let limits = root.child_or_defaults("limits").and_then(|table| limits::read(&table));
    let timeouts = root.child_or_defaults("timeouts").and_then(|table| timeouts::read(&table));
    let listeners = listener::read_all(root);
    let DataPlace { data_dir, user } = place?;
    Some(Server {
        hostname: hostname?,
        data_dir,
        user,
        pedantic: pedantic?,
        max_message_size: max_message_size?,
        cram_md5: cram_md5?,
        scram_plus: scram_plus?,
        metrics,
        dns_servers: dns_servers?,
        log: log?,
        postmaster: postmaster?,
        limits: limits?,
        timeouts: timeouts?,
        listeners: listeners?,
        places: Places { hostname: root.place("hostname"), metrics: root.place("metrics") },
    })
}

/// The configuration file of a system-wide installation, whose data is not kept below /etc.
const SYSTEM_FILE: &str = "/etc/moxd/moxd.toml";
const SYSTEM_DATA: &str = "/var/lib/moxd";

pub(crate) fn read_data_place(root: &Table<'_>) -> Option<DataPlace> {
    let is_system = !root.has("data_dir") && Path::new(root.origin()) == Path::new(SYSTEM_FILE);
    let data_dir = if is_system { Some(SYSTEM_DATA.into()) } else { root.file("data_dir") };
    let user = root.get("user", values::line);
    Some(DataPlace { data_dir: data_dir?, user })
}

fn read_postmaster(root: &Table<'_>) -> Option<Postmaster> {
    if !root.has("postmaster") {
        let mend = "add a section [postmaster] with: account = \"the account that reads such mail\"";
        root.problem(ProblemKind::MissingKey, "postmaster", "no account receives mail for postmaster", mend);
    }
    let table = root.child("postmaster")?;
    let account = table.get("account", values::line);
    let mailbox = table.get("mailbox", values::mailbox);
    Some(Postmaster { account: account?, mailbox: mailbox?, place: table.place("account") })
}

#[cfg(test)]
mod tests;
