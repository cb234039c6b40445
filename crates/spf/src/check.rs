//! [`check`] and [`check_helo`]: choose the identity to judge, and turn the checker's verdict into an evaluation.

use crate::checker::{Checker, Place};
use crate::{Evaluation, Identity, Limits, Query};
use dns::Resolver;

/// Evaluates MAIL FROM, or HELO where the reverse-path is null (RFC 7208 §2.4).
///
/// The number of queries is bounded, the time is not: the caller sets a time limit, and assumes temperror when it is
/// reached (RFC 7208 §4.6.4).
pub fn check(
    dns: &dyn Resolver,
    query: &Query<'_>,
    limits: Limits,
) -> impl Future<Output = Evaluation> + Send {
    let identity = if query.mail_from.is_some() { Identity::MailFrom } else { Identity::Helo };
    evaluate(dns, query, identity, limits)
}

/// Evaluates the HELO identity (RFC 7208 §2.3), whatever MAIL FROM is.
pub fn check_helo(
    dns: &dyn Resolver,
    query: &Query<'_>,
    limits: Limits,
) -> impl Future<Output = Evaluation> + Send {
    evaluate(dns, query, Identity::Helo, limits)
}

async fn evaluate(dns: &dyn Resolver, query: &Query<'_>, identity: Identity, limits: Limits) -> Evaluation {
    let Some(sender) = query.sender(identity) else {
        return Evaluation::without_identity();
    };
    let mut checker = Checker::new(dns, query, sender, limits);
    let here = Place { domain: sender.domain.name(), depth: 0, including: None };
    let (result, reason) = match checker.check_host(&here).await {
        Ok(outcome) => (outcome, None),
        Err(error) => (error.kind().outcome(), Some(error.in_record(here.domain, here.depth))),
    };
    Evaluation {
        result,
        identity: Some(identity),
        domain: Some(sender.domain.clone()),
        matched: checker.matched,
        security: checker.lookups.security(),
        reason,
        lookups: checker.lookups.terms(),
        void_lookups: checker.lookups.voids(),
        explanation: checker.explanation,
    }
}
