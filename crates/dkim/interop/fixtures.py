#!/usr/bin/env python3
"""Writes testdata/verify: messages signed here, with the result that the RFC asks for. See README.md."""

import base64

from crafting import Key, Suite, crlf, fill, txt

NAMES = ["rsa2048", "rsa1024", "rsa512", "rsa8192", "ed25519", "ed25519b"]
KEYS = {name: Key(name) for name in NAMES}
KEYS.update(rsa=KEYS["rsa2048"], ed=KEYS["ed25519"])
SUITE = Suite("verify")

# The time at which the fixtures are verified.
NOW = 1700000000
HEAD = """From: Joe <joe@example.test>
To: ann@example.net
Subject: Lunch on Friday
Date: Tue, 14 Nov 2023 22:13:20 +0000
Message-ID: <1@example.test>
"""
BODY = "Hello Ann,\n\nhave you time for lunch on Friday?\n\nJoe\n"
RSA = "v=DKIM1; k=rsa; p=" + KEYS["rsa"].p()
ED = "v=DKIM1; k=ed25519; p=" + KEYS["ed"].p()


def at(selector, domain="example.test"):
    return f"{selector}._domainkey.{domain}"


def sig(key="rsa", name="DKIM-Signature", **tags):
    """A signature field; a tag of None is left out, and `extra` is put before `bh`."""
    ed = key.startswith("ed")
    all_tags = {
        "v": "1", "a": "ed25519-sha256" if ed else "rsa-sha256", "c": "relaxed/relaxed", "d": "example.test",
        "s": "ed" if ed else "rsa", "h": "from:to:subject:date:message-id", "extra": None, "bh": "@",
        "b": "@" + key,
    }
    all_tags.update(tags)
    parts = [v if k == "extra" else f"{k}={v}" for k, v in all_tags.items() if v is not None]
    return f"{name}: " + ";\n\t".join(parts) + "\n"


def result(status, error="-", key="rsa", **shown):
    ed = key.startswith("ed")
    show = {
        "d": "example.test", "s": "ed" if ed else "rsa", "a": "ed25519-sha256" if ed else "rsa-sha256", "i": "-",
    }
    show.update(shown)
    return f"{status} {show['d']} {show['s']} {show['a']} {show['i']} {error}"


def case(name, why, want="pass", error="-", top=None, head=HEAD, body=BODY, edit=(), zone="", policy="",
         results=None, show=None, raw=None, **tags):
    """One fixture. `edit` is done to the signed message; `top` replaces the signature fields."""
    key = tags.pop("key", "rsa")
    message = raw if raw is not None else crlf((sig(key, **tags) if top is None else top) + head + "\n") + crlf(body)
    message = fill(message, KEYS)
    for old, new in edit:
        assert old.encode() in message, (name, old)
        message = message.replace(old.encode(), new.encode(), 1)
    if results is None:
        results = [result(want, error, key, **(show or {}))]
    SUITE.add(name, why, message, "\n".join(results), zone, policy)


def key_record(name, why, record, want, error="-", key="rsa", **more):
    """A case that is about the key record: it stands at a selector of its own, `x`."""
    records = record if isinstance(record, list) else [record]
    zone = "".join(txt(at("x"), text) for text in records)
    case(name, why, want, error, key=key, s="x", show={"s": "x", **more.pop("show", {})}, zone=zone, **more)


def write_keys():
    with open(f"{SUITE.folder}/keys.zone", "w") as file:
        file.write("; The keys that all cases share; a case's own zone is added.\n")
        file.write(txt(at("rsa"), RSA) + txt(at("ed"), ED))


def selectors_and_tags():
    case("plain-rsa", "RFC 6376 §6.1: a good rsa-sha256 signature passes.")
    case("plain-ed25519", "RFC 8463 §3: a good ed25519-sha256 signature passes.", key="ed")
    case("selector-with-dots", "RFC 6376 §3.1: selectors may have several labels.", s="a.b.c",
         show={"s": "a.b.c"}, zone=txt(at("a.b.c"), RSA))
    case("selector-with-underscore", "RFC 6376 §3.1: not in the grammar, but in use.", s="a_b",
         show={"s": "a_b"}, zone=txt(at("a_b"), RSA))
    case("selector-upper-case", "RFC 6376 §3.6.2.1: the selector is part of a DNS name, where case means nothing.",
         s="RSA")
    case("selector-bad", "RFC 6376 §3.1: a selector is labels.", "permerror", "dkim.bad-tag-value", s="a b",
         show={"s": "-"})
    case("key-name-too-long", "RFC 1035 §2.3.4: selector and domain do not fit into a name together.", "permerror",
         "dkim.bad-tag-value", s=".".join(["a" * 60] * 4), show={"s": ".".join(["a" * 60] * 4)})
    case("tags-in-any-order", "RFC 6376 §3.2: the order of tags means nothing.",
         top="DKIM-Signature: bh=@; h=from:subject; b=@rsa; s=rsa; d=example.test; c=relaxed/relaxed; a=rsa-sha256; v=1\n")
    case("tag-trailing-semicolon", "RFC 6376 §3.2: the list may end in a semicolon.", top=sig().rstrip("\n") + ";\n")
    case("tag-white-space", "RFC 6376 §3.2: folding white space may stand around names and values.",
         top="DKIM-Signature:\n v = 1 ;\n a\n =\n rsa-sha256 ; c=relaxed/relaxed; d =example.test;s= rsa;\n"
             "\th = from\n\t : subject ; bh=@ ; b=@rsa\n")
    case("tag-unknown", "RFC 6376 §3.2: unknown tags are ignored.", extra="x_note=hello there; zz=")
    case("tag-twice", "RFC 6376 §3.2: a tag given twice makes the list invalid.", "permerror", "dkim.duplicate-tag",
         extra="t=1; t=2")
    case("tag-case", "RFC 6376 §3.2: tag names are case-sensitive.", "permerror", "dkim.missing-tag", v=None,
         extra="V=1")
    case("tag-empty", "RFC 6376 §3.2: between semicolons there is a tag.", "permerror", "dkim.bad-tag-list", extra="")
    case("tag-without-equals", "RFC 6376 §3.2: a tag has an equals sign.", "permerror", "dkim.bad-tag-list",
         extra="hello")
    case("tag-name-bad", "RFC 6376 §3.2: names are letters, digits and underscores.", "permerror",
         "dkim.bad-tag-list", extra="a-b=1")
    case("tag-value-nul", "RFC 6376 §3.2: values are printable.", "permerror", "dkim.bad-tag-value", extra="n=a\0b")
    case("no-signature", "RFC 6376 §6: a message without a signature has no result.", top="", results=["(none)"])
    case("not-a-tag-list", "RFC 6376 §3.2: nothing can be read of this one, and it still gets its result.",
         top="DKIM-Signature: hello world\n", results=["permerror - - - - dkim.bad-tag-list"])


