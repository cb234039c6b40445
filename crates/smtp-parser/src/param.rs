//! The parameters of MAIL and RCPT.

use crate::date::{utc, utc_text};
use crate::grammar::{Fault, Parsed};
use crate::limits::{MAX_ENVID, MAX_HOLDFOR_DIGITS, MAX_ORCPT, MAX_SIZE_DIGITS};
use crate::{SyntaxErrorKind, Xtext};
use bstr::BStr;
use nom::Parser;
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::combinator::opt;
use nom::sequence::preceded;
use std::time::{Duration, SystemTime};

/// The parameters of MAIL. `None` and `false` mean that the client did not give the parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParams<'a> {
    /// `SIZE=`: the size of the message that the client announces, in bytes (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152 §2, RFC 3030 §3).
    pub body: Option<Body>,
    /// `AUTH=`: the original submitter (RFC 4954 §5).
    pub auth: Option<Submitter<'a>>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `REQUIRETLS` (RFC 8689 §4.2).
    pub require_tls: bool,
    /// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865 §5).
    pub hold: Option<FutureRelease>,
    /// `RET=` (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// `ENVID=` (RFC 3461 §4.4).
    pub envid: Option<Xtext<'a>>,
}

/// The parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParams<'a> {
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient<'a>>,
}

/// Which bytes the message may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// ASCII lines.
    SevenBit,
    /// Lines with any byte except NUL (RFC 6152).
    EightBitMime,
    /// Any bytes; with BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// The original submitter of a message, according to the sending server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Submitter<'a> {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// An address, which is not parsed.
    Named(Xtext<'a>),
}

/// The earliest time at which the message may be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FutureRelease {
    /// After this time from now; from 1 to 999,999,999 seconds.
    For(Duration),
    /// At this moment. 1970 stands for all moments before it, which are past as well.
    Until(SystemTime),
}

/// How much of the message a failure report returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Return {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: the header alone.
    Headers,
}

/// Which reports the sender wants. All false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Notify {
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

/// The recipient the sender wrote to, before forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OriginalRecipient<'a> {
    /// The kind of address, `rfc822` or `utf-8` as a rule.
    pub kind: &'a BStr,
    /// Still in xtext, and not parsed, because it may be of any kind.
    pub address: Xtext<'a>,
}

type Value<'a> = Option<&'a [u8]>;

impl<'a> MailParams<'a> {
    /// Writes ` KEYWORD=value` for each that is there.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let mut put = |keyword: &str, value: &[u8]| put(out, keyword, value);
        if let Some(size) = self.size {
            put("SIZE=", size.to_string().as_bytes());
        }
        if let Some(body) = self.body {
            put("BODY=", body.name().as_bytes());
        }
        if let Some(submitter) = self.auth {
            put("AUTH=", submitter.encoded());
        }
        if self.smtputf8 {
            put("SMTPUTF8", b"");
        }
        if self.require_tls {
            put("REQUIRETLS", b"");
        }
        match self.hold {
            Some(FutureRelease::For(time)) => put("HOLDFOR=", time.as_secs().to_string().as_bytes()),
            Some(FutureRelease::Until(moment)) => put("HOLDUNTIL=", utc_text(moment).as_bytes()),
            None => {}
        }
        match self.ret {
            Some(Return::Full) => put("RET=FULL", b""),
            Some(Return::Headers) => put("RET=HDRS", b""),
            None => {}
        }
        if let Some(envid) = self.envid {
            put("ENVID=", envid.encoded());
        }
    }

    pub(crate) fn set(&mut self, keyword: &[u8], value: Value<'a>) -> Result<(), SyntaxErrorKind> {
        match keyword.to_ascii_uppercase().as_slice() {
            b"SIZE" => once(&mut self.size, size(required(value)?)?),
            b"BODY" => once(&mut self.body, body(required(value)?)?),
            b"AUTH" => once(&mut self.auth, submitter(required(value)?)?),
            b"SMTPUTF8" => flag(&mut self.smtputf8, value),
            b"REQUIRETLS" => flag(&mut self.require_tls, value),
            b"HOLDFOR" => once(&mut self.hold, hold_for(required(value)?)?),
            b"HOLDUNTIL" => once(&mut self.hold, hold_until(required(value)?)?),
            b"RET" => once(&mut self.ret, ret(required(value)?)?),
            b"ENVID" => once(&mut self.envid, bounded_xtext(required(value)?, MAX_ENVID)?),
            _ => Err(SyntaxErrorKind::UnknownParameter),
        }
    }
}

