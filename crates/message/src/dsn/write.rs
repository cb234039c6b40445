//! Writing a report.

use super::status::{typed, typed_path};
use super::{Letter, Mta, Original, Recipient, Report};
use crate::compose::{date_field, message_id_field};
use crate::encoding::encode_base64;
use crate::fold::{comment, plain};
use crate::{Date, Error, ErrorKind, Fold, MAX_LINE, header_end};
use dns::Host;
use memchr::memmem;
use smtp_parser::Mailbox;

/// Bytes of text in one encoded word; RFC 2047 §2 allows 75 characters for the entire word.
const WORD_BYTES: usize = 45;

/// Writes a report as a complete message.
///
/// It is in ASCII, or in UTF-8 (RFC 6533) if the letter asks for that and the original used SMTPUTF8. The boundary is
/// made from the letter's Message-ID and never stands in the content.
///
/// # Errors
/// The report has no recipient.
pub fn compose(
    letter: &Letter,
    report: &Report,
    original: Original<'_>,
    now: Date,
) -> Result<Vec<u8>, Error> {
    // RFC 3464 §2.1: at least one group of per-recipient fields.
    if report.recipients.is_empty() {
        return Err(Error::new(ErrorKind::NoRecipient));
    }
    let utf8 = letter.utf8 && original.utf8;
    let mut parts = vec![text_part(&letter.text, utf8), status_part(report, utf8)];
    parts.extend((!original.message.is_empty()).then(|| original_part(original, utf8)));
    let boundary = boundary(&letter.message_id, &parts);
    let mut out = letter_header(letter, now, &boundary, utf8).into_bytes();
    for part in parts {
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        out.extend_from_slice(&part);
    }
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(out)
}

