//! Parsing a [`Record`]: tolerant by RFC 9989 §4.7; by RFC 7489 §6.3 strict up to the policy, and tolerant behind it.

use crate::uri::MAX_URIS;
use crate::{Alignment, Error, ErrorKind, FailureOptions, Policy, PublicSuffix, Record, Rules, Uri};

/// Tags of one record that are parsed; the rest is ignored. There are 13 different ones.
const MAX_TAGS: usize = 64;

/// Returns the text behind the version; `None` if this is not a DMARC record.
pub(crate) fn body(text: &str, rules: Rules) -> Option<&str> {
    // RFC 9989 §4.8: dmarc-version = "v" equals %s"DMARC1"; nothing may stand before it.
    let rest = text.strip_prefix(['v', 'V'])?;
    let rest = skip(skip(rest).strip_prefix('=')?);
    let rest = skip(rest.strip_prefix("DMARC1")?);
    match rest.strip_prefix(';') {
        Some(body) => Some(body),
        // RFC 7489 §6.4: the version is followed by a separator. RFC 9989 §4.8: it may be all there is.
        None if rest.is_empty() && rules == Rules::Rfc9989 => Some(""),
        None => None,
    }
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

pub(crate) fn record(text: &str, rules: Rules) -> Result<Record, Error> {
    let body = body(text, rules).ok_or_else(|| Error::new(ErrorKind::NotDmarc))?;
    let mut reader = Reader { rules, ..Reader::default() };
    for segment in
        body.split(';').map(|s| s.trim_matches([' ', '\t'])).filter(|s| !s.is_empty()).take(MAX_TAGS)
    {
        match reader.tag(segment) {
            // RFC 9989 §4.7, RFC 7489 §6.3: syntax errors in the remainder of the record are ignored, and the defaults
            // count. By RFC 7489 the remainder begins behind p=.
            Err(error) if rules == Rules::Rfc7489 && !reader.has_policy => return Err(error),
            _ => {}
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader<'a> {
    rules: Rules,
    record: Record,
    /// Whether a policy tag has a value that is none of the three.
    policy_is_broken: bool,
    /// Whether the tag `p` was parsed, whatever its value.
    has_policy: bool,
    seen: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn tag(&mut self, segment: &'a str) -> Result<(), Error> {
        let bad = || Error::at(ErrorKind::BadTag, segment);
        let (name, value) = segment.split_once('=').ok_or_else(bad)?;
        let (name, value) = (name.trim_end_matches([' ', '\t']), skip(value));
        let name_fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !name_fits {
            return Err(bad());
        }
        if self.seen.iter().any(|seen| seen.eq_ignore_ascii_case(name)) {
            return Err(Error::at(ErrorKind::DuplicateTag, name));
        }
        self.seen.push(name);
        let fits = self.set(&name.to_ascii_lowercase(), value)?;
        if fits { Ok(()) } else { Err(Error::at(ErrorKind::BadValue, name)) }
    }

    /// Sets a tag; returns `false` if the tag does not allow the value.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, Error> {
        let record = &mut self.record;
        let standard = self.rules == Rules::Rfc9989;
        Ok(match name {
            "p" if !standard && self.seen.len() > 1 => return Err(Error::at(ErrorKind::PolicyNotFirst, "p")),
            // RFC 9989 §4.10.1: what an unusable policy means is decided when all tags are read.
            "p" => {
                self.has_policy = true;
                put(&mut record.p, policy(value), &mut self.policy_is_broken)
            }
            "sp" => put(&mut record.sp, policy(value), &mut self.policy_is_broken),
            "np" if standard => put(&mut record.np, policy(value), &mut self.policy_is_broken),
            "adkim" => alignment(value).map(|a| record.adkim = a).is_some(),
            "aspf" => alignment(value).map(|a| record.aspf = a).is_some(),
            "fo" => failure_options(value).map(|fo| record.fo = fo).is_some(),
            "rua" => uris(value, self.rules).map(|uris| record.rua = uris).is_some(),
            "ruf" => uris(value, self.rules).map(|uris| record.ruf = uris).is_some(),
            "psd" if standard => public_suffix(value).map(|psd| record.psd = psd).is_some(),
            "t" if standard => flag(value).map(|t| record.t = t).is_some(),
            "pct" if !standard => number(value).filter(|n| *n <= 100).map(|n| record.pct = n as u8).is_some(),
            "ri" if !standard => number(value).map(|n| record.ri = n).is_some(),
            "rf" if !standard => formats(value).map(|rf| record.rf = rf).is_some(),
            // RFC 9989 §4.7, RFC 7489 §6.3: unknown tags MUST be ignored.
            _ => true,
        })
    }

    fn finish(self) -> Result<Record, Error> {
        let Self { rules, mut record, policy_is_broken, .. } = self;
        if record.p.is_some() && !policy_is_broken {
            return Ok(record);
        }
        (record.sp, record.np) = (None, None);
        // RFC 9989 §4.10.1, RFC 7489 §6.6.3: without a usable policy but with an address for reports, as `p=none`.
        record.p = (!record.rua.is_empty()).then_some(Policy::None);
        match rules {
            Rules::Rfc7489 if record.p.is_none() => Err(Error::at(ErrorKind::NoPolicy, "p")),
            _ => Ok(record),
        }
    }
}

/// Sets a policy. One that is unusable is noted in `broken`, not refused.
fn put(slot: &mut Option<Policy>, value: Option<Policy>, broken: &mut bool) -> bool {
    *slot = value;
    *broken |= value.is_none();
    true
}

fn policy(value: &str) -> Option<Policy> {
    let is = |policy: &Policy| value.eq_ignore_ascii_case(policy.as_str());
    [Policy::None, Policy::Quarantine, Policy::Reject].into_iter().find(is)
}

fn alignment(value: &str) -> Option<Alignment> {
    match value {
        "r" | "R" => Some(Alignment::Relaxed),
        "s" | "S" => Some(Alignment::Strict),
        _ => None,
    }
}

fn public_suffix(value: &str) -> Option<PublicSuffix> {
    match value {
        "y" | "Y" => Some(PublicSuffix::Yes),
        "n" | "N" => Some(PublicSuffix::No),
        "u" | "U" => Some(PublicSuffix::Unsaid),
        _ => None,
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "y" | "Y" => Some(true),
        "n" | "N" => Some(false),
        _ => None,
    }
}

fn number(value: &str) -> Option<u32> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}

/// Splits words at colons, which may have white space around them (RFC 7489 §6.4).
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').map(|word| word.trim_matches([' ', '\t']))
}

fn failure_options(value: &str) -> Option<FailureOptions> {
    let mut options = FailureOptions::EMPTY;
    for word in words(value) {
        match word {
            "0" => options.all = true,
            "1" => options.any = true,
            "d" | "D" => options.dkim = true,
            "s" | "S" => options.spf = true,
            _ => return None,
        }
    }
    Some(options)
}

fn formats(value: &str) -> Option<Vec<String>> {
    let keyword = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let formats: Vec<String> = words(value).take(MAX_URIS).map(str::to_ascii_lowercase).collect();
    formats.iter().all(|w| keyword(w)).then_some(formats)
}

/// RFC 9989 §4.10.1 asks for at least one valid URI: malformed ones beside it are left out.
fn uris(value: &str, rules: Rules) -> Option<Vec<Uri>> {
    let mut uris = Vec::new();
    for text in value.split(',').map(|uri| uri.trim_matches([' ', '\t'])).take(MAX_URIS) {
        uris.extend(Uri::parse(text, rules));
    }
    (!uris.is_empty()).then_some(uris)
}
