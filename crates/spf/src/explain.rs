//! The explanation of a fail (RFC 7208 §6.2).

use crate::checker::Checker;
use crate::domain_spec::{Use, check_macros};
use crate::evaluation::Explanation;
use crate::lookups::Next;
use crate::{Evaluation, Limits, Query};
use dns::{Kind, Resolver};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of an explanation; a longer one is cut and ends in dots. RFC 7208 §6.2 leaves the limit to the receiver.
pub const MAX_EXPLANATION: usize = 800;

/// Fetches the explanation that the domain publishes for this fail (RFC 7208 §6.2), with limits of its own.
///
/// The text is printable ASCII and comes from the domain's owner: show it as such ("example.org explains: …"). `query` must
/// be the one that was evaluated; `now` is the value of the `t` macro. Returns `None` without an `exp` modifier, or if
/// the text that it points to cannot be fetched or is malformed.
pub async fn explain(
    dns: &dyn Resolver,
    query: &Query<'_>,
    evaluation: &Evaluation,
    limits: Limits,
    now: SystemTime,
) -> Option<String> {
    let Explanation { domain, target } = evaluation.explanation.as_ref()?;
    let sender = query.sender(evaluation.identity?)?;
    let mut checker = Checker::new(dns, query, sender, limits);
    let name = checker.target(target, domain).await.ok()?.ok()?;
    let found = checker.lookups.ask_uncounted(&name, Kind::Txt, Next::Unknown).await.ok()?;
    // RFC 7208 §6.2: no records, more than one, or a syntax error: as if no "exp" modifier was given.
    let [dns::Record::Txt(text)] = &*found else { return None };
    let text = str::from_utf8(text).ok()?;
    check_macros(text, Use::Explanation).ok()?;
    let validated = if text.contains("%{p") || text.contains("%{P") {
        checker.validated_name(domain).await.ok()?
    } else {
        None
    };
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut values = checker.values(domain, validated.as_ref());
    values.explaining = Some((query.receiver, seconds));
    let mut explanation = values.expand(text).ok()?;
    // RFC 7208 §6.2: the explanation string must be limited to US-ASCII; a local part may have brought other text.
    if !explanation.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return None;
    }
    if explanation.len() > MAX_EXPLANATION {
        explanation.truncate(MAX_EXPLANATION - 3);
        explanation.push_str("...");
    }
    Some(explanation)
}
