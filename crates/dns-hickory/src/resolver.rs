//! [`HickoryResolver`]: the resolver itself.

use crate::answer::{self, Content, MAX_ALIASES, Reply};
use crate::cache::Cache;
use crate::metrics::Timer;
use crate::upstream::{CHAIN_SHARE, Upstream};
use crate::{Dnssec, Error, ErrorKind, Finding, Options, convert};
use dns::{Answer, Kind, Lookup, LookupError, LookupErrorKind, Name, Outcome, Question, Resolver, Security};
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::{Proof, TrustAnchors};
use hickory_proto::op::{DnsRequestOptions, Message, Query};
use hickory_proto::rr::{self, RecordType};
use hickory_resolver::system_conf;
use parking_lot::Mutex;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// RFC 9520 §3.2: a failure is cached for at least a second.
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);
/// Verdicts on sets of records that the validator keeps, with some 500 bytes each. It needs them within one query, to verify the
/// keys of a zone only once.
const KEPT_VERDICTS: usize = 8_192;
/// How long a probe may take. Queries during the first probe wait for it for at most this time.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which servers that strip signatures are probed again.
const REPROBE_STRIPPED: Duration = Duration::from_secs(600);
/// Time after which servers that did not answer are probed again.
const REPROBE_UNREACHABLE: Duration = Duration::from_secs(30);

/// A resolver over given servers. Clones share cache and connections.
///
/// It must be used within a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct HickoryResolver {
    inner: Arc<Inner>,
    /// The part of the program in the metric.
    part: &'static str,
}

struct Inner {
    upstream: Upstream,
    validator: DnssecDnsHandle<Upstream>,
    /// The name whose keys are trusted; the probe queries them.
    anchor: rr::Name,
    cache: Cache<(Name, Kind), Outcome>,
    servers: Vec<SocketAddr>,
    options: Options,
    validating: AtomicBool,
    finding: watch::Sender<Option<Finding>>,
    probed: Mutex<Option<Instant>>,
}

impl HickoryResolver {
    /// A resolver over the servers in the system's configuration (`/etc/resolv.conf`), on port 53. Search lists and options in
    /// it are ignored.
    ///
    /// # Errors
    /// The configuration cannot be read or names no server, or a trust anchor cannot be read.
    pub fn from_system(options: Options) -> Result<Self, Error> {
        let (config, _) = system_conf::read_system_conf()
            .map_err(|error| Error::new(ErrorKind::SystemConfiguration, error))?;
        let addresses: Vec<SocketAddr> = config.name_servers().iter().map(|s| (s.ip, 53).into()).collect();
        Self::with_servers(&addresses, options)
    }

    /// A resolver over the given servers.
    ///
    /// # Errors
    /// The list is empty, or a trust anchor cannot be read.
    pub fn with_servers(addresses: &[SocketAddr], options: Options) -> Result<Self, Error> {
        let upstream = Upstream::new(addresses, &options)?;
        let (anchor, anchors) = anchors(options.trust_anchors.as_deref())?;
        let validator = DnssecDnsHandle::with_trust_anchor(upstream.clone(), Arc::new(anchors))
            .validation_cache_size(KEPT_VERDICTS)
            // A verdict of bogus may rest on a forged key, so it is not kept.
            .negative_validation_ttl(Duration::ZERO..=Duration::ZERO)
            .positive_validation_ttl(Duration::ZERO..=options.max_ttl);
        let inner = Arc::new(Inner {
            upstream,
            validator,
            anchor,
            cache: Cache::new(options.cache_size - options.cache_size / CHAIN_SHARE),
            servers: addresses.to_vec(),
            validating: AtomicBool::new(options.dnssec == Dnssec::Always),
            options,
            finding: watch::Sender::new(None),
            probed: Mutex::new(None),
        });
        Ok(Self { inner, part: "" })
    }

    /// The same resolver, sharing cache and connections, whose queries are counted for `part` of a program, such as `spf`.
    #[must_use]
    pub fn counted_for(&self, part: &'static str) -> Self {
        Self { inner: Arc::clone(&self.inner), part }
    }

