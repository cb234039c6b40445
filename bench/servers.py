"""The servers under test: how each is configured, started, and observed.

Every server runs from a directory of its own (RUN), from the templates beside
this file. `accept` and `submit` say where mail goes in; `count()` says how
many messages have come to rest (mailbox or queue), so that the harness can
tell when asynchronous delivery is done.
"""
import os, pwd, re, shutil, string, subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.environ.get("PEERS_DIR", os.path.join(HERE, "peers"))
BIN = {
    "mox-latest": os.environ.get("MOX_LATEST", os.path.join(PEERS, "bin", "mox-latest")),
    "mox-seed": os.environ.get("MOX_SEED", os.path.join(PEERS, "bin", "mox-seed")),
    "moxd": os.environ.get("MOXD", os.path.join(PEERS, "bin", "moxd")),
}
OPENSMTPD_ROOT = os.environ.get("OPENSMTPD_ROOT", os.path.join(PEERS, "opensmtpd"))
HARAKA_DIR = os.environ.get("HARAKA_DIR", os.path.join(PEERS, "haraka", "node_modules", "Haraka"))
MAILUSER = os.environ.get("BENCH_MAILUSER", "benchmail")


def render(src, dst, **kw):
    with open(os.path.join(HERE, "templates", src)) as f:
        text = string.Template(f.read()).safe_substitute(**kw)
    os.makedirs(os.path.dirname(dst), exist_ok=True)
    with open(dst, "w") as f:
        f.write(text)


def drop_keys(path, *keys):
    with open(path) as f:
        lines = [l for l in f if l.split(":")[0].strip() not in keys]
    with open(path, "w") as f:
        f.writelines(lines)


def count_files(*dirs):
    n = 0
    for d in dirs:
        for _, _, files in os.walk(d):
            n += len(files)
    return n


class Server:
    accept = ("127.0.0.1:2525", "mox@bench.example")
    # address, TLS mode, login, corpus, recipient
    submit = ("127.0.0.1:4650", "implicit", "mox@bench.example:moxmoxmox", "submit", "u{n}@d{d}.dest.example")
    relay = "sink"      # or "self": delivers submitted mail back to its own mailbox
    queue_is_rest = False
    env = None

    def __init__(self, name, run, inputs, procs=200, milters=False):
        self.name, self.run, self.inputs, self.procs, self.milters = name, run, inputs, procs, milters
        self.mounts = []    # to unmount when the server is down

    def copy_inputs(self, to):
        os.makedirs(to, exist_ok=True)
        for f in ("tls.crt", "tls.key", "rsa.pem", "ed.pem"):
            shutil.copy(os.path.join(self.inputs, f), to)

    def ids(self):
        p = pwd.getpwnam(MAILUSER)
        return p.pw_uid, p.pw_gid

    def prepare(self): ...
    def after_start(self): ...
    def extra(self):
        """Helpers that count as part of the server (milters): list of argv."""
        return []


class Mox(Server):
    """`mox serve` with a real config: verification on, all delays off."""
    binary = "mox-latest"

    def prepare(self):
        cfg = self.run + "/config"
        self.copy_inputs(cfg)
        render("mox/mox.conf", cfg + "/mox.conf", USER=MAILUSER)
        render("mox/domains.conf", cfg + "/domains.conf")
        if self.binary == "mox-seed":  # older config keys
            with open(cfg + "/domains.conf") as f:
                t = f.read()
            t = t.replace("\t\tNoFirstTimeSenderDelay: true\n", "")
            with open(cfg + "/domains.conf", "w") as f:
                f.write(t)
            drop_keys(cfg + "/mox.conf", "NoOutgoingDMARCReports", "NoOutgoingTLSReports")
        os.makedirs(self.run + "/data", exist_ok=True)

    def after_start(self):
        who = "mox" if self.binary == "mox-latest" else "mox@bench.example"
        o = subprocess.run([BIN[self.binary], "-config", self.run + "/config/mox.conf", "setaccountpassword", who],
                           input=b"moxmoxmox\n", capture_output=True, cwd=self.run)
        if o.returncode:
            raise RuntimeError("setaccountpassword: " + o.stderr.decode()[-200:])

    def cmd(self):
        return [BIN[self.binary], "-config", self.run + "/config/mox.conf", "serve"]

    def count(self):
        return count_files(self.run + "/data/accounts/mox/msg")

    def prefill(self, mbox):
        subprocess.run([BIN[self.binary], "-config", self.run + "/config/mox.conf", "import", "mbox", "mox", "Inbox", mbox],
                       check=True, capture_output=True, cwd=self.run, timeout=900)


