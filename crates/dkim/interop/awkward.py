"""Messages that are hard to canonicalise, of our own making. Lines end in CRLF; nothing else is promised."""

import random

HEAD = b"From: Joe <joe@example.test>\r\nTo: ann@example.net\r\nSubject: Lunch on Friday\r\n" \
       b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.test>\r\n"
TEXT = b"Hello Ann,\r\n\r\nhave you time for lunch?\r\n"


def messages():
    """Pairs of name and message."""
    noise = random.Random(6376)
    word = lambda: bytes(noise.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(noise.randint(1, 9)))
    blanks = lambda: bytes(noise.choice(b" \t") for _ in range(noise.randint(1, 4)))
    headers = {
        "plain": b"",
        "folded": b"Comments: a\r\n\tb\r\n   c\r\n\t d\r\nKeywords: one,\r\n two\r\n",
        "fold-of-blanks": b"Comments: a\r\n \t\r\n b\r\n",
        "fold-first": b"Comments:\r\n a value on the second line\r\n",
        "empty-value": b"Comments:\r\nKeywords: \r\n",
        "blanks-in-values": b"Comments: \t a \t b  c \t\r\nX-Tabs:\ta\t\tb\t\r\n",
        "no-space-after-colon": b"Comments:a\r\nKEYWORDS:\tb\r\n",
        "upper-and-lower": b"cOmMeNtS: a\r\nREFERENCES: <2@example.test>\r\n",
        "repeated": b"Cc: a@example.net\r\nCc: b@example.net\r\ncc: c@example.net\r\n",
        "many-fields": b"".join(b"X-Field-%d: %s %s\r\n" % (n, word(), word()) for n in range(80)),
        "long-line": b"References: " + b" ".join(b"<%d@example.test>" % n for n in range(60)) + b"\r\n",
        "long-folded": b"References: " + b"\r\n\t".join(b"<%d@example.test>" % n for n in range(60)) + b"\r\n",
        "odd-signs": b"Comments: a:b;c=d, \"q;\\\" uoted\" (co(mm)ent) <x@y> b=abc; bh=def\r\n",
        "utf-8": "Comments: Jürgen grüßt 日本\r\n".encode(),
        "latin-1": b"Comments: J\xfcrgen\r\n",
        "other-signature": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from:subject;\r\n"
                           b"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n",
    }
    bodies = {
        "none": b"",
        "blank-lines": b"\r\n\r\n\r\n",
        "blanks": b" \r\n\t\r\n \t \r\n",
        "many-blank-lines-at-the-end": TEXT + b"\r\n" * 300,
        "blank-lines-with-blanks-at-the-end": TEXT + b" \r\n\t\t\r\n\r\n  \r\n",
        "blank-lines-first": b"\r\n\r\n \r\n" + TEXT,
        "blanks-everywhere": b"".join(blanks() + word() + blanks() + b"\r\n" for _ in range(200)),
        "indented": b"".join(b" " * n + b"<td>" + word() + b"</td>\r\n" for n in range(90)),
        "unterminated": TEXT + b"Joe",
        "very-long-line": b"word  " * 3000 + b"\r\n",
        "8-bit": bytes(b for b in range(256) if b not in b"\r\n") * 3 + b"\r\n",
        "nul": b"a\0b\0\r\n\0\r\n",
        "bare-cr": b"a\rb \r c\r\r\n\rx\r\n",
        "dots": b".\r\n..\r\n. \r\n.a\r\n",
        "mark-of-signature": TEXT + b"-- \r\nJoe \r\n",
        "large": b"".join(b" ".join(word() for _ in range(12)) + b"\r\n" for _ in range(15000)),
        "random": b"".join(noise.choice([b" ", b"\t", b"\r\n", b"x", b"\r\n\r\n", b"word"]) for _ in range(5000)) + b"\r\n",
    }
    for name, extra in headers.items():
        yield "header-" + name, HEAD + extra + b"\r\n" + TEXT
    for name, body in bodies.items():
        yield "body-" + name, HEAD + b"\r\n" + body
    yield "fields-first", b"Received: from a by b; Tue, 14 Nov 2023 22:13:20 +0000\r\n" * 3 + HEAD + b"\r\n" + TEXT
    yield "without-subject", HEAD.replace(b"Subject: Lunch on Friday\r\n", b"") + b"\r\n" + TEXT
    yield "folded-from", HEAD.replace(b"From: Joe <", b"From: Joe\r\n\t<") + b"\r\n" + TEXT
