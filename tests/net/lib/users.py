"""Applications as they should be: connections are kept, `Connection: close` is heeded. A refused
connection is made again, and so is one that was kept and has ended since, or before the first byte
of the answer to a GET (RFC 9112 9.3.1); these are counted, and nothing else is ever tried again.

    with Users(node.outbound, "tools") as u: ...      books([u]): offered, completed, failed
    with Users(addr, "tools", path="/sse?n=20&gap_ms=100", check=whole_sse(20)): ...
"""
import collections
import threading
import time

from . import wire
from .client import Conn, Cut, request
from .settings import secs, until

Failure = collections.namedtuple("Failure", "at method status what")


def whole_sse(n):
    """The events of /sse, all of them, in order."""

    def check(m):
        ids = [line for line in m.body.split(b"\n") if line.startswith(b"id: ")]
        return ids == [b"id: %d" % i for i in range(n)]

    return check


class Users:

    def __init__(self, addr, host, count=3, path="/", posts=True, check=None, timeout=40):
        """posts: every other request is a POST."""
        self.addr, self.host, self.path = addr, host, path
        self.posts, self.check, self.timeout = posts, check, timeout
        self.lock = threading.Lock()
        self.offered = self.completed = self.refused = self.stale = self.under_way = 0
        self.failures, self.bodies = [], collections.Counter()
        self.over = False
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        for t in self.threads:
            t.join(secs(self.timeout + 5))
        assert not any(t.is_alive() for t in self.threads)

    def wait(self, more=50, timeout=30):
        """Until so many more requests were answered."""
        was = self.completed
        until(f"{more} more answers", lambda: self.completed >= was + more, timeout)

    def _connect(self):
        try:
            return Conn(self.addr, self.timeout)
        except ConnectionRefusedError:
            with self.lock:
                self.refused += 1
            time.sleep(0.002)
            return None

    def _once(self, c, method, kept):
        """True: the connection may be used again."""
        body = b"x" * 100 if method == "POST" else None
        began = time.monotonic()
        with self.lock:
            self.offered += 1
            self.under_way += 1
        try:
            c.send(request(method, self.path, self.host, body=body))
            m = c.answer(method)
            good = m.status == 200 and (not self.check or self.check(m))
            what = m.get("Proxy-Status") or m.body[:80]
            status, keep = m.status, good and "close" not in m.tokens("Connection")
        except (OSError, Cut, wire.Bad) as e:
            good, status, what, keep = False, 0, repr(e)[:200], False
        stale = kept and method == "GET" and "between messages" in str(what)
        with self.lock:
            self.under_way -= 1
            if stale:
                self.stale += 1
                self.offered -= 1
            elif good:
                self.completed += 1
                self.bodies[bytes(m.body[:32])] += 1
            else:
                self.failures.append(Failure(began, method, status, what))
        return keep

    def _run(self):
        c, number, kept = None, 0, False
        while not self.over:
            c = c or self._connect()
            if not c:
                continue
            if kept and not c.quiet():  # it has been ended since: nobody sends anything on it
                with self.lock:
                    self.stale += 1
                c.close()
                c, kept = None, False
                continue
            number += 1
            kept = self._once(c, "POST" if self.posts and number % 2 == 0 else "GET", kept)
            if not kept:
                c.close()
                c = None
        if c:
            c.close()


def books(users):
    """What a report says, and what failed."""
    offered, completed = sum(u.offered for u in users), sum(u.completed for u in users)
    failures = sum((u.failures for u in users), [])
    assert offered == completed + len(failures), (offered, completed, len(failures))
    return f"offered {offered}, completed {completed}, failed {len(failures)}", failures