def algorithms():
    case("rsa-sha1", "RFC 8301 §3.1: rsa-sha1 must not be used for verifying.", "policy", "dkim.sha1-refused",
         a="rsa-sha1", show={"a": "rsa-sha1"})
    case("algorithm-unknown", "RFC 6376 §3.3.4: unknown algorithms are not supported, and still named.", "permerror",
         "dkim.unknown-algorithm", a="rsa-sha512", show={"a": "rsa-sha512"})
    case("algorithm-hash-does-not-fit", "RFC 8463 §3: Ed25519 goes with SHA-256 alone.", "permerror",
         "dkim.unknown-algorithm", key="ed", a="ed25519-sha1", show={"a": "ed25519-sha1"})
    case("algorithm-upper-case", "RFC 6376 §3.5: the words of the grammar are the same in upper case.", a="RSA-SHA256")
    key_record("rsa-1024", "RFC 8301 §3.2: keys of 1024 bits verify.", "k=rsa; p=" + KEYS["rsa1024"].p(), "pass",
               key="rsa1024", show={"s": "x"})
    key_record("rsa-8192", "RFC 8301 §3.2: large keys verify.", "k=rsa; p=" + KEYS["rsa8192"].p(), "pass",
               key="rsa8192", show={"s": "x"})
    key_record("rsa-512", "RFC 8301 §3.2: keys below 1024 bits do not count.", "k=rsa; p=" + KEYS["rsa512"].p(),
               "permerror", "dkim.key-too-small", key="rsa512", show={"s": "x"})
    key_record("ed25519-wrapped", "RFC 8463 §4: the key is 32 octets; a SubjectPublicKeyInfo is tolerated.",
               "k=ed25519; p=" + base64.b64encode(KEYS["ed"].spki).decode(), "pass", key="ed")
    key_record("ed25519-short", "RFC 8463 §4: the key is 32 octets.", "k=ed25519; p=AAAA", "permerror",
               "dkim.bad-public-key", key="ed")
    key_record("rsa-bare", "RFC 6376 §3.6.1: the text says RSAPublicKey, the examples have more around it.",
               "p=" + base64.b64encode(KEYS["rsa"].bare).decode(), "pass")
    case("both-algorithms", "RFC 8463 §5: a message may have both, and each has its result.", top=sig("ed") + sig(),
         results=[result("pass", key="ed"), result("pass")])


def canonicalizations():
    c = {"c": None}
    case("simple-default", "RFC 6376 §3.5: c= defaults to simple/simple.", **c)
    case("simple-header-changed", "RFC 6376 §3.4.1: simple tolerates no change of white space.", "fail",
         "dkim.bad-signature", edit=[("Lunch on", "Lunch  on")], **c)
    case("simple-header-case", "RFC 6376 §3.4.1: simple tolerates no change of case.", "fail", "dkim.bad-signature",
         edit=[("Subject:", "subject:")], **c)
    case("simple-header-folded", "RFC 6376 §3.4.1: simple keeps folding.",
         head=HEAD.replace("Lunch on", "Lunch\n\ton"), **c)
    case("simple-body-blank-lines", "RFC 6376 §3.4.3: empty lines at the end do not count.",
         edit=[("\r\nJoe\r\n", "\r\nJoe\r\n\r\n\r\n")], **c)
    case("simple-body-changed", "RFC 6376 §3.4.3: simple tolerates no change of white space.", "fail",
         "dkim.body-hash-mismatch", edit=[("Hello Ann,", "Hello Ann, ")], **c)
    case("simple-body-empty", "RFC 6376 §3.4.3: an empty body is one CRLF.", body="", **c)
    case("simple-body-unterminated", "RFC 6376 §3.4.3: a missing CRLF at the end is added.", body="no line end", **c)
    case("simple-body-all-blank", "RFC 6376 §3.4.3: many empty lines are one CRLF.", body="\n\n\n", **c)
    case("relaxed-header-only", "RFC 6376 §3.5: a single name in c= is the header's; the body is simple.", "fail",
         "dkim.body-hash-mismatch", c="relaxed", edit=[("Hello Ann,", "Hello  Ann,")])
    case("relaxed-header-changes", "RFC 6376 §3.4.2: case, folding and white space may change.",
         edit=[("Subject: Lunch on Friday", "SUBJECT :  Lunch\r\n\t on\t\tFriday ")])
    case("relaxed-header-word-joined", "RFC 6376 §3.4.2: white space may not vanish.", "fail", "dkim.bad-signature",
         edit=[("Lunch on", "Lunchon")])
    case("relaxed-header-empty-value", "RFC 6376 §3.4.2: a field without value.", h="from:subject:x-empty",
         head=HEAD + "X-Empty: \n")
    case("relaxed-body-changes", "RFC 6376 §3.4.4: runs of white space, its end of lines, and empty lines at the end.",
         edit=[("Hello Ann,", "Hello \t Ann,\t "), ("\r\nJoe\r\n", "\r\nJoe  \r\n \r\n\t\r\n\r\n")])
    case("relaxed-body-line-start", "RFC 6376 §3.4.4: white space may not appear at the start of a line.", "fail",
         "dkim.body-hash-mismatch", edit=[("Hello Ann,", " Hello Ann,")])
    case("relaxed-body-inner-blank-line", "RFC 6376 §3.4.4: empty lines in the middle count.", "fail",
         "dkim.body-hash-mismatch", edit=[("Hello Ann,\r\n\r\n", "Hello Ann,\r\n\r\n\r\n")])
    case("relaxed-body-empty", "RFC 6376 §3.4.4: an empty body is empty.", body="")
    case("relaxed-body-blank", "RFC 6376 §3.4.4: white space and line ends alone are an empty body.", body=" \n\t\n\n")
    case("relaxed-body-unterminated", "RFC 6376 §3.4.4: a missing CRLF at the end is added.", body="no line end")
    case("relaxed-simple", "RFC 6376 §3.4: header relaxed, body simple.", c="relaxed/simple",
         edit=[("Lunch on", "Lunch   on")])
    case("simple-relaxed", "RFC 6376 §3.4: header simple, body relaxed.", c="simple/relaxed",
         edit=[("Hello Ann", "Hello   Ann")])
    case("canonicalization-unknown", "RFC 6376 §3.5: unknown canonicalisations are not supported.", "permerror",
         "dkim.unknown-canonicalization", c="nofws/simple")
    case("no-body-at-all", "RFC 5322 §3.5: a message may end with its header.", body="",
         edit=[("<1@example.test>\r\n\r\n", "<1@example.test>\r\n")])
    # Two forms of the body at once, of signatures that fail and pass apart.
    case("forms-apart", "RFC 6376 §3.4: each signature has its own canonicalisation.",
         top=sig(c="simple/simple") + sig("ed"), edit=[("Hello Ann,", "Hello Ann, ")],
         results=[result("fail", "dkim.body-hash-mismatch"), result("pass", key="ed")])


