use super::*;
use crate::SigningKey;

const ED25519: &str = "XkzMz2wKXdof0tVl4iEDNzyttbIDgZgPCGw8+nY5WTI=";

fn rsa() -> String {
    let key = SigningKey::from_pem(include_str!("../../testdata/keys/rsa2048.pem")).unwrap();
    encode_base64(key.record().key.as_ref().unwrap().as_bytes())
}

#[track_caller]
fn refuses(text: &str, want: ErrorKind) {
    assert_eq!(text.parse::<Record>().unwrap_err().kind(), want, "{text}");
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let record: Record = format!("p={}", rsa()).parse().unwrap();
    assert_eq!(record.key_type, KeyType::Rsa);
    assert_eq!(record.key.as_ref().map(PublicKey::bits), Some(2048));
    assert!(record.allows_hash("sha256") && record.allows_email());
    assert!(!record.testing && !record.strict);
}

#[test]
fn accepts_every_tag() {
    let text =
        format!("v=DKIM1; h=sha1 : SHA256:x; k=Ed25519; n=a=20note; p={ED25519}; s=email:x; t=y:s:z; u=1;");
    let record: Record = text.parse().unwrap();
    assert_eq!(record.hashes.as_ref().unwrap(), &["sha1", "sha256", "x"]);
    assert_eq!(record.services, ["email", "x"]);
    assert_eq!(record.notes.as_deref(), Some("a note"));
    assert!(record.testing && record.strict && record.allows_email());
    assert!(record.allows_hash("sha256") && !record.allows_hash("sha512"));
    assert_eq!(record.key.unwrap().bits(), 256);
}

#[test]
fn white_space_in_the_key_means_nothing() {
    let folded: String = ED25519.chars().flat_map(|c| [c, ' ']).collect();
    let record = format!("k=ed25519; p={folded}").parse::<Record>();
    assert_eq!(record, format!("k=ed25519; p={ED25519}").parse());
}

#[test]
fn services_and_keys_may_exclude_mail() {
    assert!(!"s=tlsrpt; p=".parse::<Record>().unwrap().allows_email());
    assert!("s=tlsrpt:*; p=".parse::<Record>().unwrap().allows_email());
    assert_eq!("v=DKIM1; p=".parse::<Record>().unwrap().key, None);
}

#[test]
fn a_note_that_cannot_be_read_is_no_note() {
    for note in [&b"=FF"[..], b"Schl\xfcssel", b"=C3"] {
        let record = Record::parse(&[b"v=DKIM1; n=", note, b"; t=s; p="].concat()).unwrap();
        assert_eq!((record.notes, record.strict), (None, true));
    }
}

#[test]
fn refuses_what_is_no_key_record() {
    refuses("", ErrorKind::NotKeyRecord);
    refuses("hello", ErrorKind::NotKeyRecord);
    refuses("v=spf1 -all", ErrorKind::NotKeyRecord);
    refuses("v=DKIM2; p=", ErrorKind::NotKeyRecord);
    refuses("v=dkim1; p=", ErrorKind::NotKeyRecord);
    refuses("google-site-verification=abc", ErrorKind::NotKeyRecord);
}

#[test]
fn refuses_broken_key_records() {
    refuses("p=; v=DKIM1", ErrorKind::KeyRecord);
    refuses("v=DKIM1; k=rsa", ErrorKind::KeyRecord);
    refuses("k=rsa", ErrorKind::KeyRecord);
    refuses("v=DKIM1; k=dsa; p=", ErrorKind::KeyType);
    refuses("v=DKIM1; p=; p=", ErrorKind::DuplicateTag);
    refuses("v=DKIM1; p", ErrorKind::TagList);
    refuses("v=DKIM1; h=; p=", ErrorKind::KeyRecord);
    refuses("v=DKIM1; s=; p=", ErrorKind::KeyRecord);
}

#[test]
fn refuses_broken_keys() {
    refuses("v=DKIM1; p=*", ErrorKind::PublicKey);
    refuses("v=DKIM1; p=AAAA", ErrorKind::PublicKey);
    refuses(&format!("v=DKIM1; p={ED25519}"), ErrorKind::PublicKey);
    refuses(&format!("v=DKIM1; k=ed25519; p={}", rsa()), ErrorKind::PublicKey);
    refuses("v=DKIM1; k=ed25519; p=AAAA", ErrorKind::PublicKey);
    refuses(&format!("v=DKIM1; p={}AAAA", rsa()), ErrorKind::PublicKey);
}

#[test]
fn accepts_both_forms_of_each_key() {
    let key = SigningKey::from_pem(include_str!("../../testdata/keys/rsa2048.pem")).unwrap();
    let spki = key.record().key.as_ref().unwrap();
    // RFC 6376 §3.6.1: the text says RSAPublicKey, its examples have SubjectPublicKeyInfo.
    let (_, bare) = crate::der::subject_public_key(spki.as_bytes()).unwrap();
    assert_eq!(PublicKey::parse(KeyType::Rsa, bare).unwrap().bits(), 2048);
    let raw = decode_base64(ED25519.as_bytes()).unwrap();
    // RFC 8410 §4: the 32 octets behind a fixed beginning.
    let wrapped = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &raw].concat();
    assert_eq!(PublicKey::parse(KeyType::Ed25519, &wrapped).unwrap().bits(), 256);
    assert!(PublicKey::parse(KeyType::Rsa, &wrapped).is_err());
}

#[test]
fn round_trips_through_text() {
    for text in [
        format!("v=DKIM1; k=rsa; p={}", rsa()),
        format!("v=DKIM1; h=sha256:x; k=ed25519; n=a=20=3B=20b; s=email; t=y:s; p={ED25519}"),
        "v=DKIM1; k=rsa; t=s; p=".to_owned(),
        "v=DKIM1; k=rsa; t=y; p=".to_owned(),
    ] {
        assert_eq!(text.parse::<Record>().unwrap().to_string(), text);
    }
}

#[test]
fn the_record_of_a_private_key_is_printed() {
    let key = SigningKey::from_pem(include_str!("../../testdata/keys/ed25519.pem")).unwrap();
    let text = key.record().to_string();
    assert!(text.starts_with("v=DKIM1; k=ed25519; p="), "{text}");
    assert_eq!(text.len(), 22 + 44);
    assert_eq!(
        format!("{key:?}, {:?}", key.record().key.as_ref().unwrap()),
        "SigningKey(ed25519), PublicKey(256 bit ed25519)"
    );
}
