"""No answer may ever reach another request than its own, and none that was cut may look whole.

    24 clients at once ─▶ gossamer ─┬─▶ a    well-behaved and cutting answers, POST and GET
      that leave at any point,      ├─▶ g1   GET only: closes silently after an answer
      split at any byte             └─▶ g2

lib/crossed.py makes the exchanges and judges them; the seed and the books are printed.
"""
import asyncio

from lib.crossed import Mixture, Run
from lib.node import service
from lib.settings import SEED, scaled, until

EXCHANGES = scaled("GOSSAMER_EXCHANGES", 5000, 100000)


def test_nothing_crosses(bench, capsys):
    mix = Mixture()
    a, g1, g2 = bench.origin("a"), bench.origin("g1"), bench.origin("g2")
    for o in (a, g1, g2):
        mix.install(o)
    n = bench.node([service("a", [a]), service("g", [g1, g2])])
    run = Run(mix, {"a": n.outbound, "g": n.outbound}, EXCHANGES, SEED)
    asyncio.run(run.go())
    with capsys.disabled():
        print("\n" + run.report())
    assert n.alive(), n.said(f"exited with {n.proc.returncode}", 12000)
    assert not run.findings(), run.findings()
    assert run.offered == EXCHANGES and run.completed > EXCHANGES // 2
    # it was a mixture
    assert run.aborted > EXCHANGES // 20 and run.cut + run.refused > EXCHANGES // 50
    # nothing is left behind: the proxy lets go of every connection that its client let go of
    for o in (a, g1, g2):
        until("upstream connections idle out", lambda: not o.open_conns(), 15)