def signature_tags():
    case("version-missing", "RFC 6376 §3.5: v= is required.", "permerror", "dkim.missing-tag", v=None)
    case("version-unknown", "RFC 6376 §6.1.1: other versions are ignored.", "permerror", "dkim.unknown-version", v="2")
    for name in ["a", "b", "bh", "d", "h", "s"]:
        shown = {"d": {"d": "-"}, "s": {"s": "-"}, "a": {"a": "-"}}.get(name, {})
        # Without a= there is nothing to tell the hash by, so nothing is filled in.
        tags = {name: None}
        case(f"missing-{name}", f"RFC 6376 §6.1.1: {name}= is required.", "permerror", "dkim.missing-tag", show=shown,
             **tags)
    case("b-in-the-middle", "RFC 6376 §3.7: the value of b= alone is left out, wherever it is.",
         top="DKIM-Signature: v=1; a=rsa-sha256; b= @ ; c=simple/simple; d=example.test; s=rsa; h=from:subject; bh=@\n"
         .replace("b= @ ", "b=@rsa"))
    case("b-folded", "RFC 6376 §3.5: white space in b= is ignored.", top=sig().replace("b=@rsa", "b=@rsa\n\t ") )
    case("b-broken", "RFC 6376 §3.5: b= is base64.", "permerror", "dkim.bad-tag-value", b="*!*")
    case("b-empty", "RFC 6376 §3.7: no signature is not this one's.", "fail", "dkim.bad-signature", b="")
    case("b-short", "RFC 6376 §6.1.3: half a signature is none.", "fail", "dkim.bad-signature", b="AAAA")
    case("bh-folded", "RFC 6376 §3.5: white space in bh= is ignored.", bh="\n\t@")
    case("bh-broken", "RFC 6376 §3.5: bh= is base64.", "permerror", "dkim.bad-tag-value", bh="===")
    case("bh-short", "RFC 6376 §3.5: bh= is as long as the hash.", "permerror", "dkim.bad-tag-value", bh="AAAA")
    case("bh-wrong", "RFC 6376 §6.1.3: bh= must be that of the body.", "fail", "dkim.body-hash-mismatch",
         bh="A" * 43 + "=")
    case("domain-upper-case", "RFC 6376 §3.5: d= is a domain name, where case means nothing.", d="EXAMPLE.Test")
    case("domain-bad", "RFC 6376 §3.5: d= is a domain name.", "permerror", "dkim.bad-tag-value", d="exa mple.test",
         show={"d": "-"})
    case("domain-a-label", "RFC 6376 §3.5: internationalised domains are A-labels.", d="xn--bcher-kva.test",
         show={"d": "xn--bcher-kva.test"}, zone=txt(at("rsa", "xn--bcher-kva.test"), RSA))
    case("domain-u-label", "RFC 8616 §5: and may be U-labels in internationalised messages.", d="bücher.test",
         show={"d": "xn--bcher-kva.test"}, zone=txt(at("rsa", "xn--bcher-kva.test"), RSA))
    case("selector-u-label", "RFC 8616 §5: the same for s=.", s="schlüssel", show={"s": "xn--schlssel-95a"},
         zone=txt(at("xn--schlssel-95a"), RSA))
    case("domain-public-suffix", "RFC 6376 §6.1.1: nobody in particular stands behind a public suffix.", "permerror",
         "dkim.public-suffix", d="co.uk", show={"d": "co.uk"}, zone=txt(at("rsa", "co.uk"), RSA))
    case("domain-top-level", "RFC 6376 §6.1.1: nor behind a top-level domain.", "permerror", "dkim.public-suffix",
         d="test", show={"d": "test"}, zone=txt(at("rsa", "test"), RSA))
    case("fields-empty", "RFC 6376 §3.5: h= must not be empty.", "permerror", "dkim.bad-tag-value", h="")
    case("fields-bad-name", "RFC 6376 §3.5: h= is field names.", "permerror", "dkim.bad-tag-value", h="from:a b")
    case("fields-without-from", "RFC 6376 §5.4: From must be signed.", "permerror", "dkim.from-not-signed",
         h="to:subject")
    case("fields-from-alike", "RFC 6376 §5.4: a name that begins the same is not From.", "permerror",
         "dkim.from-not-signed", h="from-x:to:subject")
    case("identity", "RFC 6376 §3.5: i= in the signing domain.", extra="i=joe@example.test",
         show={"i": "joe@example.test"})
    case("identity-subdomain", "RFC 6376 §3.10: i= may be in a subdomain of d=.", extra="i=@mail.example.test",
         show={"i": "@mail.example.test"})
    case("identity-outside", "RFC 6376 §6.1.1: i= must be d= or below.", "permerror", "dkim.identity-outside-domain",
         extra="i=@test", show={"i": "@test"})
    case("identity-quoted", "RFC 6376 §3.5: i= is quoted-printable.", extra="i=joe=2Bx=3B@example.test",
         show={"i": "joe+x;@example.test"})
    case("identity-utf8", "RFC 8616 §5: UTF-8 in i=.", extra="i=jürgen@example.test",
         show={"i": "jürgen@example.test"})
    case("identity-without-at", "RFC 6376 §3.5: i= has an at sign.", "permerror", "dkim.bad-tag-value",
         extra="i=example.test")
    case("length", "RFC 6376 §8.2: what follows the signed part is anyone's; refused unless asked for.", "policy",
         "dkim.body-length-used", extra="l=10")
    case("length-accepted", "RFC 6376 §3.5: with l= text may be added.", extra="l=10", policy="body-length",
         edit=[("\r\nJoe\r\n", "\r\nJoe\r\nP.S. added\r\n")])
    case("length-changed", "RFC 6376 §3.5: not before l=.", "fail", "dkim.body-hash-mismatch", extra="l=10",
         policy="body-length", edit=[("Hello", "Hallo")])
    case("length-zero", "RFC 6376 §3.5: l=0 signs no body.", extra="l=0", policy="body-length",
         edit=[("Hello", "Hallo")])
    case("length-too-large", "RFC 6376 §3.5: l= must not be larger than the body.", "permerror",
         "dkim.body-too-short", extra="l=5000", policy="body-length")
    case("length-apart", "RFC 6376 §3.5: signatures of different lengths.", policy="body-length",
         top=sig(extra="l=5") + sig("ed", extra="l=7"), edit=[("Hello A", "Hello a")],
         results=[result("pass"), result("fail", "dkim.body-hash-mismatch", "ed")])
    case("length-bad", "RFC 6376 §3.5: l= is digits.", "permerror", "dkim.bad-tag-value", extra="l=-1")
    case("length-huge", "RFC 6376 §3.5: l= of 76 digits is understood.", "permerror", "dkim.body-too-short",
         extra="l=" + "9" * 76, policy="body-length")
    case("query-unknown", "RFC 6376 §3.5: some method must be known.", "permerror", "dkim.unknown-query-method",
         extra="q=http")
    case("query-several", "RFC 6376 §3.5: unknown methods are ignored.", extra="q=http:dns/txt")
    case("signed-now", "RFC 6376 §3.5: t= of this moment.", extra=f"t={NOW}")
    case("signed-soon", "RFC 6376 §3.5: clocks differ a little.", extra=f"t={NOW + 300}")
    case("signed-in-future", "RFC 6376 §3.5: t= in the future.", "permerror", "dkim.signed-in-future",
         extra=f"t={NOW + 301}")
    case("signed-bad", "RFC 6376 §3.5: t= is digits.", "permerror", "dkim.bad-tag-value", extra="t=today")
    case("expires-later", "RFC 6376 §3.5: x= in the future.", extra=f"t={NOW - 9}; x={NOW + 9}")
    case("expired-just-now", "RFC 6376 §3.5: clocks differ a little.", extra=f"x={NOW - 300}")
    case("expired", "RFC 6376 §3.5: x= is past.", "permerror", "dkim.expired", extra=f"x={NOW - 301}")
    case("expires-before-signed", "RFC 6376 §3.5: x= is later than t=.", "permerror", "dkim.expires-before-signed",
         extra=f"t={NOW}; x={NOW}")
    case("copied-fields", "RFC 6376 §3.5: z= is for diagnosis and does not count.",
         extra="z=From:someone@else.test|Subject:other=20text")
    case("copied-fields-bad", "RFC 6376 §3.5: z= is names and values.", "permerror", "dkim.bad-tag-value", extra="z=x")
    case("subject-unsigned", "RFC 6376 §5.4: a subject that can be exchanged; refused unless asked for.", "policy",
         "dkim.subject-not-signed", h="from:to")
    case("subject-unsigned-accepted", "RFC 6376 §5.4: the same, asked for.", h="from:to", policy="unsigned-subject")


