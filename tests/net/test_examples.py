"""What stands in examples/ works: configurations are checked as they are, manifests are applied and
requests counted. Only ports are others here, and the paths of the systemd example.

    curl ─▶ gossamer run -c examples/canary/gossamer.yaml ─▶ gossamer demo serve (v1), (v2)
"""
import collections
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from lib import client
from lib.node import cli, free_port
from lib.settings import BIN, HOST, ROOT, child_env, secs, until

EXAMPLES = ROOT / "examples"
CANARY = EXAMPLES / "canary"
SYSTEMD = EXAMPLES / "systemd"


def moved(folder, to):
    """A copy of an example on ports that are free; {port in the example: port in the copy}."""
    shutil.copytree(folder, to)
    text = "".join(p.read_text() for p in sorted(to.iterdir()))
    ports = {p: free_port() for p in sorted(set(re.findall(rf"{re.escape(HOST)}:(\d+)", text)))}
    for path in to.iterdir():
        path.write_text(
            re.sub(rf"{re.escape(HOST)}:(\d+)", lambda m: f"{HOST}:{ports[m[1]]}", path.read_text()))
    return {int(k): v for k, v in ports.items()}


@contextlib.contextmanager
def running(*args, log, env=None):
    """The program in the background; SIGTERM at the end, exit 0 demanded."""
    with open(log, "wb") as out:
        p = subprocess.Popen([BIN, *args],
                             stdin=subprocess.DEVNULL,
                             stdout=out,
                             stderr=subprocess.STDOUT,
                             env=env or child_env())
    try:
        yield p
        p.terminate()
        assert p.wait(secs(20)) == 0, log.read_text()
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


def apart():
    """An environment that has a node listen elsewhere than by default: there may be another one here."""
    return {**child_env(), **{f"GOSSAMER_{k}": f"{HOST}:{free_port()}" for k in ("PROXY_INBOUND", "GOSSIP_BIND")}}


def states(sock, service):
    code, out, err = cli("endpoints", service, "--socket", sock, "-o", "json")
    return [e["state"] for e in json.loads(out)["endpoints"]] if code == 0 else err


def who(port, count=200, fields=(), host="tools"):
    """Versions that answered, counted."""
    out = collections.Counter()
    with client.Conn((HOST, port)) as c:
        for i in range(count):
            m = c.ask(target=f"/{i}", host=host, fields=fields)
            out[json.loads(m.body)["version"] if m.status == 200 else m.status] += 1
    return dict(out)


@pytest.fixture
def canary(tmp_path):
    """(folder, socket, outbound port) of the canary example, started as its README says."""
    ports = moved(CANARY, tmp_path / "c")
    folder, sock = tmp_path / "c", str(tmp_path / "a.sock")
    assert len(sock) < 100
    with contextlib.ExitStack() as s:
        for v, port in (("v1", 9001), ("v2", 9002)):
            s.enter_context(
                running("demo", "serve", "--version", v, "--listen", f"{HOST}:{ports[port]}",
                        "--latency", "0", log=tmp_path / f"{v}.log"))
        s.enter_context(
            running("run", "-c", str(folder / "gossamer.yaml"), "--set",
                    f"state_dir={tmp_path}/state", "--set", f"admin.socket={sock}",
                    log=tmp_path / "node.log", env=apart()))
        until("both are healthy", lambda: states(sock, "tools") == ["healthy"] * 2, 10)
        yield folder, sock, ports[4140]


def apply(folder, sock, name):
    code, out, err = cli("apply", "--socket", sock, "-f", str(folder / name))
    assert code == 0 and not err, (out, err)
    assert re.search(r"^1/1 in ", out, re.M), out


def near(got, wanted, points=3):
    total = sum(got.values())
    return set(got) <= set(wanted) and all(
        abs(100 * got.get(k, 0) / total - w) <= points for k, w in wanted.items())


@pytest.mark.parametrize("folder", [CANARY, SYSTEMD])
def test_configurations_are_good(folder, tmp_path):
    code, out, err = cli("check", "-c", str(folder / "gossamer.yaml"), "--socket",
                         str(tmp_path / "none"))
    assert code == 3 and "gossamer.yaml: 0 errors, 0 warnings" in out, (out, err)


@pytest.mark.parametrize("names", [["canary.yaml"], ["canary.yaml", "ab.yaml"]])
def test_manifests_are_good(names, tmp_path):
    """ab.yaml replaces an object of canary.yaml, so it is analysed with the rule it needs."""
    text = "---\n".join((CANARY / n).read_text() for n in names)
    if len(names) == 2:
        rule, first, second = re.split(r"^---\n", text, flags=re.M)
        text = rule + "---\n" + second
    (tmp_path / "all.yaml").write_text(text)
    code, out, err = cli("analyze", str(tmp_path / "all.yaml"))
    assert code == 0 and "0 errors, 0 warnings" in out + err, (out, err)


def test_canary_and_ab(canary):
    folder, sock, port = canary
    assert set(who(port)) <= {"v1", "v2"}  # without policy any of them answers, the quicker more often
    apply(folder, sock, "canary.yaml")
    assert near(who(port), {"v1": 90, "v2": 10})
    code, out, err = cli("split", "--socket", sock, "tools", "v1=50", "v2=50")
    assert code == 0, err
    assert near(who(port), {"v1": 50, "v2": 50})
    apply(folder, sock, "ab.yaml")
    assert who(port) == {"v1": 200}
    assert who(port, fields=[("x-experiment", "promptv2")]) == {"v2": 200}
    assert who(port, fields=[("X-Experiment", "other")]) == {"v1": 200}
    code, out, err = cli("delete", "--socket", sock, "vs", "tools")
    assert code == 0, err
    assert set(who(port)) <= {"v1", "v2"}


