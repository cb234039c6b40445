//! Converts between the names and records of [`dns`] and those of hickory.

use dns::{Kind, Mx, Name, Record, Tlsa};
use hickory_proto::rr::{self, RData, RecordType};

/// An absolute name for a query. None if it does not fit into a DNS message, which [`Name`] rules out.
pub(crate) fn to_hickory(name: &Name) -> Option<rr::Name> {
    rr::Name::from_labels(name.labels().map(str::as_bytes)).ok()
}

/// A name from an answer; none if it has bytes that [`Name`] does not allow.
pub(crate) fn from_hickory(name: &rr::Name) -> Option<Name> {
    if name.is_root() {
        return Some(Name::root());
    }
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let label = std::str::from_utf8(label).ok().filter(|label| !label.contains('.'))?;
        text.push_str(label);
        text.push('.');
    }
    text.parse().ok()
}

pub(crate) fn record_type(kind: Kind) -> Option<RecordType> {
    Some(match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Txt => RecordType::TXT,
        Kind::Ptr => RecordType::PTR,
        Kind::Tlsa => RecordType::TLSA,
        Kind::Cname => RecordType::CNAME,
        _ => return None,
    })
}

/// The data of a record; none for types that mail does not use, and for names that [`Name`] does not allow.
pub(crate) fn record(data: &RData) -> Option<Record> {
    Some(match data {
        RData::A(a) => Record::A(a.0),
        RData::AAAA(aaaa) => Record::Aaaa(aaaa.0),
        RData::MX(mx) => Record::Mx(Mx { preference: mx.preference, exchange: from_hickory(&mx.exchange)? }),
        // RFC 7208 §3.3, RFC 6376 §3.6.2.2, RFC 9989 §4.5: the strings are joined without anything between.
        RData::TXT(txt) => Record::Txt(txt.txt_data.concat()),
        RData::PTR(ptr) => Record::Ptr(from_hickory(&ptr.0)?),
        RData::CNAME(cname) => Record::Cname(from_hickory(&cname.0)?),
        RData::TLSA(tlsa) => Record::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        _ => return None,
    })
}

/// Bytes that a record takes in the cache.
pub(crate) fn size(record: &Record) -> usize {
    let data = match record {
        Record::Txt(text) => text.len(),
        Record::Mx(mx) => mx.exchange.as_str().len(),
        Record::Ptr(name) | Record::Cname(name) => name.as_str().len(),
        Record::Tlsa(tlsa) => tlsa.data.len(),
        _ => 0,
    };
    size_of::<Record>() + data
}
