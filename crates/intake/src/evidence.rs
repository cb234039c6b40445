//! What is found out about a message while it arrives. Every question goes out as soon as its name is known: reverse
//! DNS at connect, SPF at MAIL, DKIM keys and the DMARC record when the header ends. At the final dot the answers are
//! usually there.
//!
//! Without DNS nothing is asked, and what would need an answer stays empty.

use crate::metrics;
use dkim::{KeyLookups, Keys, Policy, Verifier};
use dmarc::{Discovery, Memo, Method, Organizations, Proven, Rules};
use dns::{Domain, Host, Resolver};
use smtp_parser::Mailbox;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long one judge may take in all; what is not there then counts as a temporary failure of DNS.
const JUDGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A question that is being asked elsewhere. Dropping it stops the asking.
#[derive(Debug)]
struct Asked<T>(JoinHandle<Option<T>>);

impl<T: Send + 'static> Asked<T> {
    fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(async move { tokio::time::timeout(JUDGE_TIMEOUT, work).await.ok() }))
    }

    /// The answer; none if it took too long, or the judge failed, which is counted.
    async fn answer(mut self, judge: &'static str) -> Option<T> {
        match (&mut self.0).await {
            Ok(answer) => answer,
            Err(error) => {
                metrics::panicked(judge);
                tracing::error!(%error, judge, "a judge failed");
                None
            }
        }
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who sends a message, by what the session says.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub ip: IpAddr,
    /// What it called itself.
    pub helo: Option<Host>,
    /// The reverse path, unless it is null or has an address literal.
    pub mail_from: Option<Mailbox>,
    /// Our host.
    pub receiver: Domain,
}

impl Origin {
    /// The same as a question for SPF.
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

    /// The name that SPF is about, known before it is checked.
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
    /// Asks.
    pub(crate) fn start(dns: Option<&Arc<dyn Resolver>>, ip: IpAddr) -> Self {
        let asked = dns.cloned().map(|dns| Asked::start(async move { iprev::check(&*dns, ip).await }));
        Self { asked, known: None }
    }

    /// What came of it; none where DNS is not asked.
    pub(crate) async fn answer(&mut self) -> Option<&iprev::Evaluation> {
        if let Some(asked) = self.asked.take() {
            self.known = asked.answer("iprev").await;
        }
        self.known.as_ref()
    }
}

/// What is found out about one message, on its way.
#[derive(Debug)]
pub struct Gathering {
    dns: Option<Arc<Memo<'static>>>,
    origin: Origin,
    spf: Option<Asked<spf::Evaluation>>,
    verifier: Option<Verifier>,
    keys: Option<Asked<Keys>>,
    from: Option<Domain>,
    dmarc: Option<Asked<(Discovery, Organizations)>>,
}

/// What was found out about one message.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Who sent it, by what the session said.
    pub origin: Origin,
    /// Does the client's address resolve to a name that resolves back? None where DNS is not asked.
    pub iprev: Option<iprev::Evaluation>,
    /// May the client send for the sender? None where DNS is not asked.
    pub spf: Option<spf::Evaluation>,
    /// Who vouches for the message? None where DNS is not asked, or the header cannot be read.
    pub dkim: Option<dkim::Evaluation>,
    /// The domain of the one author.
    pub from: Option<Domain>,
    /// Which policy applies to the author's domain. None without author, or where DNS is not asked.
    pub discovery: Option<Discovery>,
    /// Does the author agree with what was proven?
    pub dmarc: Option<dmarc::Evaluation>,
    /// The organizational domains of the identifiers.
    pub organizations: Organizations,
}

impl Gathering {
    /// Begins at MAIL: SPF is asked.
    pub fn start(dns: Option<Arc<dyn Resolver>>, origin: Origin) -> Self {
        let dns = dns.map(|dns| Arc::new(Memo::shared(dns)));
        let spf = dns.clone().map(|dns| {
            let origin = origin.clone();
            Asked::start(async move { spf::check(&*dns, &origin.query(), spf::Limits::default()).await })
        });
        Self { dns, origin, spf, verifier: None, keys: None, from: None, dmarc: None }
    }

