"""`gossamer demo`, which is itself a test of the whole: does it hold what it promises, does it say so
when it does not, and is nothing left of it, however it ends?

    test ─▶ gossamer demo ─▶ gossamer demo serve (v1), (v2), gossamer run     pids by /proc
                          ─▶ TMPDIR/gossamer-demo-*                           a folder of the test's own
                          ─▶ ports named in its output                        refused afterwards
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib.node import cli
from lib.settings import BIN, HOST, child_env, secs, until

STEPS = ["canary-0", "canary-10", "canary-50", "canary-100", "header-match"]


def env(tmp, **more):
    return {**child_env(), "TMPDIR": str(tmp), **more}


@pytest.fixture
def tmp(tmp_path_factory):
    """Short enough for a socket in it: sun_path ends at 107."""
    path = tmp_path_factory.mktemp("d")
    assert len(str(path)) < 70, path
    return path


# ---- what the kernel knows ----


def parent_of(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def began(pid):
    """When the process started, in clock ticks: a pid that was reused is another process."""
    try:
        f = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(f[19]) if f[0] != "Z" else None
    except OSError:
        return None


def children(pid):
    """{pid: start time} of its children."""
    pids = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()]
    return {p: began(p) for p in pids if parent_of(p) == pid}


def alive(known):
    return [p for p, t in known.items() if t is not None and began(p) == t]


def marked(tmp):
    """Every process that was given this TMPDIR, known or not."""
    mark, out = f"TMPDIR={tmp}\0".encode(), []
    for p in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if p.name.isdigit() and mark in (p / "environ").read_bytes():
                out.append(int(p.name))
    return out


def ports_in(text):
    return sorted({int(p) for p in re.findall(rf"{re.escape(HOST)}:(\d+)", text)})


def abandoned(port):
    """Does this port listen although no process has it? (Another demo may have taken it since.)"""
    with socket.socket() as s:
        if s.connect_ex((HOST, port)) != 0:
            return False
    inodes = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        f = line.split()
        if f[3] == "0A" and int(f[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{f[9]}]")
    for fd in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) in inodes:
                return False
    return True


class Demo:
    """A demo under way; its output is read from a file."""

    def __init__(self, tmp, *args, **more):
        self.tmp, self.out_path = tmp, tmp.parent / f"{tmp.name}-out.txt"
        with open(self.out_path, "wb") as out:
            self.proc = subprocess.Popen([BIN, "demo", *args],
                                         stdin=subprocess.DEVNULL,
                                         stdout=out,
                                         stderr=subprocess.STDOUT,
                                         env=env(tmp, **more))
        self.known = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def out(self):
        return self.out_path.read_text(errors="replace")

    def look(self):
        """Note its children while they are there."""
        self.known.update(children(self.proc.pid))
        return self

    def until_says(self, word, timeout=30):

        def there():
            assert self.proc.poll() is None or word in self.out(), self.out()
            self.look()
            return word in self.out()

        until(f"it says {word!r}", there, timeout)
        return self

    def wait(self, timeout=30):
        return self.proc.wait(secs(timeout))

    def nothing_left(self, files=True):
        until("no process is left", lambda: not alive(self.known) and not marked(self.tmp), 5)
        if files:
            assert list(self.tmp.iterdir()) == []
        for port in ports_in(self.out()):
            until(f"{port} is let go", lambda: not abandoned(port), 5)


# ---- promises ----


def test_every_promise_holds(tmp):
    start = time.monotonic()
    code, out, err = cli("demo", "--auto", "--json", env=env(tmp), timeout=90)
    assert time.monotonic() - start < secs(90)
    assert code == 0, (out, err)
    doc = json.loads(out)
    assert [s["step"] for s in doc["demo"]] == STEPS and "error" not in doc
    for s in doc["demo"]:
        got, said = s["measured"], s["promised"]
        assert s["held"] is True, s
        assert got["apply_ms"] < said["apply_ms_below"] == 1000
        assert got["plain"]["requests"] == 1000 and got["plain"]["failed"] == 0
        assert got["plain"]["v1"] + got["plain"]["v2"] == 1000
        for v in ("v1_percent", "v2_percent"):
            assert abs(got["plain"][v] - said[v]) <= 3, s
    tagged = doc["demo"][-1]["measured"]["with_header"]
    assert (tagged["v1"], tagged["v2"], tagged["failed"]) == (0, 200, 0)
    assert list(tmp.iterdir()) == []


def test_a_broken_promise_is_exit_1(tmp):
    code, out, err = cli("demo", "--json", env=env(tmp, GOSSAMER_DEMO_BREAK="v2"), timeout=90)
    assert code == 1, (out, err)
    held = {s["step"]: s["held"] for s in json.loads(out)["demo"]}
    assert held == {s: s == "canary-0" for s in STEPS}, out
    tenth = json.loads(out)["demo"][1]["measured"]
    assert tenth["plain"]["failed"] > 0 and "500" in tenth["first_failure"]
    assert list(tmp.iterdir()) == []


def test_what_is_broken_must_be_known(tmp):
    code, out, err = cli("demo", "--json", env=env(tmp, GOSSAMER_DEMO_BREAK="v3"))
    assert code == 2 and "v3" in err and not out


def test_text_is_plain_without_a_terminal(tmp):
    code, out, err = cli("demo", env=env(tmp), timeout=90)
    assert code == 0 and not err, err
    assert "\x1b" not in out and "Enter" not in out
    assert len(re.findall(r"^  held:", out, re.M)) == 5
    assert re.search(r"^    v1 +#{36} +(89\d|90\d) +\d\d\.\d %$", out, re.M), out


def test_the_users_environment_does_not_reach_the_node(tmp):
    """GOSSAMER_* overrides a node's configuration; the demo's nodes are its own."""
    code, out, err = cli("demo",
                         "--json",
                         env=env(tmp, GOSSAMER_ADMIN_LISTEN="256.0.0.1:1",
                                 GOSSAMER_SOCKET=str(tmp / "mine")),
                         timeout=90)
    assert code == 0, (out, err)


def test_two_at_once_take_other_ports(tmp):
    other = tmp.parent / f"{tmp.name}-b"
    other.mkdir()
    with Demo(tmp, "--keep") as a, Demo(other, "--json") as b:
        a.until_says("[1/5]")
        assert b.wait(90) == 0, b.out()
        a.until_says("until Ctrl-C", 60)
        a.proc.terminate()
        assert a.wait() == 0, a.out()
        a.nothing_left()
    assert list(other.iterdir()) == []
    assert ports_in(a.out()) and re.search(r"outbound is at \d+ instead of 4140", a.out() + b.out())


# ---- its end ----


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing(tmp, sig):
    with Demo(tmp, "--auto") as d:
        d.until_says("[3/5]")
        assert len(alive(d.known)) == 3, d.known
        d.proc.send_signal(sig)
        assert d.wait() == 1
        assert "stopped after" in d.out()
        d.nothing_left()


@pytest.mark.parametrize("ms", [0, 1, 2, 5, 10, 20, 40, 80, 160, 700, 1500])
def test_a_signal_at_any_moment_leaves_nothing(tmp, ms):
    with Demo(tmp, "--auto") as d:
        end = time.monotonic() + ms / 1000
        until("the moment has come", lambda: d.look() and time.monotonic() >= end)
        d.proc.send_signal(signal.SIGINT)
        assert d.wait() in (1, -signal.SIGINT)  # the latter before it was set up at all
        d.nothing_left()


def test_kill_9_leaves_no_process(tmp):
    with Demo(tmp, "--auto") as d:
        d.until_says("[3/5]")
        assert len(alive(d.known)) == 3, d.known
        d.proc.kill()
        d.wait()
        d.nothing_left(files=False)


def test_a_node_that_dies_is_told(tmp):
    with Demo(tmp, "--keep") as d:
        d.until_says("until Ctrl-C", 60)
        node = [p for p in alive(d.known) if b"\0run\0" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()]
        assert len(node) == 1
        os.kill(node[0], signal.SIGKILL)
        assert d.wait() == 1
        assert "node was killed by signal 9" in d.out()
        d.nothing_left()


def test_output_that_cannot_be_written(tmp):
    with open("/dev/full", "w") as full:
        p = subprocess.run([BIN, "demo", "--auto"],
                           stdout=full,
                           stderr=subprocess.PIPE,
                           text=True,
                           timeout=secs(60),
                           env=env(tmp))
    assert p.returncode == 1 and "No space left" in p.stderr
    assert list(tmp.iterdir()) == []


# ---- by hand ----


def test_the_commands_it_prints_work(tmp):
    """TMPDIR has a blank and a quote: what is printed is for a shell."""
    if not shutil.which("curl"):
        pytest.skip("no curl: the commands the demo prints were NOT tested")
    odd = tmp / "it's here"
    odd.mkdir()
    with Demo(odd, "--keep") as d:
        d.until_says("until Ctrl-C", 60)
        commands = [x.strip() for x in d.out().partition("by hand")[2].splitlines() if x[:2] == "  "]
        assert len(commands) == 14, commands
        for c in commands:
            p = subprocess.run(["sh", "-c", c.replace("curl ", "curl -sS ")],
                               capture_output=True,
                               text=True,
                               timeout=secs(20),
                               env=child_env())
            assert p.returncode == 0, (c, p.stdout, p.stderr)
        d.proc.send_signal(signal.SIGINT)
        assert d.wait() == 0
        assert list(odd.iterdir()) == []


class Terminal:
    """A demo with a terminal of its own."""

    def __init__(self, tmp, **more):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BIN, [BIN, "demo"], env(tmp, TERM="xterm", **more))
        self.text, self.seen, self.status = "", 0, None

    def expect(self, word, timeout=30):
        """Read on until it says so, once more than before."""
        end = time.monotonic() + secs(timeout)
        while word not in self.text[self.seen:]:
            assert time.monotonic() < end, self.text[-2000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
        self.seen = self.text.index(word, self.seen) + len(word)
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def wait(self):
        with contextlib.suppress(OSError):  # how a terminal's end is told
            while data := os.read(self.fd, 65536):
                self.text += data.decode(errors="replace")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_enter_advances(tmp):
    t = Terminal(tmp)
    for i in range(5):
        t.expect("Enter: next step")
        assert f"[{i + 1}/5]" not in t.text
        t.type("\n").expect(f"[{i + 1}/5]").expect("held")
    t.expect("The mesh is up").type("\n")
    assert t.wait() == 0
    assert "\x1b[32m" in t.text and list(tmp.iterdir()) == []


def test_no_colour(tmp):
    t = Terminal(tmp, NO_COLOR="1")
    t.expect("Enter: next step").type("\n").expect("Enter: next step").type("\x04")  # end of input
    assert t.wait() == 1
    assert "\x1b" not in t.text and "stopped after 1 of 5" in t.text and list(tmp.iterdir()) == []


def test_ctrl_c_reaches_only_the_demo(tmp):
    """The terminal signals its whole foreground group: the node must not be in it, or it would be
    gone before its services have drained, and a second Ctrl-C would cut it short."""
    t = Terminal(tmp)
    t.expect("Enter: next step")
    known = children(t.pid)
    assert len(known) == 3 and all(os.getpgid(p) == p for p in known)
    t.type("\x03")
    assert t.wait() == 1
    until("no process is left", lambda: not alive(known), 5)
    assert list(tmp.iterdir()) == []
