"""Instances that fail are left out for a while, on the evidence of this node's own requests.

    client ─▶ n1 :outbound ─▶ a, b, ...                        here: instances of n1 itself
    client ─▶ n1 :outbound ══▶ n2, n3, ... :inbound ─▶ a, b    there: each on a node of its own

lib/faults.py's Moody applications answer as they are told; what each was asked is counted.
"""
import json
import threading
import time

import pytest

from lib import client, wire
from lib.faults import Level, Moody
from lib.metrics import total
from lib.node import cli, instance, service
from lib.policy import destination_rule, documents, route, virtual_service
from lib.services import Services
from lib.settings import secs, until

SLOW_CHECK = {"interval": "60s"}
GRAIN = 0.05  # s: two clocks, and the times of one are told in steps
WHERE = pytest.mark.parametrize("where", ["here", "there"])
WORKERS = pytest.mark.parametrize("workers", [1, 2])


def rule(**outliers):
    """A DestinationRule of `tools`; subsets v1 and v2 by label."""
    r = destination_rule(v1="v1", v2="v2")
    r["spec"]["trafficPolicy"] = {"outlierDetection": outliers}
    return r


class Place:
    """A caller n1 and instances of `tools`, here or there, each version v1 but for names with a 2."""

    def __init__(self, bench, where, workers, names="ab", outliers=None, check=SLOW_CHECK):
        self.apps = {n: Moody(bench.origin(n)) for n in names}
        self.m = Services(bench)

        def tools(*names):
            return [
                service("tools", [
                    instance(self.apps[n].origin, {"version": "v2" if n.isupper() else "v1"}, check)
                    for n in names
                ])
            ]

        if where == "here":
            self.n1 = self.m.host(services=tools(*names), workers=workers)
        else:
            self.n1 = self.m.host(workers=workers)
            for n in names:
                self.m.host(services=tools(n), workers=workers)
        self.m.wait_whole()
        self.m.wait_endpoints("tools", ["healthy"] * len(names))
        self.m.settle(self.n1)
        if outliers is not None:
            self.m.policy(self.n1, rule(**outliers))

    def __getitem__(self, name):
        return self.apps[name]

    def ask(self, method="GET", n=1, timeout=10, **kw):
        """Statuses of n requests, one after the other, each on a connection of its own."""
        return [
            client.ask(self.n1.outbound, method, "/m", host="tools", timeout=timeout, **kw).status
            for _ in range(n)
        ]

    def ask_until(self, what, condition, statuses=(200, )):
        """Requests until something has become of it."""
        got, level = [], self.level()

        def there():
            got.extend(self.ask())
            level()
            return condition()

        until(what, there, 40)
        assert set(got) <= set(statuses), got
        return got

    def level(self):
        names = {a.origin: n for n, a in self.apps.items()}
        return Level(names, lambda o: self.state(names[o]) == "healthy")

    def row(self, name):
        port = self.apps[name].origin.port
        return next(e for e in self.m.rows(self.n1, "tools") if e["address"].endswith(f":{port}"))

    def state(self, name):
        return self.row(name)["state"]

    def metric(self, name, **labels):
        return total(self.n1.metrics()[name], **labels)

    def events(self, kind):
        return [e for e in self.n1.api("events")[0] if e["event"] == kind]


class Flood:
    """Requests of some threads at once from here on until it is left, however it is. kept: each on one
    connection, or every request on its own. statuses: of all that were answered."""

    def __init__(self, place, threads, kept=False):
        self.place, self.over, self.statuses, self.problems = place, False, [], []
        run = self._keep if kept else self._renew
        self.threads = [threading.Thread(target=self._run, args=(run, ), daemon=True)
                        for _ in range(threads)]

    def _run(self, run):
        try:
            run()
        except (OSError, client.Cut, wire.Bad) as e:
            self.problems.append(repr(e))

    def _keep(self):
        with client.Conn(self.place.n1.outbound, 60) as c:
            while not self.over:
                c.send(client.request("GET", "/m", "tools"))
                self.statuses.append(c.answer().status)

    def _renew(self):
        while not self.over:
            self.statuses.extend(self.place.ask(timeout=60))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, *exc):
        self.over = True
        for a in self.place.apps.values():  # what a failed test has left waiting
            if kind:
                a.mood = 200
                a.release(200)
        for t in self.threads:
            t.join(secs(70))
        if not kind:
            assert not any(t.is_alive() for t in self.threads)
            assert not self.problems, self.problems[:3]


