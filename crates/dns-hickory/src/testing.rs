//! A small name server for tests: serves [`dns::zone`] text over UDP and TCP. It knows nothing of DNSSEC.
//!
//! The directives of zone text work over the wire: `!servfail` and `!bogus` answer SERVFAIL (as a validating server
//! does), `!refused` REFUSED, `!timeout` not at all, `!malformed` a message whose name points to itself. Answers can be
//! delayed, and a log keeps the queries.

use dns::zone::{Zone, block_on_ready};
use dns::{Kind, LookupErrorKind, Name, Question, Record, Resolver};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TLSA, TXT};
use hickory_proto::rr::{self, RData, RecordType};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::convert;

/// RFC 1035 §4.2.1: bytes of a datagram without EDNS.
const PLAIN_DATAGRAM: u16 = 512;
/// RFC 9715 §3.2: bytes of a datagram with EDNS at most.
const DATAGRAM: u16 = 1232;
/// Bytes of a query at most.
const QUESTION_BUFFER: usize = 4096;

/// Attempts to find a port that is free for TCP and UDP: resolvers take UDP ports at random.
const PORT_ATTEMPTS: u32 = 16;

/// How a server behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Time before each answer.
    pub delay: Duration,
    /// Number of queries that must have arrived before any is answered: a resolver that sends them one by one gets no answer.
    pub together: usize,
    /// TTL of all records, in seconds.
    pub ttl: u32,
    /// TTL of negative answers, in seconds; without one they have no SOA.
    pub negative_ttl: Option<u32>,
    /// Answer FORMERR to queries with EDNS, as old servers do.
    pub refuse_edns: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, together: 0, ttl: 300, negative_ttl: Some(60), refuse_edns: false }
    }
}

/// A query that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The name, without a final dot.
    pub name: String,
    /// The type, such as `TXT`.
    pub record_type: String,
    /// Did it come over TCP?
    pub tcp: bool,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Aborted on drop.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    zone: Zone,
    settings: Settings,
    log: watch::Sender<Vec<Asked>>,
}

impl Server {
    /// Serves a zone on a free port of loopback.
    ///
    /// # Errors
    /// No socket could be bound.
    pub async fn start(zone: Zone) -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), zone, Settings::default()).await
    }

    /// Serves a zone on an address; port 0 takes one that is free for UDP and TCP.
    ///
    /// # Errors
    /// No socket could be bound.
    pub async fn listen(address: SocketAddr, zone: Zone, settings: Settings) -> io::Result<Self> {
        let (tcp, udp) = bind(address).await?;
        let address = tcp.local_addr()?;
        let udp = Arc::new(udp);
        let shared = Arc::new(Shared { zone, settings, log: watch::Sender::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&shared)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared)));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// The address it listens on, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All queries so far, in the order of their arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.log.borrow().clone()
    }

    /// The number of queries so far for one name and type.
    pub fn count(&self, name: &str, record_type: &str) -> usize {
        self.asked().iter().filter(|asked| asked.name == name && asked.record_type == record_type).count()
    }
}

