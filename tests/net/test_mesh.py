"""Nodes that find each other, and notice when one is gone.

    n1 ◀──join── n2, n3, ...      every node ◀──UDP, TCP──▶ every other     (loopback, a port each)
     ▲
     └── strangers: another key, noise, forgeries, recordings, from sockets of the test

Bounds are what a mesh of five needs at the most, not what it usually takes.
"""
import json
import random
import signal
import socket
import subprocess
import time

import pytest
from lib.lateness import longest, undisturbed
from lib.mesh import Follower, Mesh, Recorder, new_key, note
from lib.node import cli, memory_counts, service
from lib.settings import BIN, HEAVY, HOST, SEED, child_env, secs, until

DEAD_S = 15  # a silent process, at the most; a killed one is noticed sooner

# ---- forming -------------------------------------------------------------------------------------


def test_five_form_a_mesh(bench):
    m = bench.mesh(5)
    for n in m.nodes:
        members, doc = n.api("members")
        assert doc["standing"] == "open"
        assert [x["name"] for x in members if x["self"]] == [n.name]
        assert sorted(x["name"] for x in members) == ["n1", "n2", "n3", "n4", "n5"]
        for x in members:
            other = m[x["name"]]
            assert x["address"] == "%s:%d" % other.gossip
            assert x["state"] == "alive" and not x["twin"]
            assert (x["version"], x["services"]) == (members[0]["version"], 0)
        for other in m.nodes:
            assert len(n.lines("member.up", name=other.name)) == (other is not n)
        assert len(n.lines("mesh.opened")) == 1 or n.name == "n1"
    ids = {n.name: next(x["id"] for x in n.api("members")[0] if x["self"]) for n in m.nodes}
    for n in m.nodes:
        assert {x["name"]: x["id"] for x in n.api("members")[0]} == ids


def test_round_trips_are_measured(bench):
    m = bench.mesh(3)
    for n in m.nodes:
        until("all are measured",
              lambda: all(r["rtt_ms"] is not None for r in n.api("rtt")[0]), 20)
        rows, doc = n.api("rtt")
        assert doc["from"] == n.name
        assert len(rows) == 2 and all(0 < r["rtt_ms"] < 1000 for r in rows)
    code, out, err = cli("rtt", "n2", "--socket", m["n1"].socket_path)
    assert code == 0 and out.split()[5] == "n2", (out, err)
    code, out, err = cli("rtt", "n22", "--socket", m["n1"].socket_path)
    assert code == 1 and "did you mean n2?" in err, err


def test_a_node_says_its_zone_and_services(bench):
    m = bench.mesh()
    m.add(extra={"zone": "eu-1a"})
    o = bench.origin()
    m.add(proxy=True, services=[service("echo", [o])], extra={"zone": "eu-1b"})
    m.wait_whole()
    rows = {x["name"]: x for x in m["n1"].api("members")[0]}
    assert (rows["n2"]["zone"], rows["n2"]["services"]) == ("eu-1b", 1)
    assert rows["n2"]["inbound"] == "%s:%d" % m["n2"].inbound
    assert rows["n1"]["zone"] == "eu-1a" and rows["n1"].get("inbound") is None


def test_two_of_one_name_are_told(bench):
    m = bench.mesh(2)
    m.add(name="n2")
    until("n1 sees two of the name n2", lambda: m["n1"].lines("member.twin", name="n2"))
    rows = [x for x in m["n1"].api("members")[0] if x["name"] == "n2"]
    assert len(rows) == 2 and all(x["twin"] and x["state"] == "alive" for x in rows)
    code, out, err = cli("members", "--socket", m["n1"].socket_path)
    assert code == 0 and err.count("more than one node is called n2") == 1, err
    assert "two nodes have the same name" in cli("check", "--socket", m["n1"].socket_path)[1]


# ---- ending --------------------------------------------------------------------------------------


