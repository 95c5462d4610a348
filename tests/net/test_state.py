"""The files of a node's state directory, damaged in every way that a disk, a crash or a hand can.

    good files ─▶ damage (seeded) ─▶ start: ready every time, from what is left ─▶ writes, restarts
                                            └─ log and `check` say what was set aside, and it is kept
"""
import json
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import tempfile
import threading

import pytest

from lib.mesh import note
from lib.node import cli
from lib.policy import destination_rule, documents, virtual_service
from lib.settings import BIN, HEAVY, SEED, scaled, secs, until

CASES = scaled("GOSSAMER_STATES", 60, 500)
KILLS = scaled("GOSSAMER_KILLS", 6, 40)
HEADER, FRAME = 20, 10
KEPT = 4  # files set aside, of each name (STATE_BAD_KEPT_MAX)
WANTED = {"Note/kept-0", "Note/kept-1", "Note/kept-2", "VirtualService/tools", "DestinationRule/tools"}


# ---- the format, in so far as one has to know it to break it well ----------------------------------

def _table():
    t = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        t.append(n)
    return t


TABLE = _table()


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


def header(kind, format=1, magic=b"GSMRSTAT"):
    h = magic + struct.pack("<II", format, kind)
    return h + struct.pack("<I", crc32c(h))


def frame(kind, data):
    n, k = struct.pack("<I", len(data)), struct.pack("<H", kind)
    return n + struct.pack("<I", crc32c(n + k + data)) + k + data


def frames(data):
    """(start, end, kind) of each."""
    at, out = HEADER, []
    while at < len(data):
        n, _, kind = struct.unpack_from("<IIH", data, at)
        out.append((at, at + FRAME + n, kind))
        at = out[-1][1]
    return out


def kind_of(data):
    return struct.unpack_from("<I", data, 12)[0]


def end(count):
    return frame(0xffff, struct.pack("<I", count))


# ---- damage --------------------------------------------------------------------------------------

def mutations(good, other, rng):
    """(name, bytes) of damaged files, endlessly. good: the file; other: the same of another node."""
    cuts = [a for a, _, _ in frames(good)]
    while True:
        at = rng.choice(cuts)
        yield f"cut at the frame at {at}", good[:at]
        at = rng.randrange(len(good))
        yield f"cut at {at}", good[:at]
        at, bit = rng.randrange(len(good)), rng.randrange(8)
        yield f"bit {bit} of byte {at}", good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1:]
        a, b = sorted(rng.randrange(len(good)) for _ in range(2))
        yield f"zeros from {a} to {b}", good[:a] + bytes(b + 1 - a) + good[b + 1:]
        yield "zeros from somewhere to the end", good[:a] + bytes(len(good) - a)
        yield "twice", good + good
        yield "behind itself, without a header", good + good[HEADER:]
        yield "text behind it", good + b"apiVersion: v1\n"
        yield "of another node, cut", other[:rng.randrange(len(other))]
        yield "another's tail", good[:cuts[-1]] + other[frames(other)[-1][0]:]
        yield "an older format", header(kind_of(good), 0) + good[HEADER:]
        yield "a newer format", header(kind_of(good), 2) + good[HEADER:]
        yield "another type", header(3 - kind_of(good)) + good[HEADER:]
        yield "another magic", header(kind_of(good), 1, b"GSMRSTAU") + good[HEADER:]
        f = frames(good)
        i = rng.randrange(max(1, len(f) - 1))
        yield f"without frame {i}", good[:f[i][0]] + good[f[i][1]:]
        yield "a length beyond the end", good[:HEADER] + struct.pack("<I", 1 << 31) + good[HEADER + 4:]
        yield "a length of everything", good[:HEADER] + b"\xff" * 4 + good[HEADER + 4:]
        yield "random bytes", rng.randbytes(rng.randrange(1, 5000))
        yield "empty", b""
        yield "one byte", good[:1]
        yield "no end", good[:f[-1][0]]
        yield "frames of nonsense", header(kind_of(good)) + b"".join(
            frame(k, rng.randbytes(rng.randrange(20, 200))) for k in (1, 2, 16, 32, 1)) + end(5)


def odd_things(path):
    """What stands there is no file, or cannot be read."""
    yield "a folder", lambda: path.mkdir()
    yield "a full folder", lambda: (path.mkdir(), (path / "x").write_text("x"))
    yield "a pipe", lambda: os.mkfifo(path)
    yield "a link to nowhere", lambda: path.symlink_to("nowhere")
    yield "a link to itself", lambda: path.symlink_to(path.name)
    yield "a link to a device", lambda: path.symlink_to("/dev/zero")
    yield "too large", lambda: (path.write_bytes(b""), os.truncate(path, 1 << 30))
    yield "not to be read", lambda: (path.write_bytes(b"x"), path.chmod(0))