def field_selection():
    received = "Received: third\nReceived: second\nReceived: first\n"
    case("fields-from-the-bottom", "RFC 6376 §5.4.2: the last of several is signed first.", head=received + HEAD,
         h="from:subject:received:received", edit=[("third", "changed")])
    case("fields-from-the-bottom-changed", "RFC 6376 §5.4.2: and the next one above it.", "fail", "dkim.bad-signature",
         head=received + HEAD, h="from:subject:received:received", edit=[("second", "changed")])
    case("fields-unsigned-may-change", "RFC 6376 §3.8: what is not signed may change.", edit=[("To: ann", "X: ann")],
         h="from:subject")
    case("fields-missing", "RFC 6376 §3.5: a field that is not there is signed as nothing.",
         h="from:subject:list-id:cc:cc")
    case("fields-missing-added", "RFC 6376 §3.5: and must not appear then.", "fail", "dkim.bad-signature",
         h="from:subject:list-id", edit=[("To: ann", "List-Id: x\r\nTo: ann")])
    case("fields-oversigned-from", "RFC 6376 §8.15: a second From is noticed when From is signed once more.", "fail",
         "dkim.bad-signature", h="from:from:subject", edit=[("From: Joe", "From: <evil@example.net>\r\nFrom: Joe")])
    case("fields-added-above", "RFC 6376 §8.15: and without that too, for there may be one From.", "policy",
         "dkim.unsigned-copy", h="from:subject",
         edit=[("From: Joe", "From: <evil@example.net>\r\nFrom: Joe")])
    case("fields-other-signature", "RFC 6376 §3.7: a signature may cover another one.",
         top=sig("ed", h="from:subject:dkim-signature") + sig(), results=[result("pass", key="ed"), result("pass")])
    case("fields-own-signature", "RFC 6376 §5.4: DKIM-Signature in h= means the other ones.",
         h="from:subject:dkim-signature:dkim-signature")
    case("fields-signature-added", "RFC 6376 §5.4: and one that was not there must not be added.",
         top=sig("ed") + sig(h="from:subject:dkim-signature:dkim-signature") + sig("ed"), edit=[],
         results=[result("pass", key="ed"), result("fail", "dkim.bad-signature"), result("pass", key="ed")])
    case("signature-name-in-lower-case", "RFC 5322 §1.2.2: field names are the same in any case.",
         top=sig(name="dkim-signature"))
    case("fields-removed", "RFC 6376 §6.1.3: a signed field must not go.", "fail", "dkim.bad-signature",
         edit=[("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", "")])
    case("header-changed", "RFC 6376 §6.1.3: a signed field must not change.", "fail", "dkim.bad-signature",
         edit=[("Joe <joe", "Jim <joe")])
    case("body-changed", "RFC 6376 §6.1.3: the body must not change.", "fail", "dkim.body-hash-mismatch",
         edit=[("Friday?", "Monday?")])
    case("key-of-another", "RFC 6376 §6.1.3: a signature by another key.", "fail", "dkim.bad-signature", key="ed25519b",
         s="ed")


