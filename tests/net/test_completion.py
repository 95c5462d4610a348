"""What the program says of itself: completion in real shells, and the manual.

    tables of verbs and options ─▶ completion words ─▶ bash, zsh, fish
                                ─▶ man 1, man 5     ─▶ groff, mandoc
"""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import subprocess
import threading
import time

import pytest

from lib.lateness import late
from lib.mesh import note
from lib.node import cli
from lib.policy import destination_rule, documents, virtual_service
from lib.services import Services
from lib.settings import BIN, ROOT, child_env, secs, until


def words(*typed, env=None):
    """What could stand for the last of these words: {candidate: description}."""
    began = time.monotonic()
    code, out, err = cli("completion", "words", "--", *typed, env=env)
    assert code == 0 and err == "", (typed, code, err)
    assert time.monotonic() - began < secs(2) + late(began), typed
    return dict(line.partition("\t")[::2] for line in out.splitlines())


def verbs(under=()):
    """{verb: help} of --help."""
    return dict(re.findall(r"^  (\w+) +(.*)$", cli(*under, "--help")[1].partition("\n\n")[2].partition("\n\n")[0], re.M))


def commands():
    """Every verb that has no verbs of its own, as words."""
    for v in verbs():
        below = verbs([v]) if cli(v, "--help")[1].startswith(f"usage: gossamer {v} VERB") else {}
        yield from ([v, b] for b in below) if below else [[v]]


def options(command):
    """{option: argument or ""} of its --help."""
    row = r"^  (?:-\w, |    )(--[\w-]+)(?: ('[^']*'|[A-Z][A-Z=]*))?(?=\s)"
    return dict(re.findall(row, cli(*command, "--help")[1], re.M))


# ---- the tables ----------------------------------------------------------------------------------

def test_every_verb_and_option():
    """No second list: what --help says is what completion offers."""
    top = verbs()
    assert len(top) > 20 and words("") == top
    assert words("he") == {} and "check" in words("help", "")
    assert set(words("de")) == {v for v in top if v.startswith("de")}
    seen = 0
    for command in commands():
        known = options(command)
        assert set(words(*command, "--")) == set(known), command
        assert set(words(*command, "-")) == set(known), command
        for o, argument in known.items():
            seen += 1
            got = words(*command, o, "")
            if argument == "":
                continue
            assert got == {w.removeprefix(o + "="): d for w, d in words(*command, o + "=").items()}, (command, o)
            if argument in ("FILE", "PATH"):
                assert got == {":files": ""}, (command, o)
            if o == "--output":
                assert set(got) == {"table", "wide", "json", "yaml"}
                assert set(words(*command, "-o", "j")) == {"json"}
    assert seen > 100


