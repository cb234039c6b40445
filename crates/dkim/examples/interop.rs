//! Signs, seals and verifies messages from standard input: the side of this crate in `interop/compare.py`.
//!
//! ```text
//! interop sign KEY.pem DOMAIN SELECTOR HEADER/BODY NOW    signed message
//! interop seal KEY.pem DOMAIN SELECTOR ZONE NOW           sealed message
//! interop verify ZONE NOW                                 a line for each signature, and one for the chain
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use moxd_dkim::arc::{Findings, seal, sealing};
use moxd_dkim::dns::zone::{Zone, block_on_ready};
use moxd_dkim::{BodyHasher, Canonicalization, Policy, SignOptions, SigningKey, sign, verify};
use std::error::Error;
use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let (header, body) = message.split_at(message::header_end(&message).unwrap_or(message.len()));
    let mut hasher = BodyHasher::new([Canonicalization::Simple, Canonicalization::Relaxed]);
    hasher.update(body);
    let bodies = hasher.finish();
    let policy = Policy::default();
    let key = |path: &str| -> Result<SigningKey, Box<dyn Error>> {
        Ok(SigningKey::from_pem(std::fs::read_to_string(path)?)?)
    };
    let zone =
        |path: &str| -> Result<Zone, Box<dyn Error>> { Ok(Zone::parse(&std::fs::read_to_string(path)?)?) };
    match arguments[..] {
        ["sign", pem, domain, selector, kinds, now] => {
            let mut signing = SignOptions::new(domain.parse()?, selector.parse()?);
            let (header_kind, body_kind) = kinds.split_once('/').ok_or("HEADER/BODY")?;
            (signing.header, signing.body) = (
                header_kind.parse().map_err(|_| "unknown canonicalization")?,
                body_kind.parse().map_err(|_| "unknown canonicalization")?,
            );
            let signature = sign(header, &bodies, &key(pem)?, &signing, now.parse()?)?;
            put(&[signature.header_field().as_bytes(), &message])
        }
        ["seal", pem, domain, selector, path, now] => {
            let now = now.parse()?;
            let chain = block_on_ready(verify(&zone(path)?, &message, &policy, now)).chain;
            let results = format!("mx.{domain}; arc={}", chain.status);
            let findings = Findings { chain: &chain, results: &results };
            let signing = sealing(domain.parse()?, selector.parse()?);
            let set = seal(header, &bodies, &key(pem)?, &signing, findings, now)?;
            put(&[set.unwrap_or_default().as_bytes(), &message])
        }
        ["verify", path, now] => {
            let evaluation = block_on_ready(verify(&zone(path)?, &message, &policy, now.parse()?));
            for found in &evaluation.signatures {
                println!(
                    "{} {}",
                    found.status,
                    found.error.as_ref().map_or("-", |error| error.kind().token())
                );
            }
            let error = evaluation.chain.error.as_ref().map_or("-", |(_, error)| error.kind().token());
            println!("arc={} {} {error}", evaluation.chain.status, evaluation.chain.highest);
            Ok(())
        }
        _ => Err("arguments: see the head of examples/interop.rs".into()),
    }
}

fn put(parts: &[&[u8]]) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    parts.iter().try_for_each(|part| out.write_all(part))?;
    Ok(out.flush()?)
}
