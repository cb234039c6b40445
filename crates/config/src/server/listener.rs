//! `[listeners.NAME]` and the services in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dns::Domain;

use crate::problem::ProblemKind;
use crate::read::Table;
use crate::schema::{Child, Key, Sample, Section, Shape};
use crate::values;

/// Addresses, and the services on them.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the file.
    pub name: String,
    /// Addresses to listen on; `0.0.0.0` and `::` are all addresses of their family.
    pub ips: Vec<IpAddr>,
    /// The name in greetings, if it differs from the server's.
    pub hostname: Option<Domain>,
    /// Largest message in bytes, if it differs from the server's.
    pub max_message_size: Option<u64>,
    /// Certificates. The client gets the first one that has the name it asks for, else the first one.
    pub tls: Vec<TlsFiles>,
    /// Mail from other servers.
    pub smtp: Option<Smtp>,
    /// Mail from users, with STARTTLS.
    pub submission: Option<Submission>,
    /// Mail from users, with TLS from the start.
    pub submissions: Option<Submissions>,
}

/// A certificate and its key.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file: the certificate, then the intermediate certificates.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Mail from other servers.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// TCP port; 25 by default.
    pub port: u16,
    /// Offer STARTTLS?
    pub starttls: bool,
    /// Refuse mail without TLS?
    pub require_starttls: bool,
}

/// Mail from users, with STARTTLS.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// TCP port; 587 by default (RFC 6409 §3.1).
    pub port: u16,
    /// Refuse logins and mail without TLS?
    pub require_starttls: bool,
}

/// Mail from users, with TLS from the start.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submissions {
    /// TCP port; 465 by default (RFC 8314 §3.3).
    pub port: u16,
}

pub(crate) static SECTION: Section = Section {
    doc: &[
        "Addresses, and the services on them. There may be several listeners, each with a name of your choice.",
    ],
    keys: &[
        Key {
            name: "ips",
            sample: Sample::Required("[\"0.0.0.0\", \"::\"]"),
            doc: &["The addresses to listen on. 0.0.0.0 and :: mean every address."],
        },
        Key {
            name: "hostname",
            sample: Sample::Optional("\"mx1.example.org\""),
            doc: &["The name in greetings, if it differs from the server's."],
        },
        Key {
            name: "max_message_size",
            sample: Sample::Optional("\"50 MiB\""),
            doc: &["The largest message accepted here, if it differs from the server's."],
        },
    ],
    children: &[
        Child { name: "tls", shape: Shape::List, is_optional: true, section: &TLS },
        Child { name: "smtp", shape: Shape::One, is_optional: false, section: &SMTP },
        Child { name: "submission", shape: Shape::One, is_optional: true, section: &SUBMISSION },
        Child { name: "submissions", shape: Shape::One, is_optional: true, section: &SUBMISSIONS },
    ],
};

static TLS: Section = Section {
    doc: &[
        "A certificate, read again on SIGHUP. There may be several: a client gets the one with the name it asks for, else",
        "the first.",
    ],
    keys: &[
        Key {
            name: "certificate",
            sample: Sample::Required("\"mail.example.org.crt\""),
            doc: &["PEM file with the certificate, followed by the intermediate certificates."],
        },
        Key {
            name: "key",
            sample: Sample::Required("\"mail.example.org.key\""),
            doc: &["PEM file with its private key."],
        },
    ],
    children: &[],
};

/// Every service has this key: it switches the service off without losing its settings.
const ENABLED: Key =
    Key { name: "enabled", sample: Sample::Default("true"), doc: &["false: turn the service off."] };

static SMTP: Section = Section {
    doc: &["Mail from other servers."],
    keys: &[
        ENABLED,
        Key { name: "port", sample: Sample::Default("25"), doc: &["The TCP port."] },
        Key {
            name: "starttls",
            sample: Sample::Instead("true", "false"),
            doc: &[
                "true: offer TLS, which needs a certificate. Remove this line once the section above has one: true is the",
                "default.",
            ],
        },
        Key {
            name: "require_starttls",
            sample: Sample::Default("false"),
            doc: &["true: refuse mail without TLS. Many servers still send without."],
        },
    ],
    children: &[],
};

static SUBMISSION: Section = Section {
    doc: &["Mail from users, who have to log in; TLS by STARTTLS."],
    keys: &[
        ENABLED,
        Key { name: "port", sample: Sample::Default("587"), doc: &["The TCP port."] },
        Key {
            name: "require_starttls",
            sample: Sample::Default("true"),
            doc: &["false: accept passwords and mail without TLS too. For tests and closed networks."],
        },
    ],
    children: &[],
};

static SUBMISSIONS: Section = Section {
    doc: &["Mail from users, who have to log in; TLS from the first byte."],
    keys: &[ENABLED, Key { name: "port", sample: Sample::Default("465"), doc: &["The TCP port."] }],
    children: &[],
};

