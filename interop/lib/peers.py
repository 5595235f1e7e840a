"""Other mail servers from Debian, each below a directory of its own, and what is tried with all of
them: mail in both directions comes byte for byte, and what cannot be delivered is told."""
import email.message
import os
import pathlib
import pwd
import shutil
import smtplib
import socket
import subprocess
import sys
import time

import rialto

KNOWN = "known"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exim_binary():
    """Where install.sh has put it: it cannot be installed beside Postfix."""
    root = pathlib.Path(__file__).resolve().parents[2]
    return root / "target" / "interop" / "exim" / "usr" / "sbin" / "exim4"


def why_not(name):
    """Why a peer cannot run here; `None` if it can. They change to users of their own."""
    user = {"postfix": "postfix", "exim": "Debian-exim"}[name]
    try:
        pwd.getpwnam(user)
    except KeyError:
        return f"there is no user {user}"
    if os.geteuid() != 0:
        return "this is not root"
    if name == "exim" and not exim_binary().exists():
        return "interop/install.sh has not got Exim"
    return None


def run(peer, check=lambda _: None):
    """Tries everything with a peer; `check` looks at it in the end."""
    reason = why_not(peer.name)
    if reason:
        shutil.rmtree(peer.dir, ignore_errors=True)
        print(reason)
        sys.exit(77)
    with peer:
        through(peer)
        check(peer)


class Peer:
    """A server for one domain, with one mailbox `known`; everything else goes to Rialto."""

    def __init__(self, name):
        self.name, self.domain, self.port = name, f"{name}.test", free_port()
        # Other users must be able to reach it.
        self.dir = pathlib.Path("/tmp") / f"rialto-peer-{name}-{os.getpid()}"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(mode=0o755)
        self.inbox = self.dir / "mail" / "new"

    def wait(self):
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < end, f"{self.name} does not listen:\n{self.log()}"
                time.sleep(0.1)

    def find(self, token, within_s=90):
        """Waits until one message with `token` in its header is there; its bytes."""
        end = time.monotonic() + within_s
        while True:
            files = self.inbox.iterdir() if self.inbox.is_dir() else []
            found = [text for text in (file.read_bytes() for file in files) if token.encode() in text]
            if found:
                assert len(found) == 1, f"{token} is there {len(found)} times"
                return found[0]
            assert time.monotonic() < end, f"{token} did not come to {self.name}:\n{self.log()}"
            time.sleep(0.2)

    def log(self):
        logs = [self.dir / name for name in ("postfix.log", "mainlog", "paniclog", "output")]
        return "".join(log.read_text(errors="replace")[-4000:] for log in logs if log.exists())


class Postfix(Peer):
    MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""
    MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
myhostname = mx.{domain}
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ {known}@{domain}=mail/ }}
virtual_mailbox_base = {dir}
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
message_size_limit = 52428800
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = smtp:[127.0.0.1]:{rialto}
relay_domains =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = may
minimal_backoff_time = 10s
queue_run_delay = 10s
"""

    def __enter__(self):
        postfix = pwd.getpwnam("postfix")
        conf = self.dir / "conf"
        for name in ("queue", "data", "mail", "conf"):
            (self.dir / name).mkdir()
        for name in ("data", "mail"):
            os.chown(self.dir / name, postfix.pw_uid, postfix.pw_gid)
        fill = dict(port=self.port, dir=self.dir, domain=self.domain, known=KNOWN,
                    uid=postfix.pw_uid, gid=postfix.pw_gid, rialto=rialto.port(25))
        (conf / "main.cf").write_text(self.MAIN.format(**fill))
        (conf / "master.cf").write_text(self.MASTER.format(**fill))
        self.postfix("start")
        self.wait()
        return self

    def __exit__(self, *_):
        self.postfix("stop")
        shutil.rmtree(self.dir, ignore_errors=True)

    def postfix(self, verb):
        subprocess.run(["/usr/sbin/postfix", "-c", self.dir / "conf", verb], check=verb == "start",
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, timeout=60)


class Exim(Peer):
    CONFIGURATION = """\
primary_hostname = mx.{domain}
exim_path = {binary}
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
pid_file_path = {dir}/pid
never_users = root
acl_smtp_rcpt = check_recipient
acl_smtp_data = accept
deliver_drop_privilege = true
message_size_limit = 50M
smtp_accept_queue_per_connection = 0
accept_8bitmime = true
dsn_advertise_hosts = *
tls_advertise_hosts =
keep_environment =

begin acl
check_recipient:
  require verify = recipient
  accept

begin routers
here:
  driver = accept
  domains = {domain}
  local_parts = {known}
  transport = maildir
