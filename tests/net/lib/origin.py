"""An application with scripted behaviour, chosen by the path of the request; it runs in a thread
of the test and notes everything it sees.

    /echo /id/X /sink            JSON of the request · "X" · length and SHA-256 of its body
    /bytes/N /chunked/N          a body of N bytes (trailers=1, size=K)
    /http10/N /http10-open/N     an HTTP/1.0 answer with a length · until the close
    /until-close/N /until-reset/N
    /early/keep /early/close     answered before the body is read
    /interim?codes=103,102  /status/CODE  /hop (hop-by-hop fields in the answer)
    /sse?n=N&gap_ms=G            events that carry CLOCK_MONOTONIC in ns
    /slow/N?gap_ms=G             byte by byte
    /cut/{zero,head,length,chunked}   /hang
    /hold/GATE /half/GATE        waits for open_gate(GATE) before the answer · in the middle of it
    /raw/KEY?at=K                raw[KEY] as it stands (in two pieces), then keep | close | hold
    /healthz                     200 or 503 by .healthy

seen        one wire.Message per request head, with .conn (number) and .complete
violations  what no proxy may send; the fixture fails the test for any
"""
import asyncio
import collections
import functools
import hashlib
import json
import socket
import struct
import threading
import time
import urllib.parse

from . import client, wire
from .settings import HOST, secs

BLOCK = wire.derived("block", 65536)
HOP = {
    "upgrade", "http2-settings", "proxy-connection", "keep-alive", "proxy-authorization",
    "proxy-authenticate"
}


