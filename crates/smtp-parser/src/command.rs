//! Parses a command line.

use crate::grammar::{Fault, Parsed, end, expect, fault, is_atext, trim_end};
use crate::limits::{MAX_MECHANISM, MAX_PATH};
use crate::param::{digits, params, size};
use crate::path::{host, inside, path, quoted_string, raw_path};
use crate::{Dialect, MailParams, Path, RcptParams, SyntaxError, SyntaxErrorKind};
use bstr::BStr;
use dns::Host;
use nom::Parser;
use nom::bytes::complete::{tag_no_case, take_while1};
use nom::character::complete::char;
use nom::combinator::opt;
use nom::sequence::preceded;
use std::net::IpAddr;

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `HELO name`.
    Helo(Hello<'a>),
    /// `EHLO name`.
    Ehlo(Hello<'a>),
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH mechanism [initial]` (RFC 4954).
    Auth(Auth<'a>),
    /// `MAIL FROM:<path> parameters`.
    Mail(Mail<'a>),
    /// `RCPT TO:<path> parameters`.
    Rcpt(Rcpt<'a>),
    /// `DATA`.
    Data,
    /// `BDAT size [LAST]` (RFC 3030).
    Bdat(Bdat),
    /// `RSET`.
    Rset,
    /// `VRFY text [SMTPUTF8]`.
    Vrfy(VrfyArgs<'a>),
    /// `EXPN text [SMTPUTF8]`.
    Expn(VrfyArgs<'a>),
    /// `HELP [topic]`.
    Help(&'a BStr),
    /// `NOOP [text]`.
    Noop,
    /// `QUIT`.
    Quit,
    /// Any other word, as the client wrote it.
    Unknown(&'a BStr),
}

impl Command<'_> {
    /// The word that the command begins with.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Helo(_) => Verb::Helo,
            Self::Ehlo(_) => Verb::Ehlo,
            Self::StartTls => Verb::StartTls,
            Self::Auth(_) => Verb::Auth,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat(_) => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help(_) => Verb::Help,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Unknown(_) => Verb::Unknown,
        }
    }

    /// Writes the command as it goes over the wire, with CRLF. Not a `Display`, so that no secret of AUTH gets into
    /// a log by accident.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown(word) => out.extend_from_slice(word),
            known => out.extend(known.verb().label().bytes().map(|byte| byte.to_ascii_uppercase())),
        }
        match self {
            Self::Helo(hello) | Self::Ehlo(hello) => argument(out, hello.argument),
            Self::Auth(auth) => {
                argument(out, auth.mechanism);
                if let Some(initial) = auth.initial {
                    // RFC 4954 §4: a zero-length initial response is sent as a single equals sign.
                    argument(out, if initial.is_empty() { b"=" } else { initial });
                }
            }
            Self::Mail(mail) => {
                out.extend_from_slice(format!(" FROM:{}", mail.path).as_bytes());
                mail.params.write_to(out);
            }
            Self::Rcpt(rcpt) => {
                out.extend_from_slice(format!(" TO:{}", rcpt.path).as_bytes());
                rcpt.params.write_to(out);
            }
            Self::Bdat(Bdat { size, last }) => {
                out.extend_from_slice(format!(" {size}{}", if *last { " LAST" } else { "" }).as_bytes());
            }
            Self::Vrfy(inquiry) | Self::Expn(inquiry) => {
                argument(out, inquiry.text);
                argument(out, if inquiry.smtputf8 { b"SMTPUTF8" } else { b"" });
            }
            Self::Help(topic) => argument(out, topic),
            _ => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn argument(out: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() {
        out.push(b' ');
        out.extend_from_slice(text);
    }
}

/// The word a command begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Verb {
    Helo,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Vrfy,
    Expn,
    Help,
    Noop,
    Quit,
    /// Any word that is no command.
    Unknown,
}

impl Verb {
    /// Every command, in the order a session meets them.
    pub const ALL: [Self; 14] = [
        Self::Helo,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Bdat,
        Self::Rset,
        Self::Vrfy,
        Self::Expn,
        Self::Help,
        Self::Noop,
        Self::Quit,
    ];

    /// The word in lower case, for logs and metric labels; `(unknown)` for a word that is no command.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Helo => "helo",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Bdat => "bdat",
            Self::Rset => "rset",
            Self::Vrfy => "vrfy",
            Self::Expn => "expn",
            Self::Help => "help",
            Self::Noop => "noop",
            Self::Quit => "quit",
            Self::Unknown => "(unknown)",
        }
    }

    /// RFC 5321 §2.4: verbs are compared without regard to case.
    fn of(word: &[u8]) -> Self {
        let same = |verb: &Self| word.eq_ignore_ascii_case(verb.label().as_bytes());
        Self::ALL.into_iter().find(same).unwrap_or(Self::Unknown)
    }
}

/// The argument of HELO or EHLO. A server may ignore it, so a bad one does not make the command an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The raw text without surrounding spaces; may be empty.
    pub argument: &'a BStr,
    /// The host that the text names. HELO allows a domain only (RFC 5321 §4.1.1.1).
    pub host: Result<Host, SyntaxError>,
}

/// The arguments of AUTH.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// The name of the mechanism as the client wrote it; names are compared without regard to case (RFC 4954 §4).
    pub mechanism: &'a BStr,
    /// The initial response, still in base64; empty where the client sent `=`.
    pub initial: Option<&'a BStr>,
}

impl std::fmt::Debug for Auth<'_> {
    /// Without the initial response, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let initial = self.initial.map(|_| "***");
        f.debug_struct("Auth").field("mechanism", &self.mechanism).field("initial", &initial).finish()
    }
}

/// The arguments of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail<'a> {
    /// The reverse path; never [`Path::Postmaster`].
    pub path: Path,
    /// The parameters after it.
    pub params: MailParams<'a>,
}

/// The arguments of RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt<'a> {
    /// The forward path; never [`Path::Null`].
    pub path: Path,
    /// Whether the line has bytes outside ASCII. The session decides whether that is allowed, because SMTPUTF8 is a
    /// parameter of MAIL (RFC 6531 §3.4). `path` does not show it, because its domain is in A-labels.
    pub utf8: bool,
    /// The parameters after it.
    pub params: RcptParams<'a>,
}

/// The arguments of BDAT (RFC 3030 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bdat {
    /// Bytes that follow the command line.
    pub size: u64,
    /// The message ends with this chunk.
    pub last: bool,
}

/// The arguments of VRFY and EXPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VrfyArgs<'a> {
    /// The raw text of the question.
    pub text: &'a BStr,
    /// The reply may be in UTF-8 (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

impl<'a> Command<'a> {
    /// Reads one command line without its line end. White space at its end is ignored.
    ///
    /// # Errors
    /// The word is a known command with wrong arguments. An unknown word is no error here.
    pub fn parse(line: &'a [u8], dialect: Dialect) -> Result<Self, SyntaxError> {
        // RFC 5321 §4.1.1: receivers should tolerate white space before the line end.
        let trimmed = trim_end(line);
        let at = memchr::memchr(b' ', trimmed).unwrap_or(trimmed.len());
        let (word, arguments) = trimmed.split_at_checked(at).unwrap_or((trimmed, b""));
        let verb = Verb::of(word);
        let command = match verb {
            Verb::Helo => Ok(Command::Helo(hello(verb, arguments, line, dialect))),
            Verb::Ehlo => Ok(Command::Ehlo(hello(verb, arguments, line, dialect))),
            Verb::StartTls => alone(arguments, Command::StartTls),
            Verb::Auth => auth(arguments, dialect).map(Command::Auth),
            Verb::Mail => mail(arguments, dialect).map(Command::Mail),
            Verb::Rcpt => rcpt(arguments, dialect).map(Command::Rcpt),
            Verb::Data => alone(arguments, Command::Data),
            Verb::Bdat => bdat(arguments).map(Command::Bdat),
            Verb::Rset => alone(arguments, Command::Rset),
            Verb::Vrfy => inquiry(arguments).map(Command::Vrfy),
            Verb::Expn => inquiry(arguments).map(Command::Expn),
            Verb::Help => Ok(Command::Help(BStr::new(arguments.trim_ascii()))),
            Verb::Noop => noop(arguments),
            Verb::Quit => alone(arguments, Command::Quit),
            Verb::Unknown => Ok(Command::Unknown(BStr::new(word))),
        };
        command.map_err(|error| fault(error, arguments).locate(line, Some(verb)))
    }
}

type Arguments<'a, T> = Result<T, nom::Err<Fault<'a>>>;

fn alone<'a>(arguments: &'a [u8], command: Command<'a>) -> Arguments<'a, Command<'a>> {
    end(arguments).map(|_| command)
}

fn hello<'a>(verb: Verb, arguments: &'a [u8], line: &[u8], dialect: Dialect) -> Hello<'a> {
    let argument = arguments.trim_ascii();
    let read = || {
        if argument.is_empty() {
            return Err(Fault::new(SyntaxErrorKind::MissingArgument, arguments));
        }
        if !argument.is_ascii() {
            // RFC 6531 §3.7.1: the client may not know yet that we take UTF-8, so it says A-labels here.
            return Err(Fault::new(SyntaxErrorKind::BadDomain, argument));
        }
        let space = memchr::memchr(b' ', argument).unwrap_or(argument.len());
        let (name, rest) = argument.split_at_checked(space).unwrap_or((argument, b""));
        let found = match (host(name, dialect), dialect) {
            (Err(fault), Dialect::Lenient) => Host::Ip(bare_address(name).ok_or(fault)?),
            (found, _) => found?,
        };
        match found {
            // RFC 5321 §4.1.1.1: helo = "HELO" SP Domain.
            Host::Ip(_) if verb == Verb::Helo => Err(Fault::new(SyntaxErrorKind::BadDomain, argument)),
            // RFC 2821 §4.1.1.1: clients may put text behind an address literal.
            Host::Domain(_) if !rest.is_empty() => Err(Fault::new(SyntaxErrorKind::TrailingData, rest)),
            _ => Ok(found),
        }
    };
    let host = read().map_err(|fault| fault.locate(line, Some(verb)));
    Hello { argument: BStr::new(argument), host }
}

/// An IP address in any notation: RFC 5321 §4.1.3 wants brackets, and a tag for IPv6, but many devices leave them out. A
/// zone (RFC 6874 §2) has a meaning on the client only, and is dropped.
fn bare_address(name: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(name).ok()?;
    let text = text.strip_prefix('[').unwrap_or(text);
    let text = text.strip_suffix(']').unwrap_or(text);
    let text = match text.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("ipv6:") => address,
        _ => text,
    };
    text.split('%').next()?.parse().ok()
}

/// RFC 4954 §4: "AUTH" SP sasl-mech [SP initial-response].
fn auth(input: &[u8], dialect: Dialect) -> Arguments<'_, Auth<'_>> {
    let mechanism = take_while1(|byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let (rest, _) = expect(SyntaxErrorKind::MissingArgument, char(' ')).parse(input)?;
    let (rest, mechanism) = expect(SyntaxErrorKind::BadMechanism, mechanism).parse(rest)?;
    // RFC 4422 §3.1: sasl-mech = 1*20mech-char.
    if mechanism.len() > MAX_MECHANISM {
        return Err(Fault::new(SyntaxErrorKind::BadMechanism, mechanism).into());
    }
    let mechanism = BStr::new(mechanism);
    if rest.is_empty() {
        return Ok(Auth { mechanism, initial: None });
    }
    let (initial, _) = expect(SyntaxErrorKind::BadMechanism, char(' ')).parse(rest)?;
    let initial = match dialect {
        Dialect::Lenient => initial.trim_ascii_start(),
        Dialect::Strict => initial,
    };
    if let Some(at) = initial.iter().position(|byte| !byte.is_ascii_graphic()) {
        let rest = initial.get(at..).unwrap_or_default();
        return Err(Fault::new(SyntaxErrorKind::TrailingData, rest).into());
    }
    // RFC 4954 §4: a zero-length initial response is sent as a single equals sign.
    let initial = if initial == b"=" { b"" } else { initial };
    Ok(Auth { mechanism, initial: Some(BStr::new(initial)) })
}

/// ` FROM:` or ` TO:`, and the raw path.
fn keyword_path<'a>(keyword: &'static str, input: &'a [u8], dialect: Dialect) -> Parsed<'a, &'a [u8]> {
    let (rest, _) = expect(SyntaxErrorKind::MissingArgument, char(' ')).parse(input)?;
    let (rest, _) = expect(SyntaxErrorKind::MissingKeyword, tag_no_case(keyword)).parse(rest)?;
    // RFC 5321 §3.3: "spaces are not permitted on either side of the colon", but many clients have one.
    let rest = match dialect {
        Dialect::Lenient => rest.strip_prefix(b" ").unwrap_or(rest),
        Dialect::Strict => rest,
    };
    raw_path(rest, dialect)
}

/// RFC 5321 §4.1.1.2: "MAIL FROM:" Reverse-path [SP Mail-parameters].
fn mail(input: &[u8], dialect: Dialect) -> Arguments<'_, Mail<'_>> {
    let (rest, raw) = keyword_path("FROM:", input, dialect)?;
    let mut found = MailParams::default();
    params(rest, |keyword, value| found.set(keyword, value))?;
    // RFC 6531 §3.4: UTF-8 only with the parameter that may stand behind it.
    if !found.smtputf8 && !input.is_ascii() {
        return Err(Fault::new(SyntaxErrorKind::NonAscii, raw).into());
    }
    let path = if raw == b"<>" { Path::Null } else { path(raw, dialect)? };
    Ok(Mail { path, params: found })
}

/// RFC 5321 §4.1.1.3: "RCPT TO:" Forward-path [SP Rcpt-parameters].
fn rcpt(input: &[u8], dialect: Dialect) -> Arguments<'_, Rcpt<'_>> {
    let (rest, raw) = keyword_path("TO:", input, dialect)?;
    let mut found = RcptParams::default();
    params(rest, |keyword, value| found.set(keyword, value))?;
    // RFC 5321 §4.5.1: the local part postmaster needs no domain, in any case of its letters.
    let is_postmaster = inside(raw).eq_ignore_ascii_case(b"postmaster");
    let path = if is_postmaster { Path::Postmaster } else { path(raw, dialect)? };
    // RFC 5321 §4.5.3.1.3: a path is at most 256 bytes, punctuation included. A domain that is too long by itself has
    // been told as such.
    if raw.len() > MAX_PATH {
        return Err(Fault::new(SyntaxErrorKind::PathTooLong, raw).into());
    }
    Ok(Rcpt { path, utf8: !input.is_ascii(), params: found })
}

/// RFC 3030 §2: "BDAT" SP chunk-size [SP "LAST"].
fn bdat(input: &[u8]) -> Arguments<'_, Bdat> {
    let (rest, _) = expect(SyntaxErrorKind::MissingArgument, char(' ')).parse(input)?;
    let number = take_while1(|byte: u8| byte != b' ');
    let (rest, number) = expect(SyntaxErrorKind::BadChunkSize, number).parse(rest)?;
    let last = opt(preceded(char(' '), tag_no_case("LAST")));
    let (rest, last) = expect(SyntaxErrorKind::TrailingData, last).parse(rest)?;
    end(rest)?;
    let kind =
        if digits(number).is_some() { SyntaxErrorKind::SizeTooLarge } else { SyntaxErrorKind::BadChunkSize };
    let size = size(number).map_err(|_| Fault::new(kind, number))?;
    Ok(Bdat { size, last: last.is_some() })
}

/// RFC 5321 §4.1.1.6: "VRFY" SP String, which may be an address; RFC 6531 §3.7.4.2 adds SMTPUTF8.
fn inquiry(input: &[u8]) -> Arguments<'_, VrfyArgs<'_>> {
    let (rest, _) = expect(SyntaxErrorKind::MissingArgument, char(' ')).parse(input)?;
    let (rest, text) = word(rest)?;
    let flag = opt(preceded(char(' '), tag_no_case("SMTPUTF8")));
    let (rest, flag) = expect(SyntaxErrorKind::TrailingData, flag).parse(rest)?;
    end(rest)?;
    if flag.is_none() && !text.is_ascii() {
        return Err(Fault::new(SyntaxErrorKind::NonAscii, text).into());
    }
    if std::str::from_utf8(text).is_err() {
        return Err(Fault::new(SyntaxErrorKind::BadUtf8, text).into());
    }
    Ok(VrfyArgs { text: BStr::new(text), smtputf8: flag.is_some() })
}

/// RFC 5321 §4.1.1.9: "NOOP" [SP String], which is ignored.
fn noop(input: &[u8]) -> Arguments<'_, Command<'_>> {
    if !input.is_empty() {
        let (rest, _) = expect(SyntaxErrorKind::TrailingData, char(' ')).parse(input)?;
        let (rest, _) = word(rest)?;
        end(rest)?;
    }
    Ok(Command::Noop)
}

/// RFC 5321 §4.1.2: String = Atom / Quoted-string; dots and `@` are taken too, for addresses.
fn word(input: &[u8]) -> Parsed<'_, &[u8]> {
    if input.first() == Some(&b'"') {
        let (rest, _) = quoted_string(input)?;
        let length = input.len().saturating_sub(rest.len());
        return Ok((rest, input.get(..length).unwrap_or_default()));
    }
    let bytes = take_while1(|byte: u8| is_atext(byte) || byte == b'.' || byte == b'@');
    expect(SyntaxErrorKind::MissingArgument, bytes).parse(input)
}
