//! MAIL and RCPT.

use std::borrow::Cow;
use std::time::SystemTime;

use smtp_parser::{FutureRelease, Mail, Path, Rcpt};

use super::states::{State, Transaction};
use super::{Ask, AskRecipient, AskSender, Session, Step, Tried};
use crate::envelope::Sender;
use crate::replies::{self, Wording};
use crate::rules::{Kind, Limits};

/// What is wrong with a parameter, and its name where the text has it.
type Objection = (Wording, &'static str);

impl Session {
    pub(super) fn mail(&mut self, mail: Mail<'_>, now: SystemTime, out: &mut Vec<u8>) -> Step<'static> {
        if let Some((wording, name)) = self.objection(&mail, now) {
            return self.fail_unasked(Tried::Sender(mail.path), wording, name, out);
        }
        self.ask(Ask::Sender(AskSender(Box::new(Sender::new(mail.path, &mail.params)))))
    }

    fn objection(&self, mail: &Mail<'_>, now: SystemTime) -> Option<Objection> {
        let params = &mail.params;
        // RFC 3461 §4: its parameters are for servers that announce DSN, which we do not.
        if params.ret.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, "RET"));
        }
        if params.envid.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, "ENVID"));
        }
        if let Some(size) = params.size.filter(|size| *size > self.rules.limits.message) {
            // RFC 1870 §6.1: below the default it is the operator's own limit that is exceeded.
            let below = size < Limits::DEFAULT_MESSAGE;
            return Some((if below { replies::MESSAGE_OVER_LIMIT } else { replies::MESSAGE_TOO_LARGE }, ""));
        }
        if params.require_tls && self.client.tls.is_none() {
            return Some((replies::REQUIRETLS_WITHOUT_TLS, ""));
        }
        if params.require_tls && !self.rules.require_tls {
            return Some((replies::UNKNOWN_PARAMETER, "REQUIRETLS"));
        }
        params.hold.and_then(|hold| self.objection_to_hold(hold, now))
    }

    fn objection_to_hold(&self, hold: FutureRelease, now: SystemTime) -> Option<Objection> {
        let Some(longest) = self.future_release() else {
            let name = if matches!(hold, FutureRelease::For(_)) { "HOLDFOR" } else { "HOLDUNTIL" };
            return Some((replies::UNKNOWN_PARAMETER, name));
        };
        let time = match hold {
            FutureRelease::For(time) => Some(time),
            FutureRelease::Until(moment) => moment.duration_since(now).ok(),
        };
        // RFC 4865 §4.1: neither past nor further away than announced.
        time.is_none_or(|time| time > longest).then_some((replies::HOLD_OUT_OF_RANGE, ""))
    }

    pub(super) fn begin_transaction(&mut self, sender: Box<Sender>, out: &mut Vec<u8>) -> Step<'static> {
        self.state = State::Mail(Box::new(Transaction::new(sender)));
        self.done(replies::SENDER_OK, out)
    }

    pub(super) fn rcpt(&mut self, rcpt: Rcpt<'_>, out: &mut Vec<u8>) -> Step<'static> {
        let State::Mail(transaction) = &self.state else {
            return self.fail(replies::NO_MAIL, "", out);
        };
        if let Some((wording, detail)) = self.objection_to_recipient(&rcpt, transaction) {
            return self.fail_unasked(Tried::Recipient(rcpt.path), wording, &detail, out);
        }
        self.ask(Ask::Recipient(AskRecipient(rcpt.path)))
    }

    /// What is wrong with a recipient, whoever it is, and what the text has in its place.
    fn objection_to_recipient(
        &self,
        rcpt: &Rcpt<'_>,
        transaction: &Transaction,
    ) -> Option<(Wording, Cow<'static, str>)> {
        if rcpt.params.notify.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, "NOTIFY".into()));
        }
        if rcpt.params.orcpt.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, "ORCPT".into()));
        }
        // RFC 6531 §3.4: the parameter of MAIL speaks for the whole transaction, and for domains as for local parts.
        if !transaction.sender.smtputf8 && rcpt.utf8 {
            return Some((replies::RECIPIENT_NOT_ASCII, "".into()));
        }
        // RFC 5321 §4.5.3.1.10: "too many recipients" is temporary, so that the sender comes back with the rest.
        let most = self.rules.limits.recipients;
        if transaction.recipients >= most {
            return Some((replies::TOO_MANY_RECIPIENTS, most.to_string().into()));
        }
        // RFC 5321 §4.5.5: a notification is for one who sent something.
        let null = transaction.sender.path == Path::Null;
        let is_second = null && self.rules.kind == Kind::Smtp && transaction.recipients > 0;
        is_second.then_some((replies::ONE_RECIPIENT_FOR_NULL, "".into()))
    }

    pub(super) fn recipient_taken(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        if let State::Mail(transaction) = &mut self.state {
            transaction.recipients += 1;
        }
        self.done(replies::RECIPIENT_OK, out)
    }

    pub(super) fn transaction(&self) -> Option<&Transaction> {
        match &self.state {
            State::Mail(transaction) | State::Receiving(transaction) => Some(transaction),
            State::Skipping(skip) => skip.transaction.as_deref(),
            _ => None,
        }
    }
}
