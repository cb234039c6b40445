//! From configuration to services. Nothing else knows both.

use crate::keys::KeyRing;
use crate::privileges;
use anyhow::{Context, Result, bail, ensure};
use config::{Address, Config, DataPlace, Domains, Server};
use dkim::{KeyType, SignOptions};
use dns::Domain;
use intake::{
    AccountRules, Destination, Directory, Environment, IntakeSettings, JunkFlags, LocalDomain, Pattern,
    Ruleset, Signer,
};
use ratelimit::{Addresses, Network, Prefixes};
use sasl::Mechanism;
use smtp_parser::Dialect;
use smtpserver::{Delays, GateRules, Kind, Logins, Rules, Timeouts};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Open files there must be for each connection: a connection is one, and what it sends may need another (a large body,
/// a question to a DNS server: [`FILES_PER_EXCHANGE`]). The store must be able to open its segments however many clients there are.
const FILES_PER_CONNECTION: usize = 2;

/// Open files there must be for each question to a DNS server that may be open: it takes up to three, and all of them
/// together a quarter of what there is.
const FILES_PER_EXCHANGE: usize = 12;

/// The clock.
#[expect(clippy::disallowed_methods, reason = "the binary reads the clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Fills `bytes` from the system's random number generator.
pub(crate) fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random numbers");
}

/// The clock for durations.
#[expect(clippy::disallowed_methods, reason = "the binary reads the clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// The real clocks and the system's random numbers.
pub(crate) const ENVIRONMENT: Environment = Environment { now, instant, random };

/// Is this a real server, or one for development?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A real server.
    Serve,
    /// `moxd localserve`: takes mail for any recipient, delivers it all here, and fails on request.
    Develop,
}

/// The configuration file to use: the one given, or the first of the usual ones that is there.
pub(crate) fn config_path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let [here, system] = ["config/moxd.toml", "/etc/moxd/moxd.toml"].map(Path::new);
    // The folder that root happens to be in may be a stranger's, and its file would say which files root reads.
    let weak = match here.exists() && nix::unistd::geteuid().is_root() {
        true => privileges::weak_link(here).with_context(|| format!("look at {}", here.display()))?,
        false => None,
    };
    if let Some(weak) = &weak {
        let text = format!(
            "moxd: warning: {} is passed over: {} is not root's alone; name the file with --config to use it all the same",
            here.display(),
            weak.display()
        );
        // The verb goes on where nobody reads this.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    if here.exists() && weak.is_none() {
        return Ok(here.to_owned());
    }
    ensure!(
        system.exists(),
        "no configuration: neither {} nor {} is there; name the file with --config FILE",
        here.display(),
        system.display()
    );
    Ok(system.to_owned())
}

/// Reads both files. Every problem goes into the error, a line each.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let domains_path = domains_path(path);
    let (server, domains) = (read(path)?, read(&domains_path)?);
    let origins = (path.to_string_lossy(), domains_path.to_string_lossy());
    config::parse((&server, &origins.0), (&domains, &origins.1)).or_else(|problems| failed(&problems))
}

/// Reads of moxd.toml where the data is, whatever else is wrong with the file.
pub(crate) fn load_data_place(path: &Path) -> Result<DataPlace> {
    config::parse_data_place(&read(path)?, &path.to_string_lossy()).or_else(|problems| failed(&problems))
}

/// Reads moxd.toml alone.
pub(crate) fn load_server(path: &Path) -> Result<Server> {
    config::parse_server(&read(path)?, &path.to_string_lossy()).or_else(|problems| failed(&problems))
}

/// Reads domains.toml again, and checks it against what the server runs with.
pub(crate) fn reload(path: &Path, server: &Server) -> Result<Domains> {
    let path = domains_path(path);
    let domains = config::parse_domains(&read(&path)?, &path.to_string_lossy())
        .or_else(|problems| failed(&problems))?;
    match config::disagreements(server, &domains) {
        problems if problems.is_empty() => Ok(domains),
        problems => failed(&problems),
    }
}

fn failed<T>(problems: &[config::Problem]) -> Result<T> {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("{}", lines.join("\n"))
}

fn domains_path(path: &Path) -> PathBuf {
    path.with_file_name("domains.toml")
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow::anyhow!("{}:{line}: is not UTF-8; save the file as UTF-8", path.display())
    })
}

