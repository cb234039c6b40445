//! Rows of what an account sent, for the limits of 24 hours.

use crate::{
    account::AccountId,
    codec::Reader,
    tables::{self, Key},
};

/// How long a message counts, in milliseconds.
pub(crate) const WINDOW: u64 = 24 * 60 * 60 * 1000;

/// The key of a sent message: account, time, number within the account.
pub(crate) fn key(account: AccountId, time: u64, number: u64) -> Vec<u8> {
    Key::of(tables::OUTGOING, account).time(time).time(number).done()
}

/// The value: whether the account never sent to this recipient before, and the recipient.
pub(crate) fn value(recipient: &str, first: bool) -> Vec<u8> {
    let mut value = vec![u8::from(first)];
    value.extend_from_slice(recipient.as_bytes());
    value
}

/// The key under which the time of the first message to a recipient is kept.
pub(crate) fn recipient_key(account: AccountId, recipient: &str) -> Vec<u8> {
    Key::of(tables::RECIPIENTS, account).bytes(recipient.as_bytes()).done()
}

/// Time, number, recipient and whether it was the first to it.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<(u64, u64, String, bool)> {
    let mut key = Reader::new(key.get(5..)?);
    let time = u64::from_be_bytes(key.array()?);
    let number = u64::from_be_bytes(key.array()?);
    let (first, recipient) = value.split_first()?;
    Some((time, number, String::from_utf8(recipient.to_vec()).ok()?, *first != 0))
}
