"""Nodes that gossip and call each other's services.

    m = Services(bench)                     bench.mesh() whose nodes have proxies
    n1 = m.host(tools={"v1": v1})           a node with one instance of tools per label
    m.wait_endpoints("tools", ["healthy"])  what every node lists
    m.policy(n1, RULE, split(...))          applied there, and in effect on every node

    Hammer(addr)   requests from the moment the port opens, each on a connection of its own
    Cut(group)     packet-filter rules for the gossip of one node
"""
import collections
import json
import os
import socket
import subprocess
import threading
import time

from . import client, wire
from .client import Cut as CutShort
from .lateness import late
from .mesh import BOUND, Mesh, note
from .node import instance, service
from .policy import documents, get
from .settings import secs, until

CHECK = {"interval": "300ms"}


class Services(Mesh):

    def host(self, name=None, start=True, **kw):
        """kw: service name -> {label: origin}; what Node takes goes through."""
        known = ("extra", "timeouts", "workers", "join", "key_file", "services", "group", "space",
                 "env", "args")
        more = {k: kw.pop(k) for k in known if k in kw}
        services = more.pop("services", [])
        services += [
            service(s, [instance(o, {"version": v}, CHECK) for v, o in origins.items()])
            for s, origins in kw.items()
        ]
        return self.add(name, start, proxy=True, services=services, healthy=False, **more)

    @staticmethod
    def rows(n, name):
        return [e for e in n.api("endpoints")[0] if e["service"] == name]

    def wait_endpoints(self, name, states, at=None, timeout=BOUND):
        """Until all running nodes list endpoints in exactly these states (in any order), or with a
        dict, these states by address port."""
        last = {}

        def seen(n):
            rows = self.rows(n, name)
            if isinstance(states, dict):
                return {int(e["address"].rpartition(":")[2]): e["state"] for e in rows}
            return sorted(e["state"] for e in rows)

        def there():
            for n in at or self.alive():
                last[n.name] = seen(n)
            want = states if isinstance(states, dict) else sorted(states)
            return all(v == want for v in last.values())

        try:
            until(f"{name} {states} for all", there, timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; last seen {last}") from None

    def settle(self, at):
        """Until all proxies route by what they list: that is published up to 50 ms later where there is
        much news (mesh/node_records.c), but at once where it is to be confirmed."""
        status, body = at.admin_request("POST", "/api/v1/apply", documents(note("settled", str(time.monotonic()))),
                                        timeout=15)
        answer = json.loads(body)
        assert status == 200 and answer["confirmed"] == answer["asked"], json.dumps(answer)

    def policy(self, n, *docs, timeout=BOUND):
        """Apply at a node; until every running node routes by it."""
        status, body = n.admin_request("POST", "/api/v1/apply", documents(*docs))
        answer = json.loads(body)
        assert status == 200, answer
        want = [(f"{a['kind']}/{a['namespace']}/{a['name']}", a["version"])
                for a in answer["applied"]]
        for x in self.alive():
            for object, version in want:
                if x is not n:
                    until(f"{object} {version} active on {x.name}",
                          lambda: x.lines("policy.active", object=object, version=version), timeout)
            until(f"{x.name} adopted it", lambda: x.metrics()["gossamer_snapshots_live"][0].value == 1)
        return answer


class Hammer:
    """From before a node is started until stop(): new connections to its port as fast as they come,
    one GET each. answers: (began, ended, status, body); status 0 is a connection that ended."""

    def __init__(self, addr, threads=3, host="tools", path="/"):
        self.addr, self.request = addr, get(path, host)
        self.answers, self.refused, self.over = [], 0, False
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        for t in self.threads:
            t.join(secs(20))
        assert not any(t.is_alive() for t in self.threads)

    def _run(self):
        while not self.over:
            began = time.monotonic()
            try:
                with client.Conn(self.addr, 15) as c:
                    c.send(self.request)
                    m = c.answer()
                    got = (m.status, m.body.decode("latin-1"))
            except ConnectionRefusedError:
                self.refused += 1
                continue  # at once: the first one after it opens is what is looked for
            except (OSError, CutShort, wire.Bad) as e:
                got = (0, repr(e))
            self.answers.append((began, time.monotonic(), *got))

    def counts(self):
        return collections.Counter((s, b if s == 200 else "") for _, _, s, b in list(self.answers))


class Cut:
    """Drops packets that leave processes of a group (Node.group) for others' gossip ports, and those
    for theirs; needs root. `tcp`: streams, too."""

    def __init__(self, node, others, tcp):
        self.table = f"gossamer_test_{os.getpid()}_{node.gossip[1]}"
        theirs = ", ".join(str(n.gossip[1]) for n in others)
        own, rules = node.gossip[1], []
        for proto in ("udp", "tcp") if tcp else ("udp", ):
            rules += [
                f"meta skgid {node.group} {proto} dport {{ {theirs} }} counter drop",
                f"meta skgid != {node.group} {proto} dport {own} counter drop",
                f"{proto} sport {own} counter drop"
            ]
        self.text = (f"table ip {self.table} {{\nchain out {{\ntype filter hook output priority 0; "
                     f"policy accept;\n" + "\n".join(rules) + "\n}\n}\n")

    def __enter__(self):
        subprocess.run(["nft", "-f", "-"], input=self.text, text=True, check=True)
        return self

    def __exit__(self, *exc):
        subprocess.run(["nft", "delete", "table", "ip", self.table], check=True)


def can_cut():
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["nft", "list", "tables"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def stalled(addr, host, path="/bytes/1000000"):
    """A request whose answer nobody reads. Its segments are small, else the kernel would keep 3 MB of each for the
    node: of 400 that is more than it has for TCP on 24 GB, and what it drops then is sent again after seconds."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    s.connect(addr)
    s.sendall(get(path, host))
    return s


def slowest(ways, at_most, count=50):
    """The longest that one of these requests took, in seconds, while the machine did not stand still.
    ways: (address, service) that are asked in turn. Of three rounds the best: what else the machine does
    can only make it worse, and who waits behind others waits in each."""
    for _ in range(3):
        took = []
        for i in range(count):
            for addr, host in ways:
                began = time.monotonic()
                assert client.ask(addr, target=f"/id/{i}", host=host).body == f"{i}\n".encode()
                took.append((began, time.monotonic()))
        worst = max(e - b - (late(b, e + 0.05) if e - b > at_most else 0) for b, e in took)
        if worst <= at_most:
            break
    return worst