/// What intake goes by. `keys` keeps the DKIM keys for the next reload.
pub(crate) fn settings(
    server: &Server,
    domains: &Domains,
    mode: Mode,
    keys: &mut KeyRing,
) -> Result<IntakeSettings> {
    let mut directory = Directory::new();
    for (domain, rules) in &domains.domains {
        let separators = rules.catchall_separators.clone();
        directory
            .add_domain(domain.clone(), LocalDomain { separators, case_sensitive: rules.case_sensitive });
    }
    for (name, account) in &domains.accounts {
        let rules = AccountRules {
            messages_per_day: account.max_messages_per_day,
            first_time_recipients_per_day: account.max_first_time_recipients_per_day,
            junk_flags: account.junk_flags.as_ref().map(|lists| JunkFlags {
                junk: lists.junk.clone(),
                neutral: lists.neutral.clone(),
                not_junk: lists.not_junk.clone(),
            }),
        };
        directory.add_account(name, rules);
        for destination in &account.destinations {
            let rulesets = destination.rulesets.iter().map(ruleset).collect::<Result<_>>()?;
            let to = Destination { rulesets, ..Destination::new(name, &destination.mailbox) };
            match &destination.address {
                Address::Exact { localpart, domain } => directory.add_address(localpart, domain.clone(), to),
                Address::CatchAll(domain) => directory.add_catch_all(domain.clone(), to),
            }
        }
    }
    let postmaster = Destination::new(&server.postmaster.account, &server.postmaster.mailbox);
    let receiving = server.listeners.iter().filter(|listener| listener.smtp.is_some());
    let mut hosts: Vec<Domain> = receiving.filter_map(|listener| listener.hostname.clone()).collect();
    hosts.push(server.hostname.clone());
    if mode == Mode::Develop {
        directory.set_everything(Destination::new(&postmaster.account, "Inbox"));
    }
    directory.set_postmaster(hosts, postmaster);
    let mut signers = HashMap::new();
    for (domain, rules) in &domains.domains {
        let of_domain: Vec<Signer> =
            rules.dkim.sign.iter().map(|name| signer(domain, name, rules, keys)).collect::<Result<_>>()?;
        if !of_domain.is_empty() {
            signers.insert(domain.clone(), Arc::from(of_domain));
        }
    }
    Ok(IntakeSettings { hostname: server.hostname.clone(), directory, signers, pedantic: server.pedantic })
}

/// The name of the account that is meant: by its name, by its name in another case, or by one of its addresses.
pub(crate) fn account(domains: &Domains, given: &str) -> Option<String> {
    let names = || domains.accounts.keys();
    let exact = domains.accounts.get_key_value(given).map(|(name, _)| name);
    let alike = || {
        let mut alike = names().filter(|name| name.eq_ignore_ascii_case(given));
        // Two that differ in case alone are told apart by nothing else.
        alike.next().filter(|_| alike.next().is_none())
    };
    let by_address = || {
        let address = domains.address(given)?;
        let has = |account: &config::Account| account.destinations.iter().any(|to| to.address == address);
        domains.accounts.iter().find(|(_, account)| has(account)).map(|(name, _)| name)
    };
    exact.or_else(alike).or_else(by_address).cloned()
}

fn ruleset(from: &config::Ruleset) -> Result<Ruleset> {
    let pattern =
        |text: &String| Pattern::new(text).map_err(|why| anyhow::anyhow!("pattern {text:?}: {why}"));
    let pair = |(name, value): &(String, String)| Ok((pattern(name)?, pattern(value)?));
    Ok(Ruleset {
        mail_from: from.mail_from.as_ref().map(pattern).transpose()?,
        verified_domain: from.verified_domain.clone(),
        headers: from.headers.iter().map(pair).collect::<Result<_>>()?,
        mailbox: from.mailbox.as_str().into(),
    })
}