# ---- out -----------------------------------------------------------------------------------------


@WHERE
@WORKERS
@pytest.mark.parametrize("mood,cause", [(500, "5xx"), (503, "gateway")])
def test_out_after_exactly_five_in_a_row(bench, where, workers, mood, cause):
    p = Place(bench, where, workers)
    p["a"].mood = mood
    statuses = p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, mood))
    out, since = p.row("a")["ejected_until"], p["a"].last
    assert since + 30 - GRAIN <= out <= time.time() + 30 + GRAIN
    assert statuses.count(mood) == p["a"].asked == 5
    statuses = p.ask(n=100)
    assert set(statuses) == {200} and p["a"].asked == 5 or time.time() > out
    assert p.state("b") == "healthy"
    assert p.metric("gossamer_endpoint_ejections_total", cause=cause) == 1
    assert p.metric("gossamer_endpoint_ejections_total") == 1
    assert p.metric("gossamer_endpoints_ejected") == 1
    (event, ) = until("it is told", lambda: p.events("endpoint.ejected"))
    assert event["address"].endswith(f":{p['a'].origin.port}") and event["times"] == 1
    assert event["service"] == "tools" and 0 < event["for_ms"] <= 30000
    (line, ) = p.n1.lines("endpoint.ejected")
    assert line["address"] == event["address"]


@WHERE
@WORKERS
def test_resets_count_as_well(bench, where, workers):
    """Both reset everything, so that the balancer avoids neither: the first with five is out, and the
    other one stays, for somebody has to."""
    p = Place(bench, where, workers)
    p["a"].mood = p["b"].mood = "reset"

    def one_is_out():
        assert set(p.ask("POST", body=b"x")) == {503}  # a POST is asked once
        return any(p.state(x) == "ejected" for x in "ab")

    until("one is out", one_is_out, 20)
    out = "a" if p.state("a") == "ejected" else "b"
    assert p[out].asked == 5 and p.state("b" if out == "a" else "a") == "healthy"
    assert p.metric("gossamer_endpoint_ejections_total", cause="local") == 1


@WHERE
def test_a_good_one_in_between_ends_the_row(bench, where):
    p = Place(bench, where, 1)
    for _ in range(5):
        p["a"].mood = 503
        p.ask_until("four faults", lambda: p["a"].faults == 4, (200, 503))
        p["a"].mood = 200
        p["a"].faults = 0
        n = p["a"].asked
        p.ask_until("a good one", lambda: p["a"].asked > n)
    assert p.state("a") == "healthy"
    assert p.metric("gossamer_endpoint_ejections_total") == 0


@pytest.mark.parametrize("mood", [400, 404, 409, 429, 499])
def test_what_the_client_did_wrong_is_no_fault(bench, mood):
    p = Place(bench, "here", 1)
    p["a"].mood = p["b"].mood = mood
    assert set(p.ask(n=60)) == {mood}
    assert p.state("a") == p.state("b") == "healthy"
    assert p.metric("gossamer_endpoint_ejections_held_total") == 0


@WHERE
def test_an_application_that_takes_no_connections(bench, where):
    """Each request is answered by another one. (After one failure the balancer avoids it, too, for
    longer than a test lasts: so one has to do.)"""
    p = Place(bench, where, 1, "abc", {"consecutive5xxErrors": 1})
    p["a"].origin.refuse()
    p.ask_until("it is out", lambda: p.state("a") == "ejected")
    assert p.metric("gossamer_retries_total") == 1
    assert p.metric("gossamer_retries_total", cause="connect" if where == "here" else "refused") == 1
    assert p.metric("gossamer_endpoint_ejections_total", cause="local") == 1
    assert set(p.ask(n=50)) == {200}
    assert p.metric("gossamer_retries_total") == 1


# ---- how many ------------------------------------------------------------------------------------


