//! `moxd dkim`.

use super::args::{DkimSign, DkimVerb, KeyAlgorithm};
use super::{Report, argument, domain, input, message, print, print_json, with_dns};
use crate::cli::Wrong;
use crate::console;
use crate::localserve::pem;
use crate::wiring;
use anyhow::{Context, Result};
use dkim::{
    BodyHasher, Canonicalization, ErrorKind, Evaluation, Identity, Policy, Signing, SigningKey, Verification,
};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;
use zeroize::Zeroizing;

/// The sizes of RSA keys that can sign (RFC 8301 §3.2 recommends 2048).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

pub(crate) fn run(verb: &DkimVerb) -> Result<()> {
    match verb {
        DkimVerb::Verify { file, lookup } => {
            let text = message(file)?;
            let evaluation = with_dns(&lookup.dns, |dns| async move {
                Ok(dkim::verify(&dns, &text, &Policy::default(), unix()).await)
            })?;
            if lookup.output.json {
                return print_json(&json(&evaluation));
            }
            report(&evaluation).print()
        }
        DkimVerb::Sign(arguments) => sign(arguments),
        DkimVerb::Keygen { algorithm, bits, out } => keygen(*algorithm, *bits, out),
        DkimVerb::Txt { file } => print(&format!("{}\n", key(file)?.record())),
    }
}

fn unix() -> u64 {
    wiring::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What the verbs promise about signatures: one row each, in the order of the header.
pub(super) fn json(evaluation: &Evaluation) -> Value {
    evaluation.signatures.iter().map(row).collect()
}

fn row(verification: &Verification) -> Value {
    let claims = verification.claims();
    json!({
        "status": verification.status.as_str(),
        "domain": claims.domain.map(|d| d.to_string()),
        "selector": claims.selector.map(|s| s.as_str().to_owned()),
        "algorithm": claims.algorithm,
        "identity": claims.identity.map(|i| i.to_string()),
        "error": verification.error.as_ref().map(ToString::to_string),
    })
}

fn report(evaluation: &Evaluation) -> Report {
    let mut report = Report::default();
    if evaluation.signatures.is_empty() {
        report.result("result", "none");
        report.line("reason", "the message has no DKIM-Signature".to_owned());
    }
    for (at, verification) in evaluation.signatures.iter().enumerate() {
        if at > 0 {
            report.gap();
        }
        let claims = verification.claims();
        report.result("result", verification.status.as_str());
        report.line("reason", verification.error.as_ref().map(ToString::to_string));
        report.line("domain", claims.domain.map(|d| d.to_string()));
        report.line("selector", claims.selector.map(|s| s.as_str().to_owned()));
        report.line("algorithm", claims.algorithm);
        report.line("identity", claims.identity.map(|i| i.to_string()));
        let key = verification.record.as_ref().and_then(|record| record.key.as_ref());
        report.line("key", key.map(|key| format!("{} bits", key.bits())));
        report.line("dnssec", verification.security.to_string());
    }
    report
}

fn key(path: &Path) -> Result<SigningKey> {
    let mut pem = Zeroizing::new(String::new());
    input(path)?.read_to_string(&mut pem).with_context(|| format!("read {}", path.display()))?;
    SigningKey::from_pem(&pem).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

fn sign(arguments: &DkimSign) -> Result<()> {
    let words = |error: dkim::Error| match error.kind() {
        ErrorKind::FromNotSigned => Wrong(format!("--headers: {error}")).into(),
        ErrorKind::IdentityOutsideDomain => Wrong(format!("--identity: {error}")).into(),
        _ => anyhow::anyhow!("sign: {error}"),
    };
    let key = key(&arguments.key)?;
    let selector = argument("--selector", &arguments.selector)?;
    let mut signing = Signing::new(domain(&arguments.domain)?, selector);
    // RFC 6376 §3.5: one word is about the header, the body is simple then.
    let (header, body) =
        arguments.canonicalization.split_once('/').unwrap_or((&arguments.canonicalization, "simple"));
    signing.header = canonicalization(header)?;
    signing.body = canonicalization(body)?;
    if let Some(names) = &arguments.headers {
        signing.fields = argument("--headers", names)?;
    }
    if let Some(identity) = &arguments.identity {
        signing.identity = Some(self::identity(identity)?);
    }
    signing.expiration = arguments.expire;
    let text = message(&arguments.file)?;
    let end = message::header_end(&text).unwrap_or(text.len());
    let (header, rest) = text.split_at(end);
    let mut body = BodyHasher::new([signing.body]);
    body.update(rest);
    let signature = dkim::sign(header, &body.finish(), &key, &signing, unix()).map_err(words)?;
    print(&signature.header_field())?;
    console::print(&text)
}

/// `localpart@domain`, or `@domain`.
fn identity(text: &str) -> Result<Identity> {
    let wrong = |why: &dyn Display| Wrong(format!("--identity {text}: {why}"));
    let (localpart, name) = text.rsplit_once('@').ok_or_else(|| wrong(&"there is no @"))?;
    let localpart = Some(localpart).filter(|localpart| !localpart.is_empty());
    Ok(Identity::new(localpart, domain(name)?).map_err(|error| wrong(&error))?)
}

fn canonicalization(word: &str) -> Result<Canonicalization> {
    let unknown = |_| Wrong(format!("--canonicalization {word}: neither simple nor relaxed")).into();
    word.parse().map_err(unknown)
}

fn keygen(algorithm: KeyAlgorithm, bits: usize, out: &Path) -> Result<()> {
    let text = Zeroizing::new(match algorithm {
        KeyAlgorithm::Ed25519 => {
            let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
            pem("PRIVATE KEY", key.as_ref())
        }
        KeyAlgorithm::Rsa => {
            if !RSA_BITS.contains(&bits) {
                return Err(Wrong(format!("--bits {bits}: RSA keys have 2048 to 4096 bits")).into());
            }
            let key =
                rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).context("generate the key")?;
            let der = key.to_pkcs8_der().map_err(|error| anyhow::anyhow!("write the key: {error}"))?;
            pem("PRIVATE KEY", der.as_bytes())
        }
    });
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .with_context(|| format!("make {}", out.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("write {}", out.display()))
}