/// Binds both sockets to one port; port 0 takes one that is free for both.
///
/// # Errors
/// The port is taken, or no free one was found.
pub async fn bind(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if attempts == 1 => return Err(error),
            Err(_) => attempts -= 1,
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; QUESTION_BUFFER];
    loop {
        // An ICMP error of an earlier answer is reported here, and does not concern the socket.
        let Ok((len, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let question = buffer.get(..len).unwrap_or_default().to_vec();
        let (socket, shared) = (Arc::clone(&socket), Arc::clone(&shared));
        tasks.spawn(async move {
            if let Some(answer) = shared.answer(&question, false).await {
                let _ = socket.send_to(&answer, peer).await;
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            // The peer may hang up at any time.
            let _ = serve_stream(stream, &shared).await;
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// RFC 1035 §4.2.2: each message has its length before it, in two bytes.
async fn serve_stream(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let mut question = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut question).await?;
        if let Some(answer) = shared.answer(&question, true).await {
            stream.write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX)).await?;
            stream.write_all(&answer).await?;
        }
    }
}

impl Shared {
    async fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let request = Message::from_vec(question).ok()?;
        let query = request.queries.first()?;
        let asked = Asked {
            name: query.name().to_string().trim_end_matches('.').to_ascii_lowercase(),
            record_type: query.query_type().to_string(),
            tcp,
        };
        self.log.send_modify(|log| log.push(asked));
        self.log.subscribe().wait_for(|log| log.len() >= self.settings.together).await.ok()?;
        if !self.settings.delay.is_zero() {
            tokio::time::sleep(self.settings.delay).await;
        }
        let mut response = Message::new(request.id, MessageType::Response, OpCode::Query);
        response.metadata.recursion_desired = request.recursion_desired;
        response.metadata.recursion_available = true;
        response.add_query(query.clone());
        if self.settings.refuse_edns && request.edns.is_some() {
            response.metadata.response_code = ResponseCode::FormErr;
            return response.to_vec().ok();
        }
        match self.fill(&mut response, query) {
            Ok(()) => {}
            Err(LookupErrorKind::Timeout) => return None,
            Err(LookupErrorKind::Malformed) => return Some(name_loop(&response)),
            Err(LookupErrorKind::Refused) => response.metadata.response_code = ResponseCode::Refused,
            Err(_) => response.metadata.response_code = ResponseCode::ServFail,
        }
        let mut limit = u16::MAX;
        if !tcp {
            limit = request
                .edns
                .as_ref()
                .map_or(PLAIN_DATAGRAM, |edns| edns.max_payload().clamp(PLAIN_DATAGRAM, DATAGRAM));
        }
        if request.edns.is_some() {
            response.set_edns(Edns::new());
        }
        let bytes = response.to_vec().ok()?;
        if bytes.len() <= limit.into() { Some(bytes) } else { response.truncate().to_vec().ok() }
    }

    /// Puts records or their absence into an answer; an error is a failure.
    fn fill(&self, response: &mut Message, query: &Query) -> Result<(), LookupErrorKind> {
        let asked = kind(query.query_type());
        let mut owner = query.name().clone();
        let mut name = convert::from_hickory(&owner).ok_or(LookupErrorKind::Malformed)?;
        for _ in 0..=dns::zone::MAX_ALIASES {
            let alias = self.lookup(&name, Kind::Cname).ok().and_then(|found| found.into_iter().next());
            match (alias, asked) {
                (Some(Record::Cname(target)), kind) if kind != Some(Kind::Cname) => {
                    let to = convert::to_hickory(&target).ok_or(LookupErrorKind::Malformed)?;
                    response.add_answer(self.record(&owner, RData::CNAME(CNAME(to.clone()))));
                    (owner, name) = (to, target);
                }
                _ => {
                    // A type that zones do not have is always absent.
                    let found = match self.lookup(&name, asked.unwrap_or(Kind::Txt)) {
                        Ok(_) if asked.is_none() => Err(LookupErrorKind::NoData),
                        found => found,
                    };
                    return self.conclude(response, &owner, found);
                }
            }
        }
        // The aliases loop: the answer has those followed so far.
        Ok(())
    }

    fn conclude(
        &self,
        response: &mut Message,
        owner: &rr::Name,
        found: Result<Vec<Record>, LookupErrorKind>,
    ) -> Result<(), LookupErrorKind> {
        match found {
            Ok(records) => {
                response.add_answers(records.iter().filter_map(data).map(|data| self.record(owner, data)));
                return Ok(());
            }
            Err(LookupErrorKind::NoData) => {}
            Err(LookupErrorKind::NoName) => response.metadata.response_code = ResponseCode::NXDomain,
            Err(failure) => return Err(failure),
        }
        if let Some(ttl) = self.settings.negative_ttl {
            let root = rr::Name::root();
            let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 600, 86400, ttl);
            response.add_authority(rr::Record::from_rdata(root, ttl, RData::SOA(soa)));
        }
        Ok(())
    }

    fn lookup(&self, name: &Name, kind: Kind) -> Result<Vec<Record>, LookupErrorKind> {
        match block_on_ready(self.zone.lookup(Question { name, kind })) {
            Ok(answer) => Ok(answer.records.to_vec()),
            Err(error) => Err(error.kind()),
        }
    }

    fn record(&self, owner: &rr::Name, data: RData) -> rr::Record {
        rr::Record::from_rdata(owner.clone(), self.settings.ttl, data)
    }
}

fn kind(record_type: RecordType) -> Option<Kind> {
    let kinds = [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Txt, Kind::Ptr, Kind::Tlsa, Kind::Cname];
    kinds.into_iter().find(|kind| convert::record_type(*kind) == Some(record_type))
}

fn data(record: &Record) -> Option<RData> {
    Some(match record {
        Record::A(ip) => RData::A(A(*ip)),
        Record::Aaaa(ip) => RData::AAAA(AAAA(*ip)),
        Record::Mx(mx) => RData::MX(MX::new(mx.preference, convert::to_hickory(&mx.exchange)?)),
        // RFC 1035 §3.3: a character-string has at most 255 bytes.
        Record::Txt(text) if text.is_empty() => RData::TXT(TXT::from_bytes(vec![&[]])),
        Record::Txt(text) => RData::TXT(TXT::from_bytes(text.chunks(255).collect())),
        Record::Ptr(name) => RData::PTR(PTR(convert::to_hickory(name)?)),
        Record::Cname(name) => RData::CNAME(CNAME(convert::to_hickory(name)?)),
        Record::Tlsa(tlsa) => RData::TLSA(TLSA::new(
            CertUsage::from(tlsa.usage),
            Selector::from(tlsa.selector),
            Matching::from(tlsa.matching),
            tlsa.data.clone(),
        )),
        _ => return None,
    })
}

/// Adds a record to an answer whose name is a pointer to itself (RFC 1035 §4.1.4 forbids it).
fn name_loop(response: &Message) -> Vec<u8> {
    let mut bytes = response.to_vec().unwrap_or_default();
    if let Some(count) = bytes.get_mut(6..8) {
        count.copy_from_slice(&[0, 1]);
    }
    let here = u16::try_from(bytes.len()).unwrap_or(0) | 0xc000;
    bytes.extend(here.to_be_bytes());
    // TXT, IN, TTL 60, two bytes of data
    bytes.extend([0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, b'x']);
    bytes
}