@WHERE
@pytest.mark.parametrize("names,percent,most", [("a", 100, 0), ("ab", 100, 1), ("ab", 10, 1),
                                                ("abcd", 50, 2), ("abcd", 100, 3)])
def test_never_more_than_the_limit_and_never_all(bench, where, names, percent, most):
    p = Place(bench, where, 2, names, {"maxEjectionPercent": percent})
    for n in names:
        p[n].mood = 503

    def out():
        return sum(p.state(n) == "ejected" for n in names)

    p.ask_until("no more can be out", lambda: p.metric("gossamer_endpoint_ejections_held_total") > 0
                and out() == most, (503, ))
    assert set(p.ask(n=60)) == {503} and out() == most
    for n in names:
        p[n].mood = 200
    assert 200 in p.ask(n=5)


def test_by_default_one_of_three_and_three_of_ten(bench):
    for names, most in (("abc", 1), ("abcdefghij", 3)):
        p = Place(bench, "here", 1, names)
        for n in names:
            p[n].mood = 503

        def out():
            return sum(p.state(n) == "ejected" for n in names)

        p.ask_until("they are out", lambda: out() == most, (503, ))
        p.ask(n=20 * len(names))
        assert out() == most


def test_with_too_few_left_nobody_is_left_out(bench):
    """minHealthPercent: below it all are used, good and bad."""
    p = Place(bench, "here", 1, "abcd", {"maxEjectionPercent": 100, "minHealthPercent": 60})
    for n in "ab":
        p[n].mood = 503
    p.ask_until("they are out", lambda: p.state("a") == p.state("b") == "ejected", (200, 503))
    assert {n: p.state(n) for n in "abcd"} == {
        "a": "ejected", "b": "ejected", "c": "healthy", "d": "healthy"
    }
    before = p["a"].asked + p["b"].asked
    p.ask_until("they are used", lambda: p["a"].asked + p["b"].asked > before + 20, (200, 503))
    assert p.metric("gossamer_panic_requests_total") > 0


# ---- the way back --------------------------------------------------------------------------------