# ---- the bench -----------------------------------------------------------------------------------

def objects(n):
    return {f"{o['kind']}/{o['name']}" for o in n.api("objects")[0]}


def write(n, *docs, want=200, params=""):
    status, body = n.admin_request("POST", "/api/v1/apply?namespace=default" + params, documents(*docs))
    assert status == want, body
    return json.loads(body)


def bad_files(n, name):
    return sorted(p for p in n.state_dir.iterdir() if p.name.startswith(name + ".bad."))


@pytest.fixture(scope="module")
def good(module_bench):
    """Files of a node that has objects of each kind, former versions, and some that were deleted; and
    those of another."""
    out = []
    for k in range(2):
        n = module_bench.node(name=f"g{k}", proxy=False)
        for i in range(5):
            write(n, note(f"kept-{i % 3}", f"text {i} of {k}"))
        write(n, destination_rule(v1="v1"), virtual_service(v1=100))
        write(n, note("gone", "soon"))
        assert n.admin_request("DELETE", "/api/v1/objects/Note/default/gone")[0] == 200
        assert objects(n) == WANTED
        n.stop()
        out.append({p.name: p.read_bytes() for p in n.state_dir.iterdir() if p.name != "lock"})
    for files in out:
        assert set(files) == {"mesh.state", "node.state", "node.key", "gossip.key"}
        assert [k for _, _, k in frames(files["mesh.state"])][-1] == 0xffff
    return out


class Victim:
    """One node whose state directory is made anew before each start."""

    def __init__(self, bench, files):
        self.n, self.files = bench.node(name="n1", start=False, proxy=False), files

    def lay(self):
        shutil.rmtree(self.n.state_dir, ignore_errors=True)
        self.n.state_dir.mkdir(mode=0o700)
        for name, data in self.files.items():
            (self.n.state_dir / name).write_bytes(data)
            (self.n.state_dir / name).chmod(0o600)
        (self.n.dir / "stderr.log").write_text("")

    def judge(self, name, what, bad, look):
        """Started on what was laid; bad: what the file set aside holds, None: none may be."""
        n = self.n
        n.start()
        have = objects(n)
        told = n.lines("state.set_aside", file=name)
        kept = bad_files(n, name)
        if bad is None:
            assert not told and not kept and have == WANTED, (what, told, kept, have)
        else:
            assert len(told) == 1 and "set aside as" in told[0]["why"] and len(kept) == 1, (what, told, kept)
            assert bad is ... or kept[0].read_bytes() == bad, what
            assert have == (set() if name == "mesh.state" else WANTED), (what, have)
        write(n, note("after", what))
        if look:
            code, out, _ = cli("check", "-c", str(n.config_path), "-o", "json")
            lines = {x["name"]: x for x in json.loads(out)["check"]}
            assert code == 0, out
            if bad is not None:
                assert kept[0].name in lines["state-set-aside"]["message"], out
        n.crash()
        n.start()
        assert objects(n) == have | {"Note/after"}, what
        n.stop()


@pytest.fixture
def victim(bench, good):
    return Victim(bench, good[0])


# ---- starting on anything --------------------------------------------------------------------------

def is_whole(data, kind):
    """Would a reader of the format take it? (Some damage undoes itself: zeros over zeros.)"""
    if len(data) < HEADER or data[:HEADER] != header(kind):
        return False
    at, count = HEADER, 0
    while at + FRAME <= len(data):
        n, crc, k = struct.unpack_from("<IIH", data, at)
        body = data[at + FRAME:at + FRAME + n]
        if len(body) < n or crc != crc32c(data[at:at + 4] + data[at + 8:at + 10] + body):
            return False
        at += FRAME + n
        if k == 0xffff:
            return at == len(data) and body == struct.pack("<I", count)
        count += 1
    return False