def test_a_killed_node_is_dead_for_all_and_comes_back(bench):
    m = bench.mesh(5)
    victim, others = m["n3"], [n for n in m.nodes if n.name != "n3"]
    before = {x["name"]: x for x in m["n1"].api("members")[0]}["n3"]
    victim.crash()
    m.wait_state("n3", "dead", DEAD_S)
    for n in others:
        assert len(n.lines("member.down", name="n3")) == 1
        assert not n.lines("member.left")
        assert [x["name"] for x in n.api("members")[0] if x["state"] == "alive"] == sorted(
            o.name for o in others)
    victim.start()
    m.wait_whole()
    after = {x["name"]: x for x in m["n1"].api("members")[0]}["n3"]
    assert after["id"] == before["id"] and after["since"] > before["since"]
    for n in others:
        assert [x["was"] for x in n.lines("member.up", name="n3")] == ["new", "dead"]


def test_a_restart_is_no_dying(bench):
    """SIGTERM says that it restarts: all list it as alive until it is back. One that does not come
    back in five seconds is dead then, at once. (It must be back in those five, so the machine must run.)"""
    undisturbed(lambda: restarts(bench.mesh(5)), 0.5)


def restarts(m):
    n, others = m["n3"], [n for n in m.nodes if n.name != "n3"]
    assert not any(x["restarting"] for x in m["n1"].api("members")[0])
    n.stop()
    for other in others:
        row = until("it is listed as restarting",
                    lambda o=other: next((x for x in o.api("members")[0] if x["restarting"]), None),
                    2)
        assert row["name"] == "n3"
        assert row["state"] == "alive"
        assert len(other.lines("member.restarting", name="n3")) == 1
    code, out, err = cli("members", "-o", "wide", "--socket", m["n1"].socket_path)
    assert code == 0 and "RESTARTING" in out.splitlines()[0], (out, err)
    n.start()
    m.wait_whole()
    for other in others:
        # It was alive for them all the time: that they list it so does not say that they have heard of it.
        until("it has heard of it again", lambda o=other: len(o.lines("member.up", name="n3")) == 2)
        assert [x["was"] for x in other.lines("member.up", name="n3")] == ["new", "restarted"]
        assert not other.lines("member.down") and not other.lines("member.suspect")
        assert not any(x["restarting"] for x in other.api("members")[0])
    n.stop()
    gone = time.monotonic()
    m.wait_state("n3", "dead", 5 + DEAD_S)
    assert time.monotonic() - gone > 4.5
    assert all(len(other.lines("member.down", name="n3")) == 1 for other in others)


def test_leaving_is_no_dying(bench):
    began = time.monotonic()
    m = bench.mesh(4)
    n = m["n4"]
    code, out, err = cli("leave", "--socket", n.socket_path)
    assert (code, out) == (0, "n4 has left the mesh and stops\n"), err
    m.wait_state("n4", "left", 3, but=(n, ))
    assert n.wait(10) == 0
    for other in m.alive():
        assert other.lines("member.left", name="n4")
        assert not other.lines("member.suspect") or longest(began) > 0.3  # as in assert_nobody_was_gone()
        assert not other.lines("member.down")
    n.start()
    m.wait_whole()
    code, out, err = cli("leave", "--socket", "/nonexistent/sock")
    assert code == 3


def test_only_the_unix_socket_lets_a_node_leave(bench):
    n = bench.mesh(1)["n1"]
    assert n.admin_request("POST", "/api/v1/leave", tcp=True)[0] == 403
    assert n.admin_request("GET", "/api/v1/leave")[0] == 405
    assert n.is_ready()


def test_a_stopped_process_is_declared_dead_and_believed_again(bench):
    m = bench.mesh(4)
    sleeper = m["n4"]
    sleeper.proc.send_signal(signal.SIGSTOP)
    try:
        m.wait_state("n4", "dead", DEAD_S, but=(sleeper, ))
    finally:
        sleeper.proc.send_signal(signal.SIGCONT)
    m.wait_whole()
    assert not sleeper.lines("member.down"), "it slept itself, and blames others for it"
    for n in m.nodes[:3]:
        assert [x["was"] for x in n.lines("member.up", name="n4")] == ["new", "dead"]
        assert len(n.lines("member.up")) == 4, "nobody else was ever gone"


# ---- who may come in -----------------------------------------------------------------------------