@WHERE
@WORKERS
def test_exactly_one_request_tries_it(bench, where, workers):
    """Not before its time; while it waits there, nobody else is sent; that it is answered brings the
    instance back."""
    p = Place(bench, where, workers, outliers={"baseEjectionTime": "700ms"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    out, asked = p.row("a")["ejected_until"], p["a"].asked
    p["a"].mood = "hold"
    # A trial without an answer lets another try when it has lasted as long as the policy of its first
    # moment puts an instance out for: with this one, longer than anything here.
    p.m.policy(p.n1, rule(baseEjectionTime="30m"))
    with Flood(p, 6) as f:
        until("one tries it", lambda: p["a"].held == 1, 10)
        assert p["a"].last >= out - GRAIN
        n = p["b"].asked
        until("many go to the other one", lambda: p["b"].asked > n + 100, 20)
        assert p["a"].held == 1 and p["a"].asked == asked + 1, "exactly one"
        assert p.metric("gossamer_endpoint_trials_total") == 1
        assert p.state("a") == "ejected"
        p["a"].mood = 200
        p["a"].release(200)
        until("it is back", lambda: p.state("a") == "healthy")
    assert set(f.statuses) == {200}
    assert p.row("a")["ejected_until"] is None
    assert p.metric("gossamer_endpoint_readmissions_total") == 1
    assert p.metric("gossamer_endpoints_ejected") == 0
    until("it is told", lambda: len(p.events("endpoint.readmitted")) == 1)


@WHERE
def test_a_trial_without_an_answer_lets_another_try(bench, where):
    """In as long as it was out for, and not before."""
    p = Place(bench, where, 1, outliers={"baseEjectionTime": "700ms"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood = "hold"
    out = p.row("a")["ejected_until"]
    with Flood(p, 6) as f:
        until("one tries it, and another one", lambda: p["a"].held >= 2, 10)
        assert p["a"].last >= out + 0.7 - GRAIN
        p["a"].mood = 200
        p["a"].release(200)
        until("it is back", lambda: p.state("a") == "healthy")
    assert set(f.statuses) == {200}
    assert p.metric("gossamer_endpoint_readmissions_total") == 1


@WHERE
def test_who_is_back_is_used_as_before(bench, where):
    p = Place(bench, where, 1, outliers={"baseEjectionTime": "200ms"})
    for _ in range(3):
        p["a"].mood = 503
        p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
        p["a"].mood, n = 200, p["a"].asked
        p.ask_until("it is used", lambda: p["a"].asked > n + 10)
        assert p.state("a") == "healthy"


@WHERE
def test_a_trial_that_fails_puts_it_out_for_longer(bench, where):
    p = Place(bench, where, 1, outliers={"baseEjectionTime": "300ms", "interval": "1h"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    asked, times = p["a"].asked, []
    for i in range(4):
        p.ask_until("it is tried", lambda: p["a"].asked == asked + i + 1, (200, 503))
        times.append(p["a"].last)  # noted before it has failed
    gaps = [b - a for a, b in zip(times, times[1:])]
    for n, gap in enumerate(gaps, 3):  # after the trials: 2, 3, 4 times 300 ms
        assert gap >= 0.3 * (n - 1) - 0.05, gaps
    until("it is told", lambda: [e["times"] for e in p.events("endpoint.ejected")] == [1, 2, 3, 4, 5])
    assert p["a"].asked == asked + 4, "one each"


def test_a_client_that_leaves_decides_nothing(bench):
    p = Place(bench, "here", 1, outliers={"baseEjectionTime": "300ms"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood = "hold"
    c = []

    def tries():
        c.append(client.Conn(p.n1.outbound))
        c[-1].send(client.request("GET", "/m", "tools"))
        return p["a"].held >= 1

    until("one tries it", tries, 10)
    for x in c:
        x.abort()
    p["a"].mood = 200
    p.ask_until("another one does", lambda: p.state("a") == "healthy")


def test_when_the_others_fail_too_it_is_tried_early(bench):
    """a is out; b dies. What b refuses is asked at a, and that it answers brings it back at once."""
    p = Place(bench, "here", 1)
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood = 200
    p["b"].origin.refuse()
    assert set(p.ask(n=50)) == {200}
    assert p.state("a") == "healthy"


def test_when_the_others_answer_badly_it_is_tried_early(bench):
    p = Place(bench, "here", 1, outliers={"baseEjectionTime": "30m"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood, p["b"].mood = 200, 503
    statuses = p.ask_until("they have changed places", lambda: p.state("a") == "healthy" and p.state(
        "b") == "ejected", (200, 503))
    assert statuses.count(503) == 6, statuses  # b's: five, and one for which it is put out
    assert set(p.ask(n=10)) == {200}


def test_when_all_fail_the_one_that_is_out_gets_little(bench):
    p = Place(bench, "here", 1, outliers={"baseEjectionTime": "30m"})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    out = p.row("a")["ejected_until"]
    p["b"].mood, n = 503, p["a"].asked
    began = time.monotonic()
    assert set(p.ask(n=200)) == {503}
    assert p["a"].asked - n <= 2 + time.monotonic() - began, "one a second"
    assert p.state("a") == "ejected" and abs(p.row("a")["ejected_until"] - out) < GRAIN


def test_an_owners_fresh_word_lets_it_be_tried(bench):
    """It is out for half an hour; then its own node sees it fail and come back."""
    p = Place(bench, "there", 1, outliers={"baseEjectionTime": "30m"},
              check={"http": "/healthz", "interval": "100ms", "timeout": "30s", "rise": 1, "fall": 1})
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood = 200
    assert set(p.ask(n=20)) == {200} and p.state("a") == "ejected"
    p["a"].origin.healthy = False
    until("its owner says so", lambda: p.state("a") == "unhealthy")
    p["a"].origin.healthy = True
    until("and again", lambda: p.state("a") != "unhealthy")
    p.ask_until("it is back", lambda: p.state("a") == "healthy")


# ---- policy --------------------------------------------------------------------------------------


def test_switched_off(bench):
    p = Place(bench, "here", 1, outliers={"consecutive5xxErrors": 0})
    p["a"].mood = 503
    p.ask_until("many", lambda: p["a"].asked > 30, (200, 503))
    assert p.state("a") == "healthy"


def test_switching_it_off_brings_back_who_is_out(bench):
    p = Place(bench, "here", 1)
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    p["a"].mood = 200
    p.m.policy(p.n1, rule(consecutive5xxErrors=0))
    n = p["a"].asked
    p.ask_until("it is used", lambda: p["a"].asked > n + 10)


def test_gateway_errors_apart(bench):
    p = Place(bench, "here", 1, outliers={"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3})
    p["a"].mood = 500
    p.ask_until("enough", lambda: p["a"].asked >= 10, (200, 500))
    assert p.state("a") == "healthy"
    p["a"].mood = 502
    n = p["a"].asked
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 502))
    assert p["a"].asked == n + 3


def test_local_failures_apart(bench):
    split = {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 2,
             "consecutive5xxErrors": 4}
    p = Place(bench, "here", 1, outliers=split)
    p["a"].mood = p["b"].mood = "reset"
    until("one is out", lambda: p.ask("POST", body=b"x") and "ejected" in map(p.state, "ab"), 20)
    (out, ) = [x for x in "ab" if p.state(x) == "ejected"]
    assert p[out].asked == 2
    q = Place(bench, "here", 1, outliers=split)
    q["a"].mood = 500
    q.ask_until("it is out", lambda: q.state("a") == "ejected", (200, 500))
    assert q["a"].asked == 4


def test_each_subset_by_its_own_policy(bench):
    p = Place(bench, "here", 1, "abAB")
    r = rule(consecutive5xxErrors=7)
    r["spec"]["subsets"][1]["trafficPolicy"] = {"outlierDetection": {"consecutive5xxErrors": 2}}
    p.m.policy(p.n1, r, virtual_service(v1=50, v2=50))
    p["a"].mood = p["A"].mood = 500
    p.ask_until("both are out", lambda: p.state("a") == p.state("A") == "ejected", (200, 500))
    assert (p["a"].asked, p["A"].asked) == (7, 2)
    assert {n: p.state(n) for n in "abAB"} == {
        "a": "ejected", "b": "healthy", "A": "ejected", "B": "healthy"
    }


def test_the_last_of_a_subset_is_used_although_it_is_out(bench):
    """Out by requests to the whole service, and alone in its own subset."""
    p = Place(bench, "here", 1, "abC", {})
    p["C"].mood = 503
    p.ask_until("it is out", lambda: p.state("C") == "ejected", (200, 503))
    p.m.policy(p.n1, virtual_service(http=[{"route": [route("tools", "v2")]}]))
    assert p.ask() == [503] and p["C"].asked == 6  # its own answer, not ours
    p["C"].mood = 200
    assert set(p.ask(n=10)) == {200} and p.state("C") == "healthy"


def test_unhealthy_ones_are_used_when_there_is_no_other(bench):
    p = Place(bench, "here", 1, check={"http": "/healthz", "interval": "100ms", "fall": 1})
    for n in "ab":
        p[n].origin.healthy = False
    until("both are unhealthy", lambda: p.state("a") == p.state("b") == "unhealthy")
    assert set(p.ask(n=30)) == {200}
    assert p.metric("gossamer_panic_requests_total") == 30
    code, out, _ = cli("explain", "GET", "http://tools/", "--socket", p.n1.socket_path)
    assert code == 0 and "none is healthy: the unhealthy ones are used" in out


# ---- what people see -----------------------------------------------------------------------------


def test_explain_says_why_one_is_not_picked(bench):
    p = Place(bench, "here", 1)
    p["a"].mood = 503
    p.ask_until("it is out", lambda: p.state("a") == "ejected", (200, 503))
    sock = ("--socket", p.n1.socket_path)
    code, out, _ = cli("explain", "GET", "http://tools/", *sock)
    (line, ) = [x for x in out.splitlines() if f":{p['a'].origin.port}" in x]
    assert code == 0 and "ejected, not used: " in line and "ejected for its faults (1. time in a row)" in line, out
    code, out, _ = cli("endpoints", *sock)
    assert code == 0 and "ejected" in out
    code, out, _ = cli("events", *sock)
    assert code == 0 and "endpoint.ejected" in out


def test_what_was_applied_is_given_back(bench):
    p = Place(bench, "here", 1)
    r = rule(consecutive5xxErrors=7, baseEjectionTime="1m0s", maxEjectionPercent=50,
             splitExternalLocalOriginErrors=True, consecutiveLocalOriginFailures=0)
    r["spec"]["trafficPolicy"]["portLevelSettings"] = [{
        "port": {"number": 80}, "outlierDetection": {"interval": "5s"}
    }]
    r["spec"]["subsets"][0]["trafficPolicy"] = {"outlierDetection": {"minHealthPercent": 10}}
    p.m.policy(p.n1, r)
    status, body = p.n1.admin_request("GET", "/api/v1/objects/DestinationRule/default/tools")
    spec = json.loads(body)["spec"]
    assert status == 200
    want = json.loads(json.dumps(r["spec"]))
    want["trafficPolicy"]["outlierDetection"]["baseEjectionTime"] = "1m"
    assert spec == want
    status, answer = p.n1.admin_request("POST", "/api/v1/apply", json.dumps(json.loads(body)))
    assert json.loads(answer)["applied"][0]["state"] == "unchanged"
    code, out, _ = cli("get", "dr", "tools", "-o", "yaml", "--socket", p.n1.socket_path)
    assert code == 0 and "consecutive5xxErrors: 7" in out and "minHealthPercent: 10" in out, out


@pytest.mark.parametrize("outliers,place", [
    ({"consecutiveErrors": 5}, "spec.trafficPolicy.outlierDetection.consecutiveErrors"),
    ({"outlierDetectionHttpErrorCodes": [500]},
     "spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes"),
    ({"maxEjectionPercent": 101}, "spec.trafficPolicy.outlierDetection.maxEjectionPercent"),
    ({"consecutiveLocalOriginFailures": 5},
     "spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures"),
    ({"interval": "0s"}, "spec.trafficPolicy.outlierDetection.interval"),
])
def test_what_is_not_honoured_is_refused_by_name(module_bench, outliers, place):
    n = module_bench.nodes[0] if module_bench.nodes else module_bench.node()
    status, body = n.admin_request("POST", "/api/v1/apply", documents(rule(**outliers)))
    (error, ) = json.loads(body)["errors"]
    assert status == 422 or status == 400, (status, body)
    assert error["field"] == place and error["line"] > 1, error


# ---- at random -----------------------------------------------------------------------------------


@WHERE
def test_moods_at_random(bench, where, capsys):
    """Two workers, moods that change, many clients: no request is lost, and at the end, when all are
    well again, all are used again."""
    p = Place(bench, where, 2, "abcd", {"baseEjectionTime": "200ms", "interval": "100ms",
                                        "maxEjectionPercent": 50})
    moods, most = [200, 503, 200, 500, "reset", 200, 429], 0
    with Flood(p, 8, kept=True) as f:
        for i in range(40):
            p["abcd"[i % 4]].mood = moods[(i * 5 + i // 4) % len(moods)]
            n = len(f.statuses)
            until("some more requests", lambda: len(f.statuses) > n + 40, 20)
            most = max(most, sum(p.state(x) == "ejected" for x in "abcd"))
        for x in "abcd":
            p[x].mood = 200
        until("all are back", lambda: all(p.state(x) == "healthy" for x in "abcd"), 20)
        was, level = {x: p[x].asked for x in "abcd"}, p.level()
        until("all are used", lambda: level() or all(p[x].asked > was[x] + 20 for x in "abcd"), 40)
    statuses = f.statuses
    asked = sum(p[x].asked for x in "abcd")
    ejections = p.metric("gossamer_endpoint_ejections_total")
    with capsys.disabled():
        print(f"\n    {where}: {len(statuses)} requests, {asked} arrived, {int(ejections)} ejections",
              end="")
    assert set(statuses) <= {200, 429, 500, 503}
    assert ejections >= p.metric("gossamer_endpoint_readmissions_total") > 0
    assert p.metric("gossamer_endpoints_ejected") == 0
