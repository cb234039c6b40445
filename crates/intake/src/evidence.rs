//! Evidence about a message, gathered while it arrives. Each query starts as soon as there is a reason for it: reverse DNS at
//! connect, SPF at the first accepted recipient, DKIM keys and the DMARC record at the end of the header. At the final dot the
//! answers are usually there.
//!
//! Without DNS no query starts, and the parts of the evidence that need an answer stay empty.

use crate::asked::{Asked, Clock, JUDGE_TIMEOUT, Timed};
use crate::metrics;
use crate::questions::{Allowance, Allowed, Networks};
use dkim::{KeyLookups, Keys, Policy, Verifier};
use dmarc::{Discovery, Memo, Method, Organizations, Proven, Rules as DmarcRules};
use dns::{Domain, Host, Resolver};
use ratelimit::Addresses;
use smtp_parser::Mailbox;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the cache of parsed SPF records: those that many senders include, and those of regular senders. Some 4,000
/// ordinary records.
const SPF_CACHE_BYTES: usize = 4 << 20;

/// The judges of all messages: their resolvers, caches and limits.
#[derive(Clone)]
pub struct Judges {
    iprev: Arc<dyn Resolver>,
    spf: Arc<dyn Resolver>,
    dkim: Arc<dyn Resolver>,
    dmarc: Arc<dyn Resolver>,
    spf_records: Arc<spf::Cache>,
    networks: Arc<Networks>,
    clock: Clock,
}

/// The judges of the messages of one connection, with the number of queries left.
pub(crate) struct ConnectionJudges {
    pub(crate) judges: Judges,
    pub(crate) allowance: Arc<Allowance>,
}

impl fmt::Debug for ConnectionJudges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionJudges").finish_non_exhaustive()
    }
}

impl Judges {
    /// Judges that each ask the resolver which `dns` has for it: `iprev`, `spf`, `dkim` or `dmarc`. All may have the same.
    /// Networks may cause any number of questions. `clock` is never set.
    pub fn new(dns: impl Fn(&'static str) -> Arc<dyn Resolver>, clock: fn() -> Instant) -> Self {
        Self {
            iprev: dns("iprev"),
            spf: dns("spf"),
            dkim: dns("dkim"),
            dmarc: dns("dmarc"),
            spf_records: Arc::new(spf::Cache::new(SPF_CACHE_BYTES)),
            networks: Arc::new(Networks::new(clock)),
            clock,
        }
    }

    /// The same judges, limited to the queries that `messages` messages a minute need, per host, site and provider that the
    /// client is in.
    #[must_use]
    pub fn limited(self, messages: [u32; 3], addresses: Addresses) -> Self {
        Self { networks: Arc::new(Networks::limited(messages, addresses, self.clock)), ..self }
    }

    /// The same judges for a connection from `ip`, limited to the queries that it may cause.
    pub(crate) fn for_connection(&self, ip: IpAddr) -> ConnectionJudges {
        let allowance = Arc::new(Allowance::new(Arc::clone(&self.networks), ip));
        let allowed = |dns: &Arc<dyn Resolver>| -> Arc<dyn Resolver> {
            Arc::new(Allowed { dns: Arc::clone(dns), allowance: Arc::clone(&allowance) })
        };
        let judges = Self {
            iprev: allowed(&self.iprev),
            spf: allowed(&self.spf),
            dkim: allowed(&self.dkim),
            dmarc: allowed(&self.dmarc),
            ..self.clone()
        };
        ConnectionJudges { judges, allowance }
    }
}

impl fmt::Debug for Judges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judges").finish_non_exhaustive()
    }
}

/// The sender of a message, as the session knows it.
#[derive(Debug, Clone)]
pub struct SessionOrigin {
    /// The client's address.
    pub ip: IpAddr,
    /// The name that it gave in HELO or EHLO.
    pub helo: Option<Host>,
    /// The reverse path, unless it is null or has an address literal.
    pub mail_from: Option<Mailbox>,
    /// The host name of the listener.
    pub receiver: Domain,
}

impl SessionOrigin {
    /// The same as a query for SPF.
    pub fn query(&self) -> spf::Query<'_> {
        let mut query = spf::Query::new(self.ip).receiver(&self.receiver);
        if let Some(mailbox) = &self.mail_from {
            query = query.mail_from(mailbox.localpart.as_str(), &mailbox.domain);
        }
        if let Some(helo) = &self.helo {
            query = query.helo(helo);
        }
        query
    }

    /// The domain that SPF will check.
    fn spf_domain(&self) -> Option<&Domain> {
        let mail_from = self.mail_from.as_ref().map(|mailbox| &mailbox.domain);
        mail_from.or_else(|| self.helo.as_ref().and_then(Host::domain))
    }
}

