"""Applications that fail on purpose, and a journal of what was asked of them.

    f = Faults(a, b)             scripts on these origins; requests are /f/ID?how=HOW
    f.arrivals("7")              ["a", "b"]: which of them ID came to, in order
    f.executed("7")              how often it came whole: what a POST may be once at the most

HOW is what happens when ID comes for the first time, to whichever of them; the second time it is
answered (always=1: the same again). Then nothing depends on whom a balancer chooses.
"""
import asyncio
import collections
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time

from . import wire
from .settings import HOST, ROOT, child_env, until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


class Faults:

    def __init__(self, *origins):
        self.journal = collections.defaultdict(list)  # id -> [Arrival as a dict]
        for o in origins:
            o.hashing = True
            o.scripts["f"] = self._serve

    # ---- from the test's thread ----
    def arrivals(self, id):
        return [a["origin"] for a in self.journal[str(id)]]

    def executed(self, id):
        return sum(a["whole"] for a in self.journal[str(id)])

    def began(self, id):
        """Arrivals that were answered by at least one byte."""
        return [a["began"] for a in self.journal[str(id)]]

    # ---- in the origins' threads ----
    async def _serve(self, c, req, seg, q):
        entry = {"origin": c.origin.name, "method": req.method, "whole": False, "began": False}
        again = bool(self.journal[seg[0]])
        self.journal[seg[0]].append(entry)
        how = q.get("how", "good")
        if again and not q.get("always"):
            how = "good"
        if how == "early_reset":  # while the body is still coming
            c.reset()
            return False
        if not await c.body():
            return False
        entry["whole"], entry["length"], entry["sha"] = True, req.length, req.sha.hexdigest()
        keep = await getattr(self, "do_" + how)(c, req, entry, seg[0])
        entry["at"] = time.monotonic()  # by when it had done what it was asked for
        return keep

    async def _send(self, c, entry, data):
        entry["began"] = True
        await c.send(data)

    async def do_good(self, c, req, entry, id):
        out = json.dumps({"id": id, "origin": c.origin.name, "length": req.length}).encode()
        f = [("Content-Length", len(out)), ("X-Id", id)]
        entry["began"] = True
        await c.send(wire.head("HTTP/1.1 200 OK", f) + (b"" if req.method == "HEAD" else out))
        return True

    async def do_close(self, c, req, entry, id):
        return False

    async def do_reset(self, c, req, entry, id):
        c.reset()
        return False

    async def do_half_close(self, c, req, entry, id):
        c.writer.write_eof()
        await c.gone()
        return False

    async def do_hang(self, c, req, entry, id):
        await c.gone()
        return False

    async def do_head_cut(self, c, req, entry, id):
        await self._send(c, entry, b"HTTP/1.1 200 OK\r\nContent-Le")
        return False

    async def do_head_hang(self, c, req, entry, id):
        await self._send(c, entry, b"HTTP/1.1 200 OK\r\nContent-Le")
        await c.gone()
        return False

    async def do_junk(self, c, req, entry, id):
        await self._send(c, entry, b"no HTTP at all\r\n\r\n")
        return False

    async def do_body_cut(self, c, req, entry, id):
        await self._send(c, entry, ANSWER + b"ab")
        return False

    async def do_interim(self, c, req, entry, id):
        """Something has gone to the client: what follows is no matter of a retry any more."""
        await self._send(c, entry, wire.head("HTTP/1.1 103 Early Hints", [("Link", "</a>")]))
        await asyncio.sleep(0.05)
        c.reset()
        return False

    async def do_dribble(self, c, req, entry, id):
        await self._send(c, entry, ANSWER)
        for i in range(4):
            await asyncio.sleep(0.3)
            await c.send(b"%d" % i)
        return True

    async def _status(self, c, req, entry, code):
        f = [("Content-Length", 0)]
        await self._send(c, entry, wire.head(f"HTTP/1.1 {code} S", f))
        return True

    async def do_429(self, *a):
        return await self._status(*a[:3], 429)

    async def do_500(self, *a):
        return await self._status(*a[:3], 500)

    async def do_502(self, *a):
        return await self._status(*a[:3], 502)

    async def do_503(self, *a):
        return await self._status(*a[:3], 503)

    async def do_504(self, *a):
        return await self._status(*a[:3], 504)


# ---- an application in a process of its own, that can be stopped and killed ----

SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from lib.origin import Origin
o = Origin(sys.argv[2]).start()
print(o.port, flush=True)
sys.stdin.read()
"""


class Process:
    """An Origin that answers with its name, as a child."""

    def __init__(self, name):
        self.proc = subprocess.Popen([sys.executable, "-B", "-c", SERVER,
                                      str(ROOT / "tests/net"), name],
                                     stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE,
                                     text=True,
                                     env=child_env())
        self.port = int(self.proc.stdout.readline())

    def stop(self):
        self.proc.send_signal(signal.SIGSTOP)

        def stopped():
            with open(f"/proc/{self.proc.pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] == "T"

        until("it is stopped", stopped)

    def resume(self):
        self.proc.send_signal(signal.SIGCONT)

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()


CLOSER = """
import json, random, select, socket, struct, sys, time
rng, longest, how = random.Random(int(sys.argv[1])), float(sys.argv[2]), sys.argv[3]
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
poll, conns, done, closed = select.epoll(), {}, [], 0
for fd in (listener.fileno(), 0):
    poll.register(fd, select.EPOLLIN)
