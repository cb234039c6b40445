//! Finds Authentication-Results fields of strangers that claim to be ours.

use crate::headers::without_fields;
use crate::lex::{Cursor, is_token, text};
use dns::Domain;
use std::ops::Range;

/// Does this Authentication-Results value claim to come from `host`?
///
/// RFC 8601 §5 wants such fields removed from incoming messages. If the identifier cannot be read, the answer is yes: the
/// value proves nothing, but a more lenient reader might believe it.
pub fn claims(value: &[u8], host: &Domain) -> bool {
    let mut cursor = Cursor::new(value);
    cursor.cfws();
    let id = match cursor.quoted() {
        Some(quoted) => text(&quoted),
        // RFC 8601 §2.2: a token. The text behind it does not matter: readers stop at different characters, and the
        // previous standard had a version behind a slash (RFC 5451 §2.2).
        None => text(cursor.take_while(|b| is_token(b) || b >= 0x80)),
    };
    let id = id.trim().trim_end_matches('.');
    if id.is_empty() || cursor.broken {
        return true;
    }
    // Spellings that IDNA maps to one name are one name.
    id.parse::<Domain>().map_or_else(|_| id.eq_ignore_ascii_case(host.as_str()), |id| id == *host)
}

/// Returns the parts of a header block that are left when every Authentication-Results field is removed that [`claims`] to
/// come from `host`. The empty line and a body may follow the header; they stay.
///
/// Neighbouring parts are joined, so an untouched block is one range. The number of fields is not limited, so a forged
/// field behind many others is found too.
///
/// ```
/// let host = "mx.example.org".parse()?;
/// let block = b"A: 1\r\nAuthentication-Results: mx.example.org; spf=pass\r\nB: 2\r\n\r\n";
/// assert_eq!(moxd_message::without_claims(block, &host), [0..6, 56..64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn without_claims(block: &[u8], host: &Domain) -> Vec<Range<usize>> {
    without_fields(block, |name, value| {
        name.eq_ignore_ascii_case(b"Authentication-Results") && claims(value, host)
    })
}
