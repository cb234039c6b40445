//! Queries the servers, one after the other until one answers.

use crate::cache::Cache;
use crate::shares::Shares;
use crate::{Error, ErrorKind, Options, answer};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsHandle, DnsResponseStream, FirstAnswer};
use hickory_net::{DnsError, NetError, NoRecords};
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The divisor for the part of the cache that holds keys and delegations for chains of trust.
pub(crate) const CHAIN_SHARE: usize = 4;

/// The types of records that a chain of trust is made of.
const CHAIN_TYPES: [RecordType; 3] = [RecordType::DS, RecordType::DNSKEY, RecordType::NS];
/// How long an answer stays that was part of a good verdict before, and then of a bogus one. RFC 9520 §3.2: failures are cached
/// for at most 5 minutes; RFC 4035 §4.7 recommends a small TTL for bad data.
const DOUBTED: Duration = Duration::from_secs(60);

/// The servers, for hickory's validator and for plain queries.
#[derive(Clone)]
pub(crate) struct Upstream(Arc<Servers>);

struct Servers {
    servers: Vec<Server>,
    /// The index of the server that answered last; it is queried first.
    preferred: AtomicUsize,
    rounds: u32,
    /// Limits concurrent exchanges: each takes a socket, and more when datagrams are lost.
    shares: Shares,
    /// Answers about keys and delegations, which all names of a zone share.
    chain: Cache<(Name, RecordType), Link>,
    max_ttl: Duration,
}

/// One link of a chain of trust, as a server gave it.
#[derive(Clone)]
struct Link {
    answer: Result<DnsResponse, NetError>,
    /// Was it part of a verdict other than bogus?
    proven: bool,
}

/// One server: UDP with a fresh port for each query, TCP for truncated answers; concurrent equal queries are sent once. Each
/// server has its own pool, because a pool of several takes the first refusal for an answer.
struct Server {
    pool: NameServerPool<TokioRuntimeProvider>,
    /// Does it refuse EDNS (RFC 6891 §7)?
    plain: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(addresses: &[SocketAddr], options: &Options) -> Result<Self, Error> {
        if addresses.is_empty() {
            return Err(Error::new(ErrorKind::NoServers, ""));
        }
        let servers = addresses.iter().map(|address| Server::new(*address, options));
        Ok(Self(Arc::new(Servers {
            servers: servers.collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            rounds: options.rounds.max(1),
            shares: Shares::new(options.exchanges),
            chain: Cache::new(options.cache_size / CHAIN_SHARE),
            max_ttl: options.max_ttl,
        })))
    }

    /// Sends one query without validation.
    pub(crate) async fn ask(&self, query: Query) -> Result<Message, NetError> {
        let request = DnsRequest::from_query(query, DnsRequestOptions::default());
        Ok(self.0.exchange(&request).await?.into_message())
    }

    /// Takes the verdict on an answer about a name. Answers about keys are cached before they are validated. After a bad
    /// verdict they are dropped at once, or soon if they were part of a good one before: a forged answer must not stay.
    pub(crate) fn judged(&self, name: &Name, is_good: bool) {
        let mut name = name.to_lowercase();
        loop {
            for record_type in CHAIN_TYPES {
                self.0.chain.change(&(name.clone(), record_type), |link, until| {
                    if is_good {
                        link.proven = true;
                    } else {
                        *until = (*until).min(Instant::now() + DOUBTED);
                    }
                    link.proven
                });
            }
            if name.is_root() {
                return;
            }
            name = name.base_name();
        }
    }
}

impl DnsHandle for Upstream {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    /// Sends one query of the validator.
    fn send(&self, mut request: DnsRequest) -> DnsResponseStream {
        let servers = Arc::clone(&self.0);
        // RFC 6840 §5.9: a validator sets CD, so that the server's own verdict does not replace the records.
        request.metadata.checking_disabled = true;
        let future = async move { servers.validatable(&request).await };
        Box::pin(future).into()
    }
}