def test_another_key_stays_outside(bench):
    m = bench.mesh(2)
    other = m.write_keys("other.key", [new_key()])
    stranger = bench.node(name="n9", start=False, proxy=False, key_file=other,
                          join=[m["n1"].gossip]).spawn()
    until("n1 has refused its packets", lambda: m.refused(m["n1"])["key"] >= 3, 20)
    status, body = stranger.admin_request("GET", "/ready", tcp=True)
    assert status == 503 and b"closed" in body
    status, answer = m.apply(stranger, note("a", "b"))
    assert status == 503, answer
    assert list(m.states(stranger)) == ["n9"]
    assert sorted(m.states(m["n1"])) == ["n1", "n2"]
    assert stranger.api("members")[1]["standing"] == "closed"
    assert "the mesh is closed for this node" in cli("check", "--socket", stranger.socket_path)[1]


def test_joining_needs_a_key(bench, tmp_path):
    m = bench.mesh(1)
    n = bench.node(name="n2", start=False, proxy=False, join=[m["n1"].gossip]).spawn()
    assert n.wait(10) == 1
    assert "copy a member's gossip.key_file" in n.log()
    n.exit_wanted = 1
    loose = m.write_keys("loose.key", [new_key()], 0o644)
    n = bench.node(name="n3", start=False, proxy=False, key_file=loose).spawn()
    assert n.wait(10) == 1
    assert "chmod 600" in n.log()
    n.exit_wanted = 1
    code, out, err = cli("check", "-c", str(n.config_path))
    assert code == 1 and "chmod 600" in out, out


def test_a_mesh_is_founded_and_joined_with_its_key(bench):
    first = bench.node(name="n1", proxy=False)
    key = first.state_dir / "gossip.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert first.lines("mesh.founded")
    second = bench.node(name="n2", proxy=False, key_file=key, join=[first.gossip])
    until("both", lambda: set(Mesh.states(first)) == set(Mesh.states(second)) == {"n1", "n2"})
    first.stop()
    first.start()
    assert len(first.lines("mesh.founded")) == 1, "its key was there already"
    until("both again", lambda: Mesh.states(second).get("n1") == "alive")


def test_keys_are_changed_one_node_after_the_other(bench):
    old, new = new_key(), new_key()
    m = bench.mesh(keys=[old])
    m.add()
    m.add(key_file=m.write_keys("both.key", [old, new]))
    m.add(key_file=m.write_keys("turned.key", [new, old]), join=[m["n2"].gossip])
    alive = {"n1": "alive", "n2": "alive", "n3": "alive"}
    until("n2 speaks with both", lambda: m.states(m["n2"]) == alive)


def test_a_node_that_finds_nobody_waits_closed(bench):
    m = bench.mesh(1)
    seed = m["n1"]
    seed.stop()
    late = m.add(start=False)
    late.spawn()
    until("its API", lambda: "node.started" in late.log())
    assert late.admin_request("GET", "/ready", tcp=True)[0] == 503
    status, answer = m.apply(late, note("a", "b"))
    assert status == 503 and answer["errors"][0]["hint"], answer
    seed.start()
    m.wait_whole(20)
    until("it is open", late.is_ready)
    assert late.lines("mesh.opened")


# ---- hostile packets -----------------------------------------------------------------------------

FLOOD = 1000000 if HEAVY else 10000
WINDOW = 100  # in flight: no socket buffer overflows, so that everything can be counted


def flood(n, sock, packets, count):
    """Send `count` of them; until the node has counted that many more refusals. By reason."""
    before = Mesh.refused(n)
    sent = 0
    while sent < count:
        for _ in range(min(WINDOW, count - sent)):
            sock.sendto(packets[sent % len(packets)], n.gossip)
            sent += 1

        def taken():
            now = Mesh.refused(n)
            return sum(now.values()) - sum(before.values()) >= sent and now

        now = until(f"{sent} packets counted", taken, 20)
    return {k: now[k] - before[k] for k in now}


def answers(sock):
    out = []
    try:
        while True:
            out.append(sock.recv(65536))
    except BlockingIOError:
        return out