pub(crate) fn read_all(root: &Table<'_>) -> Option<Vec<Listener>> {
    let tables = root.named("listeners");
    if !root.has("listeners") {
        let mend = "add a section such as [listeners.public], with ips and services";
        root.problem(ProblemKind::MissingKey, "listeners", "nothing is listened on", mend);
    }
    let mut taken = BTreeMap::new();
    let count = tables.len();
    let read = |(name, table): (&str, Table<'_>)| {
        let listener = read(name, &table)?;
        check_purpose(&listener, &table);
        check_tls(&listener, &table);
        check_sockets(&listener, &table, &mut taken);
        Some(listener)
    };
    let mut listeners: Vec<_> = tables.into_iter().filter_map(read).collect();
    // Listeners are opened in this order, which must not depend on their order in the file.
    listeners.sort_by(|a, b| a.name.cmp(&b.name));
    (listeners.len() == count).then_some(listeners)
}

fn read(name: &str, table: &Table<'_>) -> Option<Listener> {
    let ips = table.list("ips", values::ip);
    let hostname = table.get("hostname", values::hostname);
    let max_message_size = table.get("max_message_size", values::size);
    let tls = read_tls(table);
    let smtp = service(table, "smtp", |service, port| {
        let starttls = service.get("starttls", values::boolean);
        let require_starttls = service.get("require_starttls", values::boolean);
        Some(Smtp { port, starttls: starttls?, require_starttls: require_starttls? })
    });
    let submission = service(table, "submission", |service, port| {
        Some(Submission { port, require_starttls: service.get("require_starttls", values::boolean)? })
    });
    let submissions = service(table, "submissions", |_, port| Some(Submissions { port }));
    Some(Listener {
        name: name.to_owned(),
        ips: ips?,
        hostname,
        max_message_size,
        tls: tls?,
        smtp,
        submission,
        submissions,
    })
}

fn read_tls(listener: &Table<'_>) -> Option<Vec<TlsFiles>> {
    let tables = listener.tables("tls");
    let read = |table: &Table<'_>| {
        let (certificate, key) = (table.file("certificate"), table.file("key"));
        Some(TlsFiles { certificate: certificate?, key: key? })
    };
    // Reads all before checking whether all are valid, so that every problem is reported.
    let files: Vec<_> = tables.iter().filter_map(read).collect();
    (files.len() == tables.len()).then_some(files)
}

/// Reads a service that is in the file and not switched off.
fn service<T>(table: &Table<'_>, name: &str, read: impl Fn(&Table<'_>, u16) -> Option<T>) -> Option<T> {
    let service = table.child(name)?;
    let enabled = service.get("enabled", values::boolean);
    let port = service.get("port", values::port);
    let read = read(&service, port?);
    read.filter(|_| enabled == Some(true))
}

/// Reports services that need a certificate where there is none.
fn check_tls(listener: &Listener, table: &Table<'_>) {
    let conflict = |name, what, mend: String| table.problem(ProblemKind::Conflict, name, what, mend);
    let certificate = !listener.tls.is_empty();
    let add = format!("add a section [[listeners.{}.tls]] with certificate and key", listener.name);
    if let Some(smtp) = &listener.smtp {
        if smtp.starttls && !certificate {
            conflict("smtp", "offers TLS without a certificate", format!("{add}, or set starttls = false"));
        }
        if smtp.require_starttls && !smtp.starttls {
            let mend = "leave out one of starttls = false and require_starttls = true";
            conflict("smtp", "requires TLS and does not offer it", mend.to_owned());
        }
    }
    if listener.submission.as_ref().is_some_and(|submission| submission.require_starttls && !certificate) {
        let mend = format!("{add}, or set require_starttls = false");
        conflict("submission", "requires TLS without a certificate", mend);
    }
    if listener.submissions.is_some() && !certificate {
        conflict("submissions", "is TLS without a certificate", add);
    }
}

/// Reports a listener without addresses or without services.
fn check_purpose(listener: &Listener, table: &Table<'_>) {
    if listener.ips.is_empty() {
        table.problem(ProblemKind::BadValue, "ips", "listens on no address", "give at least one address");
    }
    if !["smtp", "submission", "submissions"].into_iter().any(|service| table.has(service)) {
        let mend = format!("add a section such as [listeners.{}.smtp]", listener.name);
        table.problem(ProblemKind::MissingKey, "", "has no service", mend);
    }
}

/// Reports an address and port that two services claim.
fn check_sockets(listener: &Listener, table: &Table<'_>, taken: &mut BTreeMap<SocketAddr, String>) {
    let services = [
        ("smtp", listener.smtp.as_ref().map(|smtp| smtp.port)),
        ("submission", listener.submission.as_ref().map(|submission| submission.port)),
        ("submissions", listener.submissions.as_ref().map(|submissions| submissions.port)),
    ];
    for (service, port) in services.iter().filter_map(|(service, port)| Some((service, (*port)?))) {
        for ip in &listener.ips {
            let socket = SocketAddr::new(*ip, port);
            let owner = format!("listeners.{}.{service}", listener.name);
            if let Some(other) = taken.insert(socket, owner) {
                let what = format!("wants {socket}, which {other} has already");
                table.problem(ProblemKind::Duplicate, service, what, "give it another port or address");
            }
        }
    }
}