nobody:
  driver = redirect
  domains = {domain}
  allow_fail
  data = :fail: nobody of that name
out:
  driver = manualroute
  route_list = * 127.0.0.1::{rialto} byname
  self = send
  transport = smtp

begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
  create_directory
  user = Debian-exim
  group = {group}
smtp:
  driver = smtp
  port = {rialto}
  hosts_try_chunking = *

begin retry
* * F,1h,10s
"""

    def __enter__(self):
        user = pwd.getpwnam("Debian-exim")
        for name in ("spool", "mail"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, user.pw_uid, user.pw_gid)
        os.chown(self.dir, user.pw_uid, user.pw_gid)
        configuration = self.dir / "exim.conf"
        fill = dict(port=self.port, dir=self.dir, domain=self.domain, known=KNOWN,
                    rialto=rialto.port(25), group=user.pw_gid, binary=exim_binary())
        configuration.write_text(self.CONFIGURATION.format(**fill))
        self.process = subprocess.Popen(
            [exim_binary(), "-C", configuration, "-bdf", "-q10s"],
            stdout=(self.dir / "output").open("w"), stderr=subprocess.STDOUT)
        self.wait()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)
        shutil.rmtree(self.dir, ignore_errors=True)


def messages(token):
    """Messages that are easily broken on their way."""
    def make(number, text, attachment=None, cte=None):
        message = email.message.EmailMessage()
        message["From"] = f"alice@{rialto.DOMAIN}"
        message["To"] = "somebody@elsewhere.test"
        message["Subject"] = f"{token}-{number}"
        message.set_content(text, cte=cte) if cte else message.set_content(text)
        if attachment:
            message.add_attachment(attachment, maintype="application", subtype="octet-stream",
                                   filename="Übung.bin")
        message.as_bytes()  # Settles the boundary, else each printing has another.
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))

    return [
        make(0, "plain\n"),
        make(1, ".\n..\n.dots\n \n\nend\n"),
        make(2, "Grüße, 東京\n", cte="8bit"),
        make(3, "a long line " * 80 + "\nend\n", cte="7bit"),
        make(4, "large\n", attachment=os.urandom(3_000_000)),
    ]


def body_of(message):
    return message.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].rstrip(b"\n")


def through(peer):
    """Everything that is tried with a peer."""
    token = f"{peer.name}-{os.getpid()}"
    sender = f"alice@{rialto.DOMAIN}"
    subprocess.run([os.environ["RIALTO"], "connector", "send", "new", peer.name, "--data",
                    os.environ["RIALTO_DATA"], "--space", peer.domain, "--host",
                    f"127.0.0.1:{peer.port}"], check=True)

    # From Rialto to the peer, to somebody and to nobody.
    sent = messages(f"{token}-out")
    with smtplib.SMTP_SSL("localhost", rialto.port(465), context=rialto.tls(), timeout=60) as client:
        client.login(sender, rialto.PASSWORD)
        for message in sent:
            client.sendmail(sender, [f"{KNOWN}@{peer.domain}"], message, ["BODY=8BITMIME"])
        client.sendmail(sender, [f"nobody@{peer.domain}"], sent[0].replace(b"-out-0", b"-lost"))
    for number, message in enumerate(sent):
        found = peer.find(f"Subject: {token}-out-{number}\n")
        rialto.check(body_of(found), body_of(message), f"what {peer.name} got of message {number}")
    report = rialto.find("alice", f"{token}-lost").decode("utf-8", "replace")
    for words in ("Action: failed", f"nobody@{peer.domain}", "Remote-MTA: dns;"):
        assert words in report, f"the report does not say {words}:\n{report}"

    # From the peer to Rialto, to somebody and to nobody.
    back = messages(f"{token}-in")
    user = f"user{11 if peer.name == 'exim' else 12}"
    with smtplib.SMTP("127.0.0.1", peer.port, timeout=60) as client:
        for message in back:
            client.sendmail(f"{KNOWN}@{peer.domain}", [f"{user}@{rialto.DOMAIN}"], message,
                            ["BODY=8BITMIME"])
        lost = back[0].replace(b"-in-0", b"-gone")
        client.sendmail(f"{KNOWN}@{peer.domain}", [f"nobody@{rialto.DOMAIN}"], lost)
    for number, message in enumerate(back):
        found = rialto.find(user, f"{token}-in-{number}")
        rialto.check(body_of(found), body_of(message), f"what came of {peer.name}'s message {number}")
    bounce = peer.find(f"{token}-gone").decode("utf-8", "replace")
    assert f"nobody@{rialto.DOMAIN}" in bounce and "5.1.1" in bounce, bounce
