"""Policy for tests: manifests as dicts, and traffic in numbers.

    Counting(addr, conns).run(n, request) ─▶ gossamer ─▶ Label("v1"), Label("v2")

Origin judges every byte and takes 0.2 ms for it; where 10,000 answers are only counted, Label and
Counting do, each one thread on one epoll.
"""
import bisect
import collections
import json
import re
import select
import socket
import threading
import time

from .node import UnixHTTP, instance, service
from .settings import HOST, secs

ISTIO = "networking.istio.io/v1"
Answer = collections.namedtuple("Answer", "number status body began ended")


def destination_rule(name="tools", host=None, ns=None, **subsets):
    """subsets: name=version label."""
    meta = {"name": name, **({"namespace": ns} if ns else {})}
    spec = {"host": host or name}
    if subsets:
        spec["subsets"] = [{"name": k, "labels": {"version": v}} for k, v in subsets.items()]
    return {"apiVersion": ISTIO, "kind": "DestinationRule", "metadata": meta, "spec": spec}


def route(host, subset=None, weight=None, port=None):
    d = {"host": host}
    if subset:
        d["subset"] = subset
    if port:
        d["port"] = {"number": port}
    return {"destination": d, **({} if weight is None else {"weight": weight})}


def virtual_service(name="tools", hosts=None, ns=None, http=None, **weights):
    """http: rules; else one rule with weights: subset=weight."""
    meta = {"name": name, **({"namespace": ns} if ns else {})}
    rules = http or [{"route": [route(name, k, w) for k, w in weights.items()]}]
    return {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": meta,
        "spec": {
            "hosts": hosts or [name],
            "http": rules
        }
    }


def documents(*docs):
    """One file of several documents: JSON is YAML."""
    return "\n---\n".join(json.dumps(d, indent=1) for d in docs).encode()


class Api:
    """The admin API over one kept connection: a thousand edits in a few seconds."""

    def __init__(self, node):
        self.conn = UnixHTTP(node.socket_path, secs(30))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.conn.close()

    def __call__(self, method, path, body=None):
        """(status, document)"""
        self.conn.request(method, "/api/v1/" + path, body)
        r = self.conn.getresponse()
        return r.status, json.loads(r.read())

    def apply(self, *docs, want=200, params=""):
        status, doc = self("POST", "apply" + params, documents(*docs))
        assert status == want, (status, doc)
        return doc

    def split(self, name="tools", want=200, **weights):
        body = {
            "service": name,
            "weights": [{
                "subset": k,
                "weight": w
            } for k, w in weights.items()]
        }
        status, doc = self("POST", "split", json.dumps(body))
        assert status == want, (status, doc)
        return doc


