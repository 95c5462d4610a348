"""What is no HTTP and comes nevertheless, beside good traffic (test_junk, test_faults).

    with Attack(http=addr, mesh=addr, gossip=addr, admin=addr) as a:   a process of its own
    a.sent                                                             how much of what, at the end
"""
import json
import os
import pathlib
import random
import select
import socket
import subprocess
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import h2, wire  # noqa: E402

HEAD = b"GET /junk HTTP/1.1\r\nHost: echo\r\n"
# kind -> (bytes, reason it is counted under; None: some reason; "" nothing to count)
KINDS = {
    "two spaces": (b"GET  /junk HTTP/1.1\r\nHost: echo\r\n\r\n", "bad_head"),
    "no host": (b"GET /junk HTTP/1.1\r\n\r\n", "bad_head"),
    "folded": (HEAD + b" folded: x\r\n\r\n", "bad_head"),
    "space before colon": (HEAD + b"X : y\r\n\r\n", "bad_head"),
    "NUL in a value": (HEAD + b"X: \0\r\n\r\n", "bad_head"),
    "unknown method": (b"FOO /junk HTTP/1.1\r\nHost: echo\r\n\r\n", "unknown_method"),
    "version": (b"GET /junk HTTP/2.0\r\nHost: echo\r\n\r\n", "http_version"),
    "coding": (
        b"POST /junk HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "unknown_coding"),
    "long line": (b"GET /" + b"j" * 20000 + b" HTTP/1.1\r\nHost: echo\r\n\r\n", "line_too_long"),
    "large head": (HEAD + b"".join(b"X-%d: %b\r\n" % (i, b"j" * 1000)
                                   for i in range(70)) + b"\r\n", "head_too_large"),
    "many fields": (HEAD + b"X: y\r\n" * 150 + b"\r\n", "head_too_large"),
    "connect": (b"CONNECT echo:80 HTTP/1.1\r\nHost: echo:80\r\n\r\n", "not_offered"),
    "both lengths": (
        b"POST /junk HTTP/1.1\r\nHost: echo\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: echo\r\n\r\n",
        None),
    "tls hello": (bytes.fromhex("16030100a5010000a10303") + wire.derived("hello", 160), None),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", None),
    "binary": (b"\x00\xff" + wire.derived("binary", 500), None),
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), None),
    "half a head": (HEAD + b"X: y", ""),
    "nothing": (b"", ""),
    "blank": (b"\r\n", ""),
}


class Attack:

    def __init__(self, rate=400, seed=1, **ports):
        """ports: http, mesh, gossip, admin; rate: pieces a second, of all of them together."""
        self.args = [sys.executable, "-B", __file__, json.dumps({"rate": rate, "seed": seed, **ports})]

    def __enter__(self):
        self.proc = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.proc.stdout.readline()
        return self

    def __exit__(self, *exc):
        self.sent = json.loads(self.proc.communicate("\n", timeout=60)[0])
        assert self.proc.returncode == 0, self.proc.returncode


class Attacker:
    """Open connections are read until the other side closes them, or there are too many."""
    OPEN_MAX = 200

    def __init__(self, rate, seed, **ports):
        self.rate, self.ports, self.rng = rate, {k: tuple(v) for k, v in ports.items()}, random.Random(seed)
        self.sent, self.open, self.poll = {}, {}, select.epoll()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setblocking(False)
        self.noise = [self.rng.randbytes(self.rng.choice((0, 1, 24, 40, 100, 576, 1200))) for _ in range(256)]

    def run(self):
        due = time.monotonic()
        kinds = [k for k in (self.http, self.slow, self.mesh, self.resets, self.gossip, self.stream,
                             self.admin)]
        while not self.is_over():
            while due <= time.monotonic() and not self.is_over():  # it may never be as fast as it should
                due += 1 / self.rate
                kind = self.rng.choice(kinds)
                self.sent[kind.__name__] = self.sent.get(kind.__name__, 0) + 1
                try:
                    kind()
                except OSError:
                    pass
            for fd, _ in self.poll.poll(max(0, due - time.monotonic())):
                self.take(fd)
        print(json.dumps(self.sent), flush=True)

    @staticmethod
    def is_over():
        return bool(select.select([0], [], [], 0)[0])

    def take(self, fd):
        try:
            if self.open[fd].recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close(fd)

    def close(self, fd):
        self.poll.unregister(fd)
        self.open.pop(fd).close()

    def connect(self, port, data):
        s = socket.create_connection(self.ports[port], 1)
        s.setblocking(False)
        self.open[s.fileno()] = s
        self.poll.register(s, select.EPOLLIN)
        if len(self.open) > self.OPEN_MAX:
            self.close(next(iter(self.open)))
        s.send(data)
        return s

    # ---- the pieces ----
    def http(self):
        self.connect("http", KINDS[self.rng.choice(list(KINDS))][0])

    def slow(self):
        """One more byte of a head that never ends, on each of a few."""
        self.connect("http", HEAD + b"X-Slow: ")
        for s in self.rng.sample(list(self.open.values()), min(5, len(self.open))):
            s.send(b"a")

    def mesh(self):
        body = self.rng.choice((b"GET / HTTP/1.1\r\nHost: tools\r\n\r\n", b"\x16\x03\x01\x00\x05hello",
                                h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + self.rng.randbytes(200),
                                h2.PREFACE + h2.frame(h2.CONTINUATION, 0, 1, b"x" * 100)))
        self.connect("mesh", body)

    def resets(self):
        """Streams that are reset as soon as they are open (CVE-2023-44487)."""
        fields = h2.block([(":method", "CONNECT"), (":authority", "127.0.0.1:9"),
                           ("gossamer-service", "default/tools:80"), ("gossamer-stream", "1"),
                           ("gossamer-caller", "node/evil")])
        data = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0)
        for stream in range(1, 100, 2):
            data += h2.frame(h2.HEADERS, 4, stream, fields) + h2.frame(h2.RST, 0, stream, b"\0\0\0\x08")
        self.connect("mesh", data)

    def gossip(self):
        for _ in range(10):
            self.udp.sendto(self.rng.choice(self.noise), self.ports["gossip"])

    def stream(self):
        self.connect("gossip", self.rng.choice(self.noise))

    def admin(self):
        self.connect("admin", self.rng.choice((b"\0" * 50, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                                               b"POST /api/v1/apply HTTP/1.1\r\nHost: x\r\n\r\n")))


if __name__ == "__main__":
    print(os.getpid(), flush=True)
    Attacker(**json.loads(sys.argv[1])).run()