impl Server {
    fn new(address: SocketAddr, options: &Options) -> Result<Self, Error> {
        let connection = |mut config: ConnectionConfig| {
            config.port = address.port();
            config
        };
        let connections = vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
        let mut pool_options = ResolverOpts::default();
        pool_options.timeout = options.server_timeout;
        let tls = TlsConfig::new().map_err(|error| Error::new(ErrorKind::NoServers, error))?;
        let context = Arc::new(PoolContext::new(pool_options, tls));
        let server = NameServerConfig::new(address.ip(), true, connections);
        let pool = NameServerPool::from_config([server], context, TokioRuntimeProvider::default());
        Ok(Self { pool, plain: AtomicBool::new(false) })
    }

    async fn exchange(&self, request: &DnsRequest) -> Result<DnsResponse, NetError> {
        let mut request = request.clone();
        // There is no DNSSEC without EDNS, so queries to be validated always have it.
        let validates = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        if self.plain.load(Ordering::Relaxed) && !validates {
            request.edns = None;
        }
        let result = self.pool.send(request.clone()).first_answer().await;
        match result {
            // RFC 6891 §7: a server without EDNS answers like this, and is queried again without it.
            Err(NetError::Dns(DnsError::ResponseCode(
                ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS,
            ))) if request.edns.is_some() && !validates => {
                request.edns = None;
                let result = self.pool.send(request).first_answer().await;
                if answers(&result) {
                    self.plain.store(true, Ordering::Relaxed);
                }
                result
            }
            // RFC 8499 §7 (lame delegation): a referral to other servers, which we do not follow.
            Err(NetError::Dns(DnsError::NoRecordsFound(absent))) if is_referral(&absent) => {
                Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)))
            }
            result => result,
        }
    }
}

/// Did the server answer? That nothing is there is an answer too.
fn answers(result: &Result<DnsResponse, NetError>) -> bool {
    result.as_ref().map_or_else(NetError::is_no_records_found, |_| true)
}

fn is_referral(absent: &NoRecords) -> bool {
    absent.response_code == ResponseCode::NoError && absent.soa.is_none() && absent.ns.is_some()
}

impl Servers {
    /// Returns the first answer, or the last failure.
    async fn exchange(&self, request: &DnsRequest) -> Result<DnsResponse, NetError> {
        let Some(query) = request.queries.first() else { return Err(NetError::NoConnections) };
        self.shares.run(query.name(), self.go_round(request)).await.unwrap_or(Err(NetError::Timeout))
    }

    /// Queries one server after the other.
    async fn go_round(&self, request: &DnsRequest) -> Result<DnsResponse, NetError> {
        let mut failure = NetError::NoConnections;
        for _ in 0..self.rounds {
            let first = self.preferred.load(Ordering::Relaxed);
            for n in 0..self.servers.len() {
                let index = (first + n) % self.servers.len();
                let Some(server) = self.servers.get(index) else { continue };
                let result = server.exchange(request).await;
                if answers(&result) {
                    self.preferred.store(index, Ordering::Relaxed);
                    return result;
                }
                failure = result.err().unwrap_or(failure);
            }
            // A server that answered would answer the same again; one that did not may have missed the query.
            if !matches!(failure, NetError::Timeout | NetError::Io(_) | NetError::Busy) {
                break;
            }
        }
        Err(failure)
    }