def key_records():
    key_record("record-without-version", "RFC 6376 §3.6.1: v= is only recommended.", RSA.replace("v=DKIM1; ", ""), "pass")
    key_record("record-version-not-first", "RFC 6376 §3.6.1: v= must be first.", "p=" + KEYS["rsa"].p() + "; v=DKIM1",
               "permerror", "dkim.bad-key-record")
    key_record("record-version-unknown", "RFC 6376 §3.6.1: other versions are discarded.", RSA.replace("DKIM1", "DKIM2"),
               "permerror", "dkim.not-a-key-record")
    key_record("record-type-default", "RFC 6376 §3.6.1: k= defaults to rsa.", "p=" + KEYS["rsa"].p(), "pass")
    key_record("record-type-unknown", "RFC 6376 §3.6.1: unknown key types are ignored.", "k=dsa; p=AAAA", "permerror",
               "dkim.unknown-key-type")
    key_record("record-type-mismatch", "RFC 6376 §6.1.2: the key must fit the algorithm.", ED, "permerror",
               "dkim.key-type-mismatch")
    key_record("record-hash-allowed", "RFC 6376 §3.6.1: h= lists what may be used; unknown ones are ignored.",
               RSA.replace("k=", "h=sha512:sha256; k="), "pass")
    key_record("record-hash-not-allowed", "RFC 6376 §6.1.2: the hash must be in h=.", RSA.replace("k=", "h=sha1; k="),
               "permerror", "dkim.hash-not-allowed")
    key_record("record-revoked", "RFC 6376 §6.1.2: an empty p= means revoked.", "v=DKIM1; p=", "permerror",
               "dkim.key-revoked")
    key_record("record-without-key", "RFC 6376 §3.6.1: p= is required.", "v=DKIM1; k=rsa", "permerror",
               "dkim.bad-key-record")
    key_record("record-key-broken", "RFC 6376 §6.1.2: a key that cannot be read.", "v=DKIM1; p=AAAA", "permerror",
               "dkim.bad-public-key")
    key_record("record-key-not-base64", "RFC 6376 §3.6.1: p= is base64.", "v=DKIM1; p=***", "permerror",
               "dkim.bad-public-key")
    key_record("record-key-white-space", "RFC 6376 §3.6.1: white space in p= is ignored.",
               RSA[:60] + "  \t" + RSA[60:], "pass")
    key_record("record-note", "RFC 6376 §3.6.1: n= is for people.", RSA.replace("k=", "n=a=20note; k="), "pass")
    key_record("record-unknown-tag", "RFC 6376 §3.6.1: unknown tags are ignored.", RSA + "; g=x; future=1", "pass")
    key_record("record-tag-twice", "RFC 6376 §3.2: a tag given twice.", RSA + "; k=rsa", "permerror",
               "dkim.duplicate-tag")
    key_record("record-service-email", "RFC 6376 §3.6.1: s=email is for mail.", RSA.replace("k=", "s=email; k="), "pass")
    key_record("record-service-any", "RFC 6376 §3.6.1: * is for all.", RSA.replace("k=", "s=other:*; k="), "pass")
    key_record("record-service-other", "RFC 6376 §3.6.1: a key for something else.", RSA.replace("k=", "s=tlsrpt; k="),
               "permerror", "dkim.service-not-allowed")
    key_record("record-testing-fail", "RFC 6376 §3.6.1: testing signers are treated as if unsigned when they fail.",
               RSA.replace("k=", "t=y; k="), "none", "dkim.body-hash-mismatch", edit=[("Friday?", "Monday?")])
    key_record("record-testing-pass", "RFC 6376 §3.6.1: and pass as all others.", RSA.replace("k=", "t=y:s; k="), "pass")
    key_record("record-testing-revoked", "RFC 6376 §3.6.1: any failure counts as none then.", "v=DKIM1; t=y; p=", "none",
               "dkim.key-revoked")
    key_record("record-strict", "RFC 6376 §3.6.1: t=s, and i= is in d= itself.", RSA.replace("k=", "t=s; k="), "pass",
               extra="i=joe@example.test", show={"i": "joe@example.test"})
    key_record("record-strict-subdomain", "RFC 6376 §3.6.1: t=s, and i= is in a subdomain.",
               RSA.replace("k=", "t=s; k="), "permerror", "dkim.subdomain-not-allowed", extra="i=@mail.example.test",
               show={"i": "@mail.example.test"})
    key_record("record-flags-unknown", "RFC 6376 §3.6.1: unknown flags are ignored.", RSA.replace("k=", "t=q:z; k="),
               "pass")
    key_record("record-other-text", "RFC 6376 §6.1.2: a TXT record of something else.", "v=spf1 -all", "permerror",
               "dkim.not-a-key-record")
    key_record("record-among-others", "RFC 6376 §6.1.2: what is no key record is ignored.", ["v=spf1 -all", RSA], "pass")
    key_record("record-several", "RFC 6376 §6.1.2: of several keys each is tried.",
               ["v=DKIM1; p=" + KEYS["rsa1024"].p(), ED, RSA], "pass")
    key_record("record-several-none", "RFC 6376 §6.1.2: and none of them fits.", ["v=DKIM1; p=" + KEYS["rsa1024"].p(), ED],
               "fail", "dkim.bad-signature")
    case("record-absent", "RFC 6376 §6.1.2: no key for the signature.", "permerror", "dkim.no-key", s="none",
         show={"s": "none"})
    case("record-absent-type", "RFC 6376 §6.1.2: the name exists, and has no TXT record.", "permerror", "dkim.no-key",
         s="x", show={"s": "x"}, zone=at("x") + ". A 192.0.2.1\n")
    case("record-servfail", "RFC 6376 §6.1.2: DNS does not answer.", "temperror", "dkim.key-lookup-failed", s="x",
         show={"s": "x"}, zone="!servfail " + at("x") + ".\n")
    case("record-timeout", "RFC 6376 §6.1.2: DNS takes too long.", "temperror", "dkim.key-lookup-failed", s="x",
         show={"s": "x"}, zone="!timeout " + at("x") + ". TXT\n")
    case("record-bogus", "RFC 4035 §5.5: a forged answer is none.", "temperror", "dkim.key-lookup-failed", s="x",
         show={"s": "x"}, zone="!bogus " + at("x") + ".\n")
    case("record-alias", "RFC 6376 §3.6.2.1: keys may be published elsewhere by CNAME.", s="x", show={"s": "x"},
         zone=at("x") + ". CNAME key.example.net.\n" + txt("key.example.net", RSA))
    case("record-wildcard", "RFC 6376 §6.1.2: a wildcard answers for every selector.", s="x", show={"s": "x"},
         zone=txt("*._domainkey.example.test", RSA))


