use super::*;

#[test]
fn reads_a_first_message_with_everything() {
    let message = "p=tls-exporter,a==2Cadmin,n=us=3Der,r=fyko+d2lbb,x=1";
    let first = ClientFirst::parse(message).unwrap();
    assert_eq!(first.flag, Flag::Bound("tls-exporter"));
    assert_eq!(first.gs2_header, "p=tls-exporter,a==2Cadmin,");
    assert_eq!(first.authzid.as_deref(), Some(",admin"));
    assert_eq!(first.username, "us=er");
    assert_eq!(first.nonce, "fyko+d2lbb");
    assert_eq!(first.bare, "n=us=3Der,r=fyko+d2lbb,x=1");
}

#[test]
fn round_trips_names() {
    for name in ["user", "a,b", "a=b", "=2C", ",=,=", "é@example.org"] {
        assert_eq!(unescape(&escape(name)).unwrap(), name);
    }
}

#[test]
fn refuses_broken_escapes() {
    for bad in ["=", "a=", "a=2", "a=2c", "a=3d", "a=44", "a==2C", "=é"] {
        assert_eq!(unescape(bad).unwrap_err().kind(), ErrorKind::Malformed, "{bad}");
    }
}

#[test]
fn round_trips_the_first_message_of_a_server() {
    let iterations = NonZeroU32::new(4096).unwrap();
    let printed = ServerFirst::print("client-nonce", "server-nonce", b"salt", iterations);
    let parsed = ServerFirst::parse(&printed).unwrap();
    assert_eq!(parsed, ServerFirst { nonce: "client-nonceserver-nonce", salt: b"salt".to_vec(), iterations });
}

#[test]
fn round_trips_the_second_message_of_a_client() {
    let without_proof = ClientFinal::print_without_proof("n,,", b"", "12345678");
    let printed = ClientFinal::print(&without_proof, b"proof");
    let parsed = ClientFinal::parse(&printed).unwrap();
    assert_eq!(parsed.binding, b"n,,");
    assert_eq!(parsed.proof, b"proof");
    assert_eq!(parsed.without_proof, without_proof);
}

#[test]
fn bounds_extensions() {
    let with = |count| format!("n,,n=user,r=12345678{}", ",x=1".repeat(count));
    assert!(ClientFirst::parse(&with(MAX_EXTENSIONS)).is_ok());
    assert_eq!(ClientFirst::parse(&with(MAX_EXTENSIONS + 1)).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn bounds_nonces() {
    let with = |length| format!("n,,n=user,r={}", "n".repeat(length));
    assert!(ClientFirst::parse(&with(nonce::MAX_NONCE)).is_ok());
    assert_eq!(ClientFirst::parse(&with(nonce::MAX_NONCE + 1)).unwrap_err().kind(), ErrorKind::TooLong);
    assert_eq!(ClientFirst::parse(&with(nonce::MIN_NONCE - 1)).unwrap_err().kind(), ErrorKind::Malformed);
}