    /// An exchange for the validator, reduced to the records that it must validate.
    async fn validatable(&self, request: &DnsRequest) -> Result<DnsResponse, NetError> {
        let Some(query) = request.queries.first() else { return self.exchange(request).await };
        let chain = CHAIN_TYPES.contains(&query.query_type());
        let key = (query.name().to_lowercase(), query.query_type());
        if chain && let Some(known) = self.chain.get(&key) {
            return known.answer;
        }
        let answer = match self.exchange(request).await {
            Ok(response) => {
                let mut message = response.into_message();
                trim(&mut message, query);
                DnsResponse::from_message(message).map_err(NetError::from)
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(mut absent))) => {
                let authorities = absent.authorities.take().unwrap_or_default();
                absent.authorities = Some(authorities.iter().filter(|r| is_denial(r)).cloned().collect());
                absent.ns = None;
                Err(absent.into())
            }
            failure => failure,
        };
        if chain {
            let (lifetime, size) = match &answer {
                Ok(response) => (lifetime(response), response.as_buffer().len()),
                Err(NetError::Dns(DnsError::NoRecordsFound(absent))) => {
                    (absent.negative_ttl.unwrap_or(0), 1024)
                }
                Err(_) => (0, 0),
            };
            let lifetime = Duration::from_secs(lifetime.into()).min(self.max_ttl);
            self.chain.put(key, Link { answer: answer.clone(), proven: false }, size, lifetime);
        }
        answer
    }
}

fn lifetime(message: &Message) -> u32 {
    let ttl = message.answers.iter().map(|record| record.ttl).min();
    ttl.or_else(|| answer::soa_ttl(message)).unwrap_or(0)
}

/// Reduces an answer to the records of the queried name. The validator takes a message as one statement about one name: an alias
/// is validated alone, its target is queried separately, and other data would only cause more queries.
fn trim(message: &mut Message, query: &Query) {
    // The validator searches all sections for zone cuts.
    if query.query_type() == RecordType::NS {
        return;
    }
    let name = query.name();
    // RFC 6672 §5.3.1: the unsigned alias that a DNAME implies is proven by the DNAME.
    message.answers.retain(|record| record.name == *name || covers(record, RecordType::DNAME));
    message.additionals.clear();
    let expanded = message.answers.iter().any(is_wildcard_signature);
    if message.answers.is_empty() {
        message.authorities.retain(is_denial);
    } else if expanded {
        // RFC 4035 §5.3.4: a wildcard's answer needs the proof that there is no closer match. An SOA would be about the
        // target of an alias, which is queried separately.
        message.authorities.retain(|r| is_denial(r) && !covers(r, RecordType::SOA));
    } else {
        message.authorities.clear();
    }
    if !message.answers.is_empty() {
        // RFC 6604 §3: with an alias, the code was about the target.
        message.metadata.response_code = ResponseCode::NoError;
    }
    if query.query_type() == RecordType::DS && !message.answers.iter().any(is_signature) {
        deny_unsigned(message, name);
    }
}

fn is_signature(record: &Record) -> bool {
    record.record_type() == RecordType::RRSIG
}

/// Replaces unsigned DS records by a denial. RFC 4035 §5.2: unsigned DS records prove nothing. hickory 0.26.3 would take them for
/// forged, though a parent that signs nothing may have them; for a denial it checks whether that is so.
fn deny_unsigned(message: &mut Message, zone: &Name) {
    let unsigned = message.answers.iter().filter(|record| record.record_type() == RecordType::DS);
    let Some(ttl) = unsigned.map(|record| record.ttl).min() else { return };
    let parent = zone.base_name();
    let soa = SOA::new(parent.clone(), Name::root(), 0, 0, 0, 0, ttl);
    message.answers.clear();
    message.authorities = vec![Record::from_rdata(parent, ttl, RData::SOA(soa))];
}

/// Is the record of this type, or a signature over it?
fn covers(record: &Record, record_type: RecordType) -> bool {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().type_covered == record_type,
        _ => record.record_type() == record_type,
    }
}

/// Is the record part of a denial?
fn is_denial(record: &Record) -> bool {
    [RecordType::SOA, RecordType::NSEC, RecordType::NSEC3].iter().any(|t| covers(record, *t))
}

/// Is this a signature over a wildcard? RFC 4035 §5.3.4: it covers fewer labels than the name has.
fn is_wildcard_signature(record: &Record) -> bool {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().num_labels < record.name.num_labels(),
        _ => false,
    }
}
