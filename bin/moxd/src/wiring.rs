//! Converts the configuration to the settings of the services. No other code knows both.

use anyhow::{Context, Result, ensure};
use certificates::Files;
use config::{Address, Domains, Server};
use dkim::{KeyType, SignOptions, SigningKey};
use dns::Domain;
use host::keyfile::KeyRing;
use intake::{
    AccountRules, Destination, Directory, Environment, IntakeSettings, JunkFlags, LocalDomain, Pattern,
    Ruleset, Signer,
};
use message::Headers;
use ratelimit::{Addresses, Network, Prefixes};
use sasl::Mechanism;
use smtp_parser::Dialect;
use smtpserver::{Delays, GateRules, Kind, Logins, Rules, Timeouts};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use store::NewMessage;

/// How many open files the process must be allowed for each connection: the connection itself, and one for a large body or a
/// share of the questions to DNS ([`FILES_PER_EXCHANGE`]). The store must be able to open its segments however many clients connect.
const FILES_PER_CONNECTION: usize = 2;

/// How many open files the process must be allowed for each question to DNS at a time. A question takes up to three, and all of
/// them together may take a quarter of the files.
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

/// The clock and the header parser for the answers to operators.
pub(crate) const OPERATOR_ENVIRONMENT: admin::Environment = admin::Environment { now, describe };

/// Makes the record of an imported message from its header. `is_sent`: the account itself sent it.
fn describe(headers: &Headers<'_>, received: SystemTime, is_sent: bool) -> NewMessage {
    let mut message = intake::facts_from_header(headers, received);
    message.sent = is_sent.then(|| intake::recipients_from_header(headers, received));
    message
}

/// The settings of intake. `keys` gets the DKIM keys, for the next reload.
pub(crate) fn settings(
    server: &Server,
    domains: &Domains,
    mode: Mode,
    keys: &mut KeyRing<SigningKey>,
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
    keys: &mut KeyRing<SigningKey>,
) -> Result<Signer> {
    let about = || format!("DKIM selector {name} of {domain}");
    let selector = rules.dkim.selectors.get(name).with_context(about)?;
    let key = keys.get(&selector.key, read_key).with_context(about)?;
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

fn read_key(pem: &[u8]) -> Result<SigningKey, String> {
    let pem = std::str::from_utf8(pem).map_err(|_| "this is not PEM text".to_owned())?;
    SigningKey::from_pem(pem).map_err(|error| error.to_string())
}

fn canonicalization(from: config::Canonicalization) -> dkim::Canonicalization {
    match from {
        config::Canonicalization::Simple => dkim::Canonicalization::Simple,
        config::Canonicalization::Relaxed => dkim::Canonicalization::Relaxed,
    }
}

/// A listener, as far as its certificates are concerned.
pub(crate) fn certificates(server: &Server, listener: &config::Listener) -> certificates::Listener {
    let files = listener.tls.iter();
    let files = files.map(|files| Files { certificate: files.certificate.clone(), key: files.key.clone() });
    let host = listener.hostname.as_ref().unwrap_or(&server.hostname);
    certificates::Listener {
        name: listener.name.clone(),
        host: host.as_str().to_owned(),
        files: files.collect(),
    }
}

/// The settings of the services of a listener.
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
            // After mechanisms that are safer, and before those that send the password itself.
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

/// Offers STARTTLS only if there is a certificate.
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

/// The settings of the resolver, for a process that may have `open_files` files open.
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