/// The reverse DNS check of a client, asked once for all of its messages.
#[derive(Debug, Default)]
pub(crate) struct Reverse {
    asked: Option<Asked<iprev::Evaluation>>,
    known: Option<iprev::Evaluation>,
}

impl Reverse {
    /// Starts the query.
    pub(crate) fn start(judges: Option<&Judges>, ip: IpAddr) -> Self {
        let asked = judges.map(|judges| {
            let dns = judges.iprev.clone();
            Asked::start("iprev", judges.clock, async move { iprev::check(&*dns, ip).await })
        });
        Self { asked, known: None }
    }

    /// Waits for the result; none without DNS.
    pub(crate) async fn answer(&mut self) -> Option<&iprev::Evaluation> {
        if let Some(answer) = Asked::maybe(self.asked.take()).await {
            metrics::iprev_looked_up(&answer);
            self.known = Some(answer.value);
        }
        self.known.as_ref()
    }
}

/// The resolvers for the judges of one message.
struct Dns {
    spf: Arc<dyn Resolver>,
    spf_records: Arc<spf::Cache>,
    dkim: Arc<dyn Resolver>,
    /// DMARC queries twice: about the author's domain after the header, and about the domains that SPF and DKIM have proven
    /// at the end.
    dmarc: Arc<Memo<'static>>,
    clock: Clock,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// Gathers the evidence about one message.
#[derive(Debug)]
pub struct Gathering {
    dns: Option<Dns>,
    origin: SessionOrigin,
    spf: Option<Asked<spf::Evaluation>>,
    verifier: Option<Verifier>,
    keys: Option<Asked<Keys>>,
    from: Option<Domain>,
    dmarc: Option<Asked<(Discovery, Organizations)>>,
}

/// The evidence about one message.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The sender, as the session knows it.
    pub origin: SessionOrigin,
    /// Does the client's address resolve to a name that resolves back? None without DNS.
    pub iprev: Option<iprev::Evaluation>,
    /// May the client send for the sender? None without DNS.
    pub spf: Option<spf::Evaluation>,
    /// Which domains have signed the message? None without DNS, or if the header cannot be read.
    pub dkim: Option<dkim::Evaluation>,
    /// The domain of the author; of all authors, where there are several.
    pub from: Option<Domain>,
    /// The policy of the author's domain. None without an author, or without DNS.
    pub discovery: Option<Discovery>,
    /// Does the author's domain agree with a proven domain?
    pub dmarc: Option<dmarc::Evaluation>,
    /// The organizational domains of the identifiers.
    pub organizations: Organizations,
}

impl Gathering {
    /// Begins at MAIL. Starts no query: a client can give a sender at no cost, and it may never have a recipient.
    pub fn new(judges: Option<&Judges>, origin: SessionOrigin) -> Self {
        let dns = judges.map(|judges| Dns {
            spf: judges.spf.clone(),
            spf_records: judges.spf_records.clone(),
            dkim: judges.dkim.clone(),
            dmarc: Arc::new(Memo::shared(judges.dmarc.clone())),
            clock: judges.clock,
        });
        Self { dns, origin, spf: None, verifier: None, keys: None, from: None, dmarc: None }
    }

    /// Starts the SPF check at the first recipient.
    pub fn recipient(&mut self) {
        let Some(dns) = self.dns.as_ref().filter(|_| self.spf.is_none()) else { return };
        let (origin, records) = (self.origin.clone(), Arc::clone(&dns.spf_records));
        let (clock, dns) = (dns.clock, Memo::shared(Arc::clone(&dns.spf)));
        self.spf = Some(Asked::start("spfverify", clock, async move {
            spf::check(&dns, &origin.query().cache(&records), spf::Limits::default()).await
        }));
    }

    /// Starts the queries for DKIM keys and the DMARC record at the end of the header. `now` is in Unix seconds.
    pub fn header(&mut self, block: &[u8], now: u64) {
        self.from = message::from_domain(&message::headers(block)).ok();
        let Some(dns) = &self.dns else { return };
        // No decision uses an Authenticated Received Chain, so its keys are not queried.
        let mut policy = Policy::default();
        policy.validates_chain = false;
        let verifier = Verifier::new(block, &policy, now);
        let lookups: KeyLookups = verifier.lookups();
        if !lookups.names().is_empty() {
            let (clock, dns) = (dns.clock, dns.dkim.clone());
            self.keys = Some(Asked::start("dkimverify", clock, async move { lookups.run(&*dns).await }));
        }
        self.verifier = Some(verifier);
        if let Some(from) = self.from.clone() {
            let identifiers = self.origin.spf_domain().cloned();
            let (clock, dns) = (dns.clock, dns.dmarc.clone());
            self.dmarc = Some(Asked::start("dmarcverify", clock, async move {
                let walks: Vec<Domain> =
                    identifiers.filter(|d| dmarc::worth_walking(&from, d)).into_iter().collect();
                let mut organizations = Organizations::default();
                let discovery = tokio::join!(
                    dmarc::discover(&*dns, &from, DmarcRules::Rfc9989),
                    organizations.gather(&*dns, &walks, DmarcRules::Rfc9989),
                );
                (discovery.0, organizations)
            }));
        }
    }

