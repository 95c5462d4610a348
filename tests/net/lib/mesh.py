"""Several nodes that know each other: one key file, the first node the one that others join by.

    mesh = bench.mesh(5) ─▶ .nodes n1..n5, each lists all as alive
                         ─▶ .wait_states("n3", "dead"): what all others say of it
                         ─▶ .note("hello", at=n1), .wait_note(...)
"""
import base64
import json
import os
import socket

from .settings import HOST, secs, until

BOUND = 10  # seconds for a mesh of a few nodes to agree on anything


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def note(name, text, namespace="default"):
    return {
        "apiVersion": "gossamer.dev/v1",
        "kind": "Note",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"text": text},
    }


class Mesh:

    def __init__(self, bench, keys=None):
        self.bench, self.nodes = bench, []
        self.key_file = self.write_keys("gossip.key", keys or [new_key()])

    def write_keys(self, name, keys, mode=0o600):
        path = self.bench.path / name
        path.write_text("".join(k + "\n" for k in keys))
        path.chmod(mode)
        return path

    def add(self, name=None, start=True, **kw):
        kw.setdefault("proxy", False)
        kw.setdefault("key_file", self.key_file)
        kw.setdefault("join", [self.nodes[0].gossip] if self.nodes else [])
        n = self.bench.node(name=name or f"n{len(self.nodes) + 1}", start=start, **kw)
        self.nodes.append(n)
        return n

    def __getitem__(self, name):
        return next(n for n in self.nodes if n.name == name)

    def alive(self):
        return [n for n in self.nodes if n.alive()]

    # ---- what each says of the others ----
    @staticmethod
    def states(n):
        return {m["name"]: m["state"] for m in n.api("members")[0]}

    def wait_whole(self, timeout=BOUND):
        """Until every running node lists exactly these as alive."""
        names = {n.name for n in self.alive()}

        def whole():
            return all({m for m, s in self.states(n).items() if s == "alive"} == names
                       for n in self.alive())

        until(f"a mesh of {sorted(names)}", whole, timeout)

    def wait_state(self, name, state, timeout=BOUND, but=()):
        """Until every other running node says so."""
        who = [n for n in self.alive() if n.name != name and n not in but]
        until(f"{name} {state} for all", lambda: all(
            self.states(n).get(name) == state for n in who), timeout)

    # ---- policy ----
    @staticmethod
    def apply(n, *objects, namespace="default"):
        body = "\n---\n".join(json.dumps(o) for o in objects)
        status, answer = n.admin_request("POST", f"/api/v1/apply?namespace={namespace}", body)
        return status, json.loads(answer)

    def note(self, name, text, at):
        status, answer = self.apply(at, note(name, text))
        assert status == 200, answer
        return answer["applied"][0]["version"]

    @staticmethod
    def text_of(n, name):
        status, body = n.admin_request("GET", f"/api/v1/objects/Note/default/{name}")
        return json.loads(body)["spec"]["text"] if status == 200 else None

    def wait_note(self, name, text, timeout=BOUND, at=None):
        until(f"note {name} is {text!r} for all", lambda: all(
            self.text_of(n, name) == text for n in at or self.alive()), timeout)

    # ---- counters ----
    @staticmethod
    def refused(n):
        """gossamer_gossip_refused_packets_total by reason."""
        family = n.metrics()["gossamer_gossip_refused_packets_total"]
        return {s.labels["reason"]: int(s.value) for s in family}


class Recorder:
    """Datagrams to a node, off the loopback interface; needs CAP_NET_RAW (PermissionError)."""

    def __init__(self, target):
        self.port = target[1]
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.sock.bind(("lo", 0x0800))
        self.sock.setblocking(False)
        self.packets = []

    def pump(self):
        """Take what has come; how many there are."""
        while True:
            try:
                ip, (_, _, kind, *_) = self.sock.recvfrom(65536)
            except BlockingIOError:
                return len(self.packets)
            at = (ip[0] & 15) * 4
            if kind == socket.PACKET_OUTGOING or ip[9] != socket.IPPROTO_UDP:
                continue  # loopback shows each twice
            if int.from_bytes(ip[at + 2:at + 4], "big") == self.port:
                self.packets.append(ip[at + 8:])

    def close(self):
        self.sock.close()


class Follower:
    """GET /api/v1/events?follow=1, read when asked."""

    def __init__(self, n, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(secs(timeout))
        self.sock.connect(n.socket_path)
        self.sock.sendall(b"GET /api/v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.raw, self.body, self.ended = b"", b"", False

    def _more(self):
        data = self.sock.recv(1 << 20)
        assert data, "the connection ended within an answer"
        self.raw += data

    def _head(self):
        while b"\r\n\r\n" not in self.raw:
            self._more()
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert b"transfer-encoding: chunked" in head.lower(), head
        self.open = True

    def next(self):
        """The next event; None at the end."""
        if not hasattr(self, "open"):
            self._head()
        while b"\n" not in self.body and not self.ended:
            line, sep, rest = self.raw.partition(b"\r\n")
            size = int(line, 16) if sep else None
            if size is None or len(rest) < size + 2:
                self._more()
                continue
            assert rest[size:size + 2] == b"\r\n"
            self.body += rest[:size]
            self.raw = rest[size + 2:]
            self.ended = size == 0
        if b"\n" not in self.body:
            return None
        line, self.body = self.body.split(b"\n", 1)
        return json.loads(line)

    def close(self):
        self.sock.close()
