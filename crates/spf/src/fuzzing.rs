//! Entry points for fuzzing, each with the property it holds. Not part of the public face.

use crate::record::MAX_RECORD;
use crate::{
    Limits, MAX_EXPLANATION, MAX_NAMES, Outcome, Query, ReceivedSpf, Record, check, check_helo, explain,
};
use dns::zone::{Zone, block_on_ready};
use dns::{
    Answer, Domain, Host, Kind, Lookup, LookupError, LookupErrorKind, Mx, Question, Resolver, Security,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

/// A record: what is taken prints as text that reads back as the same record; a fault tells its place.
pub fn spf_record(data: &[u8]) {
    match Record::parse(data) {
        Ok(record) => {
            let printed = record.to_string();
            assert_eq!(Record::parse(printed.as_bytes()).as_ref(), Ok(&record), "{printed}");
            assert_eq!(printed.parse::<Record<'static>>(), Ok(record.into_owned()));
        }
        Err(error) => {
            assert!(error.position().is_none_or(|position| position < data.len()));
            assert!(error.to_string().len() < 1_000);
        }
    }
    if let Ok(field) = ReceivedSpf::parse(data) {
        let printed = field.to_string();
        if printed.len() < MAX_RECORD / 8 {
            assert_eq!(ReceivedSpf::parse(printed.as_bytes()), Ok(field), "{printed}");
        }
    }
}

/// A hostile DNS: it answers every TXT query with one of the lines, in turn; the first byte of that line decides how many
/// hosts and pointers it answers with, and whether addresses exist.
struct Hostile<'d> {
    lines: Vec<&'d [u8]>,
    asked: AtomicUsize,
}

impl Resolver for Hostile<'_> {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let line = self.lines.get(turn % self.lines.len().max(1)).copied().unwrap_or_default();
        let byte = line.first().copied().unwrap_or_default();
        let records = match question.kind {
            Kind::Txt if line.starts_with(b"v=spf1") => vec![dns::Record::Txt(line.to_vec())],
            Kind::Txt => vec![dns::Record::Txt([b"v=spf1 ", line].concat())],
            Kind::A if byte % 3 != 0 => vec![dns::Record::A(Ipv4Addr::new(192, 0, 2, byte))],
            Kind::Aaaa if byte % 3 != 0 => vec![dns::Record::Aaaa(Ipv6Addr::LOCALHOST)],
            Kind::Mx => {
                let mx = |preference| Mx { preference, exchange: question.name.clone() };
                (0..u16::from(byte % 32)).map(mx).map(dns::Record::Mx).collect()
            }
            Kind::Ptr => vec![dns::Record::Ptr(question.name.clone()); usize::from(byte % 32)],
            _ => Vec::new(),
        };
        if records.is_empty() {
            let Question { name, kind } = question;
            return Lookup::ready(Err(LookupError::new(LookupErrorKind::NoData, name.clone(), kind)));
        }
        Lookup::ready(Ok(Answer { records: records.into(), security: Security::Unknown }))
    }
}

/// An evaluation: it ends, within the limits, with a reason where there has to be one.
pub fn spf_check(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let hostile = Hostile { lines: rest.split(|&b| b == b'\n').collect(), asked: AtomicUsize::new(0) };
    let ip = if first % 2 == 0 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))
    } else {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    };
    let localpart = String::from_utf8_lossy(rest.get(..8).unwrap_or_default()).into_owned();
    let (Ok(domain), Ok(helo)) = ("example.test".parse::<Domain>(), "mx.test".parse::<Host>()) else {
        return;
    };
    let query = Query::new(ip).mail_from(&localpart, &domain).helo(&helo).receiver(&domain);
    let limits = Limits::default();

    let evaluation = block_on_ready(check(&hostile, &query, limits));
    assert!(evaluation.lookups <= limits.lookups);
    assert!(evaluation.void_lookups <= limits.void_lookups + 1);
    // The record itself, a question for each term, and the addresses of 10 names for each of them; a p macro beside it
    // has a term's share of its own.
    let questions = hostile.asked.load(Ordering::Relaxed);
    assert!(questions <= 1 + limits.lookups * (1 + MAX_NAMES), "{questions} questions");
    let decided =
        matches!(evaluation.result, Outcome::Pass | Outcome::Fail | Outcome::SoftFail | Outcome::Neutral);
    assert_eq!(evaluation.reason.is_none(), decided);
    assert_eq!(evaluation.matched.is_some(), decided);

    let field = ReceivedSpf::new(&query, &evaluation);
    let printed = field.to_string();
    assert_eq!(ReceivedSpf::parse(printed.as_bytes()), Ok(field), "{printed}");
    assert!(printed.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));

    let explanation = block_on_ready(explain(&hostile, &query, &evaluation, limits, UNIX_EPOCH));
    assert!(explanation.is_none_or(|text| {
        text.len() <= MAX_EXPLANATION && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    }));
    let _ = block_on_ready(check_helo(&hostile, &query, limits));
    if let Some(zone) = str::from_utf8(rest).ok().and_then(|text| Zone::parse(text).ok()) {
        assert!(block_on_ready(check(&zone, &query, limits)).lookups <= limits.lookups);
    }
}
