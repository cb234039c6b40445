//! Shared by the tests of this crate.

#![allow(dead_code, unreachable_pub, reason = "no test file uses all of it")]

pub mod backend;
pub mod driver;
pub mod pure;
pub mod talk;

use std::sync::Arc;
use std::time::Duration;

use moxd_smtpserver::{Delays, Kind, Rules};
use smtp_parser::Dialect;

/// The rules of developer mode, changed by `words` as the header of a talk file has them.
pub fn rules(kind: &str, words: &[String]) -> Arc<Rules> {
    let kind = match kind {
        "smtp" => Kind::Smtp,
        "submission" => Kind::Submission,
        "submissions" => Kind::Submissions,
        other => panic!("unknown kind {other}"),
    };
    let mut rules = Rules::new(kind, "localhost".parse().unwrap());
    rules.auth_needs_tls = false;
    rules.mail_needs_tls = false;
    rules.dialect = Dialect::Strict;
    rules.delays = Delays::NONE;
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, "0"));
        let number: u64 = value.parse().unwrap();
        let small = u32::try_from(number).unwrap();
        let limits = &mut rules.limits;
        match name {
            "lenient" => rules.dialect = Dialect::Lenient,
            "auth-needs-tls" => rules.auth_needs_tls = true,
            "mail-needs-tls" => rules.mail_needs_tls = true,
            "requiretls" => rules.require_tls = true,
            "no-starttls" => rules.starttls = false,
            "future-release" => rules.future_release = Some(Duration::from_secs(number)),
            "cram-md5" => rules.mechanisms.push(sasl::Mechanism::CramMd5),
            "no-scram-plus" => rules.mechanisms.retain(|mechanism| !mechanism.is_plus()),
            "message" => limits.message = number,
            "recipients" => limits.recipients = small as usize,
            "failed-logins" => limits.failed_logins = small,
            "failed-messages" => limits.failed_messages = small,
            "failed-recipients" => limits.failed_recipients = small,
            "failed-commands" => limits.failed_commands = small,
            "idle-commands" => limits.idle_commands = small,
            "commands" => limits.commands = small,
            other => panic!("unknown rule {other}"),
        }
    }
    Arc::new(rules)
}
