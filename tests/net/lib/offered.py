"""Requests at a given rate, whatever becomes of them: what is offered does not wait for answers.

    with Offered(nodes, 500, request) as load:   request(i) -> (node number, kind, bytes)
        load.wait(1000)                          until that many more were answered
    load.books("GET")                            offered, completed, failed; judged by .good(...)

One thread with one epoll for all connections: 500 a second take about a tenth of a processor. A
connection is kept until its answer says otherwise or it ends. A request on a kept connection that
ends without a byte is sent once more on a new one if it is a GET, as any client does (`again`).
"""
import collections
import heapq
import re
import select
import socket
import threading
import time

from .lateness import late
from .settings import secs, until

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
CLOSE = re.compile(rb"\r\nconnection: *close", re.I)
NOTED_S = 0.05  # by when lib/lateness.py has noted a standstill that is over
LATE = 2.0  # s behind its plan it catches up, as the machine stood still; more: it is too slow itself


class Asked:
    """One request; status 0: none, and `body` says why."""
    __slots__ = ("number", "node", "kind", "began", "ended", "status", "body", "data", "again", "head",
                 "overdue")

    def __init__(self, number, node, kind, data):
        self.number, self.node, self.kind, self.data = number, node, kind, data
        self.began, self.ended, self.status, self.body = time.monotonic(), None, None, ""
        self.again, self.head, self.overdue = False, False, False

    def __repr__(self):
        took = (self.ended or time.monotonic()) - self.began
        return f"<{self.kind} {self.number} at {self.node}: {self.status} {self.body[:80]!r} {took:.3f} s>"


class Wire:
    __slots__ = ("sock", "node", "asked", "data", "used")

    def __init__(self, sock, node):
        self.sock, self.node, self.asked, self.data, self.used = sock, node, None, b"", False


