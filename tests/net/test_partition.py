"""A mesh in two halves that both go on, and one mesh again.

    n1 n2 ║ n3 n4 n5     each in a network namespace of its own; the wire between them is cut
     left ║ right        services that one side hosts alone; `both` is hosted on either side
"""
import json
import os
import pathlib
import time

import pytest

from lib import netns
from lib.lateness import late
from lib.mesh import note
from lib.node import cli
from lib.offered import Offered
from lib.policy import Label, destination_rule, documents, get, virtual_service
from lib.services import Services
from lib.settings import BIN, HEAVY, sanitized, scaled, secs, until

HOUR_MS = 3600 * 1000
LEFT, RIGHT = (0, 1), (2, 3, 4)
CUT_S = scaled("GOSSAMER_CUT_S", 3, 60)  # how long the wire is cut, at the least
HEALED_S = 5                # until all are one again
DEAD_S = 45  # until two that hear nobody else believe it: Lifeguard has them doubt themselves first
RULE = destination_rule("both", v1="v1", v2="v2")
SHIFT = pathlib.Path(os.environ.get("CLOCK_SHIFT_LIB") or
                     pathlib.Path(BIN).parent / "tests" / "libclock_shift.so")

WHY_NOT = netns.why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"SKIPPED: {WHY_NOT}")


@pytest.fixture
def net():
    n = netns.Net(5)
    yield n
    n.close()


@pytest.fixture
def labels():
    made = []

    def make(space, name):
        with space:
            made.append(Label(name).start())
        return made[-1]

    yield make
    for x in made:
        x.stop()


def wrong_clock(ms):
    """The environment of a program whose wall clock is wrong by that."""
    assert SHIFT.exists(), f"no {SHIFT}: build it or set CLOCK_SHIFT_LIB"
    env = {"LD_PRELOAD": str(SHIFT), "CLOCK_SHIFT_MS": str(ms)}
    if sanitized():  # its own library wants to be the first one
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


def five(bench, net, labels, clocks=None):
    m = Services(bench)
    hosts = ({"left": "l1", "both": "v1"}, {"left": "l2"}, {"right": "r3"}, {"right": "r4", "both": "v2"},
             {})
    for i, services in enumerate(hosts):
        shift = (clocks or {}).get(i)
        m.host(space=net[i],
               env=wrong_clock(shift) if shift else None,
               **{s: {v: labels(net[i], v)} for s, v in services.items()})
    m.wait_whole()
    for name in ("left", "right", "both"):
        m.wait_endpoints(name, ["healthy"] * 2)
    m.policy(m["n5"], RULE, virtual_service("both", v1=50, v2=50))
    return m


def load(m):
    """A hundred a second at each node, of what its own side hosts alone."""
    ask = {"left": get(host="left"), "right": get(host="right")}

    def request(i):
        side = "left" if i % 5 in LEFT else "right"
        return i % 5, side, ask[side]

    return Offered(m.nodes, 500, request)


def in_halves(m):
    """Each side has declared the other dead, and lists its endpoints as lost."""

    def of(n):
        mine = LEFT if m.nodes.index(n) in LEFT else RIGHT
        return {x.name: "alive" if i in mine else "dead" for i, x in enumerate(m.nodes)}

    until("each side has declared the other dead", lambda: all(
        m.states(n) == of(n) for n in m.nodes), DEAD_S)
    for side, states in ((LEFT, {"n1": "healthy", "n4": "lost"}), (RIGHT, {"n1": "lost", "n4": "healthy"})):
        until("lost is what the other side hosts", lambda: all(
            {e["node"]: e["state"] for e in m.rows(m.nodes[i], "both")} == states for i in side))


def write(n, *objects, wait="0ms"):
    status, body = n.admin_request("POST", f"/api/v1/apply?namespace=default&wait={wait}",
                                   documents(*objects))
    answer = json.loads(body)
    assert status == 200, answer
    return answer["applied"][-1]["version"]


def versions_of(n):
    """Every object and what is known of its versions: the order that this node sees."""
    out = {}
    for o in n.api("objects?namespace=default")[0]:
        where = f"/api/v1/objects/{o['kind']}/{o['namespace']}/{o['name']}?history=1"
        rows = json.loads(n.admin_request("GET", where)[1])["history"]
        out[o["kind"], o["name"]] = [(r["version"], r["state"], r["conflict"]) for r in rows]
    return out


