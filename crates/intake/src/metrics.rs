//! Metrics of intake. Names and label values are those of the original system.

use crate::asked::Timed;
use dkim::Algorithm;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use smtp_parser::Code;
use smtpserver::PANICS;

pub(crate) const DELIVERY: &str = "mox_smtpserver_delivery_total";
pub(crate) const SUBMISSION: &str = "mox_smtpserver_submission_total";
pub(crate) const REFUSED: &str = "mox_smtpserver_recipient_refused_total";
pub(crate) const ERRORS: &str = "mox_smtpserver_errors_total";
pub(crate) const DKIM_SIGN: &str = "mox_dkim_sign_total";
/// Name of the histogram of reverse DNS checks, in seconds though its name is that of a counter: the original system called
/// it so.
pub const IPREV: &str = "mox_iprev_lookup_total";
pub(crate) const SPF: &str = "mox_spf_verify_duration_seconds";
pub(crate) const DKIM: &str = "mox_dkim_verify_duration_seconds";
pub(crate) const DMARC: &str = "mox_dmarc_verify_duration_seconds";

/// Describes the metrics to the recorder, and shows those without variable labels from the start.
pub(crate) fn describe() {
    describe_counter!(DELIVERY, Unit::Count, "Recipients of incoming messages, by what became of them.");
    describe_counter!(SUBMISSION, Unit::Count, "Submitted messages, by what became of them.");
    describe_counter!(
        REFUSED,
        Unit::Count,
        "Recipients refused at RCPT, by kind of listener and reply code."
    );
    describe_counter!(ERRORS, Unit::Count, "Errors of our own that did not fail the message.");
    describe_counter!(DKIM_SIGN, Unit::Count, "DKIM signatures made, by algorithm of the key.");
    describe_histogram!(
        IPREV,
        Unit::Seconds,
        "Reverse DNS checks of clients, in seconds whatever the name says."
    );
    describe_histogram!(SPF, Unit::Seconds, "SPF checks of incoming messages.");
    describe_histogram!(
        DKIM,
        Unit::Seconds,
        "DKIM checks of incoming messages, observed once for each signature."
    );
    describe_histogram!(DMARC, Unit::Seconds, "DMARC checks of incoming messages.");
    for result in
        ["ok", "badmessage", "badfrom", "badheader", "messagelimiterror", "recipientlimiterror", "queueerror"]
    {
        counter!(SUBMISSION, "result" => result).absolute(0);
    }
    // An alert on missing mail needs the series before the first message too.
    for result in ["delivered", "unknownuser", "delivererror", "accounterror"] {
        counter!(DELIVERY, "result" => result, "reason" => "").absolute(0);
    }
    for (kind, code) in [("smtp", "550"), ("submission", "550")] {
        counter!(REFUSED, "kind" => kind, "code" => code).absolute(0);
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

/// A judge that panicked; the message goes on without it.
pub(crate) fn panicked(judge: &'static str) {
    counter!(PANICS, "pkg" => judge).increment(1);
}

/// A recipient that was refused at RCPT.
pub(crate) fn recipient_refused(submission: bool, code: Code) {
    let kind = if submission { "submission" } else { "smtp" };
    counter!(REFUSED, "kind" => kind, "code" => code.to_string()).increment(1);
}

/// One recipient of an incoming message.
pub(crate) fn delivery(result: &'static str, reason: &'static str) {
    counter!(DELIVERY, "result" => result, "reason" => reason).increment(1);
}

/// One submitted message, or one recipient of it that was taken.
pub(crate) fn submission(result: &'static str, count: u64) {
    counter!(SUBMISSION, "result" => result).increment(count);
}

/// A reverse DNS check that ended.
pub(crate) fn iprev_looked_up(check: &Timed<iprev::Evaluation>) {
    histogram!(IPREV, "status" => check.value.result.as_str()).record(check.took);
}

/// An SPF check that ended.
pub(crate) fn spf_verified(check: &Timed<spf::Evaluation>) {
    histogram!(SPF, "status" => check.value.result.as_str()).record(check.took);
}

/// The DKIM checks of a message. Unknown algorithms have an empty label, because senders can make up names.
pub(crate) fn dkim_verified(check: &Timed<dkim::Evaluation>) {
    for verification in &check.value.signatures {
        let algorithm = verification.claims().algorithm.and_then(|name| name.parse().ok());
        let algorithm = algorithm.map_or("", Algorithm::as_str);
        let status = verification.status.as_str();
        histogram!(DKIM, "algorithm" => algorithm, "status" => status).record(check.took);
    }
}

/// A DMARC check that ended. `use`: is there a policy, and does it take this message in (`pct`)?
pub(crate) fn dmarc_verified(check: &Timed<dmarc::Evaluation>) {
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let verdict = &check.value;
    histogram!(
        DMARC,
        "status" => verdict.result.as_str(),
        "reject" => word(verdict.reject()),
        "use" => word(verdict.domain.is_some() && !verdict.sampled_out),
    )
    .record(check.took);
}