class Offered:

    def __init__(self, nodes, rate, request, limit=5.0):
        """limit: seconds that a client waits for one answer, and as long again as the machine stood still."""
        self.nodes, self.rate, self.request, self.limit = list(nodes), rate, request, secs(limit)
        self.answers, self.stopping, self.broken = [], False, None
        self.planned = self.sent = self.again = 0
        self.seconds = self._caught_up = 0.0
        self._poll, self._wires, self._due = select.epoll(), {}, []
        self._idle = [[] for _ in self.nodes]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exc):
        stopped = time.monotonic()
        self.seconds, self.stopping = stopped - self.began, True
        self._thread.join(self.limit + secs(20))
        self._thread.join(late(stopped))
        assert not self._thread.is_alive()
        for w in self._wires.values():
            w.sock.close()
        self._poll.close()
        if self.broken and not exc[0]:
            raise self.broken

    def wait(self, more, timeout=30):
        was = len(self.answers)
        until(f"{more} more answers", lambda: len(self.answers) >= was + more or self.broken, timeout)

    # ---- the one thread ----
    def _run(self):
        try:
            self._turns()
        except BaseException as e:
            self.broken = e

    def _turns(self):
        due = time.monotonic()
        while True:
            now = time.monotonic()
            end = self.began + self.seconds if self.stopping else now
            if self.stopping and not self._caught_up:
                self._caught_up = now + secs(0.5)
            if self.stopping and not self._catches_up(due) and not any(w.asked for w in self._wires.values()):
                return
            if due < end - LATE:
                self.planned += int((end - due) * self.rate)
                due = end
            while due <= end and (not self.stopping or self._catches_up(due)):
                self._send(Asked(self.planned, *self.request(self.planned)))
                self.planned += 1
                due += 1 / self.rate
            pause = 0.05 if self.stopping else min(0.05, due - time.monotonic())
            for fd, _ in self._poll.poll(max(pause, 0)):
                if fd in self._wires:
                    self._read(self._wires[fd])
            self._expire(now)  # what has come by now has been read

    def _catches_up(self, due):
        """What was due when it was stopped is still made, if that is a matter of a moment: the thread was held
        up just then, but is not too slow."""
        return due <= self.began + self.seconds and time.monotonic() < self._caught_up

    def _open(self, node):
        n = self.nodes[node]
        with n.inside():
            s = socket.create_connection(n.outbound, timeout=2)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.setblocking(False)
        w = self._wires[s.fileno()] = Wire(s, node)
        self._poll.register(s, select.EPOLLIN)
        return w

    def _kept(self, idle):
        """An idle connection that has not ended meanwhile: nobody sends anything on one that has."""
        while idle:
            w = idle.pop()
            try:
                assert not w.sock.recv(1, socket.MSG_PEEK), "bytes that nobody asked for"
            except BlockingIOError:
                return w
            except OSError:
                pass
            self._close(w)
        return None

    def _send(self, asked, fresh=False):
        idle = self._idle[asked.node]
        self.sent += not fresh
        try:
            w = None if fresh else self._kept(idle)
            w = w or self._open(asked.node)
        except ConnectionRefusedError:
            return self._end(asked, 0, "refused")
        except OSError as e:
            return self._end(asked, 0, repr(e))
        w.asked, w.data = asked, b""
        heapq.heappush(self._due, (asked.began + self.limit, asked.number, asked, w))
        try:
            w.sock.sendall(asked.data)
        except OSError as e:
            self._over(w, repr(e))

    def _expire(self, now):
        while self._due and self._due[0][0] <= now:
            _, number, asked, w = heapq.heappop(self._due)
            if asked.ended is not None or w.asked is not asked:
                continue
            asked.overdue = not asked.overdue  # seen twice: what just stood still has been noted in between
            allowed = now + NOTED_S if asked.overdue else asked.began + self.limit + late(asked.began, now)
            if allowed > now:
                heapq.heappush(self._due, (allowed, number, asked, w))
            else:
                w.asked = None
                self._close(w)
                self._end(asked, 0, "no answer within the client's limit")

    def _close(self, w):
        if w in self._idle[w.node]:
            self._idle[w.node].remove(w)
        self._poll.unregister(w.sock)
        del self._wires[w.sock.fileno()]
        w.sock.close()

    def _over(self, w, why):
        """The connection ended."""
        asked, w.asked = w.asked, None
        self._close(w)
        if asked is None:
            return
        if w.used and not w.data and asked.kind == "GET" and not asked.again:
            asked.again = True
            self.again += 1
            self._send(asked, fresh=True)
        else:
            asked.head = bool(w.data)
            self._end(asked, 0, why)

    def _read(self, w):
        try:
            data = w.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError as e:
            return self._over(w, repr(e))
        if not data:
            return self._over(w, "cut" if w.data else "closed")
        assert w.asked, ("bytes that nobody asked for", w.data, data)
        w.data += data
        head, blank, body = w.data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not blank or (length and len(body) < int(length[1])):
            return
        assert length and len(body) == int(length[1]), w.data[:1000]
        asked, w.asked = w.asked, None
        self._end(asked, int(head[9:12]), body.decode("latin-1"))
        w.used = True
        if CLOSE.search(head):
            self._close(w)
        else:
            self._idle[w.node].append(w)

    def _end(self, asked, status, body):
        asked.ended, asked.status, asked.body, asked.data = time.monotonic(), status, body, None
        self.answers.append(asked)

    # ---- books ----
    def of(self, *kinds):
        return [a for a in list(self.answers) if not kinds or a.kind in kinds]

    def books(self, *kinds, failed=lambda a: a.status != 200):
        """("offered ..., completed ..., failed ...", what failed by why)"""
        answers = self.of(*kinds)
        bad = collections.Counter((a.status, a.body[:160]) for a in answers if failed(a))
        n = sum(bad.values())
        return (f"{'/'.join(kinds) or 'all'}: offered {len(answers)}, completed "
                f"{len(answers) - n}, failed {n}"), bad

    def offered_enough(self):
        """Nothing is shown by requests that were never made: nine of ten of the rate, at least, for as long
        as the machine did not stand still."""
        ran = self.seconds - late(self.began, self.began + self.seconds)
        rate = self.sent / self.seconds
        assert self.sent >= 0.9 * self.rate * ran, \
            f"only {rate:.0f} of {self.rate} requests a second were made"
        return rate
