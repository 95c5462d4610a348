"""Nodes in network namespaces of their own: a wire that can be cut between any two of them.

    n1 ─veth─┐                  with Net(5) as net:
    n2 ─veth─┼─ bridge            net[0]                 a Space: .ip, and `with space:` to be in it
    n3 ─veth─┘  (nft: forward)    with net.cut([0, 1], [2, 3, 4]): nothing passes between those

A namespace here has no name: it lives as long as this process holds it open, so a test run that is
killed leaves nothing behind. Sockets and processes belong to the namespace in which they were made,
whoever uses them afterwards; unix sockets (the admin's) are of no namespace.
"""
import ctypes
import os
import subprocess

from .settings import HOST

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, f"{name}: {os.strerror(e)}")


def _here():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def run(*cmd, stdin=None):
    p = subprocess.run(cmd, input=stdin, text=True, capture_output=True)
    assert p.returncode == 0, (cmd, p.stderr)
    return p.stdout


class Space:
    """One namespace. `with space:` the calling thread, and what it starts, is inside."""

    def __init__(self):
        back = _here()
        try:
            _call("unshare", CLONE_NEWNET)
            self.fd = _here()
        finally:
            _call("setns", back, CLONE_NEWNET)
            os.close(back)
        self.path, self.ip, self._back = f"/proc/{os.getpid()}/fd/{self.fd}", HOST, []
        with self:
            run("ip", "link", "set", "lo", "up")

    def __enter__(self):
        self._back.append(_here())
        _call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *exc):
        back = self._back.pop()
        _call("setns", back, CLONE_NEWNET)
        os.close(back)

    def drop(self, rules):
        """`with space.drop("tcp dport 80 drop"):` rules for what comes in, in nft's words. Dropped
        on the way in, nobody is told: on the way out sending itself would fail."""
        return Rules(self, f"table inet gossamer_test {{\nchain in {{\ntype filter hook input "
                           f"priority 0; policy accept;\n{rules}\n}}\n}}\n", "inet")

    def close(self):
        os.close(self.fd)


class Rules:

    def __init__(self, space, text, family):
        self.space, self.text, self.family = space, text, family

    def __enter__(self):
        with self.space:
            run("nft", "-f", "-", stdin=self.text)
        return self

    def packets(self):
        """How many met each `counter`."""
        with self.space:
            words = run("nft", "list", "table", self.family, "gossamer_test").split()
        return [int(words[i + 1]) for i, w in enumerate(words) if w == "packets"]

    def __exit__(self, *exc):
        with self.space:
            run("nft", "delete", "table", self.family, "gossamer_test")


class Net:

    def __init__(self, count):
        self.switch, self.spaces = Space(), []
        with self.switch:
            run("ip", "link", "add", "wire", "type", "bridge")
            run("ip", "link", "set", "wire", "up")
        for i in range(count):
            self._plug(i + 1)

    def _plug(self, number):
        space, port = Space(), f"port{number}"
        self.spaces.append(space)
        space.ip = f"10.99.0.{number}"
        with self.switch:
            run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns",
                space.path)
            run("ip", "link", "set", port, "master", "wire", "up")
        with space:
            run("ip", "addr", "add", space.ip + "/24", "dev", "eth0")
            run("ip", "link", "set", "eth0", "up")

    def __getitem__(self, i):
        return self.spaces[i]

    def cut(self, one, other):
        """`with net.cut([0, 1], [2, 3, 4]):` every packet between these is lost."""
        a, b = (", ".join(self.spaces[i].ip for i in side) for side in (one, other))
        return Rules(
            self.switch, "table bridge gossamer_test {\nchain pass {\ntype filter hook forward "
            "priority 0; policy accept;\n"
            f"ip saddr {{ {a} }} ip daddr {{ {b} }} counter drop\n"
            f"ip saddr {{ {b} }} ip daddr {{ {a} }} counter drop\n}}\n}}\n", "bridge")

    def close(self):
        for s in [*self.spaces, self.switch]:
            s.close()


def why_not():
    """Why there can be no namespaces with a packet filter here, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        net = Net(2)
        try:
            with net.cut([0], [1]) as rules, net[0].drop("counter"):
                rules.packets()
        finally:
            net.close()
    except (OSError, AssertionError) as e:
        return f"no network namespaces here: {e}"
    return ""
