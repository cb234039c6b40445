//! A name server with signed zones, one below the other, which answers as a recursive resolver would.

use hickory_net::runtime::{Time, TokioTime};
use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG, SigInput};
use hickory_proto::dnssec::{Algorithm, DigestType, DnssecSigner, SigningKey, TBS};
use hickory_proto::rr::{
    DNSClass, LowerName, Name, RData, Record, RecordSet, RecordType, RrKey, SerialNumber,
};
use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use moxd_dns_hickory::testing::bind;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A zone to be served. Zones are given from the root down.
pub(crate) struct Zone {
    pub(crate) origin: &'static str,
    /// Records beside SOA and NS, in the format of zone files.
    pub(crate) text: &'static str,
    pub(crate) signed: Signed,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Signed {
    /// Not signed; the parent proves that there is no DS.
    No,
    /// Signed with keys that the parent vouches for, with NSEC denials.
    Nsec,
    /// The same, with hashed denials (NSEC3) of this many iterations.
    Nsec3(u16),
    /// The same, with unsigned delegations left out of the denials.
    OptOut(u16),
    /// Signed, but the parent vouches for other keys.
    WrongKeys,
    /// The parent vouches for keys, and the zone has none.
    Missing,
    /// Signed, but the parent has no DS.
    Island,
}

/// The running server.
pub(crate) struct SignedServer {
    pub(crate) address: SocketAddr,
    /// The root's key as a trust anchor.
    pub(crate) anchor: String,
    questions: Arc<AtomicUsize>,
    server: Server<Zones>,
}

struct Zones {
    /// The zones, the deepest first.
    zones: Vec<(LowerName, Catalog)>,
    questions: Arc<AtomicUsize>,
}

impl SignedServer {
    pub(crate) async fn start(zones: &[Zone]) -> Self {
        let mut delegations: Vec<(Name, Vec<Record>)> = Vec::new();
        let mut anchor = String::new();
        let mut served = Vec::new();
        // From the bottom up, since a parent holds its children's delegations.
        for zone in zones.iter().rev() {
            let origin = Name::from_ascii(zone.origin).unwrap();
            let key = key();
            let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
            let mut records = parse(&origin, zone.text);
            for (child, delegation) in &delegations {
                let parent = zones.iter().rev().map(|z| Name::from_ascii(z.origin).unwrap());
                let parent = parent.filter(|p| p.zone_of(child) && p != child).max_by_key(Name::num_labels);
                if parent.as_ref() == Some(&origin) {
                    delegation.iter().for_each(|record| insert(&mut records, record.clone()));
                }
            }
            let mut delegation = vec![ns(&origin)];
            match zone.signed {
                Signed::No | Signed::Island => {}
                Signed::WrongKeys => {
                    delegation.push(ds(&origin, &DNSKEY::from_key(&self::key().to_public_key().unwrap())))
                }
                _ => delegation.push(ds(&origin, &dnskey)),
            }
            delegations.push((origin.clone(), delegation));
            if origin.is_root() {
                anchor = format!(". 3600 IN DNSKEY {dnskey}\n");
            }
            served.push((LowerName::from(&origin), catalog(zone, origin, records, key, dnskey)));
        }
        let questions = Arc::new(AtomicUsize::new(0));
        let (tcp, udp) = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let mut server = Server::new(Zones { zones: served, questions: Arc::clone(&questions) });
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 32);
        Self { address, anchor, questions, server }
    }

    /// The number of queries so far.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// Stops the server and frees its address.
    pub(crate) async fn stop(mut self) {
        self.server.shutdown_gracefully().await.unwrap();
    }
}

impl RequestHandler for Zones {
    fn handle_request<'a, 'b, 'f, R: ResponseHandler + 'f, T: Time + 'f>(
        &'a self,
        request: &'b Request,
        response_handle: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'f>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            self.questions.fetch_add(1, Ordering::Relaxed);
            let query = request.request_info().unwrap().query;
            // RFC 4035 §3.1.4.1: a delegation's DS is the parent's.
            let parent = query.query_type() == RecordType::DS && !query.name().is_root();
            let holds =
                |origin: &LowerName| origin.zone_of(query.name()) && !(parent && origin == query.name());
            let (_, catalog) = self
                .zones
                .iter()
                .filter(|(origin, _)| holds(origin))
                .max_by_key(|(o, _)| o.num_labels())
                .unwrap();
            catalog.handle_request::<R, T>(request, response_handle).await
        })
    }
}

