"""What the node counts is what was sent.

    client ─▶ gossamer n1 ─▶ echo, tools     each exchange: once outbound, once inbound (in process)
                 ├── unix: GET /api/v1/stat
                 └── TCP:  GET /metrics
"""
import shutil
import subprocess

import pytest

from lib import metrics
from lib.client import Cut, request
from lib.node import free_port, service
from lib.settings import until

ROW = {
    "service", "namespace", "port", "subset", "node", "direction", "requests", "failed", "rps",
    "success_rate", "p50_ms", "p95_ms", "p99_ms", "codes", "flags"
}
GOOD, BAD = 300, 20


def send(n):
    """GOOD whole answers to echo (POSTs among them), BAD of status 500, one cut."""
    with n.conn() as c:
        for i in range(GOOD):
            m = c.ask("POST" if i % 3 == 0 else "GET",
                      f"/id/{i}",
                      body=b"x" if i % 3 == 0 else None)
            assert m.status == 200
        for _ in range(BAD):
            assert c.ask(target="/status/500").status == 500
    with pytest.raises(Cut):
        n.ask("POST", "/cut/length", body=b"x")


def test_each_exchange_once_out_and_once_in(bench):
    o, t = bench.origin("echo"), bench.origin("tools")
    n = bench.node([service("echo", [o]), service("tools", [t], namespace="ai", port=8080)])
    send(n)
    for i in range(7):
        assert n.ask(target=f"/id/{i}", host="tools.ai:8080").status == 200
    total = GOOD + BAD + 1
    for direction in ("outbound", "inbound"):
        until(f"{total} {direction}", lambda: n.stat("echo", direction)["requests"] >= total)
        s = n.stat("echo", direction)
        assert s["requests"] == total and s["failed"] == BAD + 1, (direction, s)
        assert s["codes"].get("200") in (GOOD,
                                         GOOD + 1) and s["codes"].get("500") == BAD, (direction, s)
        assert n.stat("tools", direction)["requests"] == 7 and n.stat("tools",
                                                                      direction)["failed"] == 0
    rows, doc = n.api("stat")
    assert doc["window_s"] > 0
    for row in rows:
        assert ROW <= set(row), ROW - set(row)
        assert row["node"] == "n1" and row["direction"] in ("outbound",
                                                            "inbound") and row["port"] in (80, 8080)
        assert row["namespace"] == {"echo": "default", "tools": "ai"}[row["service"]]
        if row["requests"]:
            assert 0 <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] and 0 <= row[
                "success_rate"] <= 1 and row["rps"] > 0, row
    assert n.stat("echo", "outbound")["flags"].get("UC") == 1


def test_metrics(bench):
    n, o = bench.echo()
    send(n)
    total = GOOD + BAD + 1

    def requests(direction):
        return metrics.total(n.metrics().get("gossamer_requests_total", ()),
                             service="echo",
                             direction=direction)

    for direction in ("outbound", "inbound"):
        until(f"{total} {direction} in /metrics", lambda: requests(direction) >= total)
        assert requests(direction) == total
    m = n.metrics()  # parsed strictly: names, HELP, TYPE, no series twice
    assert all(name.startswith(("gossamer_", "process_")) for name in m), sorted(m)
    assert metrics.total(m["gossamer_build_info"]) == 1
    assert m["gossamer_response_duration_seconds"]
    before = n.metrics()
    for _ in range(5):
        n.ask(target="/id/x")
    until("five more", lambda: requests("outbound") == total + 5)
    after = n.metrics()
    for name, samples in before.items():  # counters never fall
        if name.endswith("_total"):
            now = {tuple(sorted(s.labels.items())): s.value for s in after[name]}
            assert all(now[tuple(sorted(s.labels.items()))] >= s.value for s in samples), name


def test_promtool(bench):
    tool = shutil.which("promtool")
    if not tool:
        pytest.skip("promtool is not installed: the native lint of /metrics was not run")
    n, _ = bench.echo()
    send(n)
    _, text = n.admin_request("GET", "/metrics", tcp=True)
    p = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True)
    assert p.returncode == 0 and not p.stdout.strip(), p.stdout + p.stderr


def test_names_come_from_configuration_alone(bench):
    """A thousand invented hosts, methods and paths make no new series."""
    n, o = bench.echo()
    n.ask()
    n.ask(host="nobody")
    n.ask("PROPFIND", "/x")
    until(
        "counted", lambda: metrics.total(
            n.metrics()["gossamer_requests_total"], service="echo", direction="inbound") >= 2)
    before = sum(len(v) for v in n.metrics().values())
    with n.conn() as c:
        for i in range(1000):
            m = c.ask(("GET", "PUT", "PROPFIND")[i % 3],
                      f"/p{i}",
                      host="echo" if i % 2 else f"nobody-{i}.example",
                      fields=[("X-Service", f"s{i}")])
            assert m.status == (200 if i % 2 else 404)
            if not m.keeps:
                c.close()
                c = n.conn()
    c.close()
    after = n.metrics()
    assert sum(len(v) for v in after.values()) <= before + 4
    assert not [
        s for v in after.values() for s in v if any("nobody" in x for x in s.labels.values())
    ]


def test_refusals_are_counted_by_reason(bench):
    n, _ = bench.echo()
    before = n.refused()
    for i in range(5):
        with n.conn() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert c.answer().status == 400
    until("5 bad heads", lambda: n.refused().get("bad_head", 0) - before.get("bad_head", 0) == 5)


def test_answers_of_the_proxy_are_in_stat(bench):
    o = bench.origin("echo")
    n = bench.node([service("echo", [o]), service("empty", [free_port()])], healthy=False)
    n.wait_states("echo", ["healthy"])
    for _ in range(3):
        assert n.ask(host="empty").status == 503
    until("3 UH", lambda: n.stat("empty", "outbound")["flags"].get("UH") == 3)
    s = n.stat("empty", "outbound")
    assert (s["requests"], s["failed"], s["codes"].get("503")) == (3, 3, 3)
    assert n.stat("empty", "inbound")["requests"] == 0
    with n.conn() as c:  # a client that leaves is no failure of the service
        c.send(request(target="/hang"))
        until("the request came", lambda: o.targets()[-1:] == ["/hang"])
    until("DC", lambda: n.stat("echo", "outbound")["flags"].get("DC") == 1)
