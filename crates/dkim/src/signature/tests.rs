use super::*;

const HASH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// A value with the tags that are required, and these.
fn value(tags: &str) -> String {
    format!("v=1; a=rsa-sha256; d=a.test; s=s; h=from; bh={HASH}; b=AAAA; {tags}")
}

/// A value in which one tag is replaced, or left out.
fn replaced(name: &str, with: Option<&str>) -> String {
    let value = value("");
    let kept = value.split("; ").filter(|tag| !tag.starts_with(&format!("{name}=")));
    let new = with.map(|with| format!("{name}={with}"));
    kept.map(str::to_owned).chain(new).filter(|tag| !tag.is_empty()).collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn refuses(value: &str, want: &str) {
    assert_eq!(Signature::parse(value.as_bytes()).unwrap_err().to_string(), want, "{value}");
}

#[test]
fn accepts_every_tag() {
    let text = value(
        "c=relaxed/simple; i=joe=20doe@sub.A.test; l=12; q=other:dns/txt/x : dns/txt; t=1000; x=2000; \
         z=From:joe@a.test|Subject:=20two=7Cparts; unknown=x",
    );
    let signature: Signature = text.parse().unwrap();
    assert_eq!(signature.algorithm, Algorithm::RsaSha256);
    assert_eq!(signature.signature, [0, 0, 0]);
    assert_eq!(signature.body_hash.len(), 32);
    assert_eq!(signature.header_canonicalization, Canonicalization::Relaxed);
    assert_eq!(signature.body_canonicalization, Canonicalization::Simple);
    assert_eq!(signature.identity.as_ref().map(Identity::to_string).unwrap(), "joe doe@sub.a.test");
    assert_eq!(
        (signature.body_length, signature.timestamp, signature.expiration),
        (Some(12), Some(1000), Some(2000))
    );
    let copies = [("From".into(), b"joe@a.test".to_vec()), ("Subject".into(), b" two|parts".to_vec())];
    assert_eq!(signature.copied_fields, copies);
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let signature = Signature::parse(value("").as_bytes()).unwrap();
    assert_eq!(signature.header_canonicalization, Canonicalization::Simple);
    assert_eq!(signature.body_canonicalization, Canonicalization::Simple);
    assert_eq!((signature.identity, signature.body_length, signature.expiration), (None, None, None));
    let relaxed = Signature::parse(value("c=relaxed").as_bytes()).unwrap();
    assert_eq!(relaxed.header_canonicalization, Canonicalization::Relaxed);
    assert_eq!(relaxed.body_canonicalization, Canonicalization::Simple);
}

#[test]
fn refuses_missing_tags() {
    for tag in ["v", "a", "b", "bh", "d", "h", "s"] {
        refuses(&replaced(tag, None), &format!("required tag is missing: {tag}"));
    }
}

#[test]
fn refuses_bad_values() {
    let check = |tag: &str, with: &str, want: &str| refuses(&replaced(tag, Some(with)), want);
    check("v", "2", "unknown version");
    check("v", "01", "unknown version");
    check("a", "rsa-md5", "unknown algorithm: rsa-md5");
    check("a", "ed25519-sha1", "unknown algorithm: ed25519-sha1");
    check("b", "*", "bad value of tag: b");
    check("bh", "AAAA", "bad value of tag: bh");
    check("bh", "", "bad value of tag: bh");
    check("c", "relaxed/", "unknown canonicalization: relaxed/");
    check("c", "nofws/simple", "unknown canonicalization: nofws/simple");
    check("d", "", "bad value of tag: d");
    check("d", "a..test", "bad value of tag: d");
    check("d", "a b.test", "bad value of tag: d");
    check("s", "", "bad value of tag: s");
    check("s", "a b", "bad value of tag: s");
    check("h", "", "bad value of tag: h");
    check("h", "from::to", "bad value of tag: h");
    check("i", "a.test", "bad value of tag: i");
    check("i", "@b.test", "identity is not within the signing domain");
    check("i", "@xa.test", "identity is not within the signing domain");
    check("l", "-1", "bad value of tag: l");
    check("l", &"1".repeat(77), "bad value of tag: l");
    check("q", "dns", "no known query method: dns");
    check("q", "", "no known query method: ");
    check("t", "1x", "bad value of tag: t");
    check("t", &"1".repeat(13), "bad value of tag: t");
    check("x", "", "bad value of tag: x");
    check("z", "From", "bad value of tag: z");
    refuses(&value("t=5; x=5"), "expiration is not later than the signing time");
}

#[test]
fn an_empty_signature_is_read() {
    // The grammar wants one; a signature without any is a bad one, not one that cannot be read.
    assert_eq!(Signature::parse(replaced("b", Some("")).as_bytes()).unwrap().signature, []);
}

#[test]
fn international_names_are_mapped() {
    // RFC 8616 §5: U-labels in d=, s= and i=.
    let text = replaced("d", Some("bücher.test")) + "; i=jürgen@bücher.test";
    let signature = Signature::parse(text.as_bytes()).unwrap();
    assert_eq!(signature.domain.as_str(), "xn--bcher-kva.test");
    assert_eq!(signature.identity.unwrap().to_string(), "jürgen@xn--bcher-kva.test");
}

#[test]
fn round_trips_through_text() {
    for tags in ["", "c=relaxed/relaxed; i=j=C3=BC@a.test; l=0; t=1; x=2; z=A:b=20c|D:", "i=@sub.a.test"] {
        let mut signature = Signature::parse(value(tags).as_bytes()).unwrap();
        signature.signature = vec![7; 256];
        let text = signature.to_string();
        assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
        assert_eq!(text.parse(), Ok(signature));
    }
}

#[test]
fn claims_are_salvaged_from_broken_signatures() {
    let check = |value: &str, want: [&str; 5]| {
        let claims = Claims::salvage(value.as_bytes());
        let show = |text: Option<String>| text.unwrap_or_default();
        let found = [
            show(claims.domain.map(|d| d.to_string())),
            show(claims.selector.map(|s| s.to_string())),
            show(claims.algorithm),
            show(claims.identity.map(|i| i.to_string())),
            show(claims.signature_prefix),
        ];
        assert_eq!(found, want, "{value:?}");
    };
    check(
        "v=9; d=A.test; s=s; a=foo-bar1; i=@b.test; b=abcd\r\n\tefghijklmnop",
        ["a.test", "s", "foo-bar1", "@b.test", "abcdefghijkl"],
    );
    check("d=a.test; d=b.test; ;; b=", ["a.test", "", "", "", ""]);
    check("d=a..test; a=rsa_sha256; s=\0; b=ab*c", ["", "", "", "", "ab"]);
    check("", [""; 5]);
    check("\0\r\n\u{7f}", [""; 5]);
}

#[test]
fn claims_of_good_signatures_are_the_same() {
    let text = value("i=joe@a.test");
    let claims = Claims::from(&Signature::parse(text.as_bytes()).unwrap());
    assert_eq!(claims, Claims::salvage(text.as_bytes()));
}