class MoxSeed(Mox):
    binary = "mox-seed"


class MoxLocal(Server):
    """`mox localserve`; its log of every protocol line is turned down to errors."""
    binary = "mox-latest"
    accept = ("127.0.0.1:1025", "mox@localhost")
    submit = ("127.0.0.1:1465", "implicit", "mox@localhost:moxmoxmox", "submit-local", "mox@localhost")
    relay = "self"

    def prepare(self):
        d = self.run + "/d"
        init = [BIN[self.binary], "localserve", "-dir", d, "-ip", "127.0.0.1"]
        if self.binary == "mox-latest":
            subprocess.run(init + ["-initonly"], check=True, capture_output=True)
        else:  # no -initonly yet: start it once, stop it again
            p = subprocess.Popen(init, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            import time
            for _ in range(100):
                time.sleep(0.1)
                if os.path.exists(d + "/ctl") or os.path.exists(d + "/data/ctl"):
                    break
            time.sleep(0.5)
            p.terminate()
            p.wait(20)
        for root, _, files in os.walk(d):
            for f in files:
                if f == "mox.conf":
                    with open(os.path.join(root, f)) as fh:
                        t = fh.read()
                    t = re.sub(r"(?m)^LogLevel: .*$", "LogLevel: error", t)
                    # The seed has no per-account switch for its delay of 15 s.
                    t = re.sub(r"(?m)^(\t\tSMTP:\n\t\t\tEnabled: true\n)", r"\1\t\t\tFirstTimeSenderDelay: 0s\n", t)
                    with open(os.path.join(root, f), "w") as fh:
                        fh.write(t)
        with open(d + "/domains.conf") as fh:
            t = fh.read()
        t = t.replace("\t\tRejectsMailbox: Rejects\n",
                      "\t\tRejectsMailbox: Rejects\n\t\tMaxOutgoingMessagesPerDay: 1000000\n"
                      "\t\tMaxFirstTimeRecipientsPerDay: 1000000\n", 1)
        with open(d + "/domains.conf", "w") as fh:
            fh.write(t)

    def cmd(self):
        return [BIN[self.binary], "-loglevel", "error", "localserve", "-dir", self.run + "/d"]

    def count(self):
        return count_files(self.run + "/d/accounts/mox/msg", self.run + "/d/data/accounts/mox/msg")

    def prefill(self, mbox):
        subprocess.run([BIN[self.binary], "-config", self.run + "/d/mox.conf", "import", "mbox", "mox", "Inbox", mbox],
                       check=True, capture_output=True, timeout=900)


class MoxSeedLocal(MoxLocal):
    binary = "mox-seed"


class MoxdLocal(Server):
    """`moxd localserve --dns 127.0.0.1:53`."""
    accept = MoxLocal.accept
    submit = MoxLocal.submit
    relay = "self"

    def cmd(self):
        return [BIN["moxd"], "--log-level", "error", "localserve", "--dir", self.run + "/d", "--ip", "127.0.0.1",
                "--dns", "127.0.0.1:53"]

    def count(self):
        """The number of messages in the store, as moxd reports it."""
        import json
        env = dict(os.environ, HOME=self.run)
        for cfg in ("moxd.toml", "config/moxd.toml"):
            p = os.path.join(self.run, "d", cfg)
            if os.path.exists(p):
                o = subprocess.run([BIN["moxd"], "--config", p, "mailbox", "list", "mox", "--json"],
                                   capture_output=True, env=env)
                if o.returncode == 0:
                    return sum(m["messages"] for m in json.loads(o.stdout))
        return -1


class Moxd(Server):
    """`moxd serve`, configured from templates/moxd."""

    def prepare(self):
        cfg = self.run + "/config"
        self.copy_inputs(cfg)
        for f in ("moxd.toml", "domains.toml"):
            render("moxd/" + f, cfg + "/" + f, RUN=self.run, USER=MAILUSER)
        subprocess.run([BIN["moxd"], "--config", cfg + "/moxd.toml", "setaccountpassword", "mox"],
                       input=b"moxmoxmox\n", check=True, capture_output=True)

    def cmd(self):
        return [BIN["moxd"], "--config", self.run + "/config/moxd.toml", "serve"]

    def count(self):
        import json
        o = subprocess.run([BIN["moxd"], "--config", self.run + "/config/moxd.toml", "mailbox", "list", "mox", "--json"],
                           capture_output=True)
        return sum(m["messages"] for m in json.loads(o.stdout)) if o.returncode == 0 else -1


class Postfix(Server):
    def prepare(self):
        r = self.run
        uid, gid = self.ids()
        self.copy_inputs(r)
        milters = "inet:127.0.0.1:8891, inet:127.0.0.1:8893" if self.milters else ""
        kw = dict(RUN=r, UID=uid, GID=gid, PROCS=self.procs, MILTERS=milters)
        os.makedirs(r + "/queue", exist_ok=True)
        for f in ("main.cf", "master.cf"):
            render("postfix/" + f, r + "/etc/" + f, **kw)
        render("postfix/sasl-smtpd.conf", r + "/sasl/smtpd.conf", **kw)
        subprocess.run(["saslpasswd2", "-c", "-p", "-f", r + "/sasldb2", "-u", "bench.example", "mox"],
                       input=b"moxmoxmox", check=True, capture_output=True)
        shutil.chown(r + "/sasldb2", "postfix")
        os.makedirs(r + "/data", exist_ok=True)
        shutil.chown(r + "/data", "postfix")
        os.makedirs(r + "/mail/mox", exist_ok=True)
        for d in (r + "/mail", r + "/mail/mox"):
            os.chown(d, uid, gid)
        os.makedirs(r + "/milter", exist_ok=True)
        open(r + "/milter/ignorehosts", "w").write("192.0.2.1\n")
        os.chmod(r + "/milter", 0o777)
        render("postfix/opendkim.conf", r + "/opendkim.conf", **kw)
        render("postfix/opendmarc.conf", r + "/opendmarc.conf", **kw)
        os.chmod(r, 0o755)
        # The SASL library opens its default file whatever its settings say.
        if not os.path.exists("/etc/sasldb2"):
            open("/etc/sasldb2", "w").close()
        self.mounts.append("/etc/sasldb2")
        subprocess.run(["mount", "--bind", r + "/sasldb2", "/etc/sasldb2"], check=True)
        subprocess.run(["postfix", "-c", r + "/etc", "check"], check=True, capture_output=True)

    def cmd(self):
        return ["/usr/lib/postfix/sbin/master", "-c", self.run + "/etc", "-d"]

    def extra(self):
        if not self.milters:
            return []
        return [["opendkim", "-f", "-x", self.run + "/opendkim.conf"],
                ["opendmarc", "-f", "-c", self.run + "/opendmarc.conf"]]

    def count(self):
        return count_files(self.run + "/mail/mox/Maildir/new", self.run + "/mail/mox/Maildir/cur")

    def prefill_maildir(self):
        return self.run + "/mail/mox/Maildir"


class OpenSMTPD(Server):
    """Debian's smtpd, unpacked; its fixed directories are bind-mounted in the
    benchmark's private mount namespace."""

    def prepare(self):
        r = self.run
        uid, gid = self.ids()
        self.copy_inputs(r)
        for x in ("crt", "key"):
            shutil.copy(os.path.join(self.inputs, "tls-rsa." + x), r + "/tls." + x)
        os.chmod(r + "/tls.key", 0o600)
        os.makedirs(r + "/mail/mox", exist_ok=True)
        for d in (r + "/mail", r + "/mail/mox"):
            os.chown(d, uid, gid)
        h = subprocess.run(["openssl", "passwd", "-6", "moxmoxmox"], capture_output=True, check=True).stdout.decode().strip()
        with open(r + "/creds", "w") as f:
            f.write(f"mox@bench.example {h}\n")
        os.chmod(r + "/creds", 0o640)
        shutil.chown(r + "/creds", "root", "opensmtpd")
        render("opensmtpd/smtpd.conf", r + "/smtpd.conf", RUN=r)
        os.makedirs(r + "/spool", exist_ok=True)
        os.chmod(r + "/spool", 0o711)
        for d in ("/usr/libexec/opensmtpd", "/var/spool/smtpd", "/var/lib/opensmtpd/empty"):
            os.makedirs(d, exist_ok=True)
        os.makedirs(r + "/empty", exist_ok=True)
        os.chmod(r + "/empty", 0o711)
        for src, dst in ((OPENSMTPD_ROOT + "/usr/libexec/opensmtpd", "/usr/libexec/opensmtpd"), (r + "/spool", "/var/spool/smtpd"),
                         (r + "/empty", "/var/lib/opensmtpd/empty")):
            subprocess.run(["mount", "--bind", src, dst], check=True)
            self.mounts.append(dst)

    def cmd(self):
        return [OPENSMTPD_ROOT + "/usr/sbin/smtpd", "-d", "-f", self.run + "/smtpd.conf"]

    def count(self):
        return count_files(self.run + "/mail/mox/Maildir/new", self.run + "/mail/mox/Maildir/cur")

    def prefill_maildir(self):
        return self.run + "/mail/mox/Maildir"


class Haraka(Server):
    """Haraka into its outbound queue (queue file, fsync), then to the sink."""
    plugins = ["tls", "auth/flat_file", "bench_accept"]
    queue_is_rest = True

    def prepare(self):
        r = self.run
        self.copy_inputs(r)
        src = os.path.join(HERE, "templates", "haraka")
        # Haraka needs a complete connection.ini; only the size limit differs from its own.
        os.makedirs(r + "/config", exist_ok=True)
        with open(HARAKA_DIR + "/config/connection.ini") as f:
            t = f.read()
        with open(r + "/config/connection.ini", "w") as f:
            f.write(re.sub(r"(?m)^;?bytes *=.*$", "bytes=104857600", t))
        for f in os.listdir(src + "/config"):
            render("haraka/config/" + f, r + "/config/" + f, RUN=r)
        shutil.copytree(src + "/plugins", r + "/plugins", dirs_exist_ok=True)
        with open(r + "/config/plugins", "w") as f:
            f.write("\n".join(self.plugins) + "\n")
        shutil.copy(os.path.join(self.inputs, "dhparams.pem"), r + "/config/dhparams.pem")
        os.makedirs(r + "/queue", exist_ok=True)

    def cmd(self):
        return ["node", HARAKA_DIR + "/bin/haraka", "-c", self.run]

    def count(self):
        return count_files(self.run + "/queue")


class HarakaDiscard(Haraka):
    """Haraka that drops what it accepts: no storage at all."""
    plugins = ["tls", "rcpt_to.in_host_list", "bench_discard"]
    queue_is_rest = True


SERVERS = {
    "mox-latest": Mox, "mox-latest-local": MoxLocal, "mox-seed": MoxSeed, "mox-seed-local": MoxSeedLocal,
    "moxd": Moxd, "moxd-local": MoxdLocal,
    "postfix": Postfix, "opensmtpd": OpenSMTPD, "haraka": Haraka, "haraka-discard": HarakaDiscard,
}
