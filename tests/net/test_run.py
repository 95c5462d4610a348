"""Starting, refusing to start, and what each door lets through.

    gossamer A (ports, state_dir) ◀── same ports or state_dir ── gossamer B: refuses, names A's pid
    admin TCP   /live /ready /metrics and nothing else       admin unix socket   everything
"""
import os
import re
import signal
import socket
import stat as st
import time

import pytest

from lib import wire
from lib.client import Cut, request
from lib.lateness import late
from lib.node import cli, service
from lib.settings import HOST, secs, until


def second(bench, first, **same):
    """A node that shares `same` with the first; its exit status and what it said."""
    n = bench.node(start=False, services=[])
    n.exit_wanted = None
    for k, v in same.items():
        setattr(n, k, v)
    n.spawn()
    code = n.wait(10)
    return code, n.log() + (n.dir / "stdout.log").read_text()


@pytest.mark.parametrize("what", ["outbound", "admin"])
def test_a_second_one_on_the_same_port_refuses(bench, what):
    a, o = bench.echo()
    code, said = second(bench, a, **{what: getattr(a, what)})
    assert code == 1, said
    assert re.search(rf"\b{a.proc.pid}\b",
                     said), f"the first one's pid {a.proc.pid} is not named in: {said}"
    assert str(getattr(a, what)[1]) in said
    assert a.ask().status == 200


def test_a_second_one_on_the_same_state_dir_refuses(bench):
    a, o = bench.echo()
    code, said = second(bench, a, state_dir=a.state_dir)
    assert code == 1, said
    assert re.search(rf"\b{a.proc.pid}\b",
                     said), f"the first one's pid {a.proc.pid} is not named in: {said}"
    assert str(a.state_dir) in said
    assert a.ask().status == 200


def test_the_folder_of_the_socket_is_made(bench):
    """/run is empty after a boot, and nobody should have to make /run/gossamer first."""
    n = bench.node(start=False, services=[])
    n.socket_path = str(n.dir / "run" / "gossamer" / "admin.sock")
    n.start()
    assert st.S_IMODE(os.stat(n.socket_path).st_mode) == 0o660
    assert cli("members", "--socket", n.socket_path)[0] == 0


def test_a_killed_one_leaves_nothing_in_the_way(bench):
    """SIGKILL leaves lock file, socket file and connections: the next start minds none of them."""
    n, o = bench.echo()
    for i in range(3):
        with n.conn() as c:
            assert c.ask(target=f"/id/{i}").status == 200
            n.kill()
        n.exit_wanted = 0
        n.start()
    assert n.ask(target="/id/last").body == b"last\n"


def test_port_0(bench):
    """Port 0 is a port of the kernel's choice; one of those listened on serves."""
    o = bench.origin("echo")
    n = bench.node([service("echo", [o])], start=False)
    n.outbound = n.admin = n.inbound = n.gossip = (HOST, 0)
    n.start()
    listens = n.listening()
    assert listens and all(port != 0 for _, port in listens)
    served = []
    for addr in listens:
        n.outbound = addr
        try:
            m = n.ask(target="/id/x")
            served += [addr] if m.body == b"x\n" else []
        except (OSError, Cut, wire.Bad):     # other ports answer in their own way
            pass
    assert len(served) == 1, (listens, served)


def test_listens_where_it_was_told_and_nowhere_else(bench):
    n, o = bench.echo()
    assert set(n.listening()) <= {n.outbound, n.inbound, n.admin, n.gossip}
    assert {n.outbound, n.admin} <= set(n.listening())


def test_live_ready_metrics_over_tcp(bench):
    n, o = bench.echo()
    for path in ("/live", "/ready", "/metrics"):
        assert n.admin_request("GET", path, tcp=True)[0] == 200, path
        assert n.admin_request("HEAD", path, tcp=True) == (200, b""), path
    assert n.admin_request("POST", "/ready", tcp=True)[0] in (404, 405)


READS = ["stat", "endpoints", "services", "members", "config", "objects"]
WRITES = [("POST", "/api/v1/apply"), ("POST", "/api/v1/split"),
          ("DELETE", "/api/v1/objects/VirtualService/default/x"), ("POST", "/api/v1/drain")]


def test_the_api_is_refused_over_tcp(bench):
    n, o = bench.echo()
    for what in READS:
        assert n.admin_request("GET", f"/api/v1/{what}", tcp=True)[0] in (401, 403, 404), what
    body = (b"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n"
            b"spec: {hosts: [echo], http: [{route: [{destination: {host: nobody}}]}]}\n")
    for method, path in WRITES:
        for headers in ({}, {"Host": "localhost"}, {"Origin": "http://evil.example"},
                        {"Authorization": "Bearer guess"}):
            status, _ = n.admin_request(method, path, body, headers, tcp=True)
            assert status in (400, 401, 403, 404, 405), (method, path, headers, status)
    assert n.ask().status == 200  # and nothing was applied