@pytest.fixture
def watched(bench):
    """A mesh of three, what it says of itself, and a socket of somebody else's."""
    began = time.monotonic()
    m = bench.mesh(3)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((HOST, 0))
    s.setblocking(False)
    m.note("kept", "as it is", m["n2"])
    m.wait_note("kept", "as it is")
    yield m, s
    m.wait_whole()
    assert m.text_of(m["n1"], "kept") == "as it is"
    assert_nobody_was_gone(m, began)
    s.close()


def assert_nobody_was_gone(m, began):
    """Nor suspected, unless the machine stood still for as long as an answer may take."""
    for n in m.nodes:
        assert not n.lines("member.suspect") or longest(began) > 0.3
        assert not n.lines("member.down")
        assert len(n.lines("member.up")) == 2


def assert_memory_flat(n, before):
    if memory_counts():
        assert n.rss_kib() - before < 1024, "memory grew with the packets"


def test_noise(watched):
    m, s = watched
    rng = random.Random(SEED)
    print("seed", SEED)
    noise = [rng.randbytes(rng.choice((0, 1, 23, 24, 39, 40, 41, 100, 576, 1200, 1201, 1400)))
             for _ in range(512)]
    flood(m["n1"], s, noise, WINDOW)
    rss = m["n1"].rss_kib()
    counted = flood(m["n1"], s, noise, FLOOD)
    assert sum(counted[k] for k in ("junk", "key")) == sum(counted.values()) >= FLOOD
    assert answers(s) == []
    assert_memory_flat(m["n1"], rss)


@pytest.fixture
def recorder(bench):
    """A mesh of two, a third that joins, and the datagrams that n1 got from them meanwhile."""
    m = bench.mesh(2)
    try:
        r = Recorder(m["n1"].gossip)
    except PermissionError:
        pytest.skip("recording packets needs CAP_NET_RAW")
    m.add()
    m.wait_whole()
    until("a few packets", lambda: r.pump() >= 8, 20)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((HOST, 0))
    s.setblocking(False)
    yield m, r.packets[:], s
    s.close()
    r.close()


def test_recordings_and_forgeries(recorder):
    m, packets, s = recorder
    began = time.monotonic()
    n1 = m["n1"]
    flood(n1, s, packets[:1], WINDOW)
    rss = n1.rss_kib()
    # Of sessions that n1 knows: each was seen.
    counted = flood(n1, s, packets, FLOOD)
    assert counted["replayed"] >= FLOOD and counted["forged"] == 0, counted
    # One bit anywhere behind magic and epoch.
    rng = random.Random(SEED)
    print("seed", SEED)
    forged = []
    for _ in range(512):
        p = bytearray(rng.choice(packets))
        p[rng.randrange(2, len(p))] ^= 1 << rng.randrange(8)
        forged.append(bytes(p))
    counted = flood(n1, s, forged, FLOOD)
    assert counted["forged"] > 0, counted  # of a number that was seen it need not look further
    assert counted["forged"] + counted["replayed"] >= FLOOD, counted
    cut = [p[:rng.randrange(41, len(p))] for p in packets for _ in range(64)]
    counted = flood(n1, s, cut, FLOOD // 10)
    assert counted["forged"] + counted["replayed"] >= FLOOD // 10, counted
    assert answers(s) == []
    assert_memory_flat(n1, rss)
    m.wait_whole()
    assert_nobody_was_gone(m, began)


def test_a_recording_to_a_restarted_node(recorder):
    """n1 has forgotten all sessions: a recording is authentic, of nobody it has heard of."""
    m, packets, s = recorder
    n1 = m["n1"]
    for n in m.nodes[1:]:
        n.crash()
    n1.stop()
    n1.start()
    start = time.monotonic()
    counted = flood(n1, s, packets, FLOOD)
    lasted = time.monotonic() - start
    got = answers(s)
    assert counted["unknown"] >= FLOOD, counted
    assert len(got) <= 2 * (lasted + 1), "a challenge a second and sender, and these are two"
    longest = max(len(p) for p in packets)
    assert all(len(a) <= longest for a in got)
    assert len(n1.lines("member.up")) == 2, "a recording has made somebody alive"


# ---- what happened -------------------------------------------------------------------------------


def test_events_are_told_as_they_come(bench):
    m = bench.mesh(2)
    n1 = m["n1"]
    args = [BIN, "events", "-f", "-o", "json", "--socket", n1.socket_path]
    p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=child_env(),
                         text=True)
    try:
        first = json.loads(p.stdout.readline())
        assert (first["event"], first["name"]) == ("member.up", "n2")
        m.note("hello", 'two "words"', m["n2"])
        e = json.loads(p.stdout.readline())
        assert (e["event"], e["name"], e["text"], e["origin"]) == ("note.arrived", "hello",
                                                                   'two "words"', "n2")
        m["n2"].crash()
        seen = []
        while not seen or seen[-1] != "member.down":
            seen.append(json.loads(p.stdout.readline())["event"])
        n1.stop()
        assert p.wait(secs(10)) == 0
        assert "the node stops" in p.stderr.read()
    finally:
        p.kill()
        p.communicate()
    n1.start()
    code, out, err = cli("events", "--socket", n1.socket_path)
    assert code == 0 and "note.arrived" not in out, "what was on its disk has not arrived"