def losers(order):
    return {k: [v for v, _, conflict in rows if conflict] for k, rows in order.items()}


def one_order(m, since, tell, what):
    """Within HEALED_S all nodes have each object in the same version, with the same history."""
    seen = {}

    def agreed():
        for n in m.nodes:
            seen[n.name] = versions_of(n)
        return all(v == seen["n1"] for v in seen.values()) and any(losers(seen["n1"]).values())

    try:
        until("one order on every node", agreed, HEALED_S)
    except AssertionError as e:
        raise AssertionError(f"{e}: {json.dumps({k: str(v) for k, v in seen.items()}, indent=1)}")
    took = time.monotonic() - since
    tell(f"{what}: one order on every node {took:.2f} s after the heal")
    assert took <= secs(HEALED_S) + late(since)
    return seen["n1"]


def told_as_lost(m, kind, name, version, order):
    """Every node lists it as what lost against another, in each of the three places."""
    assert losers(order)[kind, name] == [version], order[kind, name]
    for n in m.nodes:
        code, out, err = cli("get", kind, name, "--history", "-o", "json", "--socket", n.socket_path)
        assert code == 0, (n.name, out, err)
        assert [r["version"] for r in json.loads(out)["history"] if r["conflict"]] == [version]
        code, out, err = cli("get", kind, name, "--socket", n.socket_path)
        assert code == 0 and "lost against another" in err, (n.name, out, err)
        _, out, err = cli("analyze", "--socket", n.socket_path)
        assert "GS0210" in out + err and name in out + err, (n.name, out, err)


def answers_of(n, count=20):
    return {n.ask(host="both").body.decode() for _ in range(count)}


def cut_while(net, m, tell, edit, what, dead=True):
    """Cut the wire under load; once each side has declared the other dead (if it is to), edit() and
    let both go on; heal, until all have one order. (that, what edit() returned)"""
    with load(m) as offered:
        offered.wait(500)
        began = time.monotonic()
        with net.cut(LEFT, RIGHT) as rules:
            if dead:
                in_halves(m)
                tell(f"each side has declared the other dead {time.monotonic() - began:.2f} s after "
                     "the cut")
            versions = edit()
            until(f"{CUT_S} s", lambda: time.monotonic() - began >= CUT_S, CUT_S + 1)
            lost = rules.packets()
            assert min(lost) > 0, lost
            lasted = time.monotonic() - began
        order = one_order(m, time.monotonic(), tell, what)
        offered.wait(500)
    for side in ("left", "right"):
        said, bad = offered.books(side)
        tell(f"cut for {lasted:.1f} s, {side}: {said}")
        assert not bad, bad
    tell(f"{offered.offered_enough():.0f} requests a second")
    return order, versions


def test_both_sides_go_on_and_agree_again(net, bench, labels, tell):
    m = five(bench, net, labels)
    n1, n2, n3, n4, n5 = m.nodes
    write(n1, note("same", "before"), wait="10s")

    def edit():
        # The same objects on either side, and others.
        out = [write(n2, virtual_service("both", v1=100, v2=0)), write(n5, virtual_service("both", v1=0, v2=100)),
               write(n1, note("same", "left")), write(n3, note("same", "right"))]
        write(n2, note("only-left", "l"))
        write(n4, note("only-right", "r"))
        m.wait_note("only-left", "l", at=[n1, n2])
        m.wait_note("only-right", "r", at=[n3, n4, n5])
        assert m.text_of(n1, "only-right") is None and m.text_of(n3, "only-left") is None
        # What was written has an effect on the side where it was written.
        for n, body in zip(m.nodes, ("v1", "v1", "v2", "v2", "v2")):
            until(f"{n.name} answers {body}", lambda: answers_of(n) == {body})
        return out

    order, (vs_left, vs_right, left, right) = cut_while(net, m, tell, edit, "two edits of two objects")
    assert order["Note", "same"][0][0] in (left, right)
    lost = left if order["Note", "same"][0][0] == right else right
    told_as_lost(m, "Note", "same", lost, order)
    won = order["VirtualService", "both"][0][0]
    assert won in (vs_left, vs_right)
    told_as_lost(m, "VirtualService", "both", vs_left if won == vs_right else vs_right, order)
    twice = {("Note", "same"), ("VirtualService", "both")}
    assert not any(v for k, v in losers(order).items() if k not in twice), order
    assert {("Note", "only-left"), ("Note", "only-right")} < set(order)
    m.wait_note("only-left", "l")
    m.wait_note("only-right", "r")
    m.wait_whole()
    m.wait_endpoints("both", ["healthy"] * 2)
    wanted = {"v1"} if won == vs_left else {"v2"}
    for n in m.nodes:
        until(f"{n.name} routes by what won", lambda: answers_of(n) == wanted)
    # A later edit wins, whoever makes it.
    m.policy(n4 if won == vs_left else n1, virtual_service("both", v1=50, v2=50))
    for n in m.nodes:
        assert answers_of(n, 100) == {"v1", "v2"}, n.name
    assert len({str(versions_of(n)["VirtualService", "both"][0]) for n in m.nodes}) == 1