    /// The servers that this resolver queries.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.inner.servers
    }

    /// Finds out whether answers can be validated, and switches validation on if they can (see the crate's
    /// documentation). Meant for the start of a program, which shows a finding that is a warning.
    pub async fn probe(&self) -> Finding {
        if self.inner.options.dnssec == Dnssec::Never {
            return Finding::SwitchedOff;
        }
        let mut finding = self.inner.finding.subscribe();
        finding.mark_unchanged();
        self.start_probe();
        // The probe has its own time limit, and its sender lives as long as `self`.
        match finding.changed().await {
            Ok(()) => finding.borrow().unwrap_or(Finding::Unreachable(LookupErrorKind::Timeout)),
            Err(_) => Finding::Unreachable(LookupErrorKind::Temporary),
        }
    }

    /// Probes in a task of its own, so that a cancelled query does not cancel the probe.
    fn start_probe(&self) {
        *self.inner.probed.lock() = Some(Instant::now());
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let late = Finding::Unreachable(LookupErrorKind::Timeout);
            let finding = timeout(PROBE_TIMEOUT, inner.examine()).await.unwrap_or(late);
            if finding == Finding::Validating && !inner.validating.swap(true, Ordering::Relaxed) {
                // Answers from before validation must not stay.
                inner.cache.clear();
            }
            if inner.finding.borrow().is_none_or(|before| before != finding) {
                tracing::debug!(finding = finding.token(), "probed the DNS servers");
            }
            inner.finding.send_replace(Some(finding));
        });
    }

    /// Are queries validated? None while the first probe is under way. Starts a probe when one is due.
    fn validates(&self) -> Option<bool> {
        let inner = &self.inner;
        if inner.options.dnssec == Dnssec::Never {
            return Some(false);
        }
        if inner.validating.load(Ordering::Relaxed) {
            return Some(true);
        }
        let finding = *inner.finding.borrow();
        let patience = match finding {
            Some(Finding::Unreachable(_)) => REPROBE_UNREACHABLE,
            _ => REPROBE_STRIPPED,
        };
        let last = *inner.probed.lock();
        if last.is_none_or(|last| last.elapsed() > patience) {
            self.start_probe();
        }
        finding.map(|_| false)
    }

    /// Queries the servers. Returns the reply, and whether it was validated.
    async fn ask(&self, question: Question<'_>) -> (Reply, bool) {
        let inner = &self.inner;
        if let Some(validates) = self.validates() {
            return (inner.chase(question, validates).await, validates);
        }
        // The plain query runs beside the probe, so it costs no extra time if the probe finds that nothing can be validated.
        let plain = inner.chase(question, false).await;
        let mut finding = inner.finding.subscribe();
        let _ = timeout(PROBE_TIMEOUT, finding.wait_for(Option::is_some)).await;
        if inner.validating.load(Ordering::Relaxed) {
            (inner.chase(question, true).await, true)
        } else {
            (plain, false)
        }
    }

    /// Queries the servers, and caches the outcome.
    async fn answer(&self, key: (Name, Kind)) -> Outcome {
        let inner = &self.inner;
        let options = &inner.options;
        let question = Question { name: &key.0, kind: key.1 };
        let late = (answer::failed(LookupErrorKind::Timeout), false);
        let (reply, validated) = timeout(options.question_timeout, self.ask(question)).await.unwrap_or(late);
        let fail = |kind| Err(LookupError::new(kind, key.0.clone(), key.1).with_security(reply.security));
        let (outcome, longest) = match reply.content {
            Content::Records(records) => {
                (Ok(Answer { records: records.into(), security: reply.security }), options.max_ttl)
            }
            Content::Error(kind) => (fail(kind), options.max_negative_ttl),
            Content::Alias(_) => (fail(LookupErrorKind::Malformed), Duration::ZERO),
        };
        let lifetime = match &outcome {
            Err(error) if !error.is_absent() => FAILURE_LIFETIME,
            _ => reply.lifetime.min(longest),
        };
        let records = outcome.iter().flat_map(|answer| &*answer.records);
        let size = key.0.as_str().len() + records.map(convert::size).sum::<usize>();
        // A plain answer is not cached if validation was switched on meanwhile.
        if validated || !inner.validating.load(Ordering::Relaxed) {
            inner.cache.put(key, outcome.clone(), size, lifetime);
        }
        outcome
    }
}