@pytest.mark.parametrize("typed, want", [
    (["config", ""], {"show"}),
    (["debug", "un"], {"unblock"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["man", ""], {"1", "5"}),
    (["debug", "log", ""], {"error", "warn", "info", "debug"}),
    (["debug", "log", "de"], {"debug"}),
    (["debug", "log", "debug", ""], set()),
    (["get", "V"], {"VirtualService"}),
    (["get", "-n", "x", "V"], {"VirtualService"}),
    (["get", "--namespace=x", "V"], {"VirtualService"}),
    (["apply", ""], {":files"}),
    (["apply", "a.yaml", "b"], {":files"}),
    (["delete", "Note", "x", ""], set()),
    (["run", "--set", "log.l"], {"log.level="}),
    (["run", "--set=log.l"], {"--set=log.level="}),
    (["members", "-o", "json", "--soc"], {"--socket"}),
    (["members", ""], set()),
    (["members", "--", "--"], set()),
    (["nothing", ""], set()),
    (["explain", ""], set()),
    ([], None),
])
def test_places(typed, want):
    got = set(words(*typed, env={**child_env(), "GOSSAMER_SOCKET": "/nonexistent/s"}))
    assert got == want if want is not None else "apply" in got, got


# ---- names that the node knows -------------------------------------------------------------------

def offers(want, ask, *typed):
    """A node that answers too late for a key that was pressed is not waited for: asked again."""
    got = []

    def right():
        got[:] = [ask(*typed)]
        return got[0] == want

    try:
        until(f"{typed} has all that the node knows", right)
    except AssertionError as e:
        raise AssertionError(f"{e}: {got[0]}, not {want}") from None


@pytest.fixture(scope="module")
def mesh(module_bench):
    m = Services(module_bench)
    n1 = m.host(tools={"v1": module_bench.origin("o")})
    m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    body = documents(destination_rule(v1="v1", v2="v2"), virtual_service(v1=1), note("hello", "x"))
    assert n1.admin_request("POST", "/api/v1/apply", body)[0] == 200
    assert n1.admin_request("POST", "/api/v1/apply?namespace=other", json.dumps(
        {**note("there", "x"), "metadata": {"name": "there", "namespace": "other"}}))[0] == 200
    yield m


def test_names(mesh):
    env = {**child_env(), "GOSSAMER_SOCKET": mesh["n1"].socket_path}
    ask = lambda *typed: set(words(*typed, env=env))  # noqa: E731
    rows = lambda *typed: words(*typed, env=env)  # noqa: E731
    offers({"n1": "alive", "n2": "alive"}, rows, "rtt", "")
    offers({"n1", "n2"}, ask, "debug", "block", "n1", "")
    offers({"n2"}, ask, "debug", "unblock", "n2")
    for typed in (("endpoints", ""), ("stat", "t"), ("split", "")):
        offers({"tools"}, ask, *typed)
    offers({"default"}, ask, "endpoints", "-n", "")
    offers({"n1", "n2", "tools"}, ask, "drain", "")
    offers({"n2"}, ask, "undrain", "n2")
    at = f"tools/127.0.0.1:{mesh.bench.origins[0].port}"
    for typed in (("drain", "tools/"), ("weight", "")):
        offers({at: "n1"}, rows, *typed)
    for typed in (("split", "tools", ""), ("split", "tools.default", "v1=1", "")):
        offers({"v1=", "v2="}, ask, *typed)
    offers({"v2="}, ask, "split", "tools", "v2")
    assert ask("split", "other", "") == set()
    offers({"tools": "active"}, rows, "get", "VirtualService", "")
    offers({"hello"}, ask, "get", "Note", "")
    offers({"there"}, ask, "get", "Note", "-n", "other", "")
    for typed in (("rollback", "dr", ""), ("delete", "dr", "t")):
        offers({"tools"}, ask, *typed)
    assert ask("get", "Nothing", "") == set()
    env["GOSSAMER_SOCKET"] = "/nonexistent/s"
    assert ask("rtt", "") == set()
    offers({"n1", "n2"}, ask, "rtt", "--socket", mesh["n1"].socket_path, "")
    offers({"n1", "n2"}, ask, "rtt", f"--socket={mesh['n1'].socket_path}", "")


def test_a_node_that_does_not_answer(tmp_path):
    """Quick, and silent: a key was pressed."""
    path = str(tmp_path / "s")
    if len(path) > 100:
        pytest.skip("the path is too long for a socket")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        began = time.monotonic()
        assert words("rtt", "", env={**child_env(), "GOSSAMER_SOCKET": path}) == {}
        assert 0.25 < time.monotonic() - began < secs(1) + late(began)


def test_names_that_a_shell_would_not_take(tmp_path, monkeypatch):
    from test_cli import scripted_node
    monkeypatch.chdir(tmp_path)
    body = json.dumps({"members": [{"name": n, "state": "alive"} for n in (
        "good", "$(touch x)", "a b", "`id`", "new\nline", "a;b", "ü", "", "tab\tbed", "-x")] + [{"name": 5}, 5, None]}).encode()
    with scripted_node("s", b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body):
        got = until("it is answered in time for a key", lambda: words("rtt", "", env={**child_env(), "GOSSAMER_SOCKET": "s"}))
    assert set(got) - {"5"} == {"good", "-x"}, got


# ---- real shells ---------------------------------------------------------------------------------

@pytest.fixture
def path(tmp_path):
    """A PATH on which the program is called gossamer."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gossamer").symlink_to(BIN)
    return {**child_env(), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed: its completion was not tried")


BASH = r"""
source <(gossamer completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
complete -p gossamer >/dev/null || exit 9
_gossamer
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(line, env, cwd=None):
    p = subprocess.run(["bash", "--norc", "--noprofile", "-u", "-c", BASH, "x", line], env=env, cwd=cwd,
                       capture_output=True, text=True, timeout=secs(20))
    assert p.returncode == 0 and p.stderr == "", (line, p.stderr)
    return [w for w in p.stdout.splitlines() if w]


def test_bash(path, mesh, tmp_path):
    need("bash")
    path["GOSSAMER_SOCKET"] = mesh["n1"].socket_path
    assert bash("gossamer ch", path) == ["check"]
    assert set(bash("gossamer ", path)) == set(verbs())
    assert bash("gossamer debug unb", path) == ["unblock"]
    assert bash("gossamer members -o ya", path) == ["yaml"]
    assert bash("gossamer members --output=ya", path) == ["yaml"], "bash cuts words at ="
    assert bash("gossamer run --set log.le", path) == ["log.level="]
    for line, want in (("gossamer split tools v2", ["v2="]), ("gossamer rtt n", ["n1", "n2"]),
                       ("gossamer   get  Note  h", ["hello"])):
        offers(want, lambda typed: bash(typed, path), line)
    (tmp_path / "files").mkdir()
    for name in ("a one.yaml", "two.yaml"):
        (tmp_path / "files" / name).write_text("")
    assert sorted(bash("gossamer apply -f ", path, tmp_path / "files")) == ["a one.yaml", "two.yaml"]
    assert bash("gossamer apply tw", path, tmp_path / "files") == ["two.yaml"]
    assert bash("gossamer nothing ", path) == []
    path["GOSSAMER_SOCKET"] = "/nonexistent/s"
    assert bash("gossamer rtt ", path) == []


def test_fish(path, mesh):
    need("fish")
    path["GOSSAMER_SOCKET"] = mesh["n1"].socket_path

    def ask(line):
        p = subprocess.run(["fish", "--no-config", "-c", 'gossamer completion fish | source; complete -C "$LINE"'],
                           env={**path, "LINE": line}, capture_output=True, text=True, timeout=secs(20))
        assert p.returncode == 0 and p.stderr == "", p.stderr
        return dict(w.partition("\t")[::2] for w in p.stdout.splitlines())

    assert ask("gossamer che") == {"check": verbs()["check"]}
    assert set(ask("gossamer ")) == set(verbs())
    offers({"n1", "n2"}, lambda line: set(ask(line)), "gossamer rtt n")
    assert set(ask("gossamer members -o ya")) == {"yaml"}
    assert set(ask("gossamer members --out")) == {"--output"}
    offers({"v2="}, lambda line: set(ask(line)), "gossamer split tools v2")


class Zsh:
    """A terminal with zsh in it."""

    def __init__(self, env, cwd):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**env, "TERM": "dumb", "PS1": "%% "})
        self.text = ""

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def says(self, what, timeout=15):
        """Read on until it does; False at the deadline."""
        began = time.monotonic()
        while what not in self.text:
            if time.monotonic() - began > secs(timeout) + late(began):
                return False
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
        return True

    def completes(self, typed, becomes):
        self.text = ""
        self.type(typed)
        said = self.says(becomes, 2)
        self.type("\x15")  # forget the line
        return said

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_zsh(path, mesh, tmp_path):
    need("zsh")
    path["GOSSAMER_SOCKET"] = mesh["n1"].socket_path
    z = Zsh(path, tmp_path)
    try:
        z.type("autoload -Uz compinit && compinit -D -u && source <(gossamer completion zsh) && echo rea''dy\n")
        assert z.says("ready"), z.text
        for typed, becomes in (("gossamer chec\t", "gossamer check "), ("gossamer debug unb\t", "gossamer debug unblock "),
                               ("gossamer members -o ya\t", "yaml "), ("gossamer split too\t", "gossamer split tools "),
                               ("gossamer get Note h\t", "gossamer get Note hello "), ("gossamer rtt \t\t", "n2"),
                               ("gossamer split tools v2\t9", "gossamer split tools v2=9")):
            # More than once only where the node was too late for the key.
            until(f"{typed!r} is {becomes!r}", lambda: z.completes(typed, becomes), 15)
    finally:
        z.close()


