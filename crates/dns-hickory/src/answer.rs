//! Reads the reply of one DNS exchange.

use crate::convert;
use dns::{Kind, LookupErrorKind, Record, Security};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{self, RData, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use std::time::Duration;

/// Aliases followed for one question, as in [`dns::zone`]; a longer chain is a malformed answer.
pub(crate) const MAX_ALIASES: usize = dns::zone::MAX_ALIASES;

/// The reply of one exchange.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) content: Content,
    pub(crate) security: Security,
    /// How long the reply may be cached.
    pub(crate) lifetime: Duration,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Records of the type.
    Records(Vec<Record>),
    /// The name is an alias, and the message has no data of its target.
    Alias(rr::Name),
    /// No records, or none that can be used.
    Error(LookupErrorKind),
}

/// Reads the result of an exchange. `validated`: its records carry the validator's proofs.
pub(crate) fn read(result: Result<Message, NetError>, name: &rr::Name, kind: Kind, validated: bool) -> Reply {
    match result {
        Ok(message) => positive(&message, name, kind, validated),
        Err(NetError::Dns(DnsError::NoRecordsFound(absent))) => {
            // Only plain exchanges end like this: the validator returns denials as messages.
            let lifetime = Duration::from_secs(absent.negative_ttl.unwrap_or(0).into());
            Reply { content: denied(absent.response_code), security: Security::Unknown, lifetime }
        }
        Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => match security(proof) {
            Some(security) => {
                Reply { security: proves(security, &response), ..negative(&response, name, validated) }
            }
            None if wildcard_is_proven(&response, name) => positive(&response, name, kind, validated),
            None => failed(LookupErrorKind::Bogus),
        },
        Err(error) => failed(failure(&error)),
    }
}

/// A reply without a usable answer.
pub(crate) fn failed(kind: LookupErrorKind) -> Reply {
    Reply { content: Content::Error(kind), security: Security::Unknown, lifetime: Duration::ZERO }
}

fn positive(message: &Message, asked: &rr::Name, kind: Kind, validated: bool) -> Reply {
    let Some(record_type) = convert::record_type(kind) else { return failed(LookupErrorKind::Malformed) };
    let mut name = asked;
    // RFC 5155 §9.2: with an answer there is a denial only if a wildcard stands for the name; a gap does not prove that
    // the name itself is not there.
    let mut security = match (validated, has_gaps(message)) {
        (false, _) => Security::Unknown,
        (true, true) => Security::Insecure,
        (true, false) => Security::Secure,
    };
    let mut ttl = u32::MAX;
    for _ in 0..=MAX_ALIASES {
        let here = || message.answers.iter().filter(|record| record.name == *name);
        let mut wanted = here().filter(|record| record.record_type() == record_type).peekable();
        let alias = here().find(|record| record.record_type() == RecordType::CNAME);
        // RFC 1034 §3.6.2: an alias has no other data, so a query for a type follows it.
        let used: Vec<&rr::Record> = match (wanted.peek(), alias) {
            (Some(_), _) => wanted.collect(),
            (None, Some(alias)) => vec![alias],
            (None, None) if name == asked => return negative(message, name, validated),
            (None, None) => return end_of_chain(message, name, security, ttl),
        };
        for record in &used {
            let proof = if record.proof == Proof::Bogus { implied(message, record) } else { record.proof };
            match (validated, self::security(proof)) {
                (false, _) => {}
                (true, Some(proof)) => security = security.min(proof),
                (true, None) => return failed(LookupErrorKind::Bogus),
            }
            ttl = ttl.min(record.ttl);
        }
        match used.as_slice() {
            [rr::Record { data: RData::CNAME(to), .. }] if kind != Kind::Cname => name = &to.0,
            found => {
                let records: Vec<Record> = found.iter().filter_map(|r| convert::record(&r.data)).collect();
                // Unreadable records are ignored, unless there are no others.
                if records.is_empty() {
                    return failed(LookupErrorKind::Malformed);
                }
                return Reply { content: Content::Records(records), security, lifetime: seconds(ttl) };
            }
        }
    }
    failed(LookupErrorKind::Malformed)
}

/// RFC 4035 §5.3.4: data expanded from a wildcard need a proof that no closer name exists. hickory 0.26.3 misses that proof if
/// the name is one label below the wildcard's parent and the zone uses NSEC.
fn wildcard_is_proven(message: &Message, name: &rr::Name) -> bool {
    let labels = message.answers.iter().find_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if record.name == *name && record.proof == Proof::Secure => {
            Some(rrsig.input().num_labels).filter(|labels| *labels < name.num_labels())
        }
        _ => None,
    });
    let Some(labels) = labels else { return false };
    // RFC 5155 §1.3: the next closer name is one label longer than the wildcard's parent. If it does not
    // exist, nothing below it does.
    let next_closer = name.trim_to(usize::from(labels) + 1);
    message.authorities.iter().filter(|record| record.proof == Proof::Secure).any(|record| {
        match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => denies(&record.name, nsec, &next_closer),
            _ => false,
        }
    })
}