fn key() -> Ed25519SigningKey {
    Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn ns(origin: &Name) -> Record {
    let server = Name::from_ascii("ns.test.").unwrap();
    Record::from_rdata(origin.clone(), 300, RData::NS(hickory_proto::rr::rdata::NS(server)))
}

fn ds(origin: &Name, dnskey: &DNSKEY) -> Record {
    let digest = dnskey.to_digest(origin, DigestType::SHA256).unwrap();
    let tag = dnskey.calculate_key_tag().unwrap();
    let ds = DS::new(tag, Algorithm::ED25519, DigestType::SHA256, digest.as_ref().to_vec());
    Record::from_rdata(origin.clone(), 300, RData::DNSSEC(DNSSECRData::DS(ds)))
}

type Records = BTreeMap<RrKey, RecordSet>;

fn parse(origin: &Name, text: &str) -> Records {
    let soa = "@ 300 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n";
    let text = format!("{soa}@ 300 IN NS ns.test.\n{text}\n");
    Parser::new(text, None, Some(origin.clone())).parse().unwrap().1
}

fn insert(records: &mut Records, record: Record) {
    let key = RrKey::new(LowerName::from(&record.name), record.record_type());
    let fresh = || RecordSet::new(record.name.clone(), record.record_type(), 1);
    records.entry(key).or_insert_with(fresh).insert(record.clone(), 1);
}

fn catalog(zone: &Zone, origin: Name, records: Records, key: Ed25519SigningKey, dnskey: DNSKEY) -> Catalog {
    let proof = match zone.signed {
        Signed::No | Signed::Missing => None,
        Signed::Nsec | Signed::WrongKeys | Signed::Island => Some(NxProofKind::Nsec),
        Signed::Nsec3(iterations) | Signed::OptOut(iterations) => Some(NxProofKind::Nsec3 {
            algorithm: Default::default(),
            salt: Arc::from([]),
            iterations,
            opt_out: matches!(zone.signed, Signed::OptOut(_)),
        }),
    };
    let signs = proof.is_some();
    let signer = DnssecSigner::new(dnskey, Box::new(key), origin.clone(), Duration::from_secs(DAY.into()));
    let timed: Vec<_> =
        records.values().filter_map(|set| Some((set.clone(), timed(set, &signer)?))).collect();
    let mut handler = InMemoryZoneHandler::<hickory_net::runtime::TokioRuntimeProvider>::new(
        origin.clone(),
        records,
        ZoneType::Primary,
        AxfrPolicy::Deny,
        proof,
    )
    .unwrap();
    if signs {
        handler.add_zone_signing_key_mut(signer).unwrap();
        handler.secure_zone_mut().unwrap();
        forge(&mut handler);
        for (mut set, signature) in timed {
            set.set_rrsigs(vec![signature]);
            let key = RrKey::new(LowerName::from(set.name()), set.record_type());
            handler.records_get_mut().insert(key, Arc::new(set));
        }
    }
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::from(&origin), vec![Arc::new(handler)]);
    catalog
}

/// Seconds.
const DAY: u32 = 86_400;

/// The signature over a set whose name begins with a time: when its signature is, was or will be good.
fn timed(set: &RecordSet, signer: &DnssecSigner) -> Option<Record> {
    let now = u32::try_from(TokioTime::current_time()).unwrap();
    let (from, until) = match set.name().iter().next()? {
        b"expired" => (now - 2 * DAY, now - DAY),
        b"early" => (now + DAY, now + 2 * DAY),
        b"timely" => (now - DAY, now + DAY),
        _ => return None,
    };
    let input = SigInput {
        type_covered: set.record_type(),
        algorithm: signer.key().algorithm(),
        num_labels: set.name().num_labels(),
        original_ttl: set.ttl(),
        sig_expiration: SerialNumber::new(until),
        sig_inception: SerialNumber::new(from),
        key_tag: signer.calculate_key_tag().unwrap(),
        signer_name: signer.signer_name().clone(),
    };
    let signed = TBS::from_input(set.name(), DNSClass::IN, &input, set.records_without_rrsigs()).unwrap();
    let signature = RRSIG::from_sig(input, signer.sign(&signed).unwrap());
    let signature = RData::DNSSEC(DNSSECRData::RRSIG(signature));
    Some(Record::from_rdata(set.name().clone(), set.ttl(), signature))
}

/// Changes the text of every name that begins with `forged` behind its signature.
fn forge(handler: &mut InMemoryZoneHandler<hickory_net::runtime::TokioRuntimeProvider>) {
    for set in handler.records_get_mut().values_mut() {
        if set.record_type() == RecordType::TXT && set.name().to_string().starts_with("forged") {
            let text = hickory_proto::rr::rdata::TXT::new(vec!["forged".to_owned()]);
            let mut changed = RecordSet::new(set.name().clone(), RecordType::TXT, 1);
            changed.set_records(vec![Record::from_rdata(set.name().clone(), set.ttl(), RData::TXT(text))]);
            changed.set_rrsigs(set.rrsigs().to_vec());
            *set = Arc::new(changed);
        }
    }
}
