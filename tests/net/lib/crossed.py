"""A seeded mixture of exchanges in which every byte of every answer tells whose it is.

    GET /x/ID?m=MODE&n=ANSWER_BYTES&q=REQUEST_BYTES
        answer: X-Id: ID, body = derived(ID, n)          ─▶ judged by the client, byte by byte
        request: body = derived("q" + ID, q)             ─▶ judged by the origin, byte by byte

Run.crossed    an answer (head, body, interim answer or trailer) with bytes of another exchange
Run.truncated  an answer that ended as its framing says, with another length than the origin's
Run.failed     one that had to succeed and did not (see MUST)
"""
import asyncio
import collections
import random
import socket
import struct
import time
import zlib

from . import wire
from .settings import secs

# mode of the origin -> weight. MUST: whole answers, whatever happens on other connections.
MUST = {
    "len": 20, "chunk": 10, "trail": 5, "http10": 4, "close": 4, "lenclose": 4, "interim": 4,
    "s204": 3, "s304": 2, "early_keep": 6, "early_close": 4, "big": 1
}
MAY = {
    "early_rude": 2, "cut_len": 3, "cut_chunk": 3, "cut_head": 2, "cut_zero": 2, "cut_close": 2,
    "rst_len": 2
}
KEEPING = ["len", "chunk", "trail", "interim", "s204", "s304", "early_keep"]


def pieces(data, rng):
    """The data as it will be written: whole, in a few pieces, or byte by byte."""
    how = rng.random()
    if how < 0.55 or len(data) < 2:
        return [data]
    if how < 0.65 and len(data) <= 600:
        return [data[i:i + 1] for i in range(len(data))]
    few = min(len(data) - 1, rng.randint(1, 4))
    cuts = [0, *sorted(rng.sample(range(1, len(data)), few)), len(data)]
    return [data[a:b] for a, b in zip(cuts, cuts[1:])]


