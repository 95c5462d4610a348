"""Requests that are sent again, and those that must not be.

    client ─▶ n1 :outbound ─▶ a, b                              here: instances of n1 itself
    client ─▶ n1 :outbound ══▶ n2 :inbound ─▶ a                 there: each on a node of its own
                           ══▶ n3 :inbound ─▶ b

lib/faults.py: an application fails an ID the first time it comes, whoever gets it, and answers the
second time. So each case knows how often its request may arrive, and where.
"""
import collections
import itertools
import json
import random
import threading
import time

import pytest

from lib import client, lateness, wire
from lib.client import Cut
from lib.faults import Closer, Faults, Level, Process, black_hole
from lib.node import instance, service
from lib.policy import destination_rule, documents
from lib.services import Services
from lib.settings import SEED, scaled, secs, until

RESPONSE_S = 0.8
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
OTHER = ("POST", "PATCH")
SLOW_CHECK = {"interval": "60s"}
ids = itertools.count(1)


def no_ejection(name="tools"):
    rule = destination_rule(name)
    rule["spec"]["trafficPolicy"] = {"outlierDetection": {"consecutive5xxErrors": 0}}
    return rule


class Place:
    """A caller n1 and two instances of `tools`, here or there."""

    def __init__(self, bench, where, workers, timeouts=None, rule=no_ejection, check=SLOW_CHECK):
        self.a, self.b = bench.origin("a"), bench.origin("b")
        self.faults = Faults(self.a, self.b)
        self.m = Services(bench)
        kw = {"workers": workers, "timeouts": timeouts or {}}

        def tools(*origins):
            return [service("tools", [instance(o, health=check) for o in origins])]

        if where == "here":
            self.n1 = self.m.host(services=tools(self.a, self.b), **kw)
            self.owner = {"a": self.n1, "b": self.n1}
        else:
            self.n1 = self.m.host(**kw)
            self.owner = {
                o.name: self.m.host(services=tools(o), workers=workers)
                for o in (self.a, self.b)
            }
        self.m.wait_whole()
        self.m.wait_endpoints("tools", ["healthy"] * 2)
        if rule:
            self.m.policy(self.n1, rule())

    def ask(self, how, method="GET", body=None, timeout=10, **kw):
        """(answer, ID)"""
        id = next(ids)
        q = "&".join([f"how={how}"] + [f"{k}={v}" for k, v in kw.items()])
        if body is None and method in ("PUT", "POST", "PATCH"):
            body = b"hello"
        answer = client.ask(self.n1.outbound,
                            method,
                            f"/f/{id}?{q}",
                            host="tools",
                            body=body,
                            timeout=timeout)
        if answer.status == 200 and method != "HEAD":
            assert json.loads(answer.body)["id"] == str(id)
        return answer, id

    def row(self):
        rows = [
            r for r in self.n1.api("stat")[0]
            if r["direction"] == "outbound" and r["service"] == "tools" and not r["subset"]
        ]
        return rows[0] if rows else {"retries_by": {}, "retries": 0, "retries_denied": 0, "flags": {}}

    def too_large(self):
        return self.n1.metrics()["gossamer_retries_too_large_total"][0].value

    def by(self, cause):
        return self.row()["retries_by"].get(cause, 0)


PLACES = {
    "scope": "module",
    "params": [(w, k) for w in ("here", "there") for k in (1, 2)],
    "ids": lambda p: f"{p[0]}-{p[1]}"
}


@pytest.fixture(**PLACES)
def place(request, module_bench):
    """Shared by the cases of the table: whoever uses it must leave both instances well."""
    return Place(module_bench, *request.param)


@pytest.fixture(**PLACES)
def hurried(request, module_bench):
    """The same, for those who never answer."""
    timeouts = {"response": f"{int(secs(RESPONSE_S) * 1000)}ms"}
    return Place(module_bench, *request.param, timeouts=timeouts)


def undisturbed(case):
    """In less than a good part of the timeout, that is: those who answer at once may be late, too."""
    return lateness.undisturbed(case, secs(RESPONSE_S) / 4)


# ---- the table: each way to fail, by method ------------------------------------------------------

GONE = ["close", "reset", "half_close"]


