"""SIGTERM finishes what runs, takes nothing new, and ends. In a mesh nobody is refused before all
others route by it; `leave` does the same and says goodbye.

    client ──slow answer──▶ gossamer ◀── SIGTERM
    new client ──╳──▶          └─▶ origin, which holds its answer until a gate opens

    users ─▶ n1 ══▶ n2 ◀── SIGTERM            each of five nodes has an instance of tools,
    users ─▶ n2 ══▶ n1, n3, n4, n5            and users who call it
"""
import contextlib
import json
import os
import signal
import socket
import threading
import time

import pytest

from lib import wire
from lib.client import Cut, request
from lib.lateness import late
from lib.node import cli, service
from lib.policy import Label
from lib.services import Hammer, Services
from lib.settings import HEAVY, sanitized, scaled, secs, until
from lib.users import Users, books, whole_sse

BACK_S = 5  # whoever said that it comes back, and does within that, was not dead
STREAM_S = scaled("GOSSAMER_STREAM_S", 3, 20)  # of the streams that a rolling restart must not cut
ROUNDS = 3 if HEAVY else 1
STORMS = scaled("GOSSAMER_STORMS", 10, 100)


def turned_away(n):
    """A new connection is refused, cut, or answered 503 with Connection: close."""
    try:
        m = n.ask(target="/id/new")
    except (OSError, Cut):
        return True
    assert m.status in (200, 503), m
    return m.status == 503 and "close" in m.tokens("Connection") and wire.proxy_status(m).get(
        "error") == "destination_unavailable"