def several_signatures():
    case("several-domains", "RFC 6376 §4.2: every signature has its result, in the order of the header.",
         top=sig() + sig("ed", d="example.net") + sig("ed"),
         results=[result("pass"), result("permerror", "dkim.no-key", "ed", d="example.net"), result("pass", key="ed")])
    case("several-one-broken", "RFC 6376 §6.1: a bad signature does not harm a good one.",
         top="DKIM-Signature: v=1; d=a.test; s==; a=x-y; b=AAAABBBBCCCCDDDD\n" + sig(),
         results=["permerror a.test - x-y - dkim.unknown-algorithm", result("pass")])
    case("too-many", "RFC 6376 §6.1: there is a limit; signatures that are refused anyway do not count.",
         top=sig(v="2") + sig("ed") * 16 + sig() * 2,
         results=[result("permerror", "dkim.unknown-version")] + [result("pass", key="ed")] * 16
                 + [result("policy", "dkim.too-many-signatures")] * 2)
    case("too-many-lower", "RFC 6376 §6.1: the limit is the receiver's.", policy="max-signatures=1",
         top=sig("ed") + sig(), results=[result("pass", key="ed"), result("policy", "dkim.too-many-signatures")])


def bad_headers():
    bad = result("permerror", "dkim.malformed-header")
    case("header-without-colon", "RFC 6376 §3.8: a header that readers may see differently.", results=[bad],
         edit=[("To: ann", "hello\r\nTo: ann")])
    case("header-begins-folded", "RFC 6376 §3.8: a header that begins with a continuation line.", results=[bad],
         edit=[("DKIM-Signature", " hello\r\nDKIM-Signature")])
    case("header-too-many-fields", "RFC 6376 §6.1: a header of 10,000 fields.", results=[bad],
         head="X: y\n" * 10000 + HEAD)
    case("header-bare-cr", "RFC 5322 §2.2: a bare CR is a character like others.", head=HEAD + "X-Odd: a\rb \r c\n",
         h="from:subject:x-odd")
    case("header-nul", "RFC 5322 §2.2: a NUL is a character like others.", head=HEAD + "X-Odd: a\0b\n",
         h="from:subject:x-odd")
    case("header-8-bit", "RFC 6376 §5.3: octets above 127 are signed as they are.", head=HEAD + "X-Odd: jürgen\n",
         h="from:subject:x-odd")
    case("body-bare-line-ends", "RFC 6376 §3.4.4: only CRLF ends a line.",
         raw=crlf(sig() + HEAD + "\n") + b"a \rb\r\nc \nd\r\n\n\r\n\r\r\n")
    case("body-nul", "RFC 6376 §5.3: NULs are signed as they are.", body="a\0b\n\0\n")
    case("body-long-line", "RFC 6376 §3.4.4: a line may be long.", body="ab  c " * 20000 + "\n")


def repeated_fields():
    names = "from:subject:to:cc:date:reply-to:sender:message-id"
    head = HEAD + "Cc: bob@example.net\nReply-To: joe@example.test\nSender: joe@example.test\n"
    case("single-fields", "RFC 5322 §3.6: each of these fields once.", head=head, h=names)
    for name in ["Subject", "To", "Cc", "Date", "Reply-To", "Sender", "Message-ID"]:
        case(f"copy-of-{name.lower()}", f"RFC 6376 §8.15: {name} is signed once, and another was added.", "policy",
             "dkim.unsigned-copy", head=head, h=names, edit=[("From: Joe", f"{name}: other\r\nFrom: Joe")])
    case("copy-below", "RFC 6376 §8.15: wherever the other one is.", "policy", "dkim.unsigned-copy",
         edit=[("<1@example.test>\r\n", "<1@example.test>\r\nSubject: other\r\n")])
    case("copy-in-other-case", "RFC 5322 §1.2.2: field names are the same in any case.", "policy",
         "dkim.unsigned-copy", edit=[("From: Joe", "SUBJECT : other\r\nFrom: Joe")])
    case("copy-signed", "RFC 6376 §5.4.2: both are signed if the name stands twice.", h="from:subject:to:to",
         head="To: bob@example.net\n" + HEAD)
    case("copy-above-signed", "RFC 6376 §5.4.2: a third above two that are signed.", "policy", "dkim.unsigned-copy",
         h="from:subject:to:to", head="To: bob@example.net\n" + HEAD, edit=[("From: Joe", "To: other\r\nFrom: Joe")])
    case("copy-of-unsigned", "RFC 6376 §5.4.1: what is not signed is nobody's claim, once or twice.", h="from:subject",
         edit=[("From: Joe", "To: other\r\nFrom: Joe")])
    case("copy-of-received", "RFC 6376 §5.4.2: fields that may repeat are added on the way.",
         head="Received: first\n" + HEAD, h="from:subject:received",
         edit=[("Received: first", "Received: second\r\nReceived: first")])
    case("copy-of-unsigned-subject", "RFC 6376 §8.15: a receiver that lets Subject be unsigned has it so twice.",
         h="from:to", policy="unsigned-subject", edit=[("From: Joe", "Subject: other\r\nFrom: Joe")])
    case("copy-of-signed-subject", "RFC 6376 §8.15: but not one that is signed.", "policy", "dkim.unsigned-copy",
         h="from:to:subject", policy="unsigned-subject", edit=[("From: Joe", "Subject: other\r\nFrom: Joe")])
    bare = HEAD.replace("Subject: Lunch on Friday\n", "")
    case("subject-absent", "RFC 6376 §5.4.1: where there is no Subject, none need be named.", head=bare, h="from:to")
    case("subject-absent-added", "RFC 6376 §8.15: one that was added is noticed.", "policy", "dkim.subject-not-signed",
         head=bare, h="from:to", edit=[("From: Joe", "Subject: other\r\nFrom: Joe")])
    case("subject-absent-named", "RFC 6376 §5.4.2: by name it is signed as nothing, and an added one fails.", "fail",
         "dkim.bad-signature", head=bare, h="from:to:subject", edit=[("From: Joe", "Subject: other\r\nFrom: Joe")])
    key_record("record-note-not-utf8", "RFC 6376 §3.6.1: a note that cannot be read is none.",
               RSA.replace("k=", "n==FF; k="), "pass")