def is_asked_elsewhere(place, how, cause, method):
    before, told = place.by(cause), place.row()["flags"].get("UT", 0)
    began = time.monotonic()
    answer, id = place.ask(how, method)
    took = time.monotonic() - began
    assert answer.status == 200, answer
    assert sorted(place.faults.arrivals(id)) == ["a", "b"], "elsewhere, and once"
    assert place.by(cause) == before + 1
    assert place.row()["flags"].get("UT", 0) == told  # nobody was told of it
    return took


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("how", GONE)
def test_what_had_no_answer_is_asked_elsewhere(place, how, method):
    is_asked_elsewhere(place, how, "reset", method)


@pytest.mark.parametrize("method", IDEMPOTENT)
def test_what_has_no_answer_in_time_is_asked_elsewhere(hurried, method):
    took = undisturbed(lambda: is_asked_elsewhere(hurried, "hang", "timeout", method))
    assert took >= RESPONSE_S


def is_not_asked_again(place, how, status, error, method):
    before = place.row()["retries"]
    answer, id = place.ask(how, method)
    assert answer.status == status and error in answer.get("Proxy-Status"), answer
    assert len(place.faults.arrivals(id)) == place.faults.executed(id) == 1
    assert place.row()["retries"] == before


@pytest.mark.parametrize("method", OTHER)
@pytest.mark.parametrize("how", GONE)
def test_what_was_sent_and_may_have_been_done_is_not(place, how, method):
    is_not_asked_again(place, how, 503, "connection_terminated", method)


@pytest.mark.parametrize("method", OTHER)
def test_nor_is_what_has_no_answer_in_time(hurried, method):
    undisturbed(lambda: is_not_asked_again(hurried, "hang", 504, "http_response_timeout", method))


BEGUN = [("head_cut", 503, "connection_terminated"), ("junk", 502, "http_protocol_error"),
         ("interim", 503, "connection_terminated")]


@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("how,status,error", BEGUN)
def test_an_answer_that_began_is_never_asked_for_again(place, how, status, error, method):
    before = place.row()["retries"]
    answer, id = place.ask(how, method)
    assert answer.status == status and error in answer.get("Proxy-Status"), answer
    assert len(place.faults.arrivals(id)) == 1
    assert place.row()["retries"] == before


@pytest.mark.parametrize("method", ("GET", "POST"))
def test_a_head_that_stops_coming(hurried, method):
    """Of an instance here its first byte has come; from another node nothing comes before the head
    is whole, so there it is a request without an answer."""

    def case():
        answer, id = hurried.ask("head_hang", method)
        if method == "GET" and hurried.owner["a"] is not hurried.n1:
            assert answer.status == 200 and sorted(hurried.faults.arrivals(id)) == ["a", "b"]
        else:
            assert answer.status == 504 and "http_response_timeout" in answer.get("Proxy-Status")
            assert len(hurried.faults.arrivals(id)) == 1

    undisturbed(case)


@pytest.mark.parametrize("method", ("GET", "POST"))
def test_a_cut_body_is_cut_for_the_client(place, method):
    with pytest.raises(Cut):
        place.ask("body_cut", method)
    assert place.ask("good", method)[0].status == 200


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ("GET", "POST"))
def test_the_instances_own_answer_passes_whatever_it_is(place, method, code):
    answer, id = place.ask(str(code), method)
    assert answer.status == code and not answer.get("Proxy-Status")
    assert len(place.faults.arrivals(id)) == 1


def test_an_answer_that_dribbles_passes(hurried):
    """The timeout is to its head; its body takes as long as it takes."""

    def case():
        began = time.monotonic()
        id = next(ids)
        answer = client.ask(hurried.n1.outbound, "GET", f"/f/{id}?how=dribble", host="tools")
        assert (answer.status, answer.body) == (200, b"0123")
        assert time.monotonic() - began > 1.2 > RESPONSE_S
        assert len(hurried.faults.arrivals(id)) == 1

    undisturbed(case)


# ---- bodies --------------------------------------------------------------------------------------

KIB = 1024