/// A selector of a domain, with its key.
pub(crate) fn signer(
    domain: &Domain,
    name: &str,
    rules: &config::LocalDomain,
    keys: &mut KeyRing,
) -> Result<Signer> {
    let about = || format!("DKIM selector {name} of {domain}");
    let selector = rules.dkim.selectors.get(name).with_context(about)?;
    let key = keys.get(&selector.key).with_context(about)?;
    let wanted = selector.algorithm.map(|algorithm| match algorithm {
        config::Algorithm::RsaSha256 => KeyType::Rsa,
        config::Algorithm::Ed25519Sha256 => KeyType::Ed25519,
    });
    ensure!(
        wanted.is_none_or(|wanted| wanted == key.key_type()),
        "{}: {} is a key of another kind than its algorithm says",
        about(),
        selector.key.display()
    );
    let mut signing =
        SignOptions::new(domain.clone(), name.parse().map_err(|_| anyhow::anyhow!("bad selector"))?);
    signing.header = canonicalization(selector.header_canonicalization);
    signing.body = canonicalization(selector.body_canonicalization);
    signing.oversign = selector.seal;
    signing.expiration = Some(selector.expiration.as_secs()).filter(|seconds| *seconds > 0);
    if !selector.headers.is_empty() {
        let names =
            selector.headers.join(":").parse().map_err(|error: dkim::Error| anyhow::anyhow!("{error}"));
        signing.fields = names.with_context(about)?;
    }
    Ok(Signer { signing, key })
}

fn canonicalization(from: config::Canonicalization) -> dkim::Canonicalization {
    match from {
        config::Canonicalization::Simple => dkim::Canonicalization::Simple,
        config::Canonicalization::Relaxed => dkim::Canonicalization::Relaxed,
    }
}

/// What the services of a listener go by.
pub(crate) fn rules(server: &Server, listener: &config::Listener, mode: Mode) -> Vec<Rules> {
    let hostname = listener.hostname.as_ref().unwrap_or(&server.hostname);
    let mut all = Vec::new();
    let mut add = |kind: Kind, needs_tls: bool, starttls: bool| {
        let mut rules = Rules::new(kind, hostname.clone());
        rules.listener = listener.name.as_str().into();
        rules.auth_needs_tls = kind.is_submission() && needs_tls;
        rules.mail_needs_tls = needs_tls;
        rules.starttls = starttls;
        rules.limits.message = listener.max_message_size.unwrap_or(server.max_message_size);
        rules.limits.recipients = server.limits.recipients as usize;
        rules.timeouts = timeouts(&server.timeouts);
        if server.pedantic {
            rules.dialect = Dialect::Strict;
        }
        if !server.scram_plus {
            rules.mechanisms.retain(|mechanism| !mechanism.is_plus());
        }
        if server.cram_md5 {
            // Before those that send the password, after those that prove it better.
            let at = rules
                .mechanisms
                .iter()
                .position(|m| *m == Mechanism::Plain)
                .unwrap_or(rules.mechanisms.len());
            rules.mechanisms.insert(at, Mechanism::CramMd5);
        }
        if mode == Mode::Develop {
            rules.delays = Delays::NONE;
        }
        all.push(rules);
    };
    if let Some(smtp) = &listener.smtp {
        add(Kind::Smtp, smtp.require_starttls, smtp.starttls);
    }
    if let Some(submission) = &listener.submission {
        add(Kind::Submission, submission.require_starttls, true);
    }
    if listener.submissions.is_some() {
        add(Kind::Submissions, true, false);
    }
    all
}

/// STARTTLS is on offer only where there is a certificate.
pub(crate) fn with_tls(mut rules: Rules, available: bool) -> Rules {
    rules.starttls &= available;
    rules
}

/// The port of a service.
pub(crate) fn port(listener: &config::Listener, kind: Kind) -> u16 {
    let port = match kind {
        Kind::Smtp => listener.smtp.as_ref().map(|s| s.port),
        Kind::Submission => listener.submission.as_ref().map(|s| s.port),
        Kind::Submissions => listener.submissions.as_ref().map(|s| s.port),
    };
    port.unwrap_or_default()
}

fn timeouts(from: &config::Timeouts) -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.handshake = from.handshake;
    timeouts.first_command = from.first_command;
    timeouts.command = from.command;
    timeouts.data_block = from.data_block;
    timeouts.message = from.message;
    timeouts.write = from.write;
    timeouts.unproductive = from.unproductive;
    timeouts.stop = from.stop;
    timeouts
}

/// How DNS is asked, by a process that may have `open_files` files open.
pub(crate) fn resolver(open_files: usize) -> dns_hickory::Options {
    let mut options = dns_hickory::Options::default();
    options.exchanges = options.exchanges.min(open_files / FILES_PER_EXCHANGE);
    options
}