class Label:
    """An origin that answers every request with its name, as fast as Python can."""

    def __init__(self, name):
        self.name = name
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name.encode())
        self.listener = socket.create_server((HOST, 0), backlog=4096)  # of all who waited for a machine
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping = True
        self.thread.join(10)
        self.listener.close()

    def _run(self):
        poll, conns = select.epoll(), {}
        self.listener.setblocking(False)
        poll.register(self.listener, select.EPOLLIN)
        while not self.stopping:
            for fd, _ in poll.poll(0.1):
                if fd == self.listener.fileno():
                    for s in self._accepted():
                        conns[s.fileno()] = [s, b""]
                        poll.register(s, select.EPOLLIN)
                    continue
                if fd in conns and not self._serve(conns[fd]):
                    poll.unregister(fd)  # closing does not, while a child being started has it
                    conns.pop(fd)[0].close()
        for s, _ in conns.values():
            s.close()
        poll.close()

    def _accepted(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except BlockingIOError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield s

    def _serve(self, conn):
        try:
            data = conn[0].recv(65536)
            conn[1] += data
            while b"\r\n\r\n" in conn[1]:
                conn[1] = conn[1].partition(b"\r\n\r\n")[2]
                conn[0].sendall(self.answer)
        except OSError:
            return False
        return bool(data)


def get(path="/", host="tools", **fields):
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode()


class Counting:
    """Kept connections, each with one request under way; answers as they come."""
    LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")

    def __init__(self, addr, conns=16):
        self.poll, self.conns = select.epoll(), {}
        for _ in range(conns):
            s = socket.create_connection(addr, timeout=secs(10))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conns[s.fileno()] = s
            self.poll.register(s, select.EPOLLIN)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for s in self.conns.values():
            s.close()
        self.poll.close()

    def run(self, count, request, until=lambda: False):
        """Send up to `count` requests, request(number) each; stop early when until() says so. Every
        request sent has its answer in what is returned; status 0: the connection ended first."""
        state, answers, sent = {}, [], 0

        def send(fd):
            nonlocal sent
            if sent < count and not until():
                state[fd] = (sent, time.monotonic(), b"")
                sent += 1
                self.conns[fd].sendall(request(state[fd][0]))

        for fd in list(self.conns):
            send(fd)
        last = time.monotonic()
        while state:
            assert time.monotonic() < last + secs(60), f"{len(state)} of {sent} requests have no answer"
            for fd, _ in self.poll.poll(secs(5)):
                if fd not in state:
                    continue
                number, began, data = state.pop(fd)
                more = self.conns[fd].recv(65536)
                data += more
                status, body = self._parse(data)
                if status is None and more:
                    state[fd] = (number, began, data)
                    continue
                last = time.monotonic()
                answers.append(Answer(number, status or 0, body, began, last))
                if not more:
                    self.poll.unregister(fd)
                    self.conns.pop(fd).close()
                else:
                    send(fd)
        return answers

    def _parse(self, data):
        head, blank, body = data.partition(b"\r\n\r\n")
        length = self.LENGTH.search(head)
        if not blank or not length or len(body) < int(length[1]):
            return None, ""
        return int(head[9:12]), body.decode("latin-1")


def shares(answers):
    """Bodies of good answers with their counts; any other answer fails."""
    answers = list(answers)
    bad = [a for a in answers if a.status != 200]
    assert not bad, (len(bad), bad[:3])
    return collections.Counter(a.body for a in answers)


def possible(answers, changes):
    """With each answer the versions that it may be of: what had begun before it was answered and was not
    wholly replaced before it was sent. changes: when each was begun and when it was known to be in effect."""
    starts = [c[0] for c in changes]
    dones = [c[1] for c in changes]
    for a in answers:
        # The first that was not replaced for sure when it was sent, and the last that had begun.
        yield a, range(bisect.bisect_left(dones, a.began, 1) - 1, bisect.bisect_right(starts, a.ended))


def stale(answers, changes, body_of):
    """Answers of a version that was not current: (those, how many could have been of one only).
    body_of(number): what is answered under a version."""
    wrong, sure = [], 0
    for a, of in possible(answers, changes):
        bodies = {body_of(k) for k in of}
        if a.body not in bodies:
            wrong.append((a, sorted(bodies), changes[of.start:of.stop]))
        sure += len(bodies) == 1
    return wrong, sure


def shown(answers, changes):
    """The versions that an answer is of for sure."""
    return {of.start for _, of in possible(answers, changes) if len(of) == 1}


class Background:
    """Counting on a thread of its own until it is told to stop."""

    def __init__(self, addr, conns=8, request=None):
        self.counting, self.answers, self.stopping = Counting(addr, conns), [], False
        self.request, self.broken = request or (lambda i, r=get(): r), None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.answers = self.counting.run(1 << 30, self.request, lambda: self.stopping)
        except BaseException as e:
            self.broken = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        self.thread.join(secs(20))
        self.counting.__exit__()
        assert not self.thread.is_alive()
        if self.broken and not (exc and exc[0]):
            raise self.broken


def versions(origins, name="tools", **more):
    """A service with one instance per label: origins is {label: Origin or Label}."""
    health = {"interval": "1s"}
    return service(name, [instance(o, {"version": v}, health) for v, o in origins.items()], **more)