impl Body {
    /// The value of the parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl<'a> Submitter<'a> {
    fn encoded(self) -> &'a [u8] {
        match self {
            Self::Unknown => b"<>",
            Self::Named(address) => address.encoded(),
        }
    }
}

impl<'a> RcptParams<'a> {
    /// Writes ` KEYWORD=value` for each that is there.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        if let Some(notify) = self.notify {
            let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
            let words: Vec<&str> =
                words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word).collect();
            let list = if words.is_empty() { "NEVER".to_owned() } else { words.join(",") };
            put(out, "NOTIFY=", list.as_bytes());
        }
        if let Some(orcpt) = self.orcpt {
            put(out, "ORCPT=", &[orcpt.kind, b";".as_slice(), orcpt.address.encoded()].concat());
        }
    }

    pub(crate) fn set(&mut self, keyword: &[u8], value: Value<'a>) -> Result<(), SyntaxErrorKind> {
        match keyword.to_ascii_uppercase().as_slice() {
            b"NOTIFY" => once(&mut self.notify, notify(required(value)?)?),
            b"ORCPT" => once(&mut self.orcpt, orcpt(required(value)?)?),
            _ => Err(SyntaxErrorKind::UnknownParameter),
        }
    }
}

fn put(out: &mut Vec<u8>, keyword: &str, value: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(keyword.as_bytes());
    out.extend_from_slice(value);
}

/// Reads ` KEYWORD[=value]` to the end of the input and hands each to `set`.
pub(crate) fn params<'a>(
    mut rest: &'a [u8],
    mut set: impl FnMut(&'a [u8], Value<'a>) -> Result<(), SyntaxErrorKind>,
) -> Parsed<'a, ()> {
    while !rest.is_empty() {
        let (after, (keyword, value)) = param(rest)?;
        set(keyword, value).map_err(|kind| match kind {
            SyntaxErrorKind::DuplicateParameter
            | SyntaxErrorKind::UnknownParameter
            | SyntaxErrorKind::UnknownBody => Fault::new(kind, keyword),
            _ => Fault::new(kind, value.unwrap_or(keyword)),
        })?;
        rest = after;
    }
    Ok((rest, ()))
}

/// RFC 5321 §4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value].
fn param(input: &[u8]) -> Parsed<'_, (&[u8], Value<'_>)> {
    let mut spaces = take_while1(|byte| byte == b' ');
    let keyword = take_while1(|byte: u8| byte.is_ascii_alphanumeric() || byte == b'-');
    // RFC 5321 §4.1.2: a value has no "=", space or control character; RFC 6531 §3.3 adds UTF-8.
    let value = take_while1(|byte: u8| byte > b' ' && byte != b'=' && byte != 0x7f);
    let (rest, _) = spaces
        .parse(input)
        .map_err(|_: nom::Err<Fault<'_>>| Fault::new(SyntaxErrorKind::TrailingData, input))?;
    (keyword, opt(preceded(char('='), value)))
        .parse(rest)
        .map_err(|_: nom::Err<Fault<'_>>| Fault::new(SyntaxErrorKind::BadParameter, rest).into())
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), SyntaxErrorKind> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SyntaxErrorKind::DuplicateParameter),
    }
}

fn flag(slot: &mut bool, value: Value<'_>) -> Result<(), SyntaxErrorKind> {
    match (std::mem::replace(slot, true), value) {
        (_, Some(_)) => Err(SyntaxErrorKind::BadParameter),
        (true, None) => Err(SyntaxErrorKind::DuplicateParameter),
        (false, None) => Ok(()),
    }
}

