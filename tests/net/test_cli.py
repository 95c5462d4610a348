"""The command line without a node: what it prints, where, and its exit status.

    test ─▶ gossamer VERB ─▶ stdout (data), stderr (everything else), exit status
                          ─▶ admin socket (nobody, a scripted node, a real one)
"""
import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import threading

import pytest

from lib.node import cli
from lib.settings import BIN, child_env

GOOD = """\
node: a1
identity: { mode: off }
services:
- name: tools
  instances:
  - { address: 127.0.0.1:9001, labels: { version: v1 } }
"""


def config(tmp_path, text, name="gossamer.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def env(**more):
    return {**child_env(), **more}


def check(tmp_path, text, *more):
    """check -o json of this configuration, with no node; (exit status, document)."""
    code, out, err = cli("check", "-c", config(tmp_path, text), "--socket", str(tmp_path / "none"), "-o", "json", *more)
    assert err == ""
    return code, json.loads(out)


# ---- verbs and options ----

def test_no_verb():
    code, out, err = cli()
    assert code == 2 and out == "" and err.startswith("usage: gossamer VERB")


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"], ["help", "check"], ["check", "--help"], ["config", "show", "-h"]])
def test_help_is_data(args):
    code, out, err = cli(*args)
    assert code == 0 and out.startswith("usage: gossamer ") and err == ""


@pytest.mark.parametrize("args, said", [
    (["chekc"], "did you mean gossamer check?"),
    (["something-else"], "gossamer --help lists the verbs"),
    (["config", "shwo"], "did you mean gossamer config show?"),
    (["--verbose", "check"], "options stand behind it"),
    (["check", "--confg", "x"], "did you mean --config?"),
    (["check", "-c"], "--config needs a value"),
    (["version", "x"], "one word too many"),
    (["version", "-o", "jsn"], 'did you mean "json"?'),
    (["help", "nothing"], "there is no verb"),
])
def test_usage_errors(args, said):
    code, out, err = cli(*args)
    assert code == 2 and out == ""
    assert err.startswith("gossamer: ") and said in err


def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        p = subprocess.run([BIN, "version"], stdout=full, stderr=subprocess.PIPE, text=True, env=child_env())
    assert p.returncode == 1 and "cannot write" in p.stderr


# ---- version, keys ----

def test_version():
    code, out, err = cli("version", "-o", "json")
    assert code == 0 and err == ""
    doc = json.loads(out)
    assert re.fullmatch(r"\d+\.\d+\.\d+", doc["version"])
    assert doc["commit"] and "llhttp" in doc["llhttp"]
    code, table, _ = cli("version")
    assert code == 0
    rows = [line.split(maxsplit=1) for line in table.splitlines()]
    assert rows[0] == ["PART", "VERSION"]
    assert dict(rows[1:]) == {"gossamer": doc["version"], "commit": doc["commit"], "llhttp": doc["llhttp"]}
    code, yaml, _ = cli("version", "-o", "yaml")
    assert code == 0
    assert {k: json.loads(v) for k, v in (line.split(": ", 1) for line in yaml.splitlines())} == doc


def test_no_colour_in_a_pipe():
    assert "\x1b" not in cli("version")[1]
    assert "\x1b" in cli("version", env=env(CLICOLOR_FORCE="1"))[1]
    assert "\x1b" not in cli("version", env=env(CLICOLOR_FORCE="1", NO_COLOR="1"))[1]


def test_keys_generate(tmp_path):
    keys = [cli("keys", "generate") for _ in range(3)]
    for code, out, err in keys:
        assert code == 0 and err == "" and out.endswith("\n") and out.count("\n") == 1
        assert len(base64.b64decode(out, validate=False)) == 32
        assert base64.b64encode(base64.b64decode(out)).decode() == out.strip()
    assert len({out for _, out, _ in keys}) == 3
    file = config(tmp_path, "# two\n" + keys[0][1] + keys[1][1], "gossip.key")
    os.chmod(file, 0o644)
    code, doc = check(tmp_path, f"identity: {{ mode: off }}\ngossip: {{ key_file: {file} }}\n")
    assert code == 1 and "chmod 600" in doc["errors"][0]["hint"]
    os.chmod(file, 0o600)
    code, doc = check(tmp_path, f"identity: {{ mode: off }}\ngossip: {{ key_file: {file} }}\n")
    assert doc["gossip"] == {"keys": "gossip.key_file", "keys_file": str(file)}
    assert code == 3 and doc["errors"] == []
    file = config(tmp_path, keys[0][1] + "not a key\n", "gossip.key")
    code, doc = check(tmp_path, f"identity: {{ mode: off }}\ngossip: {{ key_file: {file} }}\n")
    assert code == 1
    assert [(e["code"], e["file"], e["line"]) for e in doc["errors"]] == [("GS0021", file, 2)]


# ---- check ----

def test_check_good(tmp_path):
    code, doc = check(tmp_path, GOOD)
    assert code == 3 and doc["errors"] == [] and doc["warnings"] == []
    assert doc["file"] == str(tmp_path / "gossamer.yaml")
    assert doc["node"]["state"] == "not running" and doc["node"]["socket"] == str(tmp_path / "none")
    code, doc = check(tmp_path, "")
    assert code == 3 and doc["errors"] == []
    assert [w["field"] for w in doc["warnings"]] == ["identity.mode"]


@pytest.mark.parametrize("text, line, column, field, code", [
    ("nod: a\n", 1, 1, None, "GS0011"),
    ("proxy:\n  outbound: 4140\n", 2, 13, "proxy.outbound", "GS0013"),
    ("services:\n- name: a\n  port: 0\n", 3, 9, "services[0].port", "GS0014"),
    ("services:\n- name: a\n  instances:\n  - address: 127.0.0.1:1\n    labels: { version: 1.0 }\n", 5, 24,
     "services[0].instances[0].labels.version", "GS0013"),
    ("names: { listen: 127.0.0.1:53 }\n", 1, 18, "names.listen", "GS0018"),
    ("state_dir: /nonexistent\ngossip: { join: [10.0.0.1:4190] }\n", 2, 17, "gossip.join", "GS0021"),
    ("node: a\n\tzone: b\n", 2, 1, None, "GS0001"),
    ("node: a\nnode: b\n", 2, 1, None, "GS0002"),
])
def test_check_bad(tmp_path, text, line, column, field, code):
    status, doc = check(tmp_path, text)
    assert status == 1
    (error,) = doc["errors"]
    assert (error["line"], error["column"], error.get("field"), error["code"]) == (line, column, field, code)
    path = str(tmp_path / "gossamer.yaml")
    assert error["file"] == path
    status, out, err = cli("check", "-c", path)
    assert status == 1 and err == ""
    assert f" {path}:{line}:{column}: error {code}: " in out


def test_check_tells_all_at_once(tmp_path):
    code, doc = check(tmp_path, "node: A\nzone: [x]\nlog: { level: loud }\nunknown: 1\n")
    assert code == 1
    assert [e["line"] for e in doc["errors"]] == [1, 2, 3, 4]


def test_named_file_must_exist(tmp_path):
    path = str(tmp_path / "nowhere.yaml")
    for verb in (["check"], ["config", "show"]):
        code, out, err = cli(*verb, "-c", path)
        assert code == 1
        assert path in (err if verb[0] == "config" else out)


def test_default_file_may_be_missing(tmp_path):
    code, out, _ = cli("check", env=env(HOME=str(tmp_path), GOSSAMER_SOCKET=str(tmp_path / "s")))
    assert code == 3 or os.path.exists("/etc/gossamer/gossamer.yaml")


@contextlib.contextmanager
def scripted_node(path, answer):
    """Accepts connections until left; says the same to each."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(8)

    def serve():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            with c, contextlib.suppress(OSError):     # who did not wait for it; the next one is answered
                c.recv(65536)
                c.sendall(answer)
    t = threading.Thread(target=serve, daemon=True)
    t.start()
    try:
        yield
    finally:
        s.shutdown(socket.SHUT_RDWR)
        s.close()
        t.join(5)


@pytest.mark.parametrize("answer, state, status", [
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ready", 0),
    (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "not ready", 1),
    (b"junk\r\n\r\n", "no answer", 3),
    (b"", "no answer", 3),
])
def test_check_asks_the_node(tmp_path, monkeypatch, answer, state, status):
    monkeypatch.chdir(tmp_path)                       # a short path for the socket
    file = config(tmp_path, GOOD)
    with scripted_node("admin.sock", answer):
        code, out, _ = cli("check", "-c", file, "--socket", "admin.sock", "-o", "json", cwd=tmp_path)
        assert code == status and json.loads(out)["node"]["state"] == state
        code, out, _ = cli("check", "-c", file, "--socket", "admin.sock", cwd=tmp_path)
        assert code == status and "at admin.sock" in out
        assert ("does not answer" if status == 3 else state) in out


@pytest.mark.parametrize("ms, told", [
    (0.31, "0.3 ms"), (41.2, "41 ms"), (999.4, "999 ms"), (999.6, "1.0 s"), (1000, "1.0 s"), (61234.5, "61.2 s"),
])
def test_how_long_it_took(tmp_path, monkeypatch, ms, told):
    monkeypatch.chdir(tmp_path)
    body = json.dumps({"applied": [], "asked": 5, "confirmed": 5, "ms": ms, "laggards": []}).encode()
    with scripted_node("s", b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body):
        code, out, err = cli("drain", "n1", "--socket", "s", cwd=tmp_path)
    assert (code, err) == (0, "") and f"5/5 in {told}\n" in out, (code, out, err)


def test_check_finds_a_running_node(bench):
    n = bench.node()
    code, out, err = cli("check", "-c", str(n.config_path), "-o", "json")
    assert code == 0 and err == ""
    node = json.loads(out)["node"]
    assert node["state"] == "ready" and node["socket"] == n.socket_path


# ---- config ----

def rows(doc):
    return {r["key"]: (r["value"], r["origin"]) for r in doc["config"]}


def test_config_show_origins(tmp_path):
    file = config(tmp_path, GOOD + "timeouts: { drain: 5s }\nzone: fromfile\n")
    code, out, _ = cli("config", "show", "-c", file, "--set", "log.level=debug", "--node", "b2", "-o", "json",
                       env=env(GOSSAMER_ZONE="fromenv", GOSSAMER_TIMEOUTS_CONNECT="250ms"))
    assert code == 0
    got = rows(json.loads(out))
    assert got["timeouts.drain"] == ("5s", f"{file}:7")
    assert got["zone"] == ("fromenv", "GOSSAMER_ZONE")
    assert got["timeouts.connect"] == ("250ms", "GOSSAMER_TIMEOUTS_CONNECT")
    assert got["log.level"] == ("debug", "--set")
    assert got["node"] == ("b2", "--node")
    assert got["timeouts.head"] == ("10s", "default")
    assert got["gossip.key_file"] == (None, "default")
    assert got["services[0].port"] == (80, "default")
    assert got["services[0].instances[0].labels"] == ({"version": "v1"}, f"{file}:6")
    code, out, _ = cli("config", "show", "--origin", "-c", file)
    assert code == 0
    table = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert table[0] == ["KEY", "VALUE", "ORIGIN"]
    assert ["timeouts.drain", "5s", f"{file}:7"] in table
    assert len(table) - 1 == len(got)


def test_config_show_is_a_configuration(tmp_path):
    file = config(tmp_path, GOOD)
    code, first, _ = cli("config", "show", "-c", file)
    assert code == 0
    again = config(tmp_path, first, "again.yaml")
    assert cli("config", "show", "-c", again)[1] == first
    code, doc = check(tmp_path, first)
    assert code == 3 and doc["errors"] == []


def test_config_show_refuses(tmp_path):
    file = config(tmp_path, GOOD)
    for flags, said in [(["--set", "log.levle=x"], 'did you mean "log.level"?'), (["--set", "log.level"], "PATH=VALUE"),
                        (["--set", "proxy.workers=65"], "out of range"), (["--node", "B"], "lower-case")]:
        code, out, err = cli("config", "show", "-c", file, *flags)
        assert code == 1 and out == "" and said in err
        assert err.startswith(flags[0] + ": error ")
    code, out, err = cli("config", "show", "-c", file, env=env(GOSSAMER_PROXY_OUTBOUND="x"))
    assert code == 1 and err.startswith("GOSSAMER_PROXY_OUTBOUND: error GS0013: proxy.outbound: ")


def test_mistyped_variable_is_told(tmp_path):
    file = config(tmp_path, GOOD)
    code, out, err = cli("config", "show", "-c", file, env=env(GOSSAMER_GOSIP_BIND="0.0.0.0:1", GOSSAMER_OTHER="x"))
    assert code == 0 and out != ""
    assert "did you mean GOSSAMER_GOSSIP_BIND?" in err and "OTHER" not in err


def test_config_help_lists_the_keys():
    code, out, _ = cli("config", "--help")
    assert code == 0
    for key in ("gossip.bind", "services[].instances[].health.http", "timeouts.idle", "capture.mode"):
        assert f"\n{key}: " in out
    assert "environment: GOSSAMER_GOSSIP_BIND" in out