/// Limits on connections and failed logins, for a process that may have `open_files` files open.
pub(crate) fn gate(server: &Server, open_files: usize) -> GateRules {
    let rules = if server.limits.enabled { limited(server) } else { GateRules::open() };
    let connections = rules.connections.min(open_files / FILES_PER_CONNECTION);
    if connections < rules.connections {
        tracing::info!(connections, open_files, "the limit on open files bounds connections");
    }
    GateRules { connections, ..rules }
}

fn limited(server: &Server) -> GateRules {
    let limits = &server.limits;
    let exempt = limits.exempt.iter().map(|(ip, length)| Network::new(*ip, *length));
    let addresses = Addresses {
        prefixes: Prefixes::new(limits.ipv4_prefixes, limits.ipv6_prefixes),
        allowed: exempt.collect(),
    };
    let [mut minute, mut day] = GateRules::FAILURE_WINDOWS;
    minute.networks = limits.failed_logins_per_minute;
    day.networks = limits.failed_logins_per_day;
    day.account = limits.failed_logins_per_account_per_day;
    let logins = Logins::new(&[minute, day], addresses.clone());
    GateRules {
        connection_rate: Some(limits.connections_per_minute),
        open_connections: Some(limits.open_connections),
        message_rate: Some(limits.messages_per_minute),
        addresses,
        logins,
        ..GateRules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_meant_by_name_in_any_case_and_by_address() {
        let text = "[domains.\"a.example\"]\n[accounts.alice.destinations]\n\"Alice.B@a.example\" = {}\n\
            [accounts.Twin.destinations]\n\"@a.example\" = {}\n[accounts.twin]\n";
        let domains = config::parse_domains(text, "domains.toml").unwrap();
        for (given, expected) in [
            ("alice", Some("alice")),
            ("ALICE", Some("alice")),
            ("alice.b@A.example", Some("alice")),
            ("Twin", Some("Twin")),
            ("twin", Some("twin")),
            ("TWIN", None),
            // An address that is only caught is nobody's name.
            ("other@a.example", None),
            ("alice.b@b.example", None),
            ("", None),
        ] {
            assert_eq!(account(&domains, given).as_deref(), expected, "{given}");
        }
    }

    fn server(text: &str) -> Server {
        let text = format!("{text}\n{}", config::example_server());
        config::parse_server(&text, "moxd.toml").unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn silent_dns_servers_take_no_more_than_a_quarter_of_the_open_files() {
        let most = dns_hickory::Options::default().exchanges;
        for (open_files, exchanges) in [(1024, 85), (4096, 341), (1 << 20, most), (usize::MAX, most)] {
            assert_eq!(resolver(open_files).exchanges, exchanges, "{open_files}");
        }
    }

    #[test]
    fn leaves_half_of_the_open_files_to_the_store() {
        let most = GateRules::default().connections;
        for (open_files, connections) in [(1024, 512), (4096, 2048), (1 << 20, most), (usize::MAX, most)] {
            assert_eq!(gate(&server(""), open_files).connections, connections, "{open_files}");
        }
    }

    #[test]
    fn bounds_messages_unless_limits_are_off() {
        let rate = |text: &str| {
            let text = format!(
                "{}\n[limits]\n{text}",
                "hostname = \"mx.example\"\npostmaster = { account = \"a\" }\n[listeners.a]\nips = [\"::1\"]\nsmtp = { starttls = false }"
            );
            gate(&config::parse_server(&text, "moxd.toml").unwrap(), usize::MAX).message_rate
        };
        assert_eq!(rate(""), Some([500, 1500, 4500]));
        assert_eq!(rate("messages_per_minute = [5, 6, 7]"), Some([5, 6, 7]));
        assert_eq!(rate("enabled = false"), None);
    }

    #[test]
    fn withholds_scram_plus_where_the_configuration_says_so() {
        for (text, offered) in [("", true), ("scram_plus = false", false)] {
            let server = server(text);
            let all: Vec<_> = server.listeners.iter().flat_map(|l| rules(&server, l, Mode::Serve)).collect();
            assert!(!all.is_empty());
            for rules in all {
                assert_eq!(rules.mechanisms.iter().any(|mechanism| mechanism.is_plus()), offered);
                assert!(rules.mechanisms.contains(&Mechanism::ScramSha256));
            }
        }
    }
}