def test_events_as_a_list_and_for_people(bench):
    m = bench.mesh(2)
    m.note("hello", "\x1b[31mred", m["n2"])
    m.wait_note("hello", "\x1b[31mred")
    events = m["n1"].api("events")[0]
    assert [e["event"] for e in events] == ["member.up", "note.arrived"]
    assert all(e["time"] > 1.6e9 for e in events)
    code, out, err = cli("events", "--socket", m["n1"].socket_path)
    assert code == 0 and out.count("\n") == 2
    assert "name=hello" in out and "\x1b" not in out and "\\x1b[31mred" in out
    code, out, err = cli("events", "-o", "json", "--socket", m["n1"].socket_path)
    assert [e["event"] for e in json.loads(out)["events"]] == ["member.up", "note.arrived"]


def test_a_slow_reader_is_cut_and_told(bench):
    n = bench.mesh(1)["n1"]
    slow, quick = Follower(n), Follower(n)
    total = 0
    for batch in range(6):  # 4 KiB a line: more than socket and queue hold, and more than are kept
        notes = [note(f"b{batch}-{i}", f"{i}" * (4000 // len(str(i)))) for i in range(200)]
        status, answer = Mesh.apply(n, *notes)
        assert status == 200, answer
        total += len(notes)
        for _ in notes:
            assert quick.next()["event"] == "note.arrived"
    seen, last = 0, None
    while True:
        e = slow.next()
        if e is None:
            break
        seen, last = seen + 1, e
    assert last["event"] == "events.cut", last
    assert seen - 1 + last["lost"] <= total and last["lost"] > 0
    slow.close()
    quick.close()
    again = Follower(n)
    assert len([again.next() for _ in range(256)]) == 256, "the last ones are kept"
    again.close()


def test_readers_that_leave_are_forgotten(bench):
    n = bench.mesh(1)["n1"]
    before = n.fds()
    for _ in range(100):  # more than may be open at once
        f = Follower(n)
        Mesh.apply(n, note("a", f"{_}"))
        assert f.next()["event"] == "note.arrived"
        f.close()
    until("closed", lambda: n.fds() <= before)


# ---- policy --------------------------------------------------------------------------------------


def test_a_note_reaches_all_and_goes(bench):
    m = bench.mesh(5)
    version = m.note("hello", "deploying tools v2", m["n4"])
    m.wait_note("hello", "deploying tools v2")
    for n in m.nodes:
        line, = n.lines("note.arrived")
        assert line == {
            "kind": "Note", "ns": "default", "name": "hello", "version": version, "origin": "n4",
            "text": "deploying tools v2"
        }
    m.note("hello", "done", m["n2"])
    m.wait_note("hello", "done")
    code, out, err = cli("delete", "note", "hello", "--socket", m["n1"].socket_path)
    assert code == 0, err
    m.wait_note("hello", None)
    for n in m.nodes:
        assert n.lines("note.arrived")[-1]["deleted"] == "1"


def test_a_note_is_an_ordinary_object(bench, tmp_path):
    n = bench.mesh(1)["n1"]
    f = tmp_path / "note.yaml"
    head = "apiVersion: gossamer.dev/v1\nkind: Note\nmetadata: { name: a }\n"
    f.write_text(head + "spec: { txt: b }\n")
    code, out, err = cli("apply", "-f", str(f), "--socket", n.socket_path)
    assert code == 1 and f"{f}:4:9" in err and 'did you mean "text"?' in err, err
    f.write_text(head + "spec: { text: b }\n")
    assert cli("apply", "-f", str(f), "--socket", n.socket_path)[0] == 0
    code, out, err = cli("get", "notes", "--socket", n.socket_path)
    assert code == 0 and out.split()[out.split().index("Note"):][:4] == [
        "Note", "default", "a", "active"]
    code, out, err = cli("get", "note", "a", "-o", "json", "--socket", n.socket_path)
    f.write_text(out)
    code, out, err = cli("apply", "-f", str(f), "--socket", n.socket_path)
    assert code == 0 and "unchanged" in out, out


def test_what_was_missed_is_there_after_a_restart(bench):
    m = bench.mesh(3)
    m.note("before", "1", m["n1"])
    m.wait_note("before", "1")
    m["n3"].stop()
    m.note("before", "2", m["n1"])
    m.note("missed", "3", m["n2"])
    m["n3"].start()
    m.wait_note("before", "2")
    m.wait_note("missed", "3")
    m.wait_whole()
    texts = [(x["name"], x["text"]) for x in m["n3"].lines("note.arrived")]
    assert sorted(texts) == [("before", "1"), ("before", "2"), ("missed", "3")]


def test_a_whole_mesh_restarted_loses_nothing(bench):
    m = bench.mesh(3)
    for i, n in enumerate(m.nodes):
        m.note(f"from-{n.name}", f"{i}", n)
    for i, n in enumerate(m.nodes):
        m.wait_note(f"from-{n.name}", f"{i}")
    for n in m.nodes:
        n.crash()
    for n in m.nodes:
        n.spawn()
    for n in m.nodes:
        until(f"{n.name} ready", n.is_ready, 15)
    m.wait_whole(20)
    for i, n in enumerate(m.nodes):
        m.wait_note(f"from-{n.name}", f"{i}")


def test_edits_of_two_at_once_agree(bench):
    m = bench.mesh(3)
    for i in range(10):
        m.note("same", f"a{i}", m["n1"])
        m.note("same", f"b{i}", m["n2"])
    until("one text for all", lambda: len({m.text_of(n, "same") for n in m.nodes}) == 1)


# ---- figures -------------------------------------------------------------------------------------


def value(metrics, name, **labels):
    return next(s.value for s in metrics[name] if labels.items() <= s.labels.items())


def test_figures(bench):
    m = bench.mesh(3)
    n = m["n1"]
    m.note("a", "b", n)
    m.wait_note("a", "b")
    x = n.metrics()
    assert value(x, "gossamer_gossip_members", state="alive") == 2
    assert value(x, "gossamer_gossip_open") == 1
    assert value(x, "gossamer_gossip_records", kind="present") >= 1
    for direction in ("sent", "received"):
        assert value(x, "gossamer_gossip_packets_total", direction=direction, via="datagram") > 0
        assert value(x, "gossamer_gossip_bytes_total", direction=direction, via="datagram") > 0
    assert value(x, "gossamer_loop_lag_seconds", thread="gossip") >= 0
    # One that stood still is careful for a while.
    until("it is well", lambda: value(n.metrics(), "gossamer_gossip_health_multiplier") == 0, 30)
    until("it probes", lambda: value(n.metrics(), "gossamer_gossip_probes_total") > 0)
    assert not any(k.startswith("gossamer_requests") for k in x), "there is no proxy"


def test_without_a_proxy_nothing_of_it_listens(bench):
    n = bench.mesh(1)["n1"]
    assert n.listening() == sorted([n.admin, n.gossip])
    assert n.api("services")[0] == [] and n.api("stat")[0] == []
    assert n.admin_request("GET", "/api/v1/endpoints")[0] == 200