over = False
while not over:
    soonest = min((c[2] for c in conns.values()), default=time.monotonic() + 1)
    for fd, _ in poll.poll(max(0, soonest - time.monotonic())):
        if fd == 0:
            over = True
        elif fd == listener.fileno():
            s = listener.accept()[0]
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if how == "rst":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conns[s.fileno()] = [s, b"", time.monotonic() + 20]
            poll.register(s, select.EPOLLIN)
        else:
            c = conns[fd]
            try:
                data = c[0].recv(65536)
            except OSError:
                data = b""
            c[1] += data
            if not data:
                conns.pop(fd)[0].close()
            head, blank, body = c[1].partition(b"\\r\\n\\r\\n")
            want = 100 if head.startswith(b"POST") else 0
            if data and blank and len(body) >= want:
                target = head.split(b" ")[1]
                done.append(target.decode())
                c[0].sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s"
                             % (len(target), target))
                c[1], c[2] = body[want:], time.monotonic() + rng.random() * longest
    for fd in [fd for fd, c in conns.items() if c[2] <= time.monotonic()]:
        if not select.select([fd], [], [], 0)[0]:
            conns.pop(fd)[0].close()
            closed += 1
print(json.dumps([done, closed]))
"""


class Closer:
    """An application that closes a kept connection when nothing has come on it for a moment that is
    drawn each time, as servers do: it looks, and closes. A process of its own, so that what is
    between the two is short. POSTs have 100 bytes."""

    def __init__(self, seed, longest, how="fin"):
        self.proc = subprocess.Popen(
            [sys.executable, "-B", "-c", CLOSER, str(seed), str(longest), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_env())
        self.port = int(self.proc.stdout.readline())

    def close(self):
        """(how often each target was answered, how many connections were closed)"""
        out, _ = self.proc.communicate(timeout=20)
        done, closed = json.loads(out)
        return collections.Counter(done), closed


@contextlib.contextmanager
def black_hole(port=0):
    """A port whose connects are neither taken nor refused: its queue is full, so SYNs are dropped."""
    with socket.socket() as s, contextlib.ExitStack() as keep:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((HOST, port))
        s.listen(0)
        for _ in range(4):
            c = keep.enter_context(socket.socket())
            c.setblocking(False)
            c.connect_ex(s.getsockname())

        def full():
            with socket.socket() as probe:
                probe.settimeout(0.05)
                try:
                    probe.connect(s.getsockname())
                except TimeoutError:
                    return True
                except OSError:
                    pass
                return False

        until("its queue is full", full)
        yield s.getsockname()[1]


class Level:
    """Called again and again beside requests: who was slow once, for the machine's sake, is avoided by
    the balancer until that has faded, which takes a minute where the others are quick. So if one that
    could be asked was not for some time, those that were answer once as slowly, too: later each time
    until it is asked again. That is no fault of theirs, and no chance for it but the same as theirs."""

    MANY = 8  # requests for each of them, after which one that had none is looked at

    def __init__(self, origins, usable=lambda origin: True):
        self.origins, self.usable, self.slow = list(origins), usable, 0.02
        self.was = self.counts()

    def counts(self):
        return [len(o.seen) for o in self.origins]

    def __call__(self):
        now = self.counts()
        if sum(now) - sum(self.was) < self.MANY * len(now):
            return
        busy = [o for o, n, was in zip(self.origins, now, self.was) if n > was]
        if any(o not in busy and self.usable(o) for o in self.origins):
            for o in busy:
                o.slow = self.slow
            self.slow = min(2 * self.slow, 4.0)
        self.was = now


class Moody:
    """What an origin answers at /m, as it is told: a status, "reset", or "hold" until release()."""

    def __init__(self, origin):
        self.origin, self.mood = origin, 200
        self.asked = self.faults = self.held = 0
        self.last = None  # when it was asked last, of time.time()
        self.verdict = {}
        origin.scripts["m"] = self._serve

    def release(self, status):
        self.verdict["status"] = status
        self.origin.open_gate("m")

    async def _serve(self, c, req, seg, q):
        await c.body()
        self.asked += 1
        self.last = time.time()
        mood = self.mood
        if mood == "hold":
            self.held += 1
            gate = asyncio.ensure_future(self.origin.gates["m"].wait())
            gone = asyncio.ensure_future(c.gone())
            await asyncio.wait({gate, gone}, return_when=asyncio.FIRST_COMPLETED)
            self.held -= 1
            gone.cancel()
            if not gate.done():
                gate.cancel()
                return False
            mood = self.verdict["status"]
        self.faults += mood == "reset" or mood >= 500
        if mood == "reset":
            c.reset()
            return False
        await c.answer(mood, b"moody")
        return True