def test_damaged_files(victim, good, capsys):
    """Each start is ready; what could be used is used, the rest is set aside as it was, and told."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    done = {}
    sources = {name: mutations(good[0][name], good[1][name], rng) for name in ("mesh.state", "node.state")}
    for i in range(CASES):
        name = "mesh.state" if i % 4 < 3 else "node.state"
        what, data = next(sources[name])
        victim.lay()
        path = victim.n.state_dir / name
        path.write_bytes(data)
        whole = is_whole(data, kind_of(good[0][name]))
        if what == "frames of nonsense":
            nonsense(victim, name, data)
        else:
            victim.judge(name, what, None if whole else data, i % 10 == 0)
        done[whole] = done.get(whole, 0) + 1
    with capsys.disabled():
        print(f"\n    {CASES} damaged files: {done.get(False, 0)} set aside, {done.get(True, 0)} whole", end="")
    assert done[False] > CASES / 2


def nonsense(victim, name, data):
    """Whole frames that say nothing: left out one by one, and the file is kept beside what replaces it."""
    n = victim.n
    n.start()
    assert objects(n) == (set() if name == "mesh.state" else WANTED)
    (kept, ) = bad_files(n, name)
    assert kept.read_bytes() == data
    assert n.lines("state.kept", file=name) and kept.name in n.lines("state.kept", file=name)[0]["why"]
    write(n, note("after", "x"))
    n.stop()


def test_every_frame_boundary(victim, good):
    """A write that was torn there. Of a good disk it never is: it is renamed when it is whole."""
    data = good[0]["mesh.state"]
    cuts = [a for a, _, _ in frames(data)] + [HEADER - 1, HEADER]
    for at in cuts if HEAVY else random.Random(SEED).sample(cuts, 6):
        victim.lay()
        (victim.n.state_dir / "mesh.state").write_bytes(data[:at])
        victim.judge("mesh.state", f"cut at {at}", data[:at], False)


def test_what_is_no_file(victim):
    for name in ("mesh.state", "node.state"):
        path = victim.n.state_dir / name
        for what, make in odd_things(path):
            if what == "not to be read" and os.geteuid() == 0:
                continue  # root reads it all the same
            victim.lay()
            path.unlink()
            make()
            victim.judge(name, what, ..., what == "a folder")


@pytest.fixture
def public(bench):
    """A bench that other users may look into: pytest's own folders are root's alone."""
    b = type(bench)(pathlib.Path(tempfile.mkdtemp(prefix="gossamer-")))
    b.path.chmod(0o755)
    yield b
    b.close()
    shutil.rmtree(b.path)


def test_a_user_who_may_not_read_it(public, good):
    """The same as another user than root, for whom permissions mean something."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    v = Victim(public, good[0])
    # A copy: the folder of the build may be closed to others.
    v.n.bin = shutil.copy(BIN, public.path / "gossamer")
    v.lay()
    v.n.write()
    (v.n.state_dir / "mesh.state").chmod(0)
    for p in (v.n.dir, v.n.state_dir, *v.n.state_dir.iterdir()):
        os.chown(p, 65534, 65534)
    v.n.user = 65534
    v.n.start()
    (bad, ) = bad_files(v.n, "mesh.state")
    assert bad.read_bytes() == good[0]["mesh.state"], "nothing is lost: who may read it can put it back"
    assert "Permission denied" in v.n.lines("state.set_aside", file="mesh.state")[0]["why"]
    write(v.n, note("after", "x"))


def test_a_user_whose_folder_it_is_not(public, good):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    v = Victim(public, good[0])
    v.lay()
    v.n.write()
    os.chown(v.n.dir, 65534, 65534)
    v.n.bin, v.n.user, v.n.exit_wanted = shutil.copy(BIN, public.path / "gossamer"), 65534, None
    v.n.spawn()
    assert v.n.wait(10) == 1
    assert f"cannot open {v.n.state_dir}/lock: Permission denied; give it to the user" in v.n.log()


def test_another_nodes_files(victim, good):
    """Whole, and of another node: what it says is as good as what a peer says."""
    victim.lay()
    (victim.n.state_dir / "mesh.state").write_bytes(good[1]["mesh.state"])
    (victim.n.state_dir / "node.state").write_bytes(good[1]["node.state"])
    victim.judge("mesh.state", "another's", None, True)


def test_numbers_that_no_node_has(victim):
    for boot, incarnation, hlc in ((1 << 63, 1, 1), (1, 1, (1 << 64) - 1), ((1 << 48), 1, 1), (1, 1 << 40, 1)):
        victim.lay()
        data = header(2) + frame(32, struct.pack("<QQQ", boot, incarnation, hlc)) + end(1)
        (victim.n.state_dir / "node.state").write_bytes(data)
        nonsense_of_node(victim, data)


def nonsense_of_node(victim, data):
    n = victim.n
    n.start()
    assert objects(n) == WANTED
    (kept, ) = bad_files(n, "node.state")
    assert kept.read_bytes() == data and n.lines("state.set_aside", file="node.state")
    write(n, note("after", "x"))
    n.stop()


def test_few_are_kept(victim):
    """A disk that damages it again and again is not filled by what was set aside."""
    victim.lay()
    last = None
    for i in range(KEPT + 4):
        last = b"junk %d" % i
        (victim.n.state_dir / "mesh.state").write_bytes(last)
        victim.n.start()
        victim.n.stop()
    kept = bad_files(victim.n, "mesh.state")
    assert len(kept) == KEPT and kept[-1].read_bytes() == last
    code, out, _ = cli("check", "--pre", "-c", str(victim.n.config_path), "--ascii")
    assert code == 0, out