fn required(value: Value<'_>) -> Result<&[u8], SyntaxErrorKind> {
    value.ok_or(SyntaxErrorKind::BadParameter)
}

/// A number of decimal digits alone. None when it has other characters or none.
pub(crate) fn digits(text: &[u8]) -> Option<&str> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

/// RFC 1870 §3: size-value = 1*20DIGIT.
pub(crate) fn size(value: &[u8]) -> Result<u64, SyntaxErrorKind> {
    let text = digits(value).ok_or(SyntaxErrorKind::BadParameter)?;
    if text.len() > MAX_SIZE_DIGITS {
        return Err(SyntaxErrorKind::SizeTooLarge);
    }
    text.parse().map_err(|_| SyntaxErrorKind::SizeTooLarge)
}

fn body(value: &[u8]) -> Result<Body, SyntaxErrorKind> {
    match value.to_ascii_uppercase().as_slice() {
        b"7BIT" => Ok(Body::SevenBit),
        b"8BITMIME" => Ok(Body::EightBitMime),
        b"BINARYMIME" => Ok(Body::BinaryMime),
        _ => Err(SyntaxErrorKind::UnknownBody),
    }
}

fn submitter(value: &[u8]) -> Result<Submitter<'_>, SyntaxErrorKind> {
    let text = Xtext::checked(value)?;
    Ok(if value == b"<>" { Submitter::Unknown } else { Submitter::Named(text) })
}

/// RFC 4865 §5: 1 to 9 digits, the first not 0.
fn hold_for(value: &[u8]) -> Result<FutureRelease, SyntaxErrorKind> {
    digits(value)
        .filter(|text| text.len() <= MAX_HOLDFOR_DIGITS && !text.starts_with('0'))
        .and_then(|text| text.parse().ok())
        .map(|seconds| FutureRelease::For(Duration::from_secs(seconds)))
        .ok_or(SyntaxErrorKind::BadParameter)
}

/// RFC 4865 §5: an RFC 3339 date and time in UTC.
fn hold_until(value: &[u8]) -> Result<FutureRelease, SyntaxErrorKind> {
    utc(value).map(FutureRelease::Until).ok_or(SyntaxErrorKind::BadParameter)
}

fn ret(value: &[u8]) -> Result<Return, SyntaxErrorKind> {
    match value.to_ascii_uppercase().as_slice() {
        b"FULL" => Ok(Return::Full),
        b"HDRS" => Ok(Return::Headers),
        _ => Err(SyntaxErrorKind::BadParameter),
    }
}

/// RFC 3461 §4.1: NEVER alone, or a list of the others.
fn notify(value: &[u8]) -> Result<Notify, SyntaxErrorKind> {
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(notify);
    }
    for word in value.split(|&byte| byte == b',') {
        match word.to_ascii_uppercase().as_slice() {
            b"SUCCESS" => notify.success = true,
            b"FAILURE" => notify.failure = true,
            b"DELAY" => notify.delay = true,
            _ => return Err(SyntaxErrorKind::BadParameter),
        }
    }
    Ok(notify)
}

/// RFC 3461 §4.2: addr-type ";" xtext.
fn orcpt(value: &[u8]) -> Result<OriginalRecipient<'_>, SyntaxErrorKind> {
    let semicolon = memchr::memchr(b';', value).ok_or(SyntaxErrorKind::BadParameter)?;
    let (kind, address) = value.split_at_checked(semicolon).ok_or(SyntaxErrorKind::BadParameter)?;
    let address = address.get(1..).filter(|text| !text.is_empty()).ok_or(SyntaxErrorKind::BadParameter)?;
    if value.len() > MAX_ORCPT || kind.is_empty() {
        return Err(SyntaxErrorKind::BadParameter);
    }
    Ok(OriginalRecipient { kind: BStr::new(kind), address: Xtext::checked(address)? })
}

fn bounded_xtext(value: &[u8], max: usize) -> Result<Xtext<'_>, SyntaxErrorKind> {
    if value.len() > max {
        return Err(SyntaxErrorKind::BadParameter);
    }
    Xtext::checked(value)
}