/// Does this NSEC record prove that `name` does not exist, not even as the parent of another?
fn denies(owner: &rr::Name, nsec: &NSEC, name: &rr::Name) -> bool {
    let next = nsec.next_domain_name();
    // RFC 6840 §4.1: the parent's record at a delegation says nothing of the names below.
    let types = nsec.type_set();
    let delegates = types.contains(RecordType::NS) && !types.contains(RecordType::SOA);
    if delegates && owner.zone_of(name) {
        return false;
    }
    // RFC 4034 §4.1.1: the last record of a zone points back to its apex.
    let before_next = name < next || (next <= owner && next.zone_of(name));
    owner < name && before_next && !name.zone_of(next)
}

/// RFC 6672 §5.3.1: an alias that a DNAME implies has no signature of its own, and has the DNAME's proof.
fn implied(message: &Message, alias: &rr::Record) -> Proof {
    let RData::CNAME(to) = &alias.data else { return alias.proof };
    let implies = |record: &&rr::Record| {
        let RData::Unknown { code: RecordType::DNAME, rdata } = &record.data else { return false };
        let Ok(target) = rr::Name::from_bytes(&rdata.anything) else { return false };
        let owner = &record.name;
        let below = alias.name.num_labels().checked_sub(owner.num_labels()).filter(|labels| *labels > 0);
        let Some(labels) = below.filter(|_| owner.zone_of(&alias.name)) else { return false };
        let prefix = alias.name.iter().take(labels.into());
        rr::Name::from_labels(prefix.chain(target.iter())).is_ok_and(|implied| implied == to.0)
    };
    message.answers.iter().find(implies).map_or(alias.proof, |dname| dname.proof)
}

/// Reads a chain of aliases whose last name has no data in the message.
fn end_of_chain(message: &Message, name: &rr::Name, security: Security, ttl: u32) -> Reply {
    // RFC 6604 §3: the response code is about the last name. RFC 2308 §2.2: an SOA says that nothing is there.
    let denial = negative(message, name, false);
    if message.response_code == ResponseCode::NXDomain || soa_ttl(message).is_some() {
        return Reply { security, lifetime: denial.lifetime.min(seconds(ttl)), ..denial };
    }
    Reply { content: Content::Alias(name.clone()), security, lifetime: seconds(ttl) }
}

fn negative(message: &Message, name: &rr::Name, validated: bool) -> Reply {
    // The validator lets a denial through when its zone is insecure, or when NSEC or NSEC3 records prove it.
    let proven = message.authorities.iter().any(|record| {
        matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3) && record.proof == Proof::Secure
    });
    // RFC 4035 §5.4: a zone denies its own names; that another zone is unsigned says nothing about this one.
    let unsigned = |record: &rr::Record| record.proof == Proof::Insecure && record.name.zone_of(name);
    if validated && !proven && !message.authorities.is_empty() && !message.authorities.iter().any(unsigned) {
        return failed(LookupErrorKind::Bogus);
    }
    let security = match (validated, proven) {
        (false, _) => Security::Unknown,
        (true, true) => proves(Security::Secure, message),
        (true, false) => Security::Insecure,
    };
    // RFC 2308 §5: without an SOA, a negative answer is not cached.
    let lifetime = seconds(soa_ttl(message).unwrap_or(0));
    Reply { content: denied(message.response_code), security, lifetime }
}

/// The security of a denial, from that of its records. RFC 5155 §9.2: a gap proves nothing about a name in it.
fn proves(records: Security, denial: &Message) -> Security {
    // RFC 5155 §8.5: a proof that a name has no data of a type takes one record; all other proofs take a gap.
    let is_nsec3 = |record: &&rr::Record| record.record_type() == RecordType::NSEC3;
    let one = denial.authorities.iter().filter(is_nsec3).count() == 1;
    let names_all = denial.response_code == ResponseCode::NoError && one;
    if records == Security::Secure && !names_all && has_gaps(denial) { Security::Insecure } else { records }
}

/// Does a denial leave unsigned delegations out (RFC 5155 §6)?
fn has_gaps(message: &Message) -> bool {
    let is_opt_out =
        |record: &rr::Record| matches!(&record.data, RData::DNSSEC(DNSSECRData::NSEC3(n)) if n.opt_out());
    message.authorities.iter().any(is_opt_out)
}

/// RFC 2308 §5: the smaller of the SOA's TTL and its minimum field.
pub(crate) fn soa_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

fn denied(code: ResponseCode) -> Content {
    Content::Error(match code {
        ResponseCode::NXDomain => LookupErrorKind::NoName,
        ResponseCode::NoError => LookupErrorKind::NoData,
        _ => LookupErrorKind::Malformed,
    })
}

/// None for bogus.
fn security(proof: Proof) -> Option<Security> {
    match proof {
        Proof::Secure => Some(Security::Secure),
        Proof::Insecure => Some(Security::Insecure),
        Proof::Indeterminate => Some(Security::Unknown),
        Proof::Bogus => None,
    }
}

/// RFC 2181 §8: a TTL with its highest bit set counts as 0.
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > i32::MAX as u32 { 0 } else { ttl.into() })
}

/// The kind of failure of an exchange.
pub(crate) fn failure(error: &NetError) -> LookupErrorKind {
    match error {
        NetError::Timeout => LookupErrorKind::Timeout,
        NetError::Dns(DnsError::DnssecBogus) => LookupErrorKind::Bogus,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => LookupErrorKind::Refused,
        NetError::Proto(_) | NetError::ForeignClassRecord { .. } | NetError::Truncated => {
            LookupErrorKind::Malformed
        }
        _ => LookupErrorKind::Temporary,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
