//! Reads configuration text into typed settings, and reports all problems at once: file, line, setting, and how to mend
//! each. Made for moxd: its settings are those of this server.
//!
//! What it does not know:
//! - files: the caller passes text; a path in a setting stays a path, and is not opened;
//! - the environment, the command line, the clock;
//! - the other crates' settings: the binary converts, and no other library depends on this one;
//! - who may receive or send what: it tells which account an address belongs to, and `intake` acts on that.
//!
//! There are two files. `moxd.toml` ([`Server`]) is read at the start, `domains.toml` ([`Domains`]) again on reload. One
//! table of settings gives the reader its defaults and the annotated examples their text.
//!
//! ```
//! let server = r#"
//!     hostname = "localhost"
//!     postmaster.account = "mox"
//!     [listeners.local]
//!     ips = ["127.0.0.1"]
//!     smtp = { port = 1025, starttls = false }
//! "#;
//! let domains = r#"
//!     [domains.localhost]
//!     [accounts.mox.destinations."mox@localhost"]
//! "#;
//! let config = moxd_config::parse((server, "moxd.toml"), (domains, "domains.toml")).unwrap();
//! assert_eq!(config.server.listeners[0].smtp.as_ref().unwrap().port, 1025);
//!
//! let problems = moxd_config::parse_domains("[domain.localhost]", "domains.toml").unwrap_err();
//! assert_eq!(
//!     problems[0].to_string(),
//!     "domains.toml:1: domain: no such setting; did you mean domains? [config.unknown-key]",
//! );
//! ```

#![warn(clippy::indexing_slicing)]

mod domains;
mod example;
mod hint;
mod problem;
mod read;
mod schema;
mod server;
mod values;

#[doc(hidden)]
pub mod fuzzing;

pub use domains::{
    Account, Address, Algorithm, Canonicalization, Destination, Dkim, Domains, JunkFlags, LocalDomain,
    MAX_ACCOUNT_NAME, Ruleset, Selector,
};
pub use example::{example_domains, example_server, short_domains, short_server};
use problem::in_quotes;
pub use problem::{Problem, ProblemKind};
pub use read::MAX_FILE;
pub use server::{
    BadFilter, DataPlace, Limits, Listener, Log, LogFilter, LogFormat, LogLevel, Postmaster, Server, Smtp,
    Submission, Submissions, Timeouts, TlsFiles,
};

/// Both files.
#[derive(Clone, Debug)]
pub struct Config {
    /// `moxd.toml`.
    pub server: Server,
    /// `domains.toml`.
    pub domains: Domains,
}

impl Config {
    /// Returns settings that are valid but probably a mistake.
    pub fn questions(&self) -> Vec<Problem> {
        let Self { server, domains } = self;
        let ask = |place: &problem::Place, what: &str, mend: String| {
            Problem::new(ProblemKind::Questionable, place.clone(), what, mend)
        };
        let mut questions = Vec::new();
        let host = server.hostname.as_str();
        if !host.contains('.') && host != "localhost" {
            let mend = format!("give the full name, such as \"{host}.example.org\"");
            questions.push(ask(&server.places.hostname, "is a name that other hosts cannot look up", mend));
        }
        if let Some(metrics) = server.metrics.filter(|metrics| metrics.ip().is_unspecified()) {
            let mend = format!("write \"127.0.0.1:{}\", unless a firewall protects it", metrics.port());
            questions.push(ask(
                &server.places.metrics,
                "shows the metrics to everyone who reaches this host",
                mend,
            ));
        }
        for (name, account) in domains.accounts.iter().filter(|(_, account)| account.destinations.is_empty())
        {
            let mend = format!("add a section such as [accounts.{name}.destinations.\"{name}@example.org\"]");
            questions.push(ask(
                &account.place,
                "has no address, so nothing reaches it and no login works",
                mend,
            ));
        }
        questions
    }
}

/// Reads both files, each given as text and path, and checks that they agree.
///
/// # Errors
/// All problems in both files, by file and line.
pub fn parse(server: (&str, &str), domains: (&str, &str)) -> Result<Config, Vec<Problem>> {
    match (parse_server(server.0, server.1), parse_domains(domains.0, domains.1)) {
        (Ok(server), Ok(domains)) => match disagreements(&server, &domains) {
            problems if problems.is_empty() => Ok(Config { server, domains }),
            problems => Err(problems),
        },
        (server, domains) => Err([server.err(), domains.err()].into_iter().flatten().flatten().collect()),
    }
}

/// Reads `moxd.toml`. `origin` is its path; relative paths in the file start at its folder.
///
/// # Errors
/// All problems in it, by line.
pub fn parse_server(text: &str, origin: &str) -> Result<Server, Vec<Problem>> {
    read::Report::of(text, origin, &server::SECTION, server::read)
}

/// Reads only the place of the data from `moxd.toml`, so that mistakes elsewhere in the file do not matter.
///
/// # Errors
/// The file is not TOML, or one of these settings is wrong.
pub fn parse_data_place(text: &str, origin: &str) -> Result<DataPlace, Vec<Problem>> {
    read::Report::of_part(text, origin, &server::SECTION, server::read_data_place)
}

/// Reads `domains.toml`. `origin` is its path; relative paths in the file start at its folder.
///
/// # Errors
/// All problems in it, by line.
pub fn parse_domains(text: &str, origin: &str) -> Result<Domains, Vec<Problem>> {
    read::Report::of(text, origin, &domains::SECTION, domains::read)
}

/// Returns the problems that only both files together show. To be called again after a reload of one of them.
pub fn disagreements(server: &Server, domains: &Domains) -> Vec<Problem> {
    let mut problems: Vec<_> = missing_postmaster(server, domains).into_iter().collect();
    if server.pedantic {
        // RFC 6376 §3.1: selector = sub-domain *( "." sub-domain ), and a sub-domain has no underscore.
        let selectors = domains.domains.values().flat_map(|domain| &domain.dkim.with_underscore);
        let (what, mend) =
            ("has an underscore, and the server is pedantic", "use letters, digits and hyphens");
        problems
            .extend(selectors.map(|place| Problem::new(ProblemKind::BadValue, place.clone(), what, mend)));
    }
    problems
}

fn missing_postmaster(server: &Server, domains: &Domains) -> Option<Problem> {
    let account = &server.postmaster.account;
    if domains.accounts.contains_key(account) {
        return None;
    }
    let what = format!("there is no account {} in domains.toml", in_quotes(account));
    let known = domains.accounts.keys().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let mend = if known.is_empty() {
        "add it there".to_owned()
    } else {
        format!("add it there, or name one of: {known}")
    };
    Some(Problem::new(ProblemKind::UnknownName, server.postmaster.place.clone(), what, mend))
}
