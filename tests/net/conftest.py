"""Fixtures of the black-box suite.

    client (test) ─▶ gossamer (subprocess: node fixture) ─▶ origin (thread of the test)
"""
import os
import pathlib
import sys
import time

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.lateness import late, longest  # noqa: E402
from lib.mesh import Mesh  # noqa: E402
from lib.node import Node, service  # noqa: E402
from lib.origin import Origin  # noqa: E402
from lib.policy import Label  # noqa: E402
from lib.settings import BIN, HEAVY, SLOW, sanitized  # noqa: E402


def pytest_report_header(config):
    kind = f" ({sanitized()})" if sanitized() else ""
    return f"gossamer: {BIN}{kind}, {'heavy' if HEAVY else 'light'}, deadlines x {SLOW:g}"


def pytest_collection_finish(session):
    """Without a binary only the harness can be tested; one line says so, not five hundred."""
    if not os.access(BIN, os.X_OK) and any(i.path.name != "test_harness.py" for i in session.items):
        pytest.exit(
            f"no binary at {BIN}: build it or set GOSSAMER_BIN (test_harness.py needs none)",
            returncode=2)


# ---- a machine that stands still is told of, with what failed then and at the end ----

BEGAN = time.monotonic()


def stood_still(since):
    lost, time_of = late(since), time.monotonic() - since
    return f"the machine stood still for {lost:.2f} s of {time_of:.1f}, {longest(since):.2f} s at once"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        report.sections.append(("machine", stood_still(time.monotonic() - call.duration)))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(stood_still(BEGAN))


class Bench:
    """Makes origins and nodes and ends them: nodes by SIGTERM with exit 0 demanded, then origins
    with no violation allowed."""

    def __init__(self, path):
        self.path, self.nodes, self.origins = path, [], []

    def origin(self, name=None, **kw):
        o = Origin(name or f"o{len(self.origins)}", **kw).start()
        self.origins.append(o)
        return o

    def node(self, services=(), start=True, healthy=True, **kw):
        name = kw.pop("name", f"n{len(self.nodes) + 1}")
        n = Node(self.path / f"{name}-{len(self.nodes)}", services, name=name, **kw)
        self.nodes.append(n)
        return n.start(healthy) if start else n

    def echo(self, timeouts=None, health=None, origin=None, **kw):
        """The usual pair: a node with service echo.default:80 on one origin."""
        o = self.origin("echo", **(origin or {}))
        return self.node([service("echo", [o], health=health)], timeouts=timeouts, **kw), o

    def mesh(self, count=0, **kw):
        """A mesh of `count` nodes n1.. that gossip only, each of which lists all as alive."""
        m = Mesh(self, **kw)
        for _ in range(count):
            m.add()
        m.wait_whole()
        return m

    def close(self):
        problems = []
        for n in self.nodes:
            try:
                n.stop()
            except AssertionError as e:
                problems.append(str(e))
            finally:
                n.kill()
        for o in self.origins:
            problems += [f"origin {o.name}: {v}" for v in o.violations]
            o.stop()
        assert not problems, "\n".join(problems)


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    yield b
    b.close()


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory):
    b = Bench(tmp_path_factory.mktemp("m"))
    yield b
    b.close()


@pytest.fixture
def labels():
    """Makes applications that answer with their name, and ends them."""
    made = []

    def make(name):
        made.append(Label(name).start())
        return made[-1]

    yield make
    for x in made:
        x.stop()


@pytest.fixture
def tell(capsys):
    """Says a figure whether or not the test fails."""

    def out(text):
        with capsys.disabled():
            print(f"\n    {text}", end="")

    return out
