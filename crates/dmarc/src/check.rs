//! [`check`]: all of DMARC in one call.

use crate::{
    Discovery, Evaluation, MAX_WALKS, Memo, Organization, Organizations, Outcome, Percent, Proven, Rules,
    discover, evaluate, needed, organization, worth_walking,
};
use dns::{Domain, Resolver};
use futures_util::future::join_all;
use std::future::Future;
use std::pin::Pin;

/// Discovers the record for the author domain and evaluates the proven identifiers. The tree walks of identifiers run beside
/// that of the author, so that most messages wait for DNS only once.
pub async fn check(
    dns: &dyn Resolver,
    from: &Domain,
    proven: &[Proven],
    rules: Rules,
    dice: Option<Percent>,
) -> (Discovery, Evaluation) {
    enum Part {
        Author(Box<Discovery>),
        Identifier(Domain, Organization),
    }
    type Work<'a> = Pin<Box<dyn Future<Output = Part> + Send + 'a>>;

    let memo = Memo::new(dns);
    let dns: &dyn Resolver = &memo;
    let mut early: Vec<&Domain> = Vec::new();
    for Proven { domain, .. } in proven.iter().filter(|identifier| identifier.result != Outcome::Fail) {
        if worth_walking(from, domain) && !early.contains(&domain) && early.len() < MAX_WALKS {
            early.push(domain);
        }
    }
    let author: Work<'_> = Box::pin(async { Part::Author(Box::new(discover(dns, from, rules).await)) });
    let identifier = |domain| -> Work<'_> {
        Box::pin(
            async move { Part::Identifier(Domain::clone(domain), organization(dns, domain, rules).await) },
        )
    };
    let work = std::iter::once(author).chain(early.into_iter().map(identifier));

    let mut organizations = Organizations::default();
    let mut found = None;
    for part in join_all(work).await {
        match part {
            Part::Author(discovery) => found = Some(*discovery),
            Part::Identifier(domain, organization) => organizations.insert(domain, &organization),
        }
    }
    let discovery = match found {
        Some(discovery) => discovery,
        None => discover(dns, from, rules).await,
    };
    let missing = needed(&discovery, proven, &organizations);
    organizations.gather(dns, &missing, rules).await;
    let evaluation = evaluate(&discovery, proven, &organizations, dice);
    (discovery, evaluation)
}