def test_canary_script(tmp_path):
    """run.sh, with what it prints counted and nothing left behind."""
    if not shutil.which("curl"):
        pytest.skip("no curl: examples/canary/run.sh was NOT tested")
    moved(CANARY, tmp_path / "c")
    tmp = tmp_path / "t"
    tmp.mkdir()
    p = subprocess.run(["sh", str(tmp_path / "c" / "run.sh"), BIN],
                       capture_output=True,
                       text=True,
                       timeout=secs(60),
                       env={**apart(), "TMPDIR": str(tmp)})
    assert p.returncode == 0, (p.stdout, p.stderr)
    counts = re.findall(r"^ *(\d+) \"version\":\"(v\d)\"", p.stdout, re.M)
    assert near({v: int(n) for n, v in counts[:2]}, {"v1": 90, "v2": 10}), p.stdout
    assert near({v: int(n) for n, v in counts[2:4]}, {"v1": 50, "v2": 50}), p.stdout
    assert counts[4:] == [("200", "v1"), ("200", "v2")], p.stdout
    assert list(tmp.iterdir()) == []


def test_shell_is_portable():
    assert os.access(CANARY / "run.sh", os.X_OK)
    for script in EXAMPLES.glob("*/*.sh"):
        shells = [s for s in ("dash", "bash", "sh") if shutil.which(s)]
        for shell in shells:
            subprocess.run([shell, "-n", str(script)], check=True)


def test_systemd_configuration_runs(tmp_path):
    ports = moved(SYSTEMD, tmp_path / "s")
    sock = str(tmp_path / "a.sock")
    with running("demo", "serve", "--name", "web", "--listen", f"{HOST}:{ports[8080]}",
                 log=tmp_path / "web.log"), running(
                     "run", "-c", str(tmp_path / "s" / "gossamer.yaml"), "--set",
                     f"state_dir={tmp_path}/state", "--set", f"admin.socket={sock}",
                     log=tmp_path / "node.log", env=apart()):
        until("it is healthy", lambda: states(sock, "web") == ["healthy"], 10)
        assert who(ports[4140], 20, host="web") == {"v1": 20}
        assert client.ask((HOST, ports[4191]), target="/ready").status == 200
        assert stat.S_ISSOCK(os.stat(sock).st_mode)


def unit_for_here(tmp_path):
    """The unit with the binary under test in it."""
    text = (SYSTEMD / "gossamer.service").read_text()
    assert text.count("/usr/bin/gossamer") == 2
    path = tmp_path / "gossamer.service"
    path.write_text(text.replace("/usr/bin/gossamer", BIN))
    return str(path)


def systemd_analyze(*args):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze: examples/systemd/gossamer.service was NOT tested")
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=secs(60))


def test_unit_is_valid(tmp_path):
    p = systemd_analyze("verify", unit_for_here(tmp_path))
    assert p.returncode == 0 and not p.stderr.strip(), (p.stdout, p.stderr)


def test_unit_is_confined(tmp_path):
    """Exposure below 2.0 of 10."""
    p = systemd_analyze("security", "--offline=yes", "--threshold=20", "--no-pager",
                        unit_for_here(tmp_path))
    if "unrecognized option" in p.stderr:
        pytest.skip("an old systemd-analyze: the confinement of the unit was NOT tested")
    assert p.returncode == 0, p.stdout[-500:]


def test_unit_names_what_the_configuration_says():
    """Directories that systemd makes are those that the configuration uses."""
    unit = (SYSTEMD / "gossamer.service").read_text()
    config = (SYSTEMD / "gossamer.yaml").read_text()
    assert "StateDirectory=gossamer\n" in unit and "state_dir: /var/lib/gossamer\n" in config
    assert "RuntimeDirectory=gossamer\n" in unit and "/run/gossamer/admin.sock" in config
    stop = int(re.search(r"TimeoutStopSec=(\d+)s", unit)[1])
    assert stop > int(re.search(r"drain: (\d+)s", config)[1])


def test_every_example_says_what_it_is():
    for folder in EXAMPLES.iterdir():
        if folder.is_dir():
            readme = (folder / "README.md").read_text()
            for path in folder.iterdir():
                assert path.name == "README.md" or f"`{path.name}`" in readme, path
            assert f"`{folder.name}/`" in (EXAMPLES / "README.md").read_text()


def test_the_top_readme_names_what_there_is():
    """Verbs, files and folders that it tells people to use."""
    text = (ROOT / "README.md").read_text()
    verbs = set(re.findall(r"^  (\w+) ", cli("--help")[1], re.M))
    named = set(re.findall(r"(?:build/)?gossamer (\w+)(?: -|`| \w+=| GET| tools| serve|\n)", text))
    assert {"run", "demo", "apply", "check"} <= named <= verbs | {"mesh"}, named - verbs
    for path in re.findall(r"\b(?:examples|include|proxy|gossip|mesh)/[\w./-]*", text):
        assert (ROOT / path).exists(), path