def edges_of_tags():
    case("tag-white-space-everywhere", "RFC 6376 §3.5: folding white space may stand around every value and in lists.",
         top="DKIM-Signature:\n\tv =\n 1\n ;\n a =\n rsa-sha256\n ;\n c =\n relaxed/relaxed\n ;\n d =\n example.test\n ;\n"
             " s =\n rsa\n ;\n h =\n from\n :\n to\n :\n subject\n ;\n i =\n joe\n @example.test\n ;\n q =\n dns/txt\n :\n x\n ;\n"
             f" t =\n {NOW}\n ;\n x =\n {NOW + 9}\n ;\n z =\n From\n :\n Joe\n |\n To\n :ann\n ;\n bh=\n @\n ;\n b=@rsa\n",
         show={"i": "joe@example.test"})
    case("tag-value-with-equals", "RFC 6376 §3.2: the first equals sign ends the name; those behind it are the value's.",
         extra="n=b=AAAA")
    case("tag-semicolon-first", "RFC 6376 §3.2: a list does not begin with a semicolon.", "permerror",
         "dkim.bad-tag-list", top=sig().replace("v=1;", ";v=1;"))
    case("version-of-two-digits", "RFC 6376 §3.5: the version is 1, as a string.", "permerror", "dkim.unknown-version",
         v="01")
    case("algorithm-without-hash", "RFC 6376 §3.5: a= has a key type and a hash.", "permerror", "dkim.unknown-algorithm",
         a="rsa", show={"a": "-"})
    case("expires-in-12-digits", "RFC 6376 §3.5: x= has up to 12 digits.", extra="x=999999999999")
    case("expires-in-13-digits", "RFC 6376 §3.5: and no more.", "permerror", "dkim.bad-tag-value", extra="x=1000000000000")
    case("expires-bad", "RFC 6376 §3.5: x= is digits.", "permerror", "dkim.bad-tag-value", extra="x=")
    case("query-upper-case", "RFC 6376 §3.5: methods are words of the grammar, in any case.", extra="q=DNS/TXT")
    case("query-without-option", "RFC 6376 §3.5: dns alone is not the method dns/txt.", "permerror",
         "dkim.unknown-query-method", extra="q=dns")
    case("query-empty", "RFC 6376 §3.5: nor is nothing.", "permerror", "dkim.unknown-query-method", extra="q=")
    case("identity-alike", "RFC 6376 §6.1.1: a domain that only ends like d= is not below it.", "permerror",
         "dkim.identity-outside-domain", extra="i=@badexample.test", show={"i": "@badexample.test"})
    case("identity-of-parent", "RFC 6376 §6.1.1: the domain above d= is not below it.", "permerror",
         "dkim.identity-outside-domain", d="mail.example.test", extra="i=@example.test",
         show={"d": "mail.example.test", "i": "@example.test"})
    case("identity-upper-case", "RFC 6376 §3.5: the domain of i= in any case.", extra="i=Joe@EXAMPLE.Test",
         show={"i": "Joe@example.test"})
    case("identity-empty", "RFC 6376 §3.5: i= is not empty.", "permerror", "dkim.bad-tag-value", extra="i=")
    case("domain-of-another", "RFC 6376 §3.11: who signs need not be the author.", d="example.net",
         show={"d": "example.net"}, zone=txt(at("rsa", "example.net"), RSA))


def edges_of_content():
    fixed = {"c": None}
    whole = len(crlf(BODY))
    case("length-of-all", "RFC 6376 §3.5: l= may be the whole body.", extra=f"l={whole}", policy="body-length")
    case("length-of-more", "RFC 6376 §3.5: one octet more than there is.", "permerror", "dkim.body-too-short",
         extra=f"l={whole + 1}", policy="body-length")
    case("length-is-canonical", "RFC 6376 §3.5: l= counts octets after canonicalisation.", extra="l=12",
         policy="body-length", edit=[("Hello Ann,", "Hello \t  Ann, \t")])
    case("length-of-empty-body", "RFC 6376 §3.4.3: the CRLF of an empty simple body counts.", extra="l=2", body="",
         policy="body-length", **fixed)
    case("length-of-empty-relaxed-body", "RFC 6376 §3.4.4: an empty relaxed body has none.", "permerror",
         "dkim.body-too-short", extra="l=2", body="", policy="body-length")
    case("length-in-77-digits", "RFC 6376 §3.5: l= has up to 76 digits.", "permerror", "dkim.bad-tag-value",
         extra="l=" + "9" * 77, policy="body-length")
    case("fields-upper-case", "RFC 6376 §3.5: names in h= are the same in any case.", h="FROM:TO:SUBJECT")
    case("fields-trailing-colon", "RFC 6376 §3.5: between colons there is a name.", "permerror", "dkim.bad-tag-value",
         h="from:subject:")
    case("fields-beyond-those-there", "RFC 6376 §5.4.2: a name stands more often than its field.",
         h="from:from:subject:subject:to:to:to")
    case("fields-moved", "RFC 6376 §5.4.2: fields of different names may change places.",
         edit=[("Subject: Lunch on Friday\r\n", ""), ("From: Joe", "Subject: Lunch on Friday\r\nFrom: Joe")])
    case("fields-of-one-name-moved", "RFC 6376 §5.4.2: fields of one name may not.", "fail", "dkim.bad-signature",
         head="Received: second\nReceived: first\n" + HEAD, h="from:subject:received:received",
         edit=[("Received: second\r\nReceived: first", "Received: first\r\nReceived: second")])
    case("simple-body-blanks-at-end", "RFC 6376 §3.4.3: a line of white space is no empty line.", "fail",
         "dkim.body-hash-mismatch", edit=[("\r\nJoe\r\n", "\r\nJoe\r\n \r\n")], **fixed)
    case("simple-body-inner-blank-line", "RFC 6376 §3.4.3: empty lines in the middle count.", "fail",
         "dkim.body-hash-mismatch", edit=[("Hello Ann,\r\n\r\n", "Hello Ann,\r\n\r\n\r\n")], **fixed)
    case("simple-header-blank-before-colon", "RFC 6376 §3.4.1: simple keeps what stands before the colon.", "fail",
         "dkim.bad-signature", edit=[("Subject:", "Subject :")], **fixed)
    case("relaxed-header-blanks-removed", "RFC 6376 §3.4.2: white space behind the colon may go.",
         edit=[("Subject: Lunch", "Subject:Lunch")])
    case("relaxed-header-folded-at-once", "RFC 6376 §3.4.2: the value may begin on the next line.",
         edit=[("Subject: Lunch", "Subject:\r\n\tLunch")])
    case("relaxed-header-word-split", "RFC 6376 §3.4.2: folding inside a word adds a blank.", "fail",
         "dkim.bad-signature", edit=[("Lunch on", "Lun\r\n ch on")])
    case("relaxed-body-blanks-removed", "RFC 6376 §3.4.4: white space between words may not vanish.", "fail",
         "dkim.body-hash-mismatch", edit=[("Hello Ann,", "HelloAnn,")])
    case("relaxed-body-case", "RFC 6376 §3.4.4: the case of the body counts.", "fail", "dkim.body-hash-mismatch",
         edit=[("Hello Ann,", "hello Ann,")])