def test_scripts_are_whole():
    for shell, tool in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])):
        code, out, err = cli("completion", shell)
        assert code == 0 and err == "" and "completion words --" in out
        if shutil.which(tool[0]):
            p = subprocess.run([*tool, "/dev/stdin"], input=out, text=True, capture_output=True)
            assert p.returncode == 0 and p.stderr == "", (shell, p.stderr)
    code, out, err = cli("completion", "tcsh")
    assert code == 2 and out == "" and "bash, zsh or fish" in err
    assert cli("completion")[0] == 2 and cli("completion", "bash", "x")[0] == 2


# ---- the manual ----------------------------------------------------------------------------------

def plain(page):
    """Its text, without what man(7) puts in."""
    return re.sub(r"\s+", " ", re.sub(r"^\.(TP|nf|fi|PP)\n", "", page, flags=re.M).replace("\\-", "-").replace(
        "\\e", "\\").replace("\\&", "").replace("\\fB", "").replace("\\fI", "").replace("\\fR", ""))


def test_the_manual_has_it_all():
    code, page, err = cli("man")
    assert code == 0 and err == "" and page == cli("man", "1")[1]
    text = plain(page)
    for verb, help in verbs().items():
        assert f" {verb} {help} " in text, verb
    for command in commands():
        known = options(command)
        at = text.index(f".SS gossamer {' '.join(command)} ")
        section = text[at:].split(" .S", 1)[0]
        for o, argument in known.items():
            if o != "--help":
                assert re.search(re.escape(f"{o} {argument}".strip()) + r"\b|" + re.escape(f"{o} {argument} "), section), (command, o)
        first = cli(*command, "--help")[1].split("\n\n")[1].split("\n")[0]
        assert first.strip() in section, command
    code, page, err = cli("man", "5")
    assert code == 0 and err == ""
    text = plain(page)
    rows = re.findall(r"^([a-z_.\[\]]+): (.*)\n    (.*)\n    default: (.*)(?:\n    environment: (\S+))?$",
                      cli("config", "--help")[1], re.M)
    assert len(rows) > 40
    for key, kind, help, default, env in rows:
        assert f"{key} {kind} {help}. Default: {default.split(';')[0]}." in text, key
        assert not env or f"Environment: {env}." in text, key
    assert cli("man", "2")[0] == 2


