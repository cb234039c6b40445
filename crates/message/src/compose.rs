//! Writes the fields that a mail server adds, except Received and Authentication-Results; each is folded and ends in CRLF.

use crate::{Date, Fold};
use base64::engine::{Engine as _, general_purpose::URL_SAFE_NO_PAD};
use dns::Domain;
use smtp_parser::{Mailbox, Path};

/// Makes a Message-ID from random bytes and our host name, with angle brackets. `utf8`: the host name in Unicode (RFC 6532),
/// for messages that need SMTPUTF8 anyway.
///
/// ```
/// let id = moxd_message::compose::message_id(&[7; 16], &"mx.example.org".parse()?, false);
/// assert_eq!(id, "<BwcHBwcHBwcHBwcHBwcHBw@mx.example.org>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn message_id(random: &[u8; 16], host: &Domain, utf8: bool) -> String {
    let random = URL_SAFE_NO_PAD.encode(random);
    if utf8 { format!("<{random}@{}>", host.unicode()) } else { format!("<{random}@{host}>") }
}

/// Writes the Message-Id field for the result of [`message_id`].
pub fn message_id_field(id: &str) -> String {
    field("Message-Id", id)
}

/// Writes the Date field that submission adds if it is missing (RFC 6409 §8.2).
pub fn date_field(date: Date) -> String {
    field("Date", &date.to_string())
}

/// Writes the Return-Path field of a delivered message (RFC 5321 §4.4), with the domain in ASCII.
pub fn return_path(sender: &Path) -> String {
    field("Return-Path", &sender.to_string())
}

/// Writes the Delivered-To field of a delivered message (RFC 9228 §4). `utf8`: the domain in Unicode.
pub fn delivered_to(recipient: &Mailbox, utf8: bool) -> String {
    field("Delivered-To", &if utf8 { recipient.unicode() } else { recipient.to_string() })
}

/// Formats a path with angle brackets. `utf8`: the domain in Unicode.
pub(crate) fn path(path: &Path, utf8: bool) -> String {
    match path {
        Path::Mailbox(mailbox) if utf8 => format!("<{}>", mailbox.unicode()),
        _ => path.to_string(),
    }
}

fn field(name: &str, value: &str) -> String {
    let mut field = Fold::new(name);
    field.word(value);
    field.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_fields_of_delivery_and_submission() {
        let mailbox: Mailbox = "\"a b\"@bücher.example".parse().unwrap();
        assert_eq!(delivered_to(&mailbox, false), "Delivered-To: \"a b\"@xn--bcher-kva.example\r\n");
        assert_eq!(delivered_to(&mailbox, true), "Delivered-To: \"a b\"@bücher.example\r\n");
        assert_eq!(return_path(&Path::Null), "Return-Path: <>\r\n");
        assert_eq!(return_path(&mailbox.into()), "Return-Path: <\"a b\"@xn--bcher-kva.example>\r\n");
        assert_eq!(date_field(Date::new(0, 60)), "Date: Thu, 1 Jan 1970 01:00:00 +0100\r\n");
        let id = message_id(&[0xff; 16], &"bücher.example".parse().unwrap(), true);
        assert_eq!(message_id_field(&id), "Message-Id: <_____________________w@bücher.example>\r\n");
    }
}