def test_the_unix_socket(bench):
    n, o = bench.echo()
    assert n.admin_request("GET", "/api/v1/stat")[0] == 200
    assert n.admin_request("GET", "/api/v1/nothing")[0] == 404
    mode = os.stat(n.socket_path).st_mode
    assert st.S_ISSOCK(mode) and st.S_IMODE(mode) == 0o660
    assert st.S_IMODE(os.stat(n.state_dir).st_mode) & 0o007 == 0


def test_admin_survives_junk(bench):
    n, o = bench.echo()
    for i in range(100):
        s = socket.create_connection(n.admin) if i % 2 else socket.socket(socket.AF_UNIX)
        if not i % 2:
            s.connect(n.socket_path)
        s.settimeout(secs(5))
        s.sendall([
            b"\0\1\2", b"GET /metr", b"GET  / HTTP/1.1\r\n\r\n",
            b"POST /api/v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        ][i % 4])
        s.close()

    def ready():                             # its connections are few: it may need a moment
        try:
            return n.admin_request("GET", "/ready", tcp=True)[0] == 200
        except OSError:
            return False

    until("the admin interface answers again", ready, 3)


def bad(bench, text):
    path = bench.path / "bad.yaml"
    path.write_text(text)
    return cli("run", "-c", str(path), timeout=10), path


def test_exit_codes(bench, tmp_path):
    code, out, err = cli("version")
    assert code == 0 and "gossamer" in out and not err
    for args in (["frobnicate"], ["run", "--frobnicate"], ["version", "extra", "words"]):
        code, out, err = cli(*args)
        assert code == 2 and err and not out, (args, code, out, err)
    code, out, err = cli("run", "-c", str(tmp_path / "missing.yaml"))
    assert code in (1, 2) and "missing.yaml" in err, (code, err)


def need_verb(verb):
    if f"\n  {verb} " not in cli("--help")[1]:
        pytest.skip(f"this version has no verb {verb}: it was NOT tested")


def test_exit_code_of_a_node_that_is_not_there(tmp_path):
    need_verb("stat")
    code, out, err = cli("stat", "--socket", str(tmp_path / "nobody.sock"))
    assert code == 3 and "nobody.sock" in err and not out, (code, out, err)


@pytest.mark.parametrize(
    "text, line, word",
    [
        ("node: a\nproxy:\n  outbund: 127.0.0.1:0\n", 3, "outbound"),  # did you mean
        ("node: a\nproxy:\n  outbound: 127.0.0.1:99999\n", 3, "outbound"),
        ("node: a\ntimeouts:\n  head: soon\n", 3, "head"),
        ("node: a\nnode: b\n", 2, "node"),
        ("node: [\n", None, ""),
        ("services:\n  - name: x\n    port: 80\n    instances:\n      - { address: nowhere }\n", 5,
         "address"),
    ])
def test_a_wrong_configuration_is_named(bench, text, line, word):
    (code, out, err), path = bad(bench, text)
    assert code == 1, (code, err)
    assert path.name in err and word in err, err
    if line:
        assert f"{path.name}:{line}" in err, err


def test_cli_asks_the_node(bench):
    n, o = bench.echo()
    assert n.ask().status == 200
    for verb in ("stat", "endpoints"):
        need_verb(verb)
        for how in ("table", "json"):
            code, out, err = cli(verb, "--socket", n.socket_path, "-o", how)
            assert code == 0 and "echo" in out, (verb, how, code, out, err)


def test_what_came_while_it_stood_still_is_in_time(bench):
    """A node is stopped for longer than an answer may take, and the answer comes meanwhile: it passes. One
    that does not come is late all the same."""
    n, o = bench.echo(timeouts={"response": "1s"})
    for k in range(5):
        began = time.monotonic()
        with n.conn() as c, n.conn() as never:
            c.send(request(target=f"/hold/{k}"))
            never.send(request("POST", "/hold/never", body=b"x"))
            until("both have arrived", lambda: len(o.seen) == 2 * (k + 1))
            n.proc.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                out = o.bytes_out
                o.open_gate(f"{k}")
                until("it is answered", lambda: o.bytes_out > out)
                until("it is too late", lambda: time.monotonic() - began > 1.2)
            finally:
                n.proc.send_signal(signal.SIGCONT)
            m = c.answer()
            assert never.answer("POST").status == 504
        if stopped - began < 0.8:
            break  # else this test itself was too slow: once more
    assert stopped - began < 0.8 and (m.status, m.body) == (200, b"held"), m


def test_starts_quickly_and_idles(bench):
    """Ready within a second, and a second of idling costs next to no processor time."""
    o = bench.origin("echo")
    began = time.monotonic()
    n = bench.node([service("echo", [o])])
    assert time.monotonic() - began < secs(2) + late(began)

    def cpu():
        f = open(f"/proc/{n.proc.pid}/stat").read().rpartition(")")[2].split()
        return int(f[11]) + int(f[12])  # clock ticks

    ticks, began = cpu(), time.monotonic()
    until("a second passed", lambda: time.monotonic() - began > 1)
    used, lasted = cpu() - ticks, time.monotonic() - began
    assert used <= 10 * secs(lasted), "an idle node is busy"