impl Inner {
    /// Queries a name, and follows its aliases.
    async fn chase(&self, question: Question<'_>, validates: bool) -> Reply {
        let malformed = answer::failed(LookupErrorKind::Malformed);
        let (Some(mut name), Some(record_type)) =
            (convert::to_hickory(question.name), convert::record_type(question.kind))
        else {
            return malformed;
        };
        let (mut security, mut lifetime) = (Security::Secure, Duration::MAX);
        for _ in 0..=MAX_ALIASES {
            let query = Query::query(name.clone(), record_type);
            let result = if validates { self.validated(query).await } else { self.upstream.ask(query).await };
            let reply = answer::read(result, &name, question.kind, validates);
            match reply.content {
                _ if !validates => {}
                Content::Error(LookupErrorKind::Bogus) => self.upstream.judged(&name, false),
                _ if reply.security > Security::Unknown => self.upstream.judged(&name, true),
                _ => {}
            }
            security = security.min(reply.security);
            lifetime = lifetime.min(reply.lifetime);
            match reply.content {
                Content::Alias(target) => name = target,
                content => return Reply { content, security, lifetime },
            }
        }
        malformed
    }

    async fn validated(&self, query: Query) -> Result<Message, NetError> {
        let mut options = DnsRequestOptions::default();
        options.edns_set_dnssec_ok = true;
        Ok(self.validator.lookup(query, options).first_answer().await?.into_message())
    }

    /// Probes the servers: queries the keys at the anchor, then a denial at the same name.
    async fn examine(&self) -> Finding {
        let finding = self.examine_anchor().await;
        self.upstream.judged(&self.anchor, finding == Finding::Validating);
        finding
    }

    async fn examine_anchor(&self) -> Finding {
        let keys = match self.validated(Query::query(self.anchor.clone(), RecordType::DNSKEY)).await {
            Ok(message) => message,
            Err(error @ (NetError::Timeout | NetError::Io(_) | NetError::NoConnections | NetError::Busy)) => {
                return Finding::Unreachable(answer::failure(&error));
            }
            Err(_) => return Finding::SignaturesStripped,
        };
        let of_type = |t| keys.answers.iter().filter(move |record| record.record_type() == t);
        if of_type(RecordType::DNSKEY).count() == 0 || of_type(RecordType::RRSIG).count() == 0 {
            return Finding::SignaturesStripped;
        }
        if !of_type(RecordType::DNSKEY).all(|record| record.proof == Proof::Secure) {
            return Finding::NotTrusted;
        }
        // No apex has TLSA records, so the answer is a denial; if one has, they are signed.
        match self.validated(Query::query(self.anchor.clone(), RecordType::TLSA)).await {
            Ok(_) => Finding::Validating,
            Err(NetError::Dns(DnsError::Nsec { proof, .. })) if proof != Proof::Bogus => Finding::Validating,
            Err(_) => Finding::DenialsStripped,
        }
    }
}

impl Resolver for HickoryResolver {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let timer = Timer::start(self.part, question.kind);
        let key = (question.name.clone(), question.kind);
        if let Some(known) = self.inner.cache.get(&key) {
            timer.finish(&known);
            return Lookup::ready(known);
        }
        Lookup::waiting(async move {
            let outcome = self.answer(key).await;
            timer.finish(&outcome);
            outcome
        })
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").field("servers", &self.inner.servers).finish_non_exhaustive()
    }
}

/// Reads the trusted keys. Returns them with the name of the first one.
fn anchors(text: Option<&str>) -> Result<(rr::Name, TrustAnchors), Error> {
    let Some(text) = text else { return Ok((rr::Name::root(), TrustAnchors::default())) };
    let bad = |detail: &dyn fmt::Display| Error::new(ErrorKind::TrustAnchor, detail);
    let mut names = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';')) {
        let mut words = line.split_whitespace();
        names.extend(words.next().map(rr::Name::from_ascii));
        // The parser ignores lines that it does not know.
        if !words.take(3).any(|word| word.eq_ignore_ascii_case("DNSKEY")) {
            return Err(bad(&line));
        }
    }
    let anchors: TrustAnchors = text.parse().map_err(|error| bad(&error))?;
    let name = names.into_iter().next().ok_or_else(|| bad(&"no key"))?;
    let mut name = name.map_err(|error| bad(&error))?;
    name.set_fqdn(true);
    Ok((name, anchors))
}