def test_a_slow_answer_completes(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    with n.conn() as half, n.conn() as held, n.conn() as body:
        half.send(request(target="/half/go"))
        assert half.head().status == 200  # its head has left
        held.send(request(target="/hold/go"))  # asked, not answered
        body.send(
            wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Content-Length", 10)]) + b"12345")
        until("all three are under way",
              lambda: {"/half/go", "/hold/go", "/sink"} <= set(o.targets()))
        n.term()
        until("new connections are turned away", lambda: turned_away(n))
        assert n.alive()
        o.open_gate("go")
        body.send(b"67890")
        assert half.answer().length == 2000
        m = held.answer()
        assert m.body == b"held" and "close" in m.tokens("Connection")
        assert b'"length": 10' in body.answer().body
        for c in (half, held, body):
            assert c.until_closed() == b""
        assert n.wait(10) == 0


def test_not_ready_while_draining(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    with n.conn() as c:
        c.send(request(target="/hold/go"))
        until("under way", lambda: "/hold/go" in o.targets())
        n.term()
        until("/ready says 503", lambda: n.admin_request("GET", "/ready")[0] == 503)
        assert n.admin_request("GET", "/live")[0] == 200
        o.open_gate("go")
        assert c.answer().body == b"held"
        assert n.wait(10) == 0


def test_nothing_running_ends_at_once(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    assert n.ask().status == 200
    began = time.monotonic()
    n.term()
    assert n.wait(10) == 0
    assert time.monotonic() - began < secs(1.0) + late(began)
    until("the origin's connections are closed", lambda: not o.open_conns(), 2)
    with socket.socket(socket.AF_UNIX) as s:
        assert s.connect_ex(n.socket_path) != 0


def test_idle_keep_alive_connections_are_closed(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    idle = [n.conn() for _ in range(20)]
    for i, c in enumerate(idle):
        if i % 2:
            assert c.ask(target="/id/x").status == 200  # half of them never asked anything
    began = time.monotonic()
    n.term()
    for c in idle:
        assert c.until_closed(3) == b""
        c.close()
    assert n.wait(10) == 0
    assert time.monotonic() - began < secs(2.0) + late(began)


def test_what_does_not_end_is_cut_at_the_limit(bench):
    n, o = bench.echo(timeouts={"drain": "1s"})
    with n.conn() as hang, n.conn() as half:
        hang.send(request(target="/hold/never"))
        half.send(request(target="/half/never"))
        half.head()
        until("under way", lambda: {"/hold/never", "/half/never"} <= set(o.targets()))
        began = time.monotonic()
        n.term()
        assert n.wait(15) == 0
        took = time.monotonic() - began
        assert 0.9 <= took <= secs(4) + late(began)
        with pytest.raises(Cut):
            half.answer()
        try:
            assert hang.answer().status == 503
        except Cut as e:
            assert e.msg is None


def ends_now(n, code, *, began, at_most):
    assert n.wait(10) == code
    took = time.monotonic() - began
    assert took <= secs(at_most) + late(began), took


@pytest.mark.parametrize("first, second", [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")])
def test_a_second_signal_cuts_what_runs_and_saves(bench, first, second):
    n, o = bench.echo(timeouts={"drain": "60s"})
    state = n.state_dir / "mesh.state"
    with n.conn() as held, n.conn() as half:
        held.send(request(target="/hold/never"))
        half.send(request(target="/half/never"))
        half.head()
        until("under way", lambda: {"/hold/never", "/half/never"} <= set(o.targets()))
        n.proc.send_signal(getattr(signal, "SIG" + first))
        until("new connections are turned away", lambda: turned_away(n))
        until("a write now has another time than the last one", lambda: state.exists(
        ) and time.time_ns() - state.stat().st_mtime_ns > 50e6)
        before = state.stat().st_mtime_ns
        began = time.monotonic()
        n.proc.send_signal(getattr(signal, "SIG" + second))
        ends_now(n, 0, began=began, at_most=2)
        with pytest.raises(Cut):
            half.answer()  # it never looks whole
        with pytest.raises(Cut):
            held.answer()
    assert state.stat().st_mtime_ns > before, "the state was not saved"
    assert [h["signal"] for h in n.lines("node.hurried")] == [str(int(getattr(signal, "SIG" + second)))]


@pytest.mark.skipif(sanitized() == "tsan", reason="SKIPPED: it calls threads that _exit() ends leaked")
def test_a_third_signal_ends_it_at_once(bench):
    """Whatever it still waits for: here an operator whose request never becomes whole."""
    n, _ = bench.echo()
    n.exit_wanted = 1
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(n.socket_path)
        s.sendall(b"GET /live HTTP/1.1\r\n")
        n.term()
        until("only that is left", lambda: n.lines("node.drained"))
        n.term()
        until("the second was heard", lambda: n.lines("node.hurried"))
        began = time.monotonic()
        n.term()
        ends_now(n, 1, began=began, at_most=0.5)


def test_who_connects_at_the_last_moment_is_served_or_refused(bench, tell):
    """Connections as fast as they come while the ports are closed: none is accepted and then cut."""
    n, o = bench.echo()
    good = refused = 0
    bad = []
    for _ in range(STORMS):
        with Hammer(n.outbound, 6, "echo", "/id/x") as h:
            until("requests are answered", lambda: len(h.answers) > 50)
            now = time.monotonic()
            n.term()
            assert n.wait(10) == 0
        counts = h.counts()
        good += sum(c for (status, _), c in counts.items() if status == 200)
        bad += [(round(began - now, 4), round(ended - now, 4), status, what)
                for began, ended, status, what in h.answers
                if status != 200 and ended < now + 0.25]  # then who has sent nothing is closed
        refused += h.refused
        n.start()
    tell(f"{STORMS} stops: offered {good + len(bad)}, completed {good}, failed {len(bad)}; "
         f"{refused} refused")
    assert not bad and refused >= STORMS, bad[:5]


def test_restart_on_the_same_ports(bench):
    """Ten stops and starts in place, with keep-alive clients: the ports are free each time."""
    n, o = bench.echo()
    for i in range(10):
        with n.conn() as c:
            assert c.ask(target=f"/id/{i}").body == f"{i}\n".encode()
            n.term()
            assert n.wait(10) == 0
        n.start()
    assert n.ask(target="/id/last").body == b"last\n"


# ---- in a mesh -----------------------------------------------------------------------------------


@pytest.fixture
def five(bench):
    """Five nodes, each with an instance of tools that answers with its name."""
    m, labels = Services(bench), [Label(f"n{i}").start() for i in range(1, 6)]
    for x in labels:
        m.host(tools={x.name: x})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 5)
    yield m
    for x in labels:
        x.stop()


def announced(n):
    return [(int(a["asked"]), int(a["confirmed"]), int(a["ms"])) for a in n.lines("node.announced")]


def port_of(m, label):
    return next(int(e["address"].rpartition(":")[2]) for e in m.rows(m["n1"], "tools")
                if e["labels"]["version"] == label)


def test_everybody_goes_elsewhere_before_anybody_is_refused(five, tell):
    """A stopping node is draining for every other by the time it stops taking streams."""
    m = five
    n2 = m["n2"]
    port = port_of(m, "n2")
    for _ in range(5):
        said, unsure = len(announced(n2)), len(n2.lines("announce.not_confirmed"))
        began = time.monotonic()
        n2.term()
        assert n2.wait(10) == 0
        (asked, confirmed, ms), = announced(n2)[said:]
        tell(f"{confirmed} of {asked} members route by it after {ms} ms")
        lost = late(began)
        if confirmed == asked or lost < 1:
            break
        n2.start(healthy=False)  # the machine stood still for about as long as it waits: once more
        m.wait_endpoints("tools", ["healthy"] * 5)
    assert asked == confirmed == 4 and ms <= (secs(1) + lost) * 1000, announced(n2)
    assert len(n2.lines("announce.not_confirmed")) == unsure
    for n in m.alive():
        states = {int(e["address"].rpartition(":")[2]): e["state"] for e in m.rows(n, "tools")}
        assert states[port] == "draining", states


def test_who_does_not_answer_is_waited_for_two_seconds_and_named(five, tell):
    m = five
    n2, n3 = m["n2"], m["n3"]
    os.kill(n3.proc.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        n2.term()
        until("/ready says 503", lambda: n2.admin_request("GET", "/ready")[0] == 503, 0.5)
        try:
            refused = n2.ask(host="tools").status != 200
        except (OSError, Cut):
            refused = True
        assert not refused or late(began) > 1, "nobody is refused yet"
        assert n2.wait(10) == 0
        took = time.monotonic() - began
    finally:
        os.kill(n3.proc.pid, signal.SIGCONT)
    ((asked, confirmed, ms), ) = announced(n2)
    tell(f"{confirmed} of {asked} after {ms} ms, ended after {took * 1000:.0f} ms")
    assert (asked, confirmed) == (4, 3)
    assert 1900 <= ms and 1.9 <= took <= secs(1.5) + 2 + late(began), (ms, took)
    (said, ) = n2.lines("announce.not_confirmed")
    assert (said["node"], said["what"]) == ("n3", "drain") and said["why"], said


def test_a_stop_of_all_at_once_waits_for_nobody(five, tell):
    m = five
    began = time.monotonic()
    for n in m.nodes:
        n.term()
    for n in m.nodes:
        assert n.wait(10) == 0
    took = time.monotonic() - began
    tell(f"five nodes ended after {took * 1000:.0f} ms")
    assert took <= secs(1.5) + late(began), [announced(n) for n in m.nodes]


def test_one_of_five_is_stopped_under_load(five, tell):
    """Nothing fails at the others; its own users are refused, and lose no answer."""
    m = five
    with Users(m["n1"].outbound, "tools", 4) as u1, Users(m["n3"].outbound, "tools", 4) as u3, \
            Users(m["n2"].outbound, "tools", 4) as own:
        for _ in range(5 * ROUNDS):
            for u in (u1, u3, own):
                u.wait(100)
            m["n2"].term()
            assert m["n2"].wait(20) == 0
            for u in (u1, u3):
                u.wait(100)
            m["n2"].start(healthy=False)
            m.wait_endpoints("tools", ["healthy"] * 5)
    others, bad = books([u1, u3])
    mine, own_bad = books([own])
    refused = sum(int(x["refused"]) for x in m["n2"].lines("node.drained"))
    tell(f"{5 * ROUNDS} x SIGTERM of one of five: by others {others}, {refused} streams sent "
         f"elsewhere; by its own users {mine}, "
         f"{own.refused} connections refused, {own.stale} ended while idle")
    assert not bad, bad[:5]
    assert not own_bad, own_bad[:5]
    assert own.refused > 0


def test_a_rolling_restart_cuts_no_stream(bench, tell):
    """All five, one after the other, while every node has users with short and with long answers."""
    m, origins = Services(bench), [bench.origin(f"o{i}") for i in range(1, 6)]
    for i, o in enumerate(origins, 1):
        m.host(tools={f"v{i}": o}, timeouts={"drain": f"{STREAM_S + 10}s"})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 5)
    events = STREAM_S * 10
    streams = [
        Users(n.outbound, "tools", 2, f"/sse?n={events}&gap_ms=100", False, whole_sse(events),
              STREAM_S * 3 + 30) for n in m.nodes
    ]
    short = [Users(n.outbound, "tools", 1, "/id/x") for n in m.nodes]
    with contextlib.ExitStack() as stack:
        for u in streams + short:
            stack.enter_context(u)
        for n in m.nodes:
            until("streams of all are under way", lambda: all(u.under_way for u in streams), 30)
            for u in short:
                u.wait(20)
            n.term()
            assert n.wait(STREAM_S + 20) == 0
            assert not n.lines("drain.cut"), n.said("cut something")
            n.start(healthy=False)
            m.wait_endpoints("tools", ["healthy"] * 5)
        for u in streams + short:
            u.over = True
    long, long_bad = books(streams)
    brief, brief_bad = books(short)
    tell(f"rolling restart of five: streams of {STREAM_S} s {long}; short ones {brief}; "
         f"{sum(u.refused for u in streams + short)} connections refused, "
         f"{sum(u.stale for u in streams + short)} ended while idle")
    assert not long_bad and not brief_bad, (long_bad[:3], brief_bad[:3])


def test_a_restarted_node_is_back_within_a_second(five, tell):
    m, told = five, []
    for n in m.nodes:
        n.term()
        assert n.wait(10) == 0
        began = time.monotonic()
        n.start(healthy=False)
        ready = time.monotonic() - began
        m.wait_endpoints("tools", ["healthy"] * 5)
        told.append(f"{n.lines('node.ready')[-1]['ms']} ms ready, "
                    f"{(time.monotonic() - began) * 1000:.0f} ms known by all")
        assert ready <= secs(1) + late(began), told
    tell(f"restarted one by one: {'; '.join(told)}")
    for n in m.nodes:
        n.term()
    for n in m.nodes:
        assert n.wait(10) == 0
    began = time.monotonic()
    for n in m.nodes:
        n.spawn()
    until("all five are ready", lambda: all(n.is_ready() for n in m.nodes), 10)
    took = time.monotonic() - began
    m.wait_endpoints("tools", ["healthy"] * 5)
    tell(f"all five at once: ready after {took * 1000:.0f} ms")
    assert took <= secs(1) + 2.5 + late(began)  # nobody is open: each waits OPEN_WAIT_MS for one that is


def test_a_restart_is_no_death(five):
    """Nobody suspects a node that said that it comes back, and does."""
    m = five
    others = [n for n in m.nodes if n.name != "n3"]
    for _ in range(5):
        was = [len(n.lines("member.down", name="n3")) for n in others]
        m["n3"].term()
        assert m["n3"].wait(10) == 0
        ended = time.monotonic()
        m["n3"].start(healthy=False)
        away = time.monotonic() - ended
        m.wait_whole()
        m.wait_endpoints("tools", ["healthy"] * 5)
        if away < BACK_S - 1:
            break  # else it was no return in time, on this machine: once more
    assert away < BACK_S - 1, away
    for n, k in zip(others, was):
        assert len(n.lines("member.down", name="n3")) == k, n.said("declared n3 dead")


def test_leave_finishes_what_runs_and_withdraws(bench, tell):
    m, o, p = Services(bench), bench.origin("o"), bench.origin("p")
    n1 = m.host(tools={"v1": o})
    n2 = m.host(tools={"v2": p}, timeouts={"drain": "30s"})
    m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    held = []
    while not p.seen:
        held.append(n1.conn())
        held[-1].send(request(target="/hold/g", host="tools"))
        until("it has arrived", lambda: len(o.seen) + len(p.seen) == len(held))
    answer = []
    leaving = threading.Thread(
        target=lambda: answer.append(cli("leave", "--socket", n2.socket_path, "-o", "json")))
    with Users(n1.outbound, "tools", 2, "/id/x") as u:
        u.wait(20)
        leaving.start()
        m.wait_endpoints("tools", {o.port: "healthy", p.port: "draining"}, at=[n1], timeout=3)
        u.wait(50)
        assert n2.alive() and not answer  # a request of a peer is still under way
        assert Services.states(n1)["n2"] == "alive"
        for x in (o, p):
            x.open_gate("g")
        for c in held:
            assert c.answer().body == b"held"
            c.close()
        assert n2.wait(10) == 0
        leaving.join(secs(5))
        u.wait(50)
    code, out, err = answer[0]
    assert code == 0 and json.loads(out)["left"] is True, (out, err)
    m.wait_state("n2", "left")
    m.wait_endpoints("tools", {o.port: "healthy"})
    said, bad = books([u])
    tell(f"leave: {said}, answered after {json.loads(out)['ms']:.0f} ms")
    assert not bad, bad[:5]


# ---- systemd -------------------------------------------------------------------------------------


class Notified:
    """NOTIFY_SOCKET: what a service manager hears."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(name)
        self.sock.setblocking(False)
        self.heard = []

    def pump(self):
        while True:
            try:
                self.heard.append(dict(x.split("=", 1) for x in self.sock.recv(4096).decode().split("\n")))
            except BlockingIOError:
                return self.heard

    def wait(self, key, value="1"):
        return until(f"{key}={value}", lambda: next(
            (h for h in self.pump() if h.get(key) == value), None))


@pytest.mark.parametrize("where", ["a file", "the abstract namespace"])
def test_systemd_hears_of_start_reload_and_stop(bench, tmp_path, monkeypatch, where):
    path = str(tmp_path / "notify") if where == "a file" else f"@gossamer-test-{os.getpid()}"
    n = bench.node([service("echo", [bench.origin()])], start=False)
    heard = Notified(path.replace("@", "\0"))
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    n.spawn()
    assert heard.wait("READY")["STATUS"] == "ready" and n.is_ready()
    heard.heard.clear()
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    n.proc.send_signal(signal.SIGHUP)
    assert now <= int(heard.wait("RELOADING")["MONOTONIC_USEC"]) <= now + secs(5) * 1e6
    heard.wait("READY")
    n.term()
    heard.wait("STOPPING")
    assert n.wait(10) == 0