class Mixture:
    """The origins' side; also the place where they compare notes."""

    def __init__(self, lie=None):
        self.lie = lie
        self.wrong = []  # request bodies that were not the id's
        self.posts = collections.Counter()  # heads of POSTs seen per id
        self.requests = 0

    def install(self, origin):
        origin.scripts["x"] = self.serve
        origin.seen = collections.deque(maxlen=100)  # a hundred thousand are not kept

    def check(self, req, ident, want):
        right = wire.derived("q" + ident, min(req.length, want))
        if bytes(req.body) != right or req.complete and req.length != want:
            self.wrong.append(
                f"{ident}: {req.length} of {want} bytes of its request, {bytes(req.body[:40])!r}")

    async def serve(self, c, req, seg, q):
        ident, mode, n, want = seg[0], q["m"], int(q["n"]), int(q["q"])
        rng = random.Random("o" + ident)
        self.requests += 1
        if req.method == "POST":
            self.posts[ident] += 1
        if req.get("X-Id") != ident:
            self.wrong.append(f"{ident}: head says {req.get('X-Id')}")
        if not mode.startswith("early"):
            whole = await c.body()
            self.check(req, ident, want)
            if not whole:
                return False
        keep = await self.answer(c, req, ident, mode, n, rng)
        if mode in ("early_keep", "early_close"):
            whole = await c.body()
            self.check(req, ident, want)
            return keep and whole
        return keep

    async def answer(self, c, req, ident, mode, n, rng):
        told, body = ident, wire.derived(ident, n)
        if self.lie and zlib.crc32(ident.encode()) % 50 == 0 and n > 1:
            told = "other" if self.lie == "head" else told
            lies = {
                "body": wire.derived("other", n), "short": body[:-1],
                "late": body[:n // 2] + body[n // 2 + 1:] + b"x"
            }
            body = lies.get(self.lie, body)
            n = len(body)
        f = [("X-Id", told), ("X-Pad", "p" * rng.choice((0, 1, 30, 300)))]
        out, keep = b"", True
        if mode in ("len", "early_keep", "big", "silent"):
            out = wire.head("HTTP/1.1 200 OK", f + [("Content-Length", n)])
        elif mode in ("lenclose", "early_close", "early_rude"):
            f += [("Content-Length", n), ("Connection", "close")]
            out, keep = wire.head("HTTP/1.1 200 OK", f), False
        elif mode == "http10":
            f += [("Content-Length", n)] * rng.randint(0, 1)
            out, keep = wire.head("HTTP/1.0 200 OK", f), False
        elif mode in ("close", "cut_close"):
            out, keep = wire.head("HTTP/1.1 200 OK", f + [("Connection", "close")]), False
        elif mode in ("chunk", "cut_chunk", "trail", "interim"):
            out = wire.head("HTTP/1.1 200 OK", f + [("Transfer-Encoding", "chunked")])
            if mode == "interim":
                out = wire.head("HTTP/1.1 103 Early Hints", [("X-Id", told)]) * rng.randint(1,
                                                                                            3) + out
            size = rng.choice((1, 7, 100, 5000)) if n < 500 else 5000
            body = wire.chunks(body, size, [("X-Id", told)] if mode == "trail" else ())
        elif mode in ("s204", "s304"):
            out, body = wire.head(f"HTTP/1.1 {mode[1:]} N", f), b""
        else:  # cut_len, cut_head, cut_zero, rst_len
            out = wire.head("HTTP/1.1 200 OK", f + [("Content-Length", n)])
        if req.method == "HEAD":
            body = b""
        data = out + body
        if mode in ("cut_len", "cut_chunk", "cut_close", "rst_len"):
            data = data[:len(out) + rng.randrange(max(1, len(body)))]
        elif mode == "cut_head":
            data = data[:rng.randrange(1, len(out) - 1)]
        elif mode == "cut_zero":
            data = b""
        for p in pieces(data, rng):
            await c.send(p)
            await asyncio.sleep(0)
        if mode in ("early_rude", "cut_close", "rst_len"):
            c.reset()
            return False
        if mode == "silent" or mode.startswith("cut"):
            c.writer.close()
            return False
        return keep


class Plan:
    """One exchange, decided in full by its id and the seed."""

    def __init__(self, run, number):
        rng = self.rng = random.Random(f"{run.seed}/{number}")
        self.id = f"{number:x}.{rng.getrandbits(40):010x}"
        self.service = "g" if rng.random() < 0.15 else "a"
        table = {"len": 3, "silent": 2, "chunk": 1} if self.service == "g" else {**MUST, **MAY}
        self.mode = rng.choices(list(table), list(table.values()))[0]
        self.method = rng.choices(("GET", "POST", "HEAD"), (5, 5, 1))[0]
        if self.service == "g" or self.mode.startswith("early"):
            self.method = "GET" if self.service == "g" else "POST"
        self.n = {"big": 300000}.get(self.mode, rng.choice((0, 1, 10, 100, 1000, 1000, 20000)))
        if self.mode.startswith(("cut", "rst")) and self.mode not in ("cut_head", "cut_zero"):
            # something that can be cut: an answer whole with its head would end in a silent close
            self.n = self.n or 1
            self.method = "GET" if self.method == "HEAD" else self.method
        self.q = rng.choice((0, 1, 50, 500, 5000, 70000)) if self.method == "POST" else 0
        self.chunked = self.q > 0 and rng.random() < 0.4
        self.minor = 0 if rng.random() < 0.06 and not self.chunked else 1
        kind = rng.random()
        self.abort = rng.choice(("head", "body", "sent", "answer")) if kind < 0.12 else None
        self.half = kind > 0.8 and self.mode in ("early_keep", "early_close") and self.q > 1
        self.must = (self.mode in MUST or self.service == "g") and not self.abort
        self.expected = 0 if self.method == "HEAD" or self.mode in ("s204", "s304") else self.n

    def __str__(self):
        more = f" abort={self.abort}" if self.abort else ""
        return f"{self.id} {self.method} {self.mode} q={self.q} half={self.half}{more}"

    def bytes(self):
        f = [("Host", self.service), ("X-Id", self.id)]
        body = wire.derived("q" + self.id, self.q)
        if self.chunked:
            f.append(("Transfer-Encoding", "chunked"))
            body = wire.chunks(body, self.rng.choice((100, 3000)) if self.q < 1000 else 8000)
        elif self.method == "POST":
            f.append(("Content-Length", self.q))
        target = f"/x/{self.id}?m={self.mode}&n={self.n}&q={self.q}"
        return wire.head(f"{self.method} {target} HTTP/1.{self.minor}", f), body


class Link(asyncio.Protocol):
    """A client connection."""

    def __init__(self):
        self.reader = wire.Reader(answers=True)
        self.bad = self.how = None  # how it ended: "eof" or "reset"
        self.got = 0
        self.wake = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport):
        self.t = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.got += len(data)
        try:
            if self.bad is None:
                self.reader.feed(data)
        except wire.Bad as e:
            self.bad = e
        self.wake.set()

    def eof_received(self):
        self.how = self.how or "eof"
        self.wake.set()

    def connection_lost(self, exc):
        self.how = self.how or ("reset" if exc else "eof")
        self.wake.set()
        self.room.set()

    def pause_writing(self):
        self.room.clear()

    def resume_writing(self):
        self.room.set()

    def expect(self, method):
        """The answer to a request of this method is the next."""
        try:
            if self.reader.finished:
                self.reader.next(method)
            self.reader.method = method
        except wire.Bad as e:
            self.bad = e

    async def send(self, data, rng):
        for p in pieces(data, rng):
            if self.t.is_closing():
                return
            self.t.write(p)
            await asyncio.sleep(0)
            async with asyncio.timeout(secs(60)):
                await self.room.wait()

    async def until(self, condition):
        while not condition() and self.bad is None and self.how is None:
            self.wake.clear()
            async with asyncio.timeout(secs(30)):
                await self.wake.wait()

    def abort(self, hard):
        s = self.t.get_extra_info("socket")
        if hard and s is not None and not self.t.is_closing():
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.t.abort()


