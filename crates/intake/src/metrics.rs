//! What is counted. Names and label values are those of the original system.

use metrics::{Unit, counter, describe_counter};

pub(crate) const DELIVERY: &str = "mox_smtpserver_delivery_total";
pub(crate) const SUBMISSION: &str = "mox_smtpserver_submission_total";
pub(crate) const ERRORS: &str = "mox_smtpserver_errors_total";
pub(crate) const DKIM_SIGN: &str = "mox_dkim_sign_total";

/// Describes the metrics to the recorder, and shows those without variable labels from the start.
pub(crate) fn describe() {
    describe_counter!(DELIVERY, Unit::Count, "Recipients of incoming messages, by what became of them.");
    describe_counter!(SUBMISSION, Unit::Count, "Submitted messages, by what became of them.");
    describe_counter!(ERRORS, Unit::Count, "Errors of our own that did not fail the message.");
    describe_counter!(DKIM_SIGN, Unit::Count, "DKIM signatures made, by algorithm of the key.");
    for result in
        ["ok", "badmessage", "badfrom", "badheader", "messagelimiterror", "recipientlimiterror", "queueerror"]
    {
        counter!(SUBMISSION, "result" => result).absolute(0);
    }
    for error in ["dkimsign", "queuedsn"] {
        counter!(ERRORS, "error" => error).absolute(0);
    }
}

/// An error of our own that did not fail the message.
pub(crate) fn error(error: &'static str) {
    counter!(ERRORS, "error" => error).increment(1);
}

/// A signature that was made.
pub(crate) fn signed(key: &'static str) {
    counter!(DKIM_SIGN, "key" => key).increment(1);
}

/// A judge that broke; the message goes on without it.
pub(crate) fn panicked(judge: &'static str) {
    counter!("mox_panic_total", "pkg" => judge).increment(1);
}

/// One recipient of an incoming message.
pub(crate) fn delivery(result: &'static str, reason: &'static str) {
    counter!(DELIVERY, "result" => result, "reason" => reason).increment(1);
}

/// One submitted message, or one recipient of it that was taken.
pub(crate) fn submission(result: &'static str, count: u64) {
    counter!(SUBMISSION, "result" => result).increment(count);
}