@pytest.mark.parametrize("length,again", [(0, True), (1, True), (64 * KIB, True),
                                          (64 * KIB + 1, False), (300 * KIB, False)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_sent_again_up_to_64_kib(place, length, again, chunked):
    body, id = wire.derived("b", length), next(ids)
    before = place.too_large()
    answer = client.ask(place.n1.outbound,
                        "PUT",
                        f"/f/{id}?how=close",
                        host="tools",
                        body=body,
                        chunked=chunked)
    seen = place.faults.journal[str(id)]
    assert place.too_large() == before + (not again)
    if again:
        assert answer.status == 200 and len(seen) == 2
        assert json.loads(answer.body)["length"] == length
        assert seen[0]["sha"] == seen[1]["sha"]
    else:
        assert answer.status == 503 and "connection_terminated" in answer.get("Proxy-Status")
        assert len(seen) == 1


def test_a_body_that_is_still_coming_when_the_connection_goes(place):
    """The instance resets it after the first half; the other one gets all of it."""
    body, id = wire.derived("c", 40000), next(ids)
    data = client.request("PUT", f"/f/{id}?how=early_reset", "tools", body=body)
    with client.Conn(place.n1.outbound) as c:
        c.send(data[:-20000])
        until("it has come", lambda: place.faults.arrivals(id))
        until("it was reset", lambda: len(place.faults.arrivals(id)) == 2)
        c.send(data[-20000:])
        answer = c.answer("PUT")
    assert answer.status == 200 and json.loads(answer.body)["length"] == len(body)
    assert place.faults.executed(id) == 1


# ---- connections that cannot be had --------------------------------------------------------------


@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_refused_connection(bench, where, method):
    """Any method goes elsewhere, and here with a body of any length, for nothing of it has left. To
    another node it leaves before that node knows whether the instance takes connections."""
    p = Place(bench, where, 1)
    p.a.refuse()
    for i in range(20):
        most = 200 * KIB if where == "here" else 64 * KIB
        body = wire.derived("d", most if i % 2 else 3) if method == "POST" else None
        answer, id = p.ask("good", method, body)
        assert answer.status == 200 and p.faults.arrivals(id) == ["b"]
    assert p.by("connect" if where == "here" else "refused") >= 1
    p.b.refuse()
    answer, _ = p.ask("good", method)
    assert answer.status == 503 and "connection_refused" in answer.get("Proxy-Status"), answer
    assert p.row()["flags"]["URX"] == 1  # both were tried
    if where == "here":
        assert "UF,URX" in answer.get("Proxy-Status")
        assert "attempt 2/3" in answer.get("Proxy-Status")


@pytest.mark.parametrize("method", ("GET", "POST"))
def test_a_black_hole(bench, method):
    """An address that takes no connection and refuses none: connect timeout, then elsewhere."""
    o, m = bench.origin("o"), Services(bench)
    with black_hole() as port:
        pass
    hole = bench.origin("hole")
    m.host(services=[service("tools", [instance(x, health=SLOW_CHECK) for x in (o, hole)])],
           timeouts={"connect": "300ms"})
    m.wait_endpoints("tools", ["healthy"] * 2)
    hole.refuse()
    with black_hole(hole.port):
        n1, waited = m.nodes[0], 0
        began = time.monotonic()
        for i in range(12):
            sent = time.monotonic()
            answer = n1.ask(method, "/x", host="tools", body=b"x" if method == "POST" else None)
            assert answer.status == 200 and answer.body == b"o\n"
            waited += time.monotonic() - sent >= 0.3
        took = time.monotonic() - began
    met = n1.stat("tools", "outbound")["retries_by"].get("connect", 0)
    assert 1 <= met <= waited, "nobody met it"
    assert met <= 3 + took // 7, "it is avoided after a failure"  # a first one fades in 7 s


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_stopped_application(bench, where):
    """SIGSTOP: its kernel takes connections and bytes, and nothing comes back."""
    o, p, m = bench.origin("o"), Process("p"), Services(bench)
    try:
        kw = {"timeouts": {"response": f"{int(secs(2) * 1000)}ms"}}
        both = [service("tools", [instance(x, health=SLOW_CHECK)]) for x in (o, p.port)]
        if where == "here":
            n1 = m.host(services=[service("tools", both[0]["instances"] + both[1]["instances"])], **kw)
        else:
            n1 = m.host(**kw)
            for s in both:
                m.host(services=[s])
        m.wait_whole()
        m.wait_endpoints("tools", ["healthy"] * 2)
        p.stop()
        slow, began = 0, time.monotonic()
        for _ in range(12):
            sent = time.monotonic()
            answer = n1.ask("GET", "/x", host="tools")
            assert answer.status == 200 and answer.body == b"o\n"
            slow += time.monotonic() - sent >= 2
        met = n1.stat("tools", "outbound")["retries_by"].get("timeout", 0)
        assert 1 <= met <= slow, (met, slow)
        assert met <= 4 + (time.monotonic() - began) // 7, met  # a first failure fades in 7 s
        p.resume()
    finally:
        p.close()


# ---- kept connections that were closed meanwhile -------------------------------------------------


def in_bulk(addr, conns, per, request, check):
    """`per` requests on each of `conns` connections at once; check(answer, i) for each."""
    problems = []

    def run(k):
        try:
            with client.Conn(addr, 20) as c:
                for i in range(k * per, (k + 1) * per):
                    c.send(request(i))
                    check(c.answer(), i)
        except (AssertionError, OSError, Cut, wire.Bad) as e:
            problems.append(repr(e))

    threads = [threading.Thread(target=run, args=(k, ), daemon=True) for k in range(conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems, (len(problems), problems[:3])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("method,how", [("POST", "fin"), ("GET", "fin"), ("GET", "rst")])
def test_stale_connections_cost_nothing(bench, capsys, method, how, workers):
    """An application that closes kept connections all the time, often just as the next request is on
    its way. No GET fails; a POST only if it had reached a connection that was being closed, and such
    a one may have been read; none is done twice."""
    o = Closer(SEED, 0.002, how)
    per, conns = scaled("GOSSAMER_STALE", 400, 5000), 8
    n1 = bench.node([service("tools", [instance(o, health=SLOW_CHECK)])], workers=workers)
    assert n1.admin_request("POST", "/api/v1/apply", documents(no_ejection()))[0] == 200
    body = b"x" * 100 if method == "POST" else None
    rng, lost = random.Random(SEED), []

    def request(i):
        time.sleep(rng.random() * 0.01)  # so that connections are idle for about as long as they live
        return client.request(method, f"/w/{i}", "tools", body=body)

    def check(answer, i):
        if answer.status == 503 and method == "POST":
            assert "connection_terminated" in answer.get("Proxy-Status"), answer
            lost.append(f"/w/{i}")
            return
        assert (answer.status, answer.body) == (200, f"/w/{i}".encode()), answer

    in_bulk(n1.outbound, conns, per, request, check)
    stale, connects = (int(n1.metrics()[f"gossamer_{name}_total"][0].value)
                       for name in ("stale_connections", "upstream_connects"))
    done, closed = o.close()
    with capsys.disabled():
        print(f"\n    {method} {how}, {workers} workers: {conns * per} requests, {closed} "
              f"connections closed, {stale} times too late, {len(lost)} POSTs lost", end="")
    assert all(done[t] == (0 if t in lost else 1) for t in done if method == "POST")
    assert len(done) == conns * per - len(lost)
    # Else it has shown little. A POST goes on no connection that was not looked at: it is seldom too
    # late, and those that were closed are replaced.
    assert closed > conns * per // 10
    assert connects > closed // 2 if method == "POST" else stale > 0, (connects, closed, stale)
    assert len(lost) <= conns * per // 200


# ---- the budget ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("where", ["here", "there"])
def test_failures_are_not_multiplied(bench, where, workers, capsys):
    """Everything is reset: what arrives is a fifth more than what was asked, and the floor, which is
    the node's and not each worker's."""
    p = Place(bench, where, workers)
    offered, conns = scaled("GOSSAMER_BUDGET", 1500, 20000), 8
    began = time.monotonic()

    def check(answer, i):
        assert answer.status == 503, answer

    in_bulk(p.n1.outbound, conns, offered // conns,
            lambda i: client.request("GET", f"/f/x{i}?how=reset&always=1", "tools"), check)
    took = time.monotonic() - began
    offered = offered // conns * conns
    arrived = sum(len(v) for k, v in p.faults.journal.items() if k.startswith("x"))
    row = p.row()
    with capsys.disabled():
        print(f"\n    {where}, {workers} workers: {offered} asked, {arrived} arrived, "
              f"{row['retries']} retries, {row['retries_denied']} denied, {took:.1f} s", end="")
    assert arrived == offered + row["retries"]
    assert row["retries"] <= offered / 5 + 100 + 10 * took + 1
    assert row["retries"] >= offered / 5 * 0.8  # and they are made
    assert row["retries_denied"] > 0
    assert max(len(v) for v in p.faults.journal.values()) <= 2  # there are two of them
    assert row["requests"] == offered
    metrics = p.n1.metrics()
    by = {s.labels["cause"]: s.value for s in metrics["gossamer_retries_total"]}
    assert by["reset"] == row["retries"] == sum(by.values())
    denied = [s for s in metrics["gossamer_service_retries_denied_total"]
              if s.labels["service"] == "tools" and s.labels["subset"] == ""]
    assert denied[0].value == row["retries_denied"] == metrics["gossamer_retries_denied_total"][0].value


def test_three_attempts_at_the_most(bench):
    origins = [bench.origin(n) for n in "abcd"]
    f = Faults(*origins)
    n1 = bench.node([service("tools", [instance(o, health=SLOW_CHECK) for o in origins])])
    assert n1.admin_request("POST", "/api/v1/apply", documents(no_ejection()))[0] == 200
    for i in range(5):
        answer = n1.ask("GET", f"/f/t{i}?how=reset&always=1", host="tools")
        assert answer.status == 503 and "UC,URX" in answer.get("Proxy-Status")
        assert "attempt 3/3" in answer.get("Proxy-Status")
        assert len(set(f.arrivals(f"t{i}"))) == len(f.arrivals(f"t{i}")) == 3
    assert n1.stat("tools", "outbound")["flags"] == {"UC": 5, "URX": 5}


# ---- owners that change their mind, and nodes that die -------------------------------------------


class Held:
    """Requests that wait at their applications."""

    def __init__(self, p, gets, posts):
        self.p, self.conns = p, []
        for i in range(gets + posts):
            method = "GET" if i < gets else "POST"
            c = client.Conn(p.n1.outbound, 30)
            c.send(client.request(method, f"/hold/g?{method}{i}", "tools",
                                  body=b"x" if method == "POST" else None))
            self.conns.append((f"/hold/g?{method}{i}", c))
        until("all of them wait", lambda: len(p.a.seen) + len(p.b.seen) == gets + posts, 20)

    def at(self, o):
        return collections.Counter(m.target for m in o.seen)

    def answers(self):
        out = {t: c.answer("POST" if "POST" in t else "GET") for t, c in self.conns}
        for _, c in self.conns:
            c.close()
        return out


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("where", ["here", "there"])
def test_what_waits_at_one_that_becomes_unhealthy_goes_elsewhere(bench, where, workers):
    check = {"http": "/healthz", "interval": "200ms", "timeout": "30s", "fall": 1}
    p = Place(bench, where, workers, check=check)
    h = Held(p, 40, 20)
    first = h.at(p.a), h.at(p.b)
    p.a.healthy = False
    p.m.wait_endpoints("tools", {p.a.port: "unhealthy", p.b.port: "healthy"})
    gets = [t for t in first[0] if "GET" in t]
    assert gets and [t for t in first[0] if "POST" in t]
    until("they have arrived there", lambda: all(h.at(p.b)[t] == 1 for t in gets))
    for o in (p.a, p.b):
        o.open_gate("g")
    answers = h.answers()
    assert {a.status for a in answers.values()} == {200}
    assert p.by("unhealthy") == len(gets)
    both = h.at(p.a) + h.at(p.b)
    for t in answers:
        assert both[t] == (2 if t in gets else 1), t  # POSTs stayed where they were


def test_a_node_that_dies_while_its_application_holds_requests(bench, capsys):
    """kill -9 of one of two: every GET that waited there is asked at the other, every POST whose head
    had left gets a 503, and none is done twice."""
    p = Place(bench, "there", 2)
    h = Held(p, 60, 30)
    at_a = h.at(p.a)
    gets, posts = ([t for t in at_a if k in t] for k in ("GET", "POST"))
    assert gets and posts
    p.owner["a"].crash()
    until("the GETs have arrived at the other", lambda: all(h.at(p.b)[t] == 1 for t in gets), 20)
    p.b.open_gate("g")
    answers = h.answers()
    with capsys.disabled():
        print(f"\n    {len(gets)} GETs and {len(posts)} POSTs waited at the node that died", end="")
    for t, a in answers.items():
        if t in posts:
            assert a.status == 503 and "connection_terminated" in a.get("Proxy-Status"), (t, a)
        else:
            assert a.status == 200 and a.body == b"held", (t, a)
    both = h.at(p.a) + h.at(p.b)
    assert all(both[t] == 1 for t in answers if "POST" in t)
    p.a.open_gate("g")


# ---- at random -----------------------------------------------------------------------------------

HOWS = ["good"] * 12 + ["close", "reset", "head_cut", "body_cut", "500", "503", "429", "half_close",
                        "early_reset"]


@pytest.mark.parametrize("where", ["here", "there"])
def test_random_failures(bench, where, capsys):
    """Every ID is of one request, and what is wrong with it is drawn: no POST is done twice, nothing is
    asked again once its answer has begun, and each answer is that of its request.

    An application that never answers costs the whole timeout, so there are few of them: the timeout is
    long. Whoever got a 504 for another one must find in the journal that the application was later."""
    timeout = secs(4)
    p = Place(bench, where, 2, {"response": f"{int(timeout * 1000)}ms"}, rule=None)
    per, conns = scaled("GOSSAMER_RANDOM", 120, 3000), 12
    results, problems, sent, late = {}, [], {}, []

    def run(k):
        rng = random.Random(SEED + k)
        c = None
        hangs = set(rng.sample(range(per), max(1, per // 300)))
        for i in range(per):
            id, method = f"r{k}-{i}", rng.choice(("GET", "GET", "PUT", "POST"))
            how, always = rng.choice(HOWS), rng.random() < 0.3
            how = "hang" if i in hangs else how
            length = rng.choice((0, 10, 5000, 70000))
            body = wire.derived(id, length) if method != "GET" else None
            try:
                c = c or client.Conn(p.n1.outbound, 20)
                sent[id] = time.monotonic()
                c.send(client.request(method, f"/f/{id}?how={how}" + "&always=1" * always, "tools",
                                      body=body))
                a = c.answer(method)
                results[id] = (method, how, a.status)
                if a.status == 200 and json.loads(a.body)["id"] != id:
                    problems.append(f"{id} got {a}")
                if not a.keeps:
                    c.close()
                    c = None
            except (Cut, OSError, wire.Bad) as e:
                results[id] = (method, how, 0)
                if how not in ("body_cut", "early_reset"):
                    problems.append(f"{id} {method} {how}: {e!r}")
                c.close()
                c = None

    threads = [threading.Thread(target=run, args=(k, ), daemon=True) for k in range(conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems, (len(problems), problems[:5])
    assert len(results) == per * conns
    assert sum(how == "hang" for _, how, _ in results.values()) >= conns
    for id, (method, how, status) in results.items():
        seen = p.faults.journal[id]
        assert len(seen) <= 3, (id, method, how)
        if method == "POST":
            assert p.faults.executed(id) <= 1, (id, how, seen)
        if how != "hang" and any(a.get("at", 0) - sent[id] >= timeout for a in seen):
            late.append(id)
            continue
        assert sum(a["began"] for a in seen) <= 1, (id, method, how, seen)
        assert not any(a["began"] for a in seen[:-1]), (id, method, how, seen)
        if how == "good":
            assert status == 200, (id, method, status, seen)
        assert status != 504 or how == "hang", (id, method, how, seen)
    assert len(late) <= len(results) // 100, late  # else it has shown little
    with capsys.disabled():
        print(f"\n    seed {SEED}, {where}: {len(results)} requests, statuses "
              f"{dict(collections.Counter(s for _, _, s in results.values()))}, retries "
              f"{p.row()['retries_by']}, denied {p.row()['retries_denied']}", end="")


def eager():
    rule = destination_rule("tools")
    rule["spec"]["trafficPolicy"] = {"outlierDetection": {"consecutive5xxErrors": 1}}
    return rule


@pytest.mark.parametrize("where", ["here", "there"])
def test_one_kept_connection_that_ends_is_nobodys_fault(bench, where):
    """It was likely closed before the request was read: its instance is not judged by it.
    A second one in a row, here one that nobody had kept, is its fault."""
    p = Place(bench, where, 1, rule=eager)

    def ejections():
        return sum(s.value for s in p.n1.metrics()["gossamer_endpoint_ejections_total"])

    def asked():
        answer, id = p.ask("good")
        assert answer.status == 200
        return p.faults.arrivals(id)[0]

    level = Level([p.a, p.b])

    def keep():
        seen = set()
        until("both have answered", lambda: level() or seen.add(asked()) or seen == {"a", "b"}, 20)

    keep()
    for _ in range(3):  # not in a row: each is answered in between
        answer, id = p.ask("reset")
        assert answer.status == 200 and len(p.faults.arrivals(id)) == 2
        keep()
        assert ejections() == 0
    answer, id = p.ask("reset", always=1)
    assert answer.status == 503 and len(p.faults.arrivals(id)) == 3
    assert ejections() == 1
