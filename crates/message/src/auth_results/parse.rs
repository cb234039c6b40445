//! Reading Authentication-Results.

use super::{AuthResults, MethodResult, Property};
use crate::lex::{Cursor, text};
use crate::{Error, ErrorKind};

/// Results of one field that are read; our own limit. 50 ARC sets with some results each are far below.
const MAX_RESULTS: usize = 500;
/// RFC 8617 §4.2.1: instances from 1 to 50.
const MAX_INSTANCE: u32 = 50;

pub(super) fn parse(value: &[u8]) -> Result<AuthResults, Error> {
    results(&mut Cursor::new(value)).ok_or_else(|| Error::new(ErrorKind::BadAuthResults))
}

pub(super) fn parse_arc(value: &[u8]) -> Result<(u32, AuthResults), Error> {
    let mut cursor = Cursor::new(value);
    let read = instance(&mut cursor).and_then(|instance| Some((instance, results(&mut cursor)?)));
    read.ok_or_else(|| Error::new(ErrorKind::BadAuthResults))
}

/// RFC 8617 §4.1.1: `i=`, a number and a semicolon before the authserv-id.
fn instance(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.cfws();
    cursor.eat(b'i').then_some(())?;
    cursor.cfws();
    cursor.eat(b'=').then_some(())?;
    cursor.cfws();
    let number = number(cursor)?;
    cursor.cfws();
    cursor.eat(b';').then_some(())?;
    (1..=MAX_INSTANCE).contains(&number).then_some(number)
}

fn results(cursor: &mut Cursor<'_>) -> Option<AuthResults> {
    cursor.cfws();
    let mut results = AuthResults::new(value(cursor).filter(|id| !id.is_empty())?);
    results.comment = cursor.cfws();
    // RFC 8601 §2.2: authres-version; a field of an unknown version must not be read.
    if let Some(version) = number(cursor)
        && version != 1
    {
        return None;
    }
    loop {
        cursor.cfws();
        if cursor.is_empty() {
            break;
        }
        cursor.eat(b';').then_some(())?;
        cursor.cfws();
        // Many writers end the field with a semicolon.
        if cursor.is_empty() {
            break;
        }
        if results.methods.len() == MAX_RESULTS {
            return None;
        }
        results.methods.extend(method(cursor)?);
    }
    (!cursor.broken).then_some(results)
}

/// Reads one resinfo; the inner none is the `none` of a no-result.
fn method(cursor: &mut Cursor<'_>) -> Option<Option<MethodResult>> {
    let name = keyword(cursor)?;
    cursor.cfws();
    let version = if cursor.eat(b'/') {
        cursor.cfws();
        let version = number(cursor)?;
        cursor.cfws();
        Some(version)
    } else {
        None
    };
    if !cursor.eat(b'=') {
        return name.eq_ignore_ascii_case("none").then_some(None);
    }
    cursor.cfws();
    let mut result = MethodResult::new(name, keyword(cursor)?);
    result.version = version;
    result.comment = cursor.cfws();
    while !matches!(cursor.peek(), None | Some(b';')) {
        let first = keyword(cursor)?;
        cursor.cfws();
        if cursor.eat(b'=') {
            cursor.cfws();
            let value = value(cursor)?;
            cursor.cfws();
            // RFC 8601 §2.2: only a reason has this form, before the properties. Microsoft also writes an `action` so, and
            // others write the reason elsewhere. Unknown words are skipped.
            if first.eq_ignore_ascii_case("reason") && result.reason.is_none() {
                result.reason = Some(value);
            }
        } else {
            cursor.eat(b'.').then_some(())?;
            cursor.cfws();
            let name = keyword(cursor)?;
            cursor.cfws();
            cursor.eat(b'=').then_some(())?;
            cursor.cfws();
            let value = value(cursor)?;
            let comment = cursor.cfws();
            result.properties.push(Property { ptype: first, name, value, comment });
        }
    }
    Some(Some(result))
}

fn keyword(cursor: &mut Cursor<'_>) -> Option<String> {
    let word = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    Some(text(word)).filter(|word| !word.is_empty())
}

fn number(cursor: &mut Cursor<'_>) -> Option<u32> {
    text(cursor.take_while(|b| b.is_ascii_digit())).parse().ok()
}

/// Reads a quoted string, a quoted local part with its domain (kept quoted), or text up to white space or a delimiter.
fn value(cursor: &mut Cursor<'_>) -> Option<String> {
    let before = cursor.rest();
    if let Some(quoted) = cursor.quoted() {
        if cursor.peek() != Some(b'@') {
            return Some(text(&quoted));
        }
        cursor.take_while(is_bare);
        let length = before.len() - cursor.rest().len();
        return before.get(..length).map(text);
    }
    Some(text(cursor.take_while(is_bare)))
}

fn is_bare(b: u8) -> bool {
    !(b.is_ascii_control() || matches!(b, b' ' | b';' | b'(' | b')' | b'"'))
}
