"""Nodes that are joined by hand instead of by gossip (tests/mesh/mesh_node.c).

    mesh = Mesh()
    a, b = mesh.node("a"), mesh.node("b", callers={"ai/agent": None})
    mesh.service("echo", {"a": [(origin, "v1")], "b": [(origin2, "v2")]}, weights={"v1": 90, "v2": 10})
    mesh.publish()                       every node gets the whole catalog, as itself sees it
    a.outbound, b.callers["ai/agent"]    where applications call
    b.stat()["counters"]["mesh_open"]
"""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

from .node import free_port
from .settings import HOST, WORKERS, child_env, secs

BIN = os.environ.get("MESH_NODE_BIN", "")
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error|ThreadSanitizer|"
                     r"gs_panic|assertion", re.I)


class MeshNode:

    def __init__(self, name, callers=(), workers=None):
        self.name, self.workers = name, workers or WORKERS
        self.outbound, self.inbound = (HOST, free_port()), (HOST, free_port())
        self.callers = {c: (HOST, free_port()) for c in callers}
        self.exit_wanted = 0
        self.err = tempfile.TemporaryFile(mode="w+")
        ours, theirs = socket.socketpair()
        args = [f"node/{name}", str(self.workers), "%s:%d" % self.outbound, "%s:%d" % self.inbound]
        for c, addr in self.callers.items():
            args += [c, "%s:%d" % addr]
        self.proc = subprocess.Popen([BIN, *args],
                                     stdin=theirs,
                                     stdout=subprocess.PIPE,
                                     stderr=self.err,
                                     text=True,
                                     env=child_env())
        theirs.close()
        self.control = ours
        self.answer("start")

    def answer(self, to):
        line = self.proc.stdout.readline()
        assert line, f"{self.name} ended at {to!r}: {self.log()[-8000:]}"
        return line

    def tell(self, line):
        self.control.sendall(line.encode() + b"\n")
        return self.answer(line)

    def stat(self):
        return json.loads(self.tell("stat"))

    def cell(self, service, direction, subset=None):
        """Requests of a service's subsets (of all but the whole: of each one once)."""
        rows = [
            c for c in self.stat()["cells"] if c["service"] == service and
            c["direction"] == direction and (subset is None or c["subset"] == subset)
        ]
        return sum(c["requests"] for c in rows)

    def log(self):
        self.err.seek(0)
        return self.err.read()

    def alive(self):
        return self.proc.poll() is None

    def kill(self):
        self.exit_wanted = None
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        """What SIGTERM does; exit 0 is demanded, and nothing to report."""
        if self.alive():
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(secs(20))
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop: {self.log()[-8000:]}") from None
        self.control.close()
        log = self.log()
        assert self.exit_wanted in (None, self.proc.returncode), (self.proc.returncode, log[-8000:])
        assert not REPORTS.search(log), log[-8000:]


class Mesh:

    def __init__(self):
        self.nodes, self.services = {}, []

    def node(self, name, **kw):
        self.nodes[name] = MeshNode(name, **kw)
        return self.nodes[name]

    def service(self, name, instances, ns="default", port=80, weights=None, to=None):
        """instances: node name -> [(origin or port, subset or None)]; to: {service name: weight}"""
        self.services.append((ns, name, port, instances, weights or {}, to or {}))

    def lines(self, node):
        for ns, name, port, instances, weights, to in self.services:
            yield f"service {ns} {name} {port}"
            for owner, list in instances.items():
                for origin, subset in list:
                    at = f"{HOST}:{origin if isinstance(origin, int) else origin.port}"
                    if owner == node.name:
                        yield f"endpoint {at} local {subset or '-'}"
                    else:
                        mesh = "%s:%d" % self.nodes[owner].inbound
                        yield f"endpoint {at} {owner} {subset or '-'} {mesh}"
            for subset, weight in weights.items():
                yield f"weight {subset} {weight}"
            for other, weight in to.items():
                yield f"to {ns} {other} {port} {weight}"

    def publish(self):
        for n in self.nodes.values():
            if n.alive():
                for line in self.lines(n):
                    n.tell(line)
                n.tell("publish")

    def forget(self):
        self.services.clear()

    def stop(self):
        problems = []
        for n in self.nodes.values():
            try:
                n.stop()
            except AssertionError as e:
                problems.append(str(e))
        assert not problems, "\n".join(problems)