def pattern(n):
    """The body of /bytes/N and /chunked/N, in pieces."""
    for _ in range(n // len(BLOCK)):
        yield BLOCK
    if n % len(BLOCK):
        yield BLOCK[:n % len(BLOCK)]


@functools.lru_cache(maxsize=32)
def pattern_sha(n):
    h = hashlib.sha256()
    for piece in pattern(n):
        h.update(piece)
    return h.hexdigest()


class Served:
    """One accepted connection."""

    def __init__(self, origin, number, reader, writer):
        self.origin, self.number = origin, number
        self.reader, self.writer = reader, writer
        self.r = wire.Reader(answers=False, hashing=origin.hashing)
        self.sock = writer.get_extra_info("socket")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.sndbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, origin.sndbuf)
        self.bytes_in = self.bytes_out = self.requests = 0
        self.closed_at = None  # monotonic, when the peer's end was seen

    async def more(self):
        data = await self.reader.read(262144)
        self.bytes_in += len(data)
        self.origin.bytes_in += len(data)
        if not data:
            self.closed_at = time.monotonic()
        return data

    async def head(self):
        """The next request's head, or None at a legal end."""
        while self.r.msg is None:
            data = await self.more()
            if not data:
                if not self.r.eof():
                    self.origin.cut_heads += 1
                return None
            self.r.feed(data)
        return self.r.msg

    async def body(self):
        """Read the rest of the request's body; False if the client cut it."""
        while not self.r.finished:
            data = await self.more()
            if not data:
                return False
            self.r.feed(data)
        return True

    async def gone(self):
        """Until the peer closed; whatever still comes is dropped."""
        while await self.more():
            pass

    async def send(self, data):
        self.writer.write(data)
        self.bytes_out += len(data)
        self.origin.bytes_out += len(data)
        await self.writer.drain()

    async def answer(self, status, body=b"", fields=(), method="GET"):
        bodyless = status in (204, 304)
        f = [*fields] + ([] if bodyless else [("Content-Length", len(body))])
        if bodyless or method == "HEAD":
            body = b""
        await self.send(wire.head(f"HTTP/1.1 {status} S", f) + body)

    async def finish(self):
        """Close as a careful server does: our end first, then read what is left."""
        try:
            self.writer.write_eof()
            async with asyncio.timeout(secs(5)):
                await self.gone()
        except (asyncio.TimeoutError, OSError):
            pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Origin:

    def __init__(self, name="o", hashing=False, sndbuf=0, strict=True):
        self.name, self.hashing, self.sndbuf, self.strict = name, hashing, sndbuf, strict
        self.seen, self.violations, self.conns = [], [], []
        self.bytes_in = self.bytes_out = self.cut_heads = 0
        self.raw, self.healthy, self.health_asked = {}, True, 0
        self.slow = 0.0  # so many seconds later it answers, one request and no check
        self.scripts = {}  # first path segment -> async fn(conn, req, segments, query): keep?
        self.gates = collections.defaultdict(asyncio.Event)
        self.port = None

    # ---- from the test's thread ----
    def start(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self._listen())
        return self

    def stop(self):
        self.call(self._unlisten(True))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def refuse(self):
        """Stop listening and cut what is open: connects are refused from now on."""
        self.call(self._unlisten(True))

    def resume(self):
        self.call(self._listen())

    def call(self, coro):
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(60)

    def open_gate(self, key):
        self.loop.call_soon_threadsafe(lambda: self.gates[key].set())

    @property
    def addr(self):
        return (HOST, self.port)

    def targets(self):
        return [m.target for m in self.seen]

    def open_conns(self):
        return [c for c in self.conns if c.closed_at is None]

    # ---- in the loop's thread ----
    async def _listen(self):
        self.server = await asyncio.start_server(self._serve,
                                                 HOST,
                                                 self.port or 0,
                                                 limit=262144,
                                                 backlog=4096)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _unlisten(self, cut):
        self.server.close()
        for c in self.conns if cut else ():
            if c.closed_at is None:
                c.writer.transport.abort()
        for t in asyncio.all_tasks():
            if t is not asyncio.current_task():
                t.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        c = Served(self, len(self.conns), reader, writer)
        self.conns.append(c)
        try:
            while True:
                req = await c.head()
                if req is None:
                    break
                req.conn = c.number
                c.requests += 1
                if req.target.partition("?")[0] == "/healthz":
                    self.health_asked += 1
                else:
                    self.seen.append(req)
                    self._judge(req)
                    await self._be_slow()
                keep = await self._behave(c, req)
                if not keep or not await c.body() or "close" in req.tokens("Connection"):
                    break
                c.r.next()
            if c.closed_at is None:
                await c.finish()
        except wire.Bad as e:
            self.violations.append(str(e))
        except (OSError, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            c.closed_at = c.closed_at or time.monotonic()
            writer.close()

    async def _be_slow(self):
        slow, self.slow = self.slow, 0.0
        if slow:
            await asyncio.sleep(slow)

    def _judge(self, req):
        if not self.strict:
            return
        bad = []
        if req.version != (1, 1) or len(req.all("Host")) != 1:
            bad.append("version or Host")
        for k, _ in req.fields:
            if k.lower() in HOP or k.lower().startswith("gossamer-"):
                bad.append(f"hop-by-hop field {k}")
        if set(req.tokens("Connection")) - {"close", "keep-alive", "te"}:  # te: RFC 9110 10.1.4
            bad.append("Connection")
        if set(req.tokens("TE")) - {"trailers"}:
            bad.append("TE")
        if not req.target.startswith(("/", "*")):
            bad.append("target form")
        if bad:
            self.violations.append(f"{bad} in {req!r}")

    async def _behave(self, c, req):
        path, _, query = req.target.partition("?")
        seg = [urllib.parse.unquote(s) for s in path.split("/")[1:]]
        q = {k: v[-1] for k, v in urllib.parse.parse_qs(query).items()}
        fn = self.scripts.get(seg[0]) or getattr(self, "do_" + seg[0].replace("-", "_"), None)
        if fn is None:
            await c.body()
            name = f"{self.name}\n".encode()
            await c.answer(200, name, [("X-Origin", self.name)], req.method)
            return True
        keep = await fn(c, req, seg[1:], q)
        return keep is not False

    async def do_echo(self, c, req, seg, q):
        await c.body()
        out = {
            k: getattr(req, k)
            for k in ("method", "target", "fields", "framing", "length", "trailers")
        }
        out["body"] = req.body.decode("latin-1")
        f = [("Content-Type", "application/json"), ("X-Origin", self.name)]
        await c.answer(200, json.dumps(out).encode(), f, req.method)

    async def do_id(self, c, req, seg, q):
        await c.body()
        await c.answer(200, (seg[0] + "\n").encode(), [("X-Id", seg[0])], req.method)

    async def do_sink(self, c, req, seg, q):
        if await c.body():
            out = {"length": req.length, "sha256": req.sha.hexdigest(), "framing": req.framing}
            await c.answer(200, json.dumps(out).encode())

    async def do_bytes(self, c, req, seg, q):
        await c.body()
        n = int(seg[0])
        await c.send(
            wire.head("HTTP/1.1 200 OK", [("Content-Length", n), ("X-Sha256", pattern_sha(n))]))
        if req.method != "HEAD":
            for piece in pattern(n):
                await c.send(piece)

    async def do_chunked(self, c, req, seg, q):
        await c.body()
        n, size = int(seg[0]), int(q.get("size", 65536))
        trailers = [("X-Length", n), ("X-Sha256", pattern_sha(n))] if q.get("trailers") else []
        f = [("Transfer-Encoding", "chunked"), ("Trailer", "X-Length, X-Sha256")]
        f = f if trailers else f[:1]
        await c.send(wire.head("HTTP/1.1 200 OK", f))
        if req.method != "HEAD":
            for piece in pattern(n):
                for i in range(0, len(piece), size):
                    await c.send(wire.chunk(piece[i:i + size]))
            await c.send(wire.chunks(b"", trailers=trailers))

    async def do_http10(self, c, req, seg, q):
        await c.body()
        body = b"".join(pattern(int(seg[0])))
        await c.send(wire.head("HTTP/1.0 200 OK", [("Content-Length", len(body))]) + body)
        return False

    async def do_http10_open(self, c, req, seg, q):
        await c.body()
        await c.send(wire.head("HTTP/1.0 200 OK", [("X-A", 1)]) + b"".join(pattern(int(seg[0]))))
        return False

    async def do_until_close(self, c, req, seg, q):
        await c.body()
        await c.send(
            wire.head("HTTP/1.1 200 OK", [("Connection", "close")]) +
            b"".join(pattern(int(seg[0]))))
        return False

    async def do_until_reset(self, c, req, seg, q):
        await c.body()
        await c.send(
            wire.head("HTTP/1.1 200 OK", [("Connection", "close")]) +
            b"".join(pattern(int(seg[0]))))
        if q.get("gate"):
            await self.gates[q["gate"]].wait()
        c.reset()
        return False

    async def do_early(self, c, req, seg, q):
        close = seg[0] == "close"
        await c.answer(200, b"early", [("Connection", "close")] if close else [])
        return not close

    async def do_interim(self, c, req, seg, q):
        await c.body()
        for code in q["codes"].split(","):
            await c.send(wire.head(f"HTTP/1.1 {code} I", [("Link", "</a>; rel=preload")]))
        await c.answer(200, b"final")

    async def do_expect(self, c, req, seg, q):
        if "100-continue" in req.tokens("Expect") and seg[0] == "yes":
            await c.send(wire.head("HTTP/1.1 100 Continue", []))
        elif seg[0] == "no":
            await c.answer(417, b"no", [("Connection", "close")])
            return False
        await c.body()
        await c.answer(200, str(req.length).encode())

    async def do_status(self, c, req, seg, q):
        await c.body()
        code = int(seg[0])
        await c.answer(code, b"status", [("ETag", '"x"')] if code == 304 else [], req.method)

    async def do_hop(self, c, req, seg, q):
        await c.body()
        await c.answer(200, b"hop", [("Connection", "X-Private"), ("X-Private", "1"),
                                     ("Keep-Alive", "timeout=5"), ("Upgrade", "h2c"),
                                     ("X-Public", "1")])

    async def do_sse(self, c, req, seg, q):
        await c.body()
        f = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        await c.send(wire.head("HTTP/1.1 200 OK", f))
        for i in range(int(q["n"])):
            await asyncio.sleep(float(q["gap_ms"]) / 1000)
            await c.send(wire.chunk(f"id: {i}\ndata: {time.monotonic_ns()}\n\n".encode()))
        await c.send(wire.chunks(b""))

    async def do_slow(self, c, req, seg, q):
        await c.body()
        body = b"".join(pattern(int(seg[0])))
        data = wire.head("HTTP/1.1 200 OK", [("Content-Length", len(body))]) + body
        for i in range(len(data)):
            await c.send(data[i:i + 1])
            await asyncio.sleep(float(q.get("gap_ms", 0)) / 1000)

    async def do_cut(self, c, req, seg, q):
        await c.body()
        body = b"".join(pattern(4000))
        length = wire.head("HTTP/1.1 200 OK", [("Content-Length", len(body))])
        chunked = wire.head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")])
        await c.send({
            "zero": b"", "head": b"HTTP/1.1 200 OK\r\nContent-Le", "length": length + body[:1000],
            "chunked": chunked + wire.chunk(body[:1000])
        }[seg[0]])
        if q.get("reset"):
            c.reset()
        return False

    async def do_hang(self, c, req, seg, q):
        await c.body()
        await c.gone()
        return False

    async def do_hold(self, c, req, seg, q):
        await c.body()
        await self.gates[seg[0]].wait()
        await c.answer(200, b"held")

    async def do_half(self, c, req, seg, q):
        await c.body()
        body = b"".join(pattern(2000))
        await c.send(wire.head("HTTP/1.1 200 OK", [("Content-Length", len(body))]) + body[:1000])
        await self.gates[seg[0]].wait()
        await c.send(body[1000:])

    async def do_raw(self, c, req, seg, q):
        await c.body()
        data, then = self.raw[seg[0]]
        at = int(q.get("at", 0))
        if 0 < at < len(data):
            await c.send(data[:at])
            end = time.monotonic() + 0.05
            while client.unread(c.sock.getpeername(),
                                c.sock.getsockname()) and time.monotonic() < end:
                await asyncio.sleep(0)
            data = data[at:]
        await c.send(data)
        if then == "hold":
            await c.gone()
        return then == "keep"

    async def do_healthz(self, c, req, seg, q):
        await c.body()
        await c.answer(200 if self.healthy else 503, b"ok" if self.healthy else b"no")
