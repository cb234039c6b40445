//! Printing and parsing the Received-SPF field (RFC 7208 §9.1).

mod parse;
mod print;

pub(crate) use print::{escaped, is_dot_atom};

use crate::{Evaluation, Identity, Outcome, Query};
use std::fmt::Write;

/// A Received-SPF field.
///
/// It prints as a complete field, with its name, folded and without the final CRLF, and parses back to the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpf {
    result: Outcome,
    comment: String,
    pairs: Vec<(String, String)>,
}

/// Bytes of a value or comment in a new field; the rest is cut off. Keeps every line below the 998 bytes of
/// RFC 5322 §2.1.1 even if each byte has to be escaped.
pub const MAX_VALUE: usize = 400;

/// Bytes of a problem in a new field: as many as fit into a line of 78.
const MAX_PROBLEM: usize = 77 - "problem=; ".len();

impl ReceivedSpf {
    /// Composes the field for an evaluation of a query.
    pub fn new(query: &Query<'_>, evaluation: &Evaluation) -> Self {
        let comment = clean(&comment(query, evaluation), MAX_VALUE);
        // Folding may turn a space into a line end, so runs of spaces would not survive.
        let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut field = Self { result: evaluation.result, comment, pairs: Vec::new() };
        field.add("client-ip", &query.ip.to_string());
        if let Some(sender) = query.sender(Identity::MailFrom).or_else(|| query.sender(Identity::Helo)) {
            field.add("envelope-from", &sender.mailbox());
        }
        if let Some(helo) = query.helo {
            field.add("helo", &helo.to_string());
        }
        if let Some(problem) = evaluation.problem() {
            field.add("problem", &clean(&problem.to_string(), MAX_PROBLEM));
        }
        if let Some(matched) = &evaluation.matched {
            field.add("mechanism", &matched.to_string());
        }
        if let Some(receiver) = query.receiver {
            field.add("receiver", receiver.as_str());
        }
        if let Some(identity) = evaluation.identity {
            field.add("identity", identity.as_str());
        }
        field
    }

    fn add(&mut self, key: &str, value: &str) {
        self.pairs.push((key.to_owned(), clean(value, MAX_VALUE)));
    }

    /// The result that the field begins with.
    pub fn result(&self) -> Outcome {
        self.result
    }

    /// The text in parentheses; empty if there is none.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns the value of a key such as `client-ip`, which may be in any case; the first of several.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// All keys with their values, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Describes the result in words, as in the examples of RFC 7208 §9.1.
fn comment(query: &Query<'_>, evaluation: &Evaluation) -> String {
    let ip = query.ip;
    let mut text = String::new();
    let mut say = |part: std::fmt::Arguments<'_>| {
        let written = text.write_fmt(part);
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    if let Some(receiver) = query.receiver {
        say(format_args!("{receiver}: "));
    }
    let Some(sender) = evaluation.identity.and_then(|identity| query.sender(identity)) else {
        if let (Some(identity), None) = (evaluation.identity, &evaluation.domain) {
            say(format_args!("{identity} has no domain that could designate permitted senders"));
            return text;
        }
        say(format_args!("no domain to check, MAIL FROM is empty and EHLO gives no name"));
        return text;
    };
    let who = sender.mailbox();
    match evaluation.result {
        Outcome::Pass => say(format_args!("domain of {who} designates {ip} as permitted sender")),
        Outcome::Fail => say(format_args!("domain of {who} does not designate {ip} as permitted sender")),
        Outcome::SoftFail => {
            say(format_args!(
                "domain of {who} does not designate {ip} as permitted sender, but is not sure of it"
            ));
        }
        Outcome::Neutral => say(format_args!("domain of {who} neither permits nor denies {ip}")),
        Outcome::None => say(format_args!("domain of {who} does not designate permitted senders")),
        Outcome::TempError => say(format_args!("error in DNS while checking {ip} for domain of {who}")),
        Outcome::PermError => say(format_args!("error in the SPF records for domain of {who}")),
    }
    if evaluation.identity == Some(Identity::Helo) && query.mail_from.is_none() {
        say(format_args!(", from EHLO because MAIL FROM is empty"));
    }
    text
}

/// RFC 7208 §9.1: no invalid characters, no excessive length, nothing malicious that the sender provided.
fn clean(text: &str, longest: usize) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    clean.truncate(clean.floor_char_boundary(longest));
    clean
}

#[cfg(test)]
mod tests;