@pytest.mark.parametrize("name", ["node.key", "gossip.key"])
def test_keys_are_not_made_anew(victim, name):
    """Who a node is, and whose mesh it is in, is nothing to be guessed: it says what to do, and ends."""
    for data in (b"", b"short", b"\0" * 100):
        victim.lay()
        (victim.n.state_dir / name).write_bytes(data)
        victim.n.spawn()
        assert victim.n.wait(10) == 1
        log = victim.n.log()
        assert "cannot start node n1" in log and name in log and "assertion" not in log, log
    victim.n.exit_wanted = 1


def test_leftovers_are_in_nobodys_way(victim):
    for make in (lambda p: p.mkdir(), lambda p: p.symlink_to("/nowhere/x"), lambda p: p.write_bytes(b"half")):
        victim.lay()
        for name in ("mesh.state.tmp", "node.state.tmp"):
            make(victim.n.state_dir / name)
        victim.judge("mesh.state", "a leftover", None, False)


# ---- peers ---------------------------------------------------------------------------------------

def test_peers_make_it_good(bench):
    """A node whose file is gone to pieces has everything again from the others."""
    m = bench.mesh(3)
    for i in range(20):
        m.note(f"x{i}", f"text {i}", at=m.nodes[i % 3])
    for i in range(20):
        m.wait_note(f"x{i}", f"text {i}")
    n = m["n2"]
    n.crash()
    path = n.state_dir / "mesh.state"
    path.write_bytes(path.read_bytes()[:-7])
    n.start()
    m.wait_whole()
    for i in range(20):
        m.wait_note(f"x{i}", f"text {i}", at=[n])
    assert bad_files(n, "mesh.state")


# ---- a good disk -----------------------------------------------------------------------------------

def test_what_was_answered_is_never_lost(bench):
    """Killed at any moment between writes, half-way through one, while it saves: each write that was
    answered is there afterwards."""
    n = bench.node(proxy=False)
    rng, acked, tried = random.Random(SEED), {}, 0
    for _ in range(KILLS):
        stop = threading.Event()

        def writer():
            nonlocal tried
            while not stop.is_set():
                tried += 1
                name = f"w{tried % 7}"
                try:
                    status, body = n.admin_request("POST", "/api/v1/apply?namespace=default&wait=0",
                                                   json.dumps(note(name, f"{tried}")))
                except OSError:
                    return
                except Exception:  # an answer cut short is none
                    return
                if status == 200:
                    acked[name] = tried

        t = threading.Thread(target=writer)
        t.start()
        count = tried + rng.randrange(3, 25)
        until("some writes", lambda: tried >= count or not t.is_alive())
        n.crash()
        stop.set()
        t.join(secs(10))
        n.start()
        for name, i in acked.items():
            status, body = n.admin_request("GET", f"/api/v1/objects/Note/default/{name}")
            assert status == 200 and int(json.loads(body)["spec"]["text"]) >= i, (name, i, body)
        assert not bad_files(n, "mesh.state") and not n.lines("state.set_aside")


# ---- a full disk -----------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none",
                                            str(path)]).returncode != 0:
        pytest.skip("cannot mount a small tmpfs here: the full disk was tried as a file size limit only")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass


def full_disk(n, fill_it, make_room, says):
    """Refused with the reason while it is full; the node goes on, starts, and recovers by itself."""
    write(n, note("before", "x"))
    fill_it()
    answer = write(n, note("during", "x"), want=500)
    assert says in answer["errors"][0]["message"] and "not saved" in answer["errors"][0]["message"], answer
    code, out, _ = cli("check", "-c", str(n.config_path), "-o", "json")
    assert code == 1 and says in {x["name"]: x for x in json.loads(out)["check"]}["state"]["message"]
    assert n.admin_request("GET", "/ready")[0] == 200
    make_room()

    def saved():
        return cli("check", "-c", str(n.config_path))[0] == 0

    until("it was saved, though nobody asked again", saved, 15)
    n.crash()
    n.start()
    assert {"Note/before", "Note/during"} <= objects(n)
    write(n, note("after", "x"))


def test_a_full_disk(bench, small_disk):
    n = bench.node(proxy=False, start=False)
    n.state_dir = small_disk / "state"
    n.start()
    full_disk(n, lambda: fill(small_disk / "filler"), lambda: os.unlink(small_disk / "filler"), "No space left")
    fill(small_disk / "filler")
    n.crash()
    n.start()  # what it has is read; nothing has to be written for that
    assert "Note/after" in objects(n)
    (n.state_dir / "mesh.state").write_bytes(b"")
    n.crash()
    n.start()
    assert objects(n) == set() and bad_files(n, "mesh.state")


def test_a_file_size_limit(bench):
    n = bench.node(proxy=False)
    free = resource.RLIM_INFINITY
    full_disk(n, lambda: resource.prlimit(n.proc.pid, resource.RLIMIT_FSIZE, (100, free)),
              lambda: resource.prlimit(n.proc.pid, resource.RLIMIT_FSIZE, (free, free)), "File too large")