def edges_of_keys():
    key_record("record-version-lower-case", "RFC 6376 §3.6.1: the version is DKIM1, in capitals.",
               RSA.replace("DKIM1", "dkim1"), "permerror", "dkim.not-a-key-record")
    key_record("record-white-space", "RFC 6376 §3.6.1: white space may stand around every value and in lists.",
               f" v = DKIM1 ; h = sha1 : sha256 ; k = rsa ; n = x ; s = tlsrpt : email ; t = q : s ; p = {KEYS['rsa'].p()} ; ",
               "pass")
    key_record("record-words-upper-case", "RFC 6376 §3.6.1: the words of k=, h= and s= in any case.",
               RSA.replace("k=rsa", "h=SHA256; k=RSA; s=EMAIL"), "pass")
    key_record("record-hash-unknown", "RFC 6376 §3.6.1: unknown hashes alone allow none.",
               RSA.replace("k=", "h=sha3:x; k="), "permerror", "dkim.hash-not-allowed")
    key_record("record-revoked-without-version", "RFC 6376 §3.6.1: an empty p= may be all there is.", "p=", "permerror",
               "dkim.key-revoked")
    key_record("record-revoked-beside-another", "RFC 6376 §3.6.2.2: what several records mean is open; each is tried.",
               ["v=DKIM1; p=", RSA], "pass")
    key_record("record-broken-beside-another", "RFC 6376 §6.1.2: a record that cannot be read does not hide one that can.",
               ["v=DKIM1; p=***", "v=DKIM1; k=dsa; p=AAAA", RSA], "pass")
    key_record("record-empty", "RFC 6376 §6.1.2: an empty text is no key.", "", "permerror", "dkim.not-a-key-record")
    key_record("record-trailing-semicolon", "RFC 6376 §3.2: the list may end in a semicolon.", RSA + ";", "pass")
    case("record-in-strings", "RFC 6376 §3.6.2.2: the strings of a record are joined without a blank.", s="x",
         show={"s": "x"}, zone=f'{at("x")}. TXT "v=DK" "IM1; k=rs" "a; p{RSA[17:80]}" "{RSA[80:200]}" "{RSA[200:]}"\n')
    key_record("record-strict-without-identity", "RFC 6376 §3.6.1: t=s, and i= defaults to the domain of d=.",
               RSA.replace("k=", "t=s; k="), "pass")
    key_record("record-strict-upper-case", "RFC 6376 §3.6.1: t=s, and the domains differ in case alone.",
               RSA.replace("k=", "t=s; k="), "pass", extra="i=joe@EXAMPLE.test", show={"i": "joe@example.test"})
    key_record("record-flag-upper-case", "RFC 6376 §3.6.1: a flag that is not known.", RSA.replace("k=", "t=Z:S1; k="),
               "pass", extra="i=@mail.example.test", show={"i": "@mail.example.test"})
    key_record("record-service-alike", "RFC 6376 §3.6.1: a service that begins like email is another.",
               RSA.replace("k=", "s=emails; k="), "permerror", "dkim.service-not-allowed")
    key_record("record-type-mismatch-ed25519", "RFC 6376 §6.1.2: nor does an RSA key fit Ed25519.", RSA, "permerror",
               "dkim.key-type-mismatch", key="ed")
    key_record("record-testing-mismatch", "RFC 6376 §3.6.1: a key that is in test and does not fit counts as none.",
               ED.replace("k=", "t=y; k="), "none", "dkim.key-type-mismatch")
    key_record("ed25519-long", "RFC 8463 §4: the key is 32 octets, not 33.",
               "k=ed25519; p=" + base64.b64encode(KEYS["ed"].bare + b"\0").decode(), "permerror", "dkim.bad-public-key",
               key="ed")
    for size in [63, 65]:
        case(f"ed25519-signature-of-{size}", "RFC 8463 §3: a signature is 64 octets.", "fail", "dkim.bad-signature",
             key="ed", b=base64.b64encode(bytes(size)).decode())
    case("ed25519-changed", "RFC 8463 §3: a signed field must not change.", "fail", "dkim.bad-signature", key="ed",
         edit=[("Lunch on", "Dinner on")])
    key_record("record-testing-hash-not-allowed", "RFC 6376 §3.6.1: whatever a testing record fails by, it counts as none.",
               RSA.replace("k=", "h=sha1; t=y; k="), "none", "dkim.hash-not-allowed")


write_keys()
selectors_and_tags()
algorithms()
canonicalizations()
signature_tags()
field_selection()
key_records()
several_signatures()
bad_headers()
repeated_fields()
edges_of_tags()
edges_of_content()
edges_of_keys()
print(f"{SUITE.count} cases in {SUITE.folder}")