    /// The header has ended: DKIM keys and the DMARC record are asked for. `now` is in Unix seconds.
    pub fn header(&mut self, block: &[u8], now: u64) {
        self.from = message::from_domain(&message::headers(block)).ok();
        let Some(dns) = &self.dns else { return };
        let verifier = Verifier::new(block, &Policy::default(), now);
        let lookups: KeyLookups = verifier.lookups();
        if !lookups.names().is_empty() {
            let dns = dns.clone();
            self.keys = Some(Asked::start(async move { lookups.run(&*dns).await }));
        }
        self.verifier = Some(verifier);
        if let Some(from) = self.from.clone() {
            let identifiers = self.origin.spf_domain().cloned();
            let dns = dns.clone();
            self.dmarc = Some(Asked::start(async move {
                let walks: Vec<Domain> =
                    identifiers.filter(|d| dmarc::worth_walking(&from, d)).into_iter().collect();
                let mut organizations = Organizations::default();
                let discovery = tokio::join!(
                    dmarc::discover(&*dns, &from, Rules::Rfc9989),
                    organizations.gather(&*dns, &walks, Rules::Rfc9989),
                );
                (discovery.0, organizations)
            }));
        }
    }

    /// The next octets of the body.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(verifier) = &mut self.verifier {
            verifier.body(piece);
        }
    }

    /// The message is complete: waits for what is still open.
    pub async fn finish(self, iprev: Option<iprev::Evaluation>) -> Evidence {
        let Self { dns, origin, spf, verifier, keys, from, dmarc } = self;
        let keys = async {
            match keys {
                Some(keys) => keys.answer("dkimverify").await.unwrap_or_default(),
                None => Keys::default(),
            }
        };
        let spf = async {
            match spf {
                Some(spf) => spf.answer("spfverify").await,
                None => None,
            }
        };
        let found = async {
            match dmarc {
                Some(dmarc) => dmarc.answer("dmarcverify").await,
                None => None,
            }
        };
        let (spf, keys, found) = tokio::join!(spf, keys, found);
        let dkim = verifier.map(|verifier| verifier.finish(&keys));
        let (discovery, organizations) = found.unzip();
        let mut organizations: Organizations = organizations.unwrap_or_default();
        let mut judged = None;
        if let (Some(dns), Some(discovery)) = (&dns, &discovery) {
            let proven = proven(spf.as_ref(), dkim.as_ref());
            let missing = dmarc::needed(discovery, &proven, &organizations);
            let walks = organizations.gather(&**dns, &missing, Rules::Rfc9989);
            // Without an answer in time the organizations are missing, which evaluates to a temporary error.
            let _ = tokio::time::timeout(JUDGE_TIMEOUT, walks).await;
            judged = Some(dmarc::evaluate(discovery, &proven, &organizations, None));
        }
        Evidence { origin, iprev, spf, dkim, from, discovery, dmarc: judged, organizations }
    }
}

/// What SPF and DKIM say, as DMARC wants to hear it.
fn proven(spf: Option<&spf::Evaluation>, dkim: Option<&dkim::Evaluation>) -> Vec<Proven> {
    let mut proven = Vec::new();
    if let Some((spf, domain)) = spf.and_then(|spf| Some((spf, spf.domain.clone()?))) {
        let result = match spf.result {
            spf::Outcome::Pass => dmarc::Outcome::Pass,
            spf::Outcome::Temperror => dmarc::Outcome::Temperror,
            _ => dmarc::Outcome::Fail,
        };
        proven.push(Proven { by: Method::Spf, domain, result });
    }
    for verification in dkim.iter().flat_map(|dkim| &dkim.signatures) {
        let Some(domain) = verification.claims().domain else { continue };
        let result = match verification.status {
            dkim::Status::Pass => dmarc::Outcome::Pass,
            dkim::Status::TempError => dmarc::Outcome::Temperror,
            _ => dmarc::Outcome::Fail,
        };
        proven.push(Proven { by: Method::Dkim, domain, result });
    }
    proven
}