def test_a_wrong_clock_decides_nothing_for_long(net, bench, labels, tell):
    """The clock of n1 is an hour ahead, that of n5 an hour behind; each edits against a right one."""
    m = five(bench, net, labels, {0: HOUR_MS, 4: -HOUR_MS})
    n1, n2, n3, n4, n5 = m.nodes
    write(n2, note("ahead", "before"), note("behind", "before"), wait="10s")

    def edit():
        out = [write(n1, note("ahead", "wrong")), write(n3, note("ahead", "right")),
               write(n2, note("behind", "right")), write(n5, note("behind", "wrong"))]
        for name, sides in (("ahead", ("wrong", "right")), ("behind", ("right", "wrong"))):
            for at, text in zip((m.nodes[:2], m.nodes[2:]), sides):
                m.wait_note(name, text, at=at)
        return out

    order, (ahead, behind_it, right, behind) = cut_while(
        net, m, tell, edit, "clocks an hour ahead and an hour behind", dead=HEAVY)
    # Neither had seen the other, and a clock is all there is to tell them apart.
    assert order["Note", "ahead"][0][0] == ahead and order["Note", "behind"][0][0] == right
    told_as_lost(m, "Note", "ahead", behind_it, order)
    told_as_lost(m, "Note", "behind", behind, order)
    # An edit made in sight of it wins, by whatever clock.
    m.wait_whole()
    for name, n in (("ahead", n4), ("behind", n5)):
        write(n, note(name, "honest"), wait="10s")
        m.wait_note(name, "honest", HEALED_S)
        assert not any(conflict for x in m.nodes for _, _, conflict in versions_of(x)["Note", name][:1])
    # Who is right says so of who is ahead; to who is behind, everybody else is.
    for n, of in ((n2, "n1"), (n3, "n1"), (n4, "n1"), (n5, "n2")):
        said = n.lines("clock.ahead", origin=of)
        assert said, n.said(f"has not told of the clock of {of}")
        assert all(HOUR_MS * 0.9 <= int(x["ahead_ms"]) <= HOUR_MS * 2.1 for x in said), said
        assert n.metrics()["gossamer_gossip_clock_ahead_total"][0].value > 0
    for n in (n2, n3, n4):
        assert not n.lines("clock.ahead", origin="n5"), "it is behind"
        assert not n.lines("clock.ahead", origin="n2")


def test_who_hears_nobody_stops_all_the_same(net, bench, labels, tell):
    """SIGTERM while the peers that called it are silent, and nothing is under way: 2 s for them to
    confirm, 1 s to let streams go, 2 s to take what was written."""
    m = Services(bench)
    n1 = m.host(space=net[0], near={"v1": labels(net[0], "near")})
    n2, n3 = m.host(space=net[1]), m.host(space=net[2])
    m.wait_whole()
    m.wait_endpoints("near", ["healthy"])
    assert n2.ask(host="near").body == n3.ask(host="near").body == b"near"
    with net.cut([0], [1, 2]):
        began = time.monotonic()
        n1.term()
        assert n1.wait(7) == 0
        tell(f"stopped {time.monotonic() - began:.2f} s after SIGTERM, with all peers silent")