fn letter_header(letter: &Letter, now: Date, boundary: &str, utf8: bool) -> String {
    let mut out = one_word("From", &address(&letter.from, utf8));
    out.push_str(&one_word("To", &address(&letter.to, utf8)));
    out.push_str(&text_field("Subject", &letter.subject, utf8));
    out.push_str(&message_id_field(&letter.message_id));
    if let Some(references) = &letter.references {
        out.push_str(&field("References", references));
    }
    out.push_str(&date_field(now));
    // RFC 3834 §5: keeps automatic responders from answering.
    out.push_str("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    // RFC 6522 §3, RFC 6533 §4: the report type is the same with and without UTF-8.
    out.push_str(&format!(
        "Content-Type: multipart/report; report-type=\"delivery-status\";\r\n\tboundary=\"{boundary}\"\r\n"
    ));
    out
}

/// Formats an address in angle brackets. RFC 6857 §3.1.8: if it needs UTF-8 and cannot have it, an empty group named after
/// it takes its place.
fn address(mailbox: &Mailbox, utf8: bool) -> String {
    match mailbox.to_string() {
        _ if utf8 => format!("<{}>", mailbox.unicode()),
        text if text.is_ascii() => format!("<{text}>"),
        text => format!("{}:;", encoded_words(&text).join(" ")),
    }
}

fn text_field(name: &str, text: &str, utf8: bool) -> String {
    if utf8 || text.is_ascii() {
        return field(name, text);
    }
    let mut fold = Fold::new(name);
    encoded_words(text).iter().for_each(|word| fold.word(word));
    fold.finish()
}

/// Encodes text as encoded words (RFC 2047), none of which splits a character.
fn encoded_words(text: &str) -> Vec<String> {
    let mut chunks = vec![String::new()];
    for c in text.chars() {
        if chunks.last().is_some_and(|last| last.len() + c.len_utf8() > WORD_BYTES) {
            chunks.push(String::new());
        }
        chunks.iter_mut().last().into_iter().for_each(|last| last.push(c));
    }
    chunks.iter().map(|chunk| format!("=?utf-8?B?{}?=", encode_base64(chunk.as_bytes()))).collect()
}

/// Writes a field without folding, because spaces in an address count.
fn one_word(name: &str, value: &str) -> String {
    let mut fold = Fold::new(name);
    fold.word(&value.chars().map(plain).collect::<String>());
    fold.finish()
}

/// Writes a field of words, folded between them. Replaces control characters and joins white space.
fn field(name: &str, value: &str) -> String {
    let mut fold = Fold::new(name);
    for word in value.split_whitespace() {
        fold.word(&word.chars().map(plain).collect::<String>());
    }
    fold.finish()
}

fn part(content_type: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut out =
        format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

/// Writes a part of text: unencoded if its bytes and line lengths allow that, otherwise in base64.
fn text_like(content_type: &str, body: &[u8], utf8: bool, base64: bool) -> Vec<u8> {
    let long = body.split(|b| *b == b'\n').any(|line| line.len() > MAX_LINE);
    let allowed = body.is_ascii() || (utf8 && std::str::from_utf8(body).is_ok());
    if base64 || long || !allowed || body.contains(&0) {
        return part(&format!("{content_type}; charset=utf-8"), "base64", &base64_lines(body));
    }
    match utf8 {
        true if content_type.starts_with("message/") => part(content_type, "8bit", body),
        true => part(&format!("{content_type}; charset=utf-8"), "8bit", body),
        false => part(content_type, "7bit", body),
    }
}

fn text_part(text: &str, utf8: bool) -> Vec<u8> {
    let body = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    text_like("text/plain", body.as_bytes(), utf8, false)
}

fn original_part(original: Original<'_>, utf8: bool) -> Vec<u8> {
    let end = header_end(original.message).unwrap_or(original.message.len());
    let header = original.message.get(..end).unwrap_or(original.message);
    if utf8 {
        text_like("message/global-headers", header, true, false)
    } else {
        text_like("text/rfc822-headers", header, false, original.utf8)
    }
}

fn base64_lines(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // RFC 2045 §6.8: lines of no more than 76 characters.
    for chunk in body.chunks(57) {
        out.extend_from_slice(encode_base64(chunk).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn status_part(report: &Report, utf8: bool) -> Vec<u8> {
    let mut fields = Fields { body: String::new(), utf8 };
    // RFC 3464 §2.2: per-message fields.
    fields.add("Original-Envelope-ID", report.envelope_id.clone());
    fields.add("Reporting-MTA", Some(mta(&report.reporting_mta)));
    fields.add("DSN-Gateway", report.gateway.as_ref().map(mta));
    fields.add("Received-From-MTA", report.received_from.as_ref().map(mta));
    fields.add("Arrival-Date", report.arrival.map(|date| date.to_string()));
    for recipient in &report.recipients {
        fields.body.push_str("\r\n");
        fields.recipient(recipient);
    }
    let kind = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    part(kind, if utf8 { "8bit" } else { "7bit" }, fields.body.as_bytes())
}

/// The fields of the machine-readable part.
struct Fields {
    body: String,
    utf8: bool,
}

impl Fields {
    fn add(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            // RFC 6533 §4: only the global form may have UTF-8.
            let value = if self.utf8 { value } else { value.replace(|c: char| !c.is_ascii(), "?") };
            let line =
                if name.ends_with("-Recipient") { one_word(name, &value) } else { field(name, &value) };
            self.body.push_str(&line);
        }
    }

    /// RFC 3464 §2.3: per-recipient fields.
    fn recipient(&mut self, of: &Recipient) {
        let original =
            of.original.as_ref().map(|original| typed(&original.kind, &original.address, self.utf8));
        self.add("Original-Recipient", original);
        self.add("Final-Recipient", Some(typed_path(&of.recipient, self.utf8)));
        self.add("Action", Some(of.action.to_string()));
        let words = of.status_text.as_deref().map(|text| format!(" {}", comment(text))).unwrap_or_default();
        self.add("Status", Some(format!("{}{words}", of.status)));
        self.add("Remote-MTA", of.remote.as_ref().map(mta));
        self.add("Diagnostic-Code", of.diagnostic.as_ref().map(|text| format!("smtp; {text}")));
        self.add("Last-Attempt-Date", of.last_attempt.map(|date| date.to_string()));
        self.add("Final-Log-ID", of.log_id.clone());
        self.add("Will-Retry-Until", of.retry_until.map(|date| date.to_string()));
    }
}

/// RFC 3464 §2.2.2: a name of kind `dns`, and the address in a comment.
fn mta(mta: &Mta) -> String {
    let ip = mta.ip.map(|ip| format!(" {}", comment(&Host::Ip(ip).to_string()))).unwrap_or_default();
    format!("dns;{}{ip}", mta.name)
}

/// Returns a boundary that occurs in no part: the base with a number greater than all that follow the base in the parts.
fn boundary(message_id: &str, parts: &[Vec<u8>]) -> String {
    let id: String = message_id.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    let base = format!("={id}.");
    let next = |part: &Vec<u8>| {
        let ends = memmem::find_iter(part, &base).map(|at| at + base.len());
        ends.filter_map(|at| number(part.get(at..)?)).max().map_or(0, |highest| highest + 1)
    };
    let number = parts.iter().map(next).max().unwrap_or_default();
    format!("{base}{number}")
}

/// Reads the number at the start of a text, up to nine digits.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits.min(9))?).ok()?.parse().ok()
}