@pytest.mark.parametrize("section", ["1", "5"])
def test_the_manual_is_well_formed(section, tmp_path):
    page = cli("man", section)[1]
    assert page.isascii()
    name = tmp_path / {"1": "gossamer.1", "5": "gossamer.yaml.5"}[section]
    name.write_text(page)
    tried = 0
    if shutil.which("groff"):
        tried += 1
        p = subprocess.run(["groff", "-man", "-Tutf8", "-ww", str(name)], capture_output=True, text=True)
        assert p.returncode == 0 and p.stderr == "", p.stderr
        assert "GOSSAMER" in p.stdout
    if shutil.which("man"):
        tried += 1
        p = subprocess.run(["man", "-l", str(name)], capture_output=True, text=True, env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
        assert p.returncode == 0 and p.stderr == "" and "gossamer" in p.stdout, p.stderr
    if shutil.which("mandoc"):
        tried += 1
        p = subprocess.run(["mandoc", "-T", "lint", str(name)], capture_output=True, text=True)
        assert p.returncode == 0 and p.stdout + p.stderr == "", p.stdout + p.stderr
    if not tried:
        pytest.skip("neither groff, man nor mandoc is installed: the pages were not rendered")


def test_they_are_installed(tmp_path):
    """By meson, from the program that was built."""
    build = pathlib.Path(BIN).parent
    if not (build / "build.ninja").exists() or not shutil.which("meson"):
        pytest.skip("the binary is in no build directory of meson")
    targets = json.loads(subprocess.run(["meson", "introspect", "--targets", str(build)], capture_output=True, text=True, check=True).stdout)
    made = {pathlib.Path(t["filename"][0]).name: t for t in targets if t["installed"] and t["type"] == "custom"}
    want = {"gossamer.1": ("man", "1"), "gossamer.yaml.5": ("man", "5"), "gossamer.bash": ("completion", "bash"),
            "_gossamer": ("completion", "zsh"), "gossamer.fish": ("completion", "fish")}
    assert set(want) <= set(made)
    for name, args in want.items():
        dest = made[name]["install_filename"][0]
        assert ("/man/man" in dest) == (args[0] == "man"), dest
        file = pathlib.Path(made[name]["filename"][0])
        if file.exists():
            assert file.read_text() == cli(*args)[1] or file.stat().st_mtime < pathlib.Path(BIN).stat().st_mtime
