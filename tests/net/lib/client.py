"""A client that decides every byte it sends and believes nothing it reads.

    send(data, at=[k, ...]) ─▶ piece ─▶ (wait until the peer has read it) ─▶ piece ─▶ ...
"""
import os
import select
import socket
import struct
import time

from . import wire
from .lateness import late
from .settings import secs


class Cut(Exception):
    """The connection ended before the answer was whole. .msg: what there was of it, or None."""

    def __init__(self, msg, why):
        super().__init__(f"{why}; got {msg!r}")
        self.msg = msg


def unread(peer, me, _state={}):
    """How many bytes of ours the process behind `peer` has not read yet, by sock_diag(7): the one
    way to know that two writes were two reads over there. 0 when the kernel will not tell."""

    def packed(addr):
        return socket.inet_aton(addr[0]) + bytes(12)

    try:
        s = _state.get("sock")
        if s is None:
            s = _state["sock"] = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
            s.settimeout(1)
        body = (struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff) +
                struct.pack("!HH", peer[1], me[1]) + packed(peer) + packed(me) +
                struct.pack("=III", 0, 0xffffffff, 0xffffffff))
        s.send(struct.pack("=IHHII", 16 + len(body), 20, 1, 1, 0) + body)
        data = s.recv(65536)
        if struct.unpack_from("=H", data, 4)[0] != 20:
            return 0  # no such connection any more
        return struct.unpack_from("=I", data, 16 + 4 + 48 + 4)[0]
    except (OSError, struct.error):
        return 0


class Conn:
    """One connection, blocking, with a deadline on everything."""

    def __init__(self, addr, timeout=10.0, rcvbuf=0):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(secs(timeout))
        self.sock.connect(addr)
        self.peer, self.me = self.sock.getpeername(), self.sock.getsockname()
        self.timeout = timeout
        self.reader = wire.Reader(answers=True)
        self.ended = None  # None, "eof" or "reset"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Leave with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data, at=()):
        """Send, cut at the given offsets; the peer reads each piece before the next is sent (or 50 ms
        have passed: it may have stopped reading). False if the peer closed meanwhile."""
        cuts = [0, *sorted({k for k in at if 0 < k < len(data)}), len(data)]
        try:
            for a, b in zip(cuts, cuts[1:]):
                self.sock.sendall(data[a:b])
                if b < len(data):
                    self.wait_read()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def wait_read(self, at_most=0.05):
        end = time.monotonic() + secs(at_most)
        while unread(self.peer, self.me) and time.monotonic() < end:
            os.sched_yield()

    def recv(self, size=262144, timeout=None):
        """b"" at the end of the connection; .ended says how it ended."""
        self.sock.settimeout(secs(self.timeout if timeout is None else timeout))
        try:
            data = self.sock.recv(size)
        except ConnectionResetError:
            self.ended = "reset"
            return b""
        if not data:
            self.ended = "eof"
        return data

    def answer(self, method="GET", timeout=None):
        """The next final answer, whole. Raises Cut, wire.Bad, or TimeoutError."""
        r = self.reader
        if r.finished:
            r.next(method)
        r.method = method
        while not r.finished:
            data = self.recv(timeout=timeout)
            if data:
                r.feed(data)
            elif self.ended == "reset" or not r.eof():
                raise Cut(r.msg, f"connection ended by {self.ended}")
            elif not r.finished:
                raise Cut(None, "connection ended between messages")
        return r.msg

    def head(self, method="GET", timeout=None):
        """Read no further than the answer's head (and what came with it)."""
        r = self.reader
        if r.finished:
            r.next(method)
        r.method = method
        while r.msg is None:
            data = self.recv(timeout=timeout)
            if not data:
                raise Cut(None, f"connection ended by {self.ended} in the head")
            r.feed(data)
        return r.msg

    def until_closed(self, timeout=2.0):
        """Wait for the peer to close; returns stray bytes that came before (b"": all is well)."""
        stray = bytes(self.reader.rest)
        self.reader.rest.clear()
        began = time.monotonic()
        while self.ended is None:
            over = time.monotonic() - began - secs(timeout)
            if over > 0 and over > late(began):
                raise AssertionError(f"connection still open after {secs(timeout)} s")
            self.sock.settimeout(max(-over, 0.1))
            try:
                data = self.sock.recv(65536)
                stray += data
                if not data:
                    self.ended = "eof"
            except ConnectionResetError:
                self.ended = "reset"
            except TimeoutError:
                pass
        return stray

    def quiet(self):
        """Nothing to read now and not closed."""
        return not self.reader.rest and not select.select([self.sock], [], [], 0)[0]

    def ask(self,
            method="GET",
            target="/",
            host="echo",
            fields=(),
            body=None,
            version="1.1",
            chunked=False):
        """One whole exchange."""
        self.send(request(method, target, host, fields, body, version, chunked))
        return self.answer(method)


def request(method="GET",
            target="/",
            host="echo",
            fields=(),
            body=None,
            version="1.1",
            chunked=False):
    f = ([("Host", host)] if host is not None else []) + list(fields)
    if chunked:
        f.append(("Transfer-Encoding", "chunked"))
        body = wire.chunks(body or b"")
    elif body is not None:
        f.append(("Content-Length", len(body)))
    return wire.head(f"{method} {target} HTTP/{version}", f) + (body or b"")


def ask(addr, *args, timeout=10.0, **kw):
    """One exchange on a connection of its own."""
    with Conn(addr, timeout) as c:
        return c.ask(*args, **kw)