class Run:

    def __init__(self, mixture, addrs, total, seed, conns=24, direct=False):
        self.mix, self.addrs, self.total, self.seed = mixture, addrs, total, seed
        self.conns, self.direct = conns, direct
        self.offered = self.completed = self.aborted = self.cut = self.refused = self.unanswered = 0
        self.crossed, self.truncated, self.failed, self.malformed, self.hung = [], [], [], [], []
        self.status, self.modes = collections.Counter(), collections.Counter()
        self.connections = self.next = 0
        self.seconds = 0.0

    async def go(self):
        began = time.monotonic()
        await asyncio.gather(*(self.worker(k) for k in range(self.conns)))
        self.seconds = time.monotonic() - began

    def take(self):
        if self.next >= self.total:
            return None
        self.next += 1
        self.offered += 1
        p = Plan(self, self.next)
        self.modes[p.mode] += 1
        return p

    async def connect(self, service):
        _, link = await asyncio.get_running_loop().create_connection(Link, *self.addrs[service])
        self.connections += 1
        return link

    async def worker(self, k):
        rng = random.Random(f"{self.seed}/worker/{k}")
        links, lives = {}, {}
        while (plan := self.take()) is not None:
            # through the proxy one connection serves both; straight at the origins each has its own
            key = plan.service if self.direct else "a"
            link = links.get(key)
            if link is None:
                try:
                    link = links[key] = await self.connect(key)
                except OSError as e:          # nobody listens any more: the rest is not offered
                    self.failed.append(f"{plan}: {e}, no answer")
                    self.next = self.total
                    break
                lives[key] = rng.randint(1, 20)
            batch = [plan]
            if not self.direct and self.pipelines(plan) and rng.random() < 0.2:
                while len(batch) < 4 and (p := self.take()) is not None:
                    batch.append(p)
                    if not self.pipelines(p):
                        break
            fresh = link.got == 0
            try:
                if len(batch) > 1:
                    keep = await self.pipeline(link, batch)
                else:
                    keep = await self.exchange(link, plan, fresh)
            except asyncio.TimeoutError:
                self.hung.append(f"{plan}: {link.reader.msg!r}")
                keep = False
            except OSError as e:
                self.failed.append(f"{plan}: {e}, no answer")
                keep = False
            lives[key] -= 1
            if not keep or lives[key] <= 0 or link.how or link.t.is_closing():
                link.abort(False)
                del links[key]
        for link in links.values():
            link.abort(False)

    @staticmethod
    def pipelines(p):
        return not p.abort and not p.half and p.minor == 1 and p.mode in KEEPING and p.q < 1000

    async def pipeline(self, link, batch):
        """All requests in one write; a last one that is not for pipelining is sent after them."""
        last = None if self.pipelines(batch[-1]) else batch.pop()
        link.expect(batch[0].method)
        await link.send(b"".join(h + b for h, b in (p.bytes() for p in batch)), batch[0].rng)
        keep = True
        for i, p in enumerate(batch):
            if not keep:
                self.unanswered += 1  # the answer before said that the connection ends
                continue
            if i:
                link.expect(p.method)
            keep = await self.receive(link, p, fresh=True)
        if last is not None:
            if not keep or link.how:
                link.abort(False)
                link = await self.connect("a")
            await self.exchange(link, last, True)
            link.abort(False)
            keep = False
        return keep

    async def exchange(self, link, p, fresh):
        """One request and its answer; is the connection good for another?"""
        head, body = p.bytes()
        data, rng = head + body, p.rng
        link.expect(p.method)  # before a byte is sent: the answer may be early
        if p.abort:
            return await self.leave(link, p, head, data)
        if p.half:
            k = len(head) + rng.randrange(1, len(body))
            await link.send(data[:k], rng)
            keep = await self.receive(link, p, fresh)
            if not keep or rng.random() < 0.5:
                return False
            await link.send(data[k:], rng)  # the rest comes after the answer
            return True
        sending = asyncio.ensure_future(link.send(data, rng))
        keep = await self.receive(link, p, fresh)
        if not keep and not sending.done():  # an early answer that ends the connection
            sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return keep

    async def leave(self, link, p, head, data):
        """The client goes away at a random point."""
        rng, seen = p.rng, link.got
        if p.abort == "head":
            await link.send(data[:rng.randrange(1, len(head))], rng)
        elif p.abort == "body":
            await link.send(data[:rng.randrange(len(head), len(data) + 1)], rng)
        else:
            await link.send(data, rng)
            if p.abort == "answer":
                await link.until(lambda: link.got > seen)
        if link.reader.msg is not None:
            self.judge_bytes(p, link.reader.msg)
        self.aborted += 1
        link.abort(rng.random() < 0.5)
        return False

    async def receive(self, link, p, fresh):
        r = link.reader
        await link.until(lambda: r.finished)
        if link.bad is not None:
            self.malformed.append(f"{p}: {link.bad}")
            return False
        if not r.finished and link.how == "eof":
            r.eof()
        m = r.msg
        if m is None:
            if self.direct and p.mode in ("cut_zero", "cut_head") or self.direct and not fresh:
                self.unanswered += 1  # what a client retries, and the proxy must have
            elif p.must:
                self.failed.append(f"{p}: connection ended by {link.how}, no answer")
            else:
                self.cut += 1
            return False
        self.status[m.status] += 1
        if m.get("X-Id") is None and m.get("Proxy-Status"):
            self.refused += 1
            if p.must:
                self.failed.append(f"{p}: {m.status} {m.get('Proxy-Status')}")
            return m.complete and m.keeps
        self.judge_bytes(p, m)
        if not m.complete:
            self.cut += 1
            if p.must:
                self.failed.append(f"{p}: cut at {m.length} of {p.expected}")
            return False
        if m.length != p.expected:
            self.truncated.append(f"{p}: looks whole with {m.length} of {p.expected} bytes, "
                                  f"1.{p.minor}, {m.framing}")
        self.completed += 1
        return m.keeps and p.minor == 1

    def judge_bytes(self, p, m):
        ids = [m.get("X-Id")] + [i.get("X-Id") for i in m.interim]
        ids += [v for k, v in m.trailers if k.lower() == "x-id"]
        if any(i != p.id for i in ids) and not m.get("Proxy-Status"):
            self.crossed.append(f"{p} has {ids}")
        elif m.get("X-Id") and bytes(m.body) != wire.derived(p.id, m.length):
            self.crossed.append(f"{p}: foreign bytes in its body ({m.length} of {p.expected})")

    def findings(self):
        kinds = ("crossed", "truncated", "failed", "malformed", "hung")
        out = {k: getattr(self, k) for k in kinds if getattr(self, k)}
        twice = [i for i, n in self.mix.posts.items() if n > 1]
        if twice:
            out["POST sent twice"] = twice
        if self.mix.wrong:
            out["wrong request at the origin"] = self.mix.wrong
        ended = (self.completed + self.aborted + self.cut + self.refused + self.unanswered +
                 len(self.failed) - self.twice() + len(self.malformed) + len(self.hung))
        if self.offered != ended:
            out["the books do not balance"] = [self.report()]
        return {k: v if len(v) <= 10 else v[:10] + [f"... {len(v)} in all"] for k, v in out.items()}

    def twice(self):
        """Failures that were also counted as refused or cut."""
        return sum(1 for f in self.failed if "no answer" not in f)

    def report(self):
        found = ("crossed", "truncated", "failed", "malformed", "hung")
        return (f"seed {self.seed}: offered {self.offered}, completed {self.completed}, "
                f"aborted by the client {self.aborted}, cut {self.cut}, "
                f"answered by the proxy {self.refused}, unanswered {self.unanswered}; "
                f"{', '.join(f'{k} {len(getattr(self, k))}' for k in found)}; "
                f"{self.connections} connections, {self.mix.requests} requests at the origins, "
                f"statuses {dict(sorted(self.status.items()))}, {self.seconds:.1f} s, "
                f"{self.offered / max(0.001, self.seconds):.0f}/s")
