//! Reading a delivery report.

use super::status::path;
use super::{Action, MAX_RECIPIENTS, Mta, OriginalAddress, Recipient, Report, split_status};
use crate::lex::{Cursor, text};
use crate::{Date, Headers, MAX_HEADER_SIZE, Part, headers};
use dns::Host;

/// Reads the report in a message, if it is one: a multipart/report of two or three parts, as RFC 3464 §2 and RFC 6533
/// §6 have them, with the fields that are required.
///
/// None for everything else, and for a report in which a field occurs twice, because it is unclear which one counts.
pub fn parse(part: &Part, message: &[u8]) -> Option<Report> {
    let utf8 = is_report(part)?;
    let body = part.parts.get(1)?.decoded(message, MAX_HEADER_SIZE);
    let mut groups = groups(&body);
    let report = per_message(&groups.next()?)?;
    let recipients: Option<Vec<_>> =
        groups.take(MAX_RECIPIENTS).map(|group| per_recipient(&group, utf8)).collect();
    let recipients = recipients.filter(|found| !found.is_empty())?;
    Some(Report { recipients, ..report })
}

/// Returns whether the addresses of a report may be in UTF-8; none if the parts are not those of a report.
fn is_report(part: &Part) -> Option<bool> {
    let content_type = part.content_type.as_ref().filter(|_| part.is("multipart", "report"))?;
    // RFC 6522 §3: the parameter is required; if it is missing, the type of the second part says the same.
    if content_type
        .params
        .get("report-type")
        .is_some_and(|kind| !kind.eq_ignore_ascii_case("delivery-status"))
    {
        return None;
    }
    let (words, status, original) = match part.parts.as_slice() {
        [words, status] => (words, status, None),
        [words, status, original] => (words, status, Some(original)),
        _ => return None,
    };
    let utf8 = status.is("message", "global-delivery-status");
    let known = |original: &Part| {
        ["rfc822", "global", "global-headers"].iter().any(|subtype| original.is("message", subtype))
            || original.is("text", "rfc822-headers")
    };
    let whole = words.is("text", "plain")
        && (utf8 || status.is("message", "delivery-status"))
        && original.is_none_or(known);
    whole.then_some(utf8)
}

/// Iterates over the groups of fields, which empty lines separate.
fn groups(body: &[u8]) -> impl Iterator<Item = Headers<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let group = headers(rest);
            rest = group.body_offset().and_then(|at| rest.get(at..)).unwrap_or_default();
            if !group.fields().is_empty() {
                return Some(group);
            }
        }
        None
    })
}

/// Returns the value of a field that may occur once. The outer none: it occurs more often.
fn once<'g, 'a>(group: &'g Headers<'a>, name: &'g str) -> Option<Option<&'a [u8]>> {
    let mut fields = group.all(name);
    let first = fields.next().map(|field| -> &'a [u8] { field.value });
    fields.next().is_none().then_some(first)
}

fn per_message(group: &Headers<'_>) -> Option<Report> {
    let mut report = Report::new(once(group, "Reporting-MTA")?.and_then(mta)?);
    report.envelope_id = once(group, "Original-Envelope-ID")?.map(plain);
    report.gateway = once(group, "DSN-Gateway")?.and_then(mta);
    report.received_from = once(group, "Received-From-MTA")?.and_then(mta);
    report.arrival = once(group, "Arrival-Date")?.and_then(date);
    Some(report)
}

fn per_recipient(group: &Headers<'_>, utf8: bool) -> Option<Recipient> {
    let (kind, address) = typed(once(group, "Final-Recipient")??)?;
    // RFC 6533 §4: an address as UTF-8 stands only in the global form.
    let path = path(&kind, &address).filter(|_| utf8 || address.is_ascii())?;
    let action = uncommented(once(group, "Action")??);
    let action = Action::ALL.into_iter().find(|known| action.eq_ignore_ascii_case(known.as_str()))?;
    let mut recipient = Recipient::new(path, action);
    (recipient.status, recipient.status_text) = status(once(group, "Status")??)?;
    recipient.original = once(group, "Original-Recipient")?.and_then(original);
    recipient.remote = once(group, "Remote-MTA")?.and_then(mta);
    recipient.diagnostic = once(group, "Diagnostic-Code")?.and_then(diagnostic);
    recipient.last_attempt = once(group, "Last-Attempt-Date")?.and_then(date);
    recipient.log_id = once(group, "Final-Log-ID")?.map(plain);
    recipient.retry_until = once(group, "Will-Retry-Until")?.and_then(date);
    Some(recipient)
}

/// Returns text on one line, with single spaces.
fn plain(value: &[u8]) -> String {
    text(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the value without line ends and comments.
pub(super) fn uncommented(value: &[u8]) -> String {
    apart(value).0
}

/// Returns the value without line ends and comments, and the last comment. Comments may nest; parentheses in quotes begin
/// no comment.
fn apart(value: &[u8]) -> (String, Option<String>) {
    let mut cursor = Cursor::new(value);
    let (mut out, mut comment) = (Vec::new(), None);
    while let Some(next) = cursor.peek() {
        let before = cursor.rest();
        match next {
            b'(' => comment = cursor.cfws(),
            b'"' => {
                cursor.quoted();
                let length = before.len() - cursor.rest().len();
                out.extend_from_slice(before.get(..length).unwrap_or_default());
            }
            _ => out.extend_from_slice(cursor.take_while(|b| !matches!(b, b'(' | b'"'))),
        }
    }
    (text(out.trim_ascii()).replace(['\r', '\n'], ""), comment)
}

fn date(value: &[u8]) -> Option<Date> {
    text(value).parse().ok()
}

/// RFC 3464 §2.1.2: `type; text`.
fn typed(value: &[u8]) -> Option<(String, String)> {
    let value = uncommented(value);
    let (kind, rest) = value.split_once(';')?;
    Some((kind.trim().to_owned(), rest.trim().to_owned())).filter(|(_, rest)| !rest.is_empty())
}

/// Reads a server of kind `dns`, with the address from the comment behind it.
fn mta(value: &[u8]) -> Option<Mta> {
    let (kind, name) = typed(value)?;
    if !kind.eq_ignore_ascii_case("dns") {
        return None;
    }
    let ip = match apart(value).1.and_then(|comment| comment.parse().ok()) {
        Some(Host::Ip(ip)) => Some(ip),
        _ => None,
    };
    Some(Mta { name, ip })
}

/// RFC 3464 §2.3.4: a code, and words in a comment. Words without parentheses are accepted as well.
fn status(value: &[u8]) -> Option<(smtp_parser::EnhancedCode, Option<String>)> {
    let value = plain(value);
    let (code, rest) = split_status(&value)?;
    let words = Cursor::new(rest.as_bytes()).cfws().unwrap_or_else(|| rest.to_owned());
    Some((code, Some(words).filter(|words| !words.is_empty())))
}

fn original(value: &[u8]) -> Option<OriginalAddress> {
    let (kind, address) = typed(value)?;
    let utf8 = kind.eq_ignore_ascii_case("utf-8");
    let address = if utf8 { super::status::unescaped(&address) } else { address };
    Some(OriginalAddress { kind, address })
}

/// Returns the SMTP reply unchanged; parentheses in it are part of the reply.
fn diagnostic(value: &[u8]) -> Option<String> {
    let value = plain(value);
    let (kind, words) = value.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("smtp").then(|| words.trim().to_owned())
}
