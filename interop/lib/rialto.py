"""What the cases share: where the server is, and how to wait for mail."""
import imaplib
import os
import ssl
import sys
import time

BASE = int(os.environ["RIALTO_BASE"])
DOMAIN = os.environ["RIALTO_DOMAIN"]
PASSWORD = os.environ["RIALTO_PASSWORD"]


def port(well_known):
    return BASE + well_known


def tls():
    return ssl.create_default_context(cafile=os.environ["RIALTO_CA"])


def imap(user):
    client = imaplib.IMAP4_SSL("localhost", port(993), ssl_context=tls(), timeout=60)
    client.login(f"{user}@{DOMAIN}", PASSWORD)
    return client


def fetch_one(client, uid, item="BODY.PEEK[]"):
    status, data = client.uid("FETCH", uid, f"({item})")
    assert status == "OK", data
    return next(part[1] for part in data if isinstance(part, tuple))


def find(user, token, folder="INBOX", within_s=60):
    """Waits until one message with `token` in its subject is there; its bytes."""
    end = time.monotonic() + within_s
    client = imap(user)
    while True:
        status, _ = client.select(folder, readonly=True)
        assert status == "OK"
        status, data = client.uid("SEARCH", "SUBJECT", f'"{token}"')
        assert status == "OK", data
        uids = data[0].split()
        if uids:
            assert len(uids) == 1, f"{token} is there {len(uids)} times"
            found = fetch_one(client, uids[0].decode())
            client.logout()
            return found
        assert time.monotonic() < end, f"{token} did not come to {user}"
        time.sleep(0.1)


def check(actual, expected, what):
    if actual != expected:
        sys.exit(f"{what}:\n  expected {expected!r}\n  found    {actual!r}")