    /// Takes the next bytes of the body.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(verifier) = &mut self.verifier {
            verifier.body(piece);
        }
    }

    /// Waits for the queries that are still open, at the end of the message.
    pub async fn finish(self, iprev: Option<iprev::Evaluation>) -> Evidence {
        let Self { dns, origin, spf, verifier, keys, from, dmarc } = self;
        let (spf, keys, found) = tokio::join!(Asked::maybe(spf), Asked::maybe(keys), Asked::maybe(dmarc));
        let spf = spf.map(|spf| {
            metrics::spf_verified(&spf);
            spf.value
        });
        let clock = dns.as_ref().map(|dns| dns.clock);
        let dkim = verifier.zip(clock).map(|(verifier, clock)| verified(verifier, keys, clock));
        let (mut organizations, mut discovery, mut judged) = (Organizations::default(), None, None);
        if let (Some(dns), Some(Timed { value: (found, walked), took })) = (&dns, found) {
            let begin = (dns.clock)();
            organizations = walked;
            let proven = proven(spf.as_ref(), dkim.as_ref());
            let missing = dmarc::needed(&found, &proven, &organizations);
            let walks = organizations.gather(&*dns.dmarc, &missing, DmarcRules::Rfc9989);
            // If the answers are late, organizations are missing, which evaluates to a temporary error.
            let _ = tokio::time::timeout(JUDGE_TIMEOUT, walks).await;
            let value = dmarc::evaluate(&found, &proven, &organizations, None);
            let verdict = Timed { value, took: took + (dns.clock)().saturating_duration_since(begin) };
            metrics::dmarc_verified(&verdict);
            judged = Some(verdict.value);
            discovery = Some(found);
        }
        let evidence = Evidence { origin, iprev, spf, dkim, from, discovery, dmarc: judged, organizations };
        evidence.log();
        evidence
    }
}

/// Checks the signatures with the keys that were found, at the end of the body. The time is that of the queries and of the
/// check, without the time in which the client sent the body.
fn verified(verifier: Verifier, keys: Option<Timed<Keys>>, clock: Clock) -> dkim::Evaluation {
    let begin = clock();
    let (keys, waited) = keys.map(|keys| (keys.value, keys.took)).unwrap_or_default();
    let value = verifier.finish(&keys);
    let verified = Timed { value, took: waited + clock().saturating_duration_since(begin) };
    metrics::dkim_verified(&verified);
    verified.value
}

impl Evidence {
    /// Logs the results, to explain a verdict.
    fn log(&self) {
        let spf = self.spf.as_ref().map_or("none", |spf| spf.result.as_str());
        let dkim: Vec<_> = self.dkim.iter().flat_map(|d| &d.signatures).map(|s| s.status.as_str()).collect();
        let dmarc = self.dmarc.as_ref().map_or("none", |dmarc| dmarc.result.as_str());
        let iprev = self.iprev.as_ref().map_or("none", |iprev| iprev.result.as_str());
        tracing::debug!(iprev, spf, ?dkim, dmarc, "sender checked");
    }
}

/// The results of SPF and DKIM as input for DMARC.
fn proven(spf: Option<&spf::Evaluation>, dkim: Option<&dkim::Evaluation>) -> Vec<Proven> {
    let mut proven = Vec::new();
    if let Some((spf, domain)) = spf.and_then(|spf| Some((spf, spf.domain.clone()?))) {
        let result = match spf.result {
            spf::Outcome::Pass => dmarc::Outcome::Pass,
            spf::Outcome::TempError => dmarc::Outcome::TempError,
            _ => dmarc::Outcome::Fail,
        };
        proven.push(Proven { by: Method::Spf, domain, result });
    }
    for verification in dkim.iter().flat_map(|dkim| &dkim.signatures) {
        let Some(domain) = verification.claims().domain else { continue };
        let result = match verification.status {
            dkim::Status::Pass => dmarc::Outcome::Pass,
            dkim::Status::TempError => dmarc::Outcome::TempError,
            _ => dmarc::Outcome::Fail,
        };
        proven.push(Proven { by: Method::Dkim, domain, result });
    }
    proven
}
