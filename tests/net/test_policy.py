"""Policy on one node: what is applied is what requests meet, at once and for all of them.

    apply, split, delete ─▶ admin socket ─▶ gossamer n1 ─▶ tools: v1, v2 (told apart by their answers)
    clients ────────────────────────────────────┘
"""
import json
import random
import time

import pytest

from lib import policy
from lib.lateness import late
from lib.node import cli, service
from lib.policy import Api, Background, Counting, Label, destination_rule, get, route, shares, \
    shown, stale, versions, virtual_service
from lib.settings import HEAVY, SEED, until

REQUESTS = 10000
CANARY = [{
    "name": "experiment",
    "match": [{"headers": {"x-experiment": {"exact": "promptv2"}}}],
    "route": [route("tools", "v2")],
}, {
    "name": "everybody",
    "route": [route("tools", "v1", 90), route("tools", "v2", 10)],
}]
RULE = destination_rule(v1="v1", v2="v2")


class Tools:
    """A node with service tools on two versions, and its admin API."""

    def __init__(self, bench, *docs, **kw):
        self.v1, self.v2 = Label("v1").start(), Label("v2").start()
        self.node = bench.node([versions({"v1": self.v1, "v2": self.v2})], **kw)
        self.api = Api(self.node)
        if docs:
            self.api.apply(*docs)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.api.conn.close()
        self.v1.stop()
        self.v2.stop()

    def cli(self, *args, **kw):
        return cli(*args, "--socket", self.node.socket_path, **kw)

    def count(self, request=get(), n=200, conns=4):
        with Counting(self.node.outbound, conns) as c:
            return shares(c.run(n, request if callable(request) else lambda i: request))


@pytest.fixture
def tools(bench):
    with Tools(bench, RULE, virtual_service(http=CANARY)) as t:
        yield t


@pytest.fixture
def bare(bench):
    with Tools(bench) as t:
        yield t


def state_of(doc, kind="VirtualService"):
    (row, ) = [r for r in doc["applied"] if r["kind"] == kind]
    return row["state"]


# ---- what is taken ----

FORMS = {
    "v1": "networking.istio.io/v1",
    "v1beta1": "networking.istio.io/v1beta1",
    "v1alpha3": "networking.istio.io/v1alpha3",
}
SPLIT_YAML = """\
# a comment, {api}
apiVersion: {api}
kind: DestinationRule
metadata:
  name: tools
spec:
  host: tools.default.svc.cluster.local
  subsets:
  - name: v1
    labels: {{ version: v1 }}
  - name: v2
    labels:
      version: "v2"
---
apiVersion: v1
kind: Service
metadata: {{ name: tools }}
---
apiVersion: {api}
kind: VirtualService
metadata:
  name: tools
spec:
  hosts: [tools]
  http:
  - route:
    - destination: {{ host: tools, subset: v2 }}
      weight: 100
    - destination: {{ host: tools, subset: v1 }}
      weight: 0
"""


@pytest.mark.parametrize("form", [*FORMS, "crlf", "list", "json", "kubectl"])
def test_forms_of_manifests(bare, tmp_path, form):
    text = SPLIT_YAML.format(api=FORMS.get(form, "networking.istio.io/v1"))
    vs, dr = virtual_service(v2=100, v1=0), RULE
    if form == "crlf":
        text = "\ufeff" + text.replace("\n", "\r\n")
    elif form == "list":
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [vs, dr]})
    elif form == "json":
        text = policy.documents(vs, dr).decode()
    elif form == "kubectl":  # what a server and its client add means nothing here
        for d in (vs, dr := json.loads(json.dumps(dr))):
            d["metadata"].update({
                "uid": "1-2",
                "resourceVersion": "77",
                "generation": 3,
                "creationTimestamp": "2024-01-01T00:00:00Z",
                "managedFields": [{"manager": "kubectl", "operation": "Update"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": json.dumps(d)
                }
            })
            d["status"] = {"observedGeneration": 3}
        text = policy.documents(vs, dr).decode()
    path = tmp_path / "tools.yaml"
    path.write_text(text, newline="")
    code, out, err = bare.cli("apply", "-f", str(path))
    assert code == 0 and err == "", (out, err)
    assert "VirtualService default/tools" in out and "  active" in out and "1/1 in " in out
    assert bare.count() == {"v2": 200}
    code, out, err = bare.cli("apply", "-f", str(path))
    assert code == 0 and "2 unchanged" in out, (out, err)


def test_apply_says_what_it_did(bare, tmp_path):
    path = tmp_path / "tools.yaml"
    path.write_text(SPLIT_YAML.format(api=FORMS["v1"]))
    code, out, err = bare.cli("apply", "-f", str(path), "-o", "json")
    doc = json.loads(out)
    assert code == 0 and err == ""
    assert [(o["kind"], o["namespace"], o["name"], o["state"]) for o in doc["applied"]] == [
        ("DestinationRule", "default", "tools", "active"),
        ("VirtualService", "default", "tools", "active")
    ]
    assert doc["skipped"] == [{
        "apiVersion": "v1",
        "kind": "Service",
        "name": "tools",
        "file": str(path),
        "line": 15
    }]
    assert (doc["asked"], doc["confirmed"], doc["laggards"]) == (1, 1, []) and doc["ms"] > 0
    versions_ = {o["version"] for o in doc["applied"]}
    assert len(versions_) == 1 and versions_.pop().startswith("1.")
    code, out, err = bare.cli("apply", "-f", str(path))
    assert "Service tools  not ours" in out and "2 unchanged, 1 not ours" in out


def test_several_files_are_one_transaction(bare, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1-vs.yaml").write_text(json.dumps(virtual_service(v2=1)))
    (tmp_path / "d" / "2-dr.json").write_text(json.dumps(RULE))
    (tmp_path / "d" / "notes.txt").write_text("not a manifest")
    (tmp_path / "bad.yaml").write_text("\n\napiVersion: networking.istio.io/v1\nkind: Nothing\n")
    code, out, err = bare.cli("apply", "-f", str(tmp_path / "d"), "-f", str(tmp_path / "bad.yaml"))
    assert code == 1 and out == "" and f"{tmp_path}/bad.yaml:4:7: error GS0109: " in err, err
    assert bare.api("GET", "objects")[1]["objects"] == []
    code, out, err = bare.cli("apply", "-f", str(tmp_path / "d"), "-o", "json")
    assert code == 0, err
    assert {o["state"] for o in json.loads(out)["applied"]} == {"active"}
    assert len({o["version"] for o in json.loads(out)["applied"]}) == 1
    assert bare.count() == {"v2": 200}


def test_all_findings_at_once_with_places(bare, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tools }
spec:
  hosts: [tools]
  http:
  - rout:
    - destination: { host: tools }
    retries: { attempts: 3 }
    route:
    - destination: { host: tools, subset: v1 }
      weight: ninety
""")
    code, out, err = bare.cli("apply", "-f", str(path))
    assert code == 1 and out == ""
    lines = [line for line in err.splitlines() if not line.startswith("  hint")]
    assert len(lines) == 3
    for place, said in (("7:5", "rout"), ("9:5", "retries"), ("12:15", "weight")):
        assert any(line.startswith(f"{path}:{place}: error GS01") and said in line
                   for line in lines), (place, err)
    assert 'did you mean "route"?' in err
    status, doc = bare.api("POST", "apply?name=x.yaml", path.read_bytes())
    assert status == 422 and len(doc["errors"]) == 3
    for e in doc["errors"]:
        assert {"code", "message", "file", "line", "column", "field"} <= set(e)
        assert e["file"] == "x.yaml"
    assert bare.api("GET", "objects")[1]["objects"] == []


def test_limits_are_told_with_their_figure(bare):
    many = [destination_rule(f"d{i}") for i in range(257)]
    status, doc = bare.api("POST", "apply", policy.documents(*many))
    assert status == 422 and "256" in doc["errors"][0]["message"]
    bare.api.apply(*many[:256])
    status, doc = bare.api("POST", "apply", b"#" * ((1 << 20) + 1))
    assert status == 413 and str(1 << 20) in doc["errors"][0]["message"]


def test_one_object_has_at_most_64_kib(bare):
    fat = destination_rule("fat", v1="v1")
    fat["spec"]["subsets"] = [{
        "name": f"s{i}",
        "labels": {f"l{k}": "x" * 63
                   for k in range(60)}
    } for i in range(20)]
    status, doc = bare.api("POST", "apply", policy.documents(fat, RULE))
    assert status == 422 and "65536" in json.dumps(doc["errors"])
    assert bare.api("GET", "objects")[1]["objects"] == []


@pytest.mark.parametrize("params, said", [
    ("?dryrun=1", "dry_run"),
    ("?force=maybe", "true or false"),
    ("?wait=soon", "wait"),
    ("?if_version=3", "is no version"),
    ("?namespace=No_Such", "namespace"),
    ("?files=2", "files"),
])
def test_parameters_are_never_ignored(bare, params, said):
    status, doc = bare.api("POST", "apply" + params, policy.documents(RULE))
    assert status in (400, 422) and said in json.dumps(doc), doc
    assert bare.api("GET", "objects")[1]["objects"] == []


def test_nothing_to_apply(bare, tmp_path):
    (tmp_path / "none.yaml").write_text("# nothing\n")
    (tmp_path / "empty").mkdir()
    for f, said in (("none.yaml", "no object"), ("empty", "holds no .yaml"),
                    ("missing.yaml", "cannot open")):
        code, out, err = bare.cli("apply", "-f", str(tmp_path / f))
        assert code == 1 and out == "" and said in err
    assert bare.cli("apply")[0] == 2
    code, out, err = cli("apply", "-f", str(tmp_path / "none.yaml"), "--socket", str(tmp_path / "x"))
    assert code == 3 and "gossamer run" in err


ODD = [
    ("POST", "apply", b"", 422),
    ("POST", "apply?name=%00x", b"a: b", 422),
    ("POST", "apply?files=1", b"", 422),
    ("POST", "apply?files=x", b"", 422),
    ("POST", "apply?files=2", b"3 a\nabc9 b\nx", 422),
    ("POST", "delete", b"\xff\xfe\x00", 422),
    ("POST", "split", b"[" * 5000, 422),
    ("GET", "objects/vs/" + "n" * 300 + "/" + "m" * 9000, None, 404),
    ("GET", "objects/vs/%2f/%00", None, 404),
    ("GET", "objects///", None, 400),
    ("GET", "objects?kind=%ff&namespace=%", None, 404),
    ("GET", "explain?url=http://" + "a." * 200, None, 400),
    ("GET", "explain?url=http://tools/%0d%0a&header=x:%00%ff", None, 200),
    ("GET", "explain?url=http://tools/" + "&header=a:b" * 101, None, 400),
]


@pytest.fixture(scope="module")
def echo_node(module_bench):
    return module_bench.echo()[0]


@pytest.mark.parametrize("row", ODD, ids=range(len(ODD)))
def test_odd_requests_are_answered(echo_node, row):
    method, path, body, want = row
    status, answer = echo_node.admin_request(method, "/api/v1/" + path, body)
    assert status == want and (status == 200 or json.loads(answer)["errors"]), (status, answer)


def test_damaged_manifests_never_hurt(bare):
    """Bytes changed, lost and doubled at random: each is refused or taken, and the node lives."""
    rng = random.Random(SEED)
    whole = policy.documents(RULE, virtual_service(http=CANARY))
    taken = 0
    for _ in range(3000 if HEAVY else 300):
        d = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            k = rng.randrange(len(d))
            if rng.random() < 0.4:
                d[k] = rng.randrange(256)
            elif rng.random() < 0.5:
                del d[k:k + rng.randrange(1, 20)]
            else:
                d[k:k] = d[rng.randrange(len(d)):][:rng.randrange(30)]
        status, doc = bare.api("POST", "apply", bytes(d))
        assert status in (200, 422), (status, doc, bytes(d))
        taken += status == 200
    print(f"seed {SEED}: {taken} taken")
    bare.api.apply(RULE, virtual_service(v2=1))
    assert bare.count() == {"v2": 200}


# ---- shares ----

@pytest.mark.parametrize("conns", [1, 16, 200])
def test_ten_percent_are_ten_percent(tools, conns):
    with Counting(tools.node.outbound, conns) as c:
        got = shares(c.run(REQUESTS, lambda i: get("/x")))
    assert got["v1"] + got["v2"] == REQUESTS
    assert abs(got["v2"] / REQUESTS - 0.1) <= 0.01, got


@pytest.mark.parametrize("conns", [1, 16])
def test_two_kinds_in_turn_get_ten_percent_each(tools, conns):
    """A client that alternates must not have one kind sent one way."""
    with Counting(tools.node.outbound, conns) as c:
        answers = c.run(2 * REQUESTS, lambda i: get("/a") if i % 2 == 0 else get("/b"))
    for kind in (0, 1):
        got = shares(a for a in answers if a.number % 2 == kind)
        assert abs(got["v2"] / REQUESTS - 0.1) <= 0.01, (kind, got)


def test_shares_that_do_not_add_up_to_100(tools):
    tools.api.apply(virtual_service(v1=1, v2=2))
    got = tools.count(n=3000)
    assert abs(got["v2"] / 3000 - 2 / 3) <= 0.01, got


def test_a_header_decides_and_everybody_else_goes_by_weight(tools):
    assert tools.count(get(x_experiment="promptv2"), n=500) == {"v2": 500}
    for other in (get(x_experiment="promptv1"), get(x_experiment="Promptv2"), get(x_other="promptv2"),
                  get()):
        got = tools.count(other, n=1000)
        assert abs(got["v2"] - 100) <= 10, got


def test_paths_and_regular_expressions(tools):
    http = [{
        "match": [{"uri": {"exact": "/only"}}, {"uri": {"prefix": "/pre"}}],
        "route": [route("tools", "v2")]
    }, {
        "match": [{"uri": {"regex": "/r/[0-9]+"}, "headers": {"x-a": {}}}],
        "route": [route("tools", "v2")]
    }, {
        "match": [{"headers": {"x-b": {"regex": "p.*2"}}}],
        "route": [route("tools", "v2")]
    }, {
        "match": [{"uri": {"prefix": "/v1"}}],
        "route": [route("tools", "v1")]
    }]
    tools.api.apply(virtual_service(http=http))
    for request, want in ((get("/only"), "v2"), (get("/only?q=1"), "v2"), (get("/prefix"), "v2"),
                          (get("/r/12", x_a="any"), "v2"), (get("/v1/x", x_b="promptv2"), "v2"),
                          (get("/v1/x", x_b="promptv23"), "v1"), (get("/v1"), "v1")):
        assert tools.count(request, n=4, conns=1) == {want: 4}, request
    for target in ("/onl", "/only/", "/r/12", "/r/x"):
        m = tools.node.ask(target=target, host="tools")
        assert m.status == 404 and "NR" in m.get("Proxy-Status"), target


# ---- changes under traffic ----

def test_each_answer_is_of_a_version_that_was_current(tools):
    """50 changes, 100 ms apart, at 500 and more requests a second: none fails, and none is routed
    under a version that had been replaced when it was sent."""
    changes, intervals = 50, []
    tools.api.split(v1=100, v2=0)
    with Background(tools.node.outbound, conns=8) as traffic:
        intervals.append((0.0, time.monotonic()))
        begun = time.monotonic()
        for k in range(1, changes + 1):
            start, ended = intervals[-1] if k > 1 else (begun, begun)
            # The pace is what is asked for; longer where a change takes long, so that most answers
            # are of one version for sure.
            time.sleep(max(0, start + 0.1 - ended, 2 * (ended - start)))
            start = time.monotonic()
            tools.api.split(v1=100 * (k % 2 == 0), v2=100 * (k % 2))
            intervals.append((start, time.monotonic()))
        ended = time.monotonic()
        took = ended - begun - late(begun, ended)
    answers = [a for a in traffic.answers if a.began >= intervals[0][1]]
    shares(answers)
    assert len(answers) / took >= 500, (len(answers), took)
    assert len(shown(answers, intervals)) > 0.75 * len(intervals), "most of them were answered by"
    wrong, sure = stale(answers, intervals, lambda k: "v2" if k % 2 else "v1")
    assert not wrong, wrong[:3]
    assert sure > len(answers) / 2, (sure, len(answers))  # else it has shown little


def test_what_is_applied_together_is_seen_together(bare):
    """Each apply renames the subset in both objects: a request that met one without the other would
    be answered 503."""
    bare.api.apply(destination_rule(s0="v1"), virtual_service(s0=1))
    with Background(bare.node.outbound) as traffic:
        for k in range(1, 51):
            docs = [
                destination_rule(**{f"s{k}": "v1" if k % 2 == 0 else "v2"}),
                virtual_service(**{f"s{k}": 1})
            ]
            doc = bare.api.apply(*(docs if k % 4 < 2 else docs[::-1]))
            assert [o["state"] for o in doc["applied"]] == ["active", "active"]
    got = shares(traffic.answers)
    assert got["v1"] > 0 and got["v2"] > 0


@pytest.mark.parametrize("first", ["VirtualService", "DestinationRule"])
def test_in_two_applies_in_either_order(bare, first):
    """No request sees the first without the second: it waits, or changes nothing by itself."""
    rule, vs = destination_rule(v2="v2"), virtual_service(v2=1)
    docs = [vs, rule] if first == "VirtualService" else [rule, vs]
    with Background(bare.node.outbound) as traffic:
        doc = bare.api.apply(docs[0])
        assert doc["applied"][0]["state"] == ("pending" if docs[0] is vs else "active")
        until("requests between the two", lambda n=bare.node.stat("tools", "outbound")["requests"]:
              bare.node.stat("tools", "outbound")["requests"] > n + 200)
        second = time.monotonic()
        doc = bare.api.apply(docs[1])
        done = time.monotonic()
        until("requests after", lambda n=bare.node.stat("tools", "outbound")["requests"]:
              bare.node.stat("tools", "outbound")["requests"] > n + 200)
    shares(traffic.answers)  # none failed
    before = shares(a for a in traffic.answers if a.ended < second)
    assert before["v1"] > 0 and before["v2"] > 0, before  # as without policy
    assert set(shares(a for a in traffic.answers if a.began > done)) == {"v2"}
    rows = {o["kind"]: o["state"] for o in bare.api("GET", "objects")[1]["objects"]}
    assert rows == {"VirtualService": "active", "DestinationRule": "active"}


def test_pending_is_shown_and_ends(tools):
    was = tools.api("GET", "objects/vs/default/tools")[1]["metadata"]["resourceVersion"]
    doc = tools.api.apply(virtual_service(v3=1))
    (row, ) = doc["applied"]
    assert row["state"] == "pending" and "v3" in row["why"]
    assert "GS0107" in [w["code"] for w in row["warnings"]]
    got = tools.count(n=1000)  # the former version goes on
    assert abs(got["v2"] - 100) <= 10
    code, out, err = tools.cli("get", "vs", "-o", "wide")
    assert code == 0 and "pending" in out and was in out and "v3" in out.splitlines()[1]
    doc = tools.api("GET", "objects/vs/-/tools")[1]
    assert doc["status"]["state"] == "pending" and doc["status"]["activeVersion"] == was
    assert doc["spec"]["http"][0]["route"][0]["destination"]["subset"] == "v3"
    assert tools.api.apply(virtual_service(v3=1))["applied"][0]["state"] == "unchanged"
    tools.api.apply(destination_rule(v1="v1", v2="v2", v3="v2"))
    assert tools.api("GET", "objects/vs/-/tools")[1]["status"] == {"state": "active"}
    assert tools.count() == {"v2": 200}


def test_an_unknown_host_is_a_warning_and_503(tools):
    http = [{"route": [route("tools", "v1", 50), route("toolz", None, 50)]}]
    doc = tools.api.apply(virtual_service(http=http))
    (row, ) = doc["applied"]
    assert row["state"] == "active" and row["warnings"][0]["code"] == "GS0108"
    assert "tools.default" in row["warnings"][0]["hint"]
    with Counting(tools.node.outbound, 1) as c:
        answers = c.run(1000, lambda i: get())
    bad = [a for a in answers if a.status == 503]
    assert abs(len(bad) - 500) <= 10 and all(a.status in (200, 503) for a in answers)
    assert "UH" in tools.node.stat("tools", "outbound")["flags"] or "UH" in str(
        tools.node.api("stat")[0])


# ---- deleting, conflicts, dry runs ----

def test_delete_keeps_what_others_need(tools, tmp_path):
    code, out, err = tools.cli("delete", "dr", "tools")
    assert code == 1 and out == "" and "GS0116" in err and "--force" in err
    assert tools.count(get(x_experiment="promptv2"), n=20) == {"v2": 20}
    code, out, err = tools.cli("delete", "DestinationRule", "tools", "--force")
    assert code == 0 and "1 deleted" in out and "GS0116" in err
    m = tools.node.ask(host="tools")
    assert m.status == 503 and "UH" in m.get("Proxy-Status")
    code, out, err = tools.cli("delete", "virtualservices", "tools", "-o", "json")
    doc = json.loads(out)
    assert code == 0 and [(o["kind"], o["name"]) for o in doc["deleted"]] == [("VirtualService",
                                                                               "tools")]
    assert doc["deleted"][0]["version"].startswith("2.")
    assert tools.node.ask(host="tools").status == 200  # no policy: all endpoints
    assert tools.api("GET", "objects")[1]["objects"] == []


def test_delete_by_file_is_one_transaction(tools, tmp_path):
    path = tmp_path / "both.yaml"
    path.write_bytes(policy.documents(RULE, virtual_service(v1=1)))
    code, out, err = tools.cli("delete", "-f", str(path), "--dry-run")
    assert code == 0 and "nothing was changed" in out
    assert len(tools.api("GET", "objects")[1]["objects"]) == 2
    code, out, err = tools.cli("delete", "-f", str(path))
    assert code == 0 and "2 deleted" in out
    code, out, err = tools.cli("delete", "-f", str(path))
    assert code == 1 and err.count("GS0118") == 2


def test_what_is_not_there(tools):
    code, out, err = tools.cli("delete", "vs", "tool")
    assert code == 1 and "did you mean VirtualService tools" in err
    assert tools.cli("delete", "vs", "tools", "-n", "other")[0] == 1
    assert tools.cli("delete", "pod", "tools")[0] == 1
    assert tools.cli("delete", "vs")[0] == 2
    assert tools.cli("delete", "vs", "tools", "-f", "x")[0] == 2
    status, doc = tools.api("DELETE", "objects/vs/default/tool")
    assert status == 404 and doc["errors"][0]["code"] == "GS0118" and doc["errors"][0]["hint"]
    assert tools.api("GET", "objects/vs/default")[0] == 400
    assert tools.api("GET", "objects?kind=pods")[0] == 404


def test_if_version(tools, tmp_path):
    path = tmp_path / "vs.yaml"
    path.write_bytes(policy.documents(virtual_service(v1=1)))
    version = tools.api("GET", "objects/vs/-/tools")[1]["metadata"]["resourceVersion"]
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", "0")
    assert code == 5 and version in err
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", version, "--dry-run")
    assert code == 0 and "changed" in out
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", version)
    assert code == 0 and "1 applied" in out
    path.write_bytes(policy.documents(virtual_service(v1=1, v2=1)))
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", version)
    assert code == 5 and "changed meanwhile" in err
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", version, "--dry-run")
    assert code == 5
    code, out, err = tools.cli("delete", "vs", "tools", "--if-version", version)
    assert code == 5
    assert tools.api("GET", "objects/vs/-/tools")[0] == 200
    code, out, err = tools.cli("apply", "-f", str(path), "--if-version", "3.12")
    assert code == 1 and "is no version" in err
    path.write_bytes(policy.documents(virtual_service("other", v1=1)))
    assert tools.cli("apply", "-f", str(path), "--if-version", "0")[0] == 0


def test_dry_run_changes_nothing(bare):
    doc = bare.api.apply(RULE, virtual_service(v2=1), params="?dry_run=true")
    assert doc["dry_run"] is True and [o["state"] for o in doc["applied"]] == ["changed"] * 2
    assert doc["asked"] == 0 and bare.api("GET", "objects")[1]["objects"] == []
    bare.api.apply(RULE)
    doc = bare.api.apply(RULE, virtual_service(v2=1), params="?dry_run=true")
    assert [o["state"] for o in doc["applied"]] == ["unchanged", "changed"]


def test_unchanged_makes_no_version(tools):
    before = tools.node.api("members")[0][0]["config"]
    was = tools.api("GET", "objects")[1]
    for _ in range(3):
        doc = tools.api.apply(RULE, virtual_service(http=CANARY))
        assert [o["state"] for o in doc["applied"]] == ["unchanged"] * 2
    assert tools.api("GET", "objects")[1] == was
    assert tools.node.api("members")[0][0]["config"] == before


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_get_prints_apply_takes_back(tools, tmp_path, form):
    for args in (("vs", "tools"), ("vs", ), (), ("-A", )):
        code, out, err = tools.cli("get", *args, "-o", form)
        assert code == 0 and err == ""
        path = tmp_path / f"back.{form}"
        path.write_text(out)
        code, out, err = tools.cli("apply", "-f", str(path))
        assert code == 0 and err == "", (out, err)
        assert "applied" not in out and "unchanged" in out


def test_namespaces(bare):
    vs = virtual_service("other", hosts=["other"], http=[{"route": [route("other")]}])
    bare.api.apply(vs, params="?namespace=ai")
    assert bare.cli("get")[1] == ""
    assert "ai" in bare.cli("get", "-A")[1]
    assert "other" in bare.cli("get", "vs", "other", "-n", "ai")[1]
    assert bare.cli("get", "vs", "other")[0] == 1
    assert bare.cli("get", "-A", "-n", "ai")[0] == 2
    code, out, err = bare.cli("delete", "vs", "other", "-n", "ai")
    assert code == 0 and "ai/other" in out


# ---- split ----

def test_split(bare):
    code, out, err = bare.cli("split", "tools", "v1=90", "v2=10")
    assert code == 1 and "GS0107" in err and "DestinationRule" in err
    bare.api.apply(RULE)
    code, out, err = bare.cli("split", "tools", "v1=90", "v2=10")
    assert code == 0 and "VirtualService default/tools" in out and "  active" in out, err
    got = bare.count(n=1000)
    assert abs(got["v2"] - 100) <= 10
    assert bare.cli("split", "tools.default", "v1=1", "v2=1", "-o", "json")[0] == 0
    got = bare.count(n=1000)
    assert abs(got["v2"] - 500) <= 10
    code, out, err = bare.cli("split", "tools", "v2=1")
    assert code == 0 and bare.count() == {"v2": 200}
    for args, said in ((("tools", "v1"), "SUBSET=WEIGHT"), (("tools", "v1=x"), "weight"),
                       (("tools", ), "missing")):
        code, out, err = bare.cli("split", *args)
        assert code == 2 and said in err
    for args, said in ((("tools", "v3=1"), "v3"), (("tools", "v1=0"), "0"),
                       (("toolz", "v1=1"), "toolz")):
        code, out, err = bare.cli("split", *args)
        assert code == 1 and said in err, (args, err)


def test_split_keeps_the_other_rules(tools):
    tools.api.split(v1=50, v2=50)
    doc = tools.api("GET", "objects/vs/-/tools")[1]
    assert [r["name"] for r in doc["spec"]["http"]] == ["experiment", "everybody"]
    assert [r["weight"] for r in doc["spec"]["http"][1]["route"]] == [50, 50]
    assert tools.count(get(x_experiment="promptv2"), n=20) == {"v2": 20}
    two = [{"name": n, "route": [route("tools", "v1", 1), route("tools", "v2", 1)]} for n in "ab"]
    two[0]["match"] = [{"uri": {"prefix": "/a"}}]
    tools.api.apply(virtual_service(http=two))
    code, out, err = tools.cli("split", "tools", "v1=1")
    assert code == 1 and "GS0119" in err and "gossamer get" in err


@pytest.mark.parametrize("body", [
    "", "[]", "{}", '{"service": 3}', '{"service": "tools"}', '{"service": "tools", "weights": []}',
    '{"service": "tools", "weights": [{"subset": "v1"}]}',
    '{"service": "tools", "weights": [{"subset": "v1", "weight": -1}]}',
    '{"service": "tools", "weights": [{"subset": "v1", "weight": 1.5}]}',
    '{"service": "tools", "weights": [{"subset": "v1", "weight": 1}], "more": 1}',
    '{"service": "tools", "namespace": "N", "weights": [{"subset": "v1", "weight": 1}]}',
    '{"service": "tools", "weights": {"v1": 1}}', '{"service": "", "weights": [1]}'
])
def test_split_wants_its_form(tools, body):
    status, doc = tools.api("POST", "split", body)
    assert status == 422 and doc["errors"], body


# ---- explain ----

def explain(tools, url, *headers, method="GET"):
    args = [a for h in headers for a in ("-H", h)]
    code, out, err = tools.cli("explain", method, url, *args, "-o", "json")
    assert code == 0, err
    return json.loads(out)


def test_explain_says_each_decision(tools):
    doc = explain(tools, "http://tools/x?y=1")
    texts = [s["text"] for s in doc["explain"]]
    assert "tools.default:80" in texts[0] and "VirtualService default/tools" in texts[0]
    assert '"experiment" does not match: there is no header x-experiment' in texts[1]
    assert '"everybody" matches every request' in texts[2]
    backends = doc["route"]["rule"]["backends"]
    assert [(b["subset"], b["percent"]) for b in backends] == [("v1", 90), ("v2", 10)]
    for b, o in zip(backends, (tools.v1, tools.v2)):
        assert [(e["address"], e["state"]) for e in b["endpoints"]] == [(f"127.0.0.1:{o.port}",
                                                                         "healthy")]
    assert doc["answers"] == [{"percent": 100, "status": None}]
    doc = explain(tools, "tools.default.svc.cluster.local/", "x-experiment: nope")
    assert 'header x-experiment: "nope" is not "promptv2"' in doc["explain"][1]["text"]
    doc = explain(tools, "http://tools.mesh/", "X-Experiment: promptv2")
    assert doc["route"]["rule"]["name"] == "experiment" and len(doc["explain"]) == 2
    code, out, err = tools.cli("explain", "GET", "http://tools/")
    assert code == 0 and "90.0 %" in out and "10.0 %" in out and "node n1  healthy" in out


def test_explain_says_why_not(tools):
    doc = explain(tools, "http://toolz/")
    assert doc["answers"][0]["status"] == 404 and doc["answers"][0]["flag"] == "NR"
    assert "did you mean http://tools.default:80?" in doc["explain"][0]["text"]
    doc = explain(tools, "http://tools:8080/")
    assert doc["answers"][0]["status"] == 404 and "it has port 80" in doc["explain"][0]["text"]
    http = [{"match": [{"uri": {"prefix": "/a"}}, {"uri": {"exact": "/b"}}],
             "route": [route("tools", "v1", 3), route("nobody", None, 1)]}]
    tools.api.apply(virtual_service(http=http))
    doc = explain(tools, "http://tools/c")
    assert doc["answers"][0]["status"] == 404
    assert "match 1 does not hold" in doc["explain"][2]["text"] and '"/b"' in doc["explain"][2]["text"]
    doc = explain(tools, "http://tools/b")
    assert [(a["percent"], a["status"]) for a in doc["answers"]] == [(75, None), (25, 503)]
    assert doc["answers"][1]["flag"] == "UH"
    for url in ("https://tools/", "http:///x", "http://to ols/", ""):
        assert tools.cli("explain", "GET", url)[0] == 1, url
    assert tools.cli("explain", "GET", "http://tools/", "-H", "no colon")[0] == 1
    assert tools.cli("explain", "GET")[0] == 2


def test_explain_is_what_happens_and_leaves_no_trace(tools):
    tools.node.ask(host="tools")
    before = tools.node.api("stat")[0]
    for headers in ((), ("x-experiment: promptv2", )):
        explain(tools, "http://tools/x", *headers)
    rows = [[(r["subset"], r["requests"]) for r in rows] for rows in (before,
                                                                       tools.node.api("stat")[0])]
    assert rows[0] == rows[1]


# ---- analyze, lists ----

def test_analyze_needs_no_node(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(SPLIT_YAML.format(api=FORMS["v1"]))
    code, out, err = cli("analyze", str(good))
    assert (code, out, err) == (0, "0 errors, 0 warnings in 2 objects, 1 not ours\n", "")
    bad.write_text("""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tools }
spec:
  hosts: [tools]
  http:
  - route:
    - destination: { host: tools, subset: v3 }
      weigth: 90
""")
    code, out, err = cli("analyze", str(good.parent))
    assert code == 1 and err == ""
    assert f"{bad}:9:7: error GS0102: spec.http[0].route[0].weigth: " in out
    assert 'hint: did you mean "weight"?' in out
    code, out, err = cli("analyze", str(bad), "-o", "json")
    doc = json.loads(out)
    assert code == 1 and [e["code"] for e in doc["errors"]] == ["GS0102"]
    bad.write_text(bad.read_text().replace("      weigth: 90\n", ""))
    code, out, err = cli("analyze", str(bad))
    assert code == 0 and f"{bad}:8:43: warning GS0107: " in out and "1 warning" in out
    assert cli("analyze", str(tmp_path / "none"))[0] == 1
    assert cli("analyze", str(good), "-o", "jsn")[0] == 2


def test_analyze_of_what_a_node_holds(tools):
    code, out, err = tools.cli("analyze")
    assert code == 0 and err == ""
    tools.api.apply(virtual_service(v9=1))
    code, out, err = tools.cli("analyze")
    assert code == 0 and "GS0107" in out and "v9" in out


def test_lists(tools):
    tools.count(n=50)
    code, out, err = tools.cli("services")
    assert code == 0 and out.splitlines()[0].split()[:3] == ["SERVICE", "NAMESPACE", "PORT"]
    assert out.splitlines()[1].split() == [
        "tools", "default", "80", "http", "2", "2", "v1,v2", "VirtualService/default/tools"
    ]
    code, out, err = tools.cli("endpoints", "tools")
    assert code == 0 and len(out.splitlines()) == 3 and out.count("healthy") == 2
    code, out, err = tools.cli("endpoints", "tools.default", "-o", "json")
    assert code == 0 and len(json.loads(out)["endpoints"]) == 2
    code, out, err = tools.cli("endpoints", "tols")
    assert code == 1 and "did you mean tools?" in err
    code, out, err = tools.cli("stat", "tools", "-o", "wide")
    assert code == 0 and "200:" in out and "outbound" in out
    code, out, err = tools.cli("members")
    assert code == 0 and out.splitlines()[1].startswith("n1 ") and "alive" in out
    for verb in ("services", "endpoints", "stat", "members"):
        code, out, err = tools.cli(verb, "-o", "json")
        assert code == 0 and isinstance(json.loads(out)[verb], list)
        assert cli(verb, "--socket", "/nonexistent")[0] == 3


def test_short_names_are_of_the_namespace_of_the_rule(bench):
    """A VirtualService of ai means tools.ai by "tools", whoever asks."""
    a, b = Label("default").start(), Label("ai").start()
    try:
        n = bench.node([
            service("tools", [{"address": f"127.0.0.1:{a.port}"}]),
            service("tools", [{"address": f"127.0.0.1:{b.port}"}], namespace="ai")
        ], healthy=False)
        n.wait_states("tools", ["healthy", "healthy"])
        with Api(n) as api:
            http = [{"match": [{"uri": {"prefix": "/x"}}], "route": [route("tools")]}]
            api.apply(virtual_service(ns="ai", http=http))
        assert n.ask(host="tools").status == 200 and n.ask(host="tools.ai").status == 404
        assert bytes(n.ask(host="tools.ai", target="/x").body) == b"ai"
        assert bytes(n.ask(host="tools", target="/y").body) == b"default"
    finally:
        a.stop()
        b.stop()


def test_a_write_needs_the_unix_socket(tools):
    for method, path in (("POST", "apply"), ("POST", "split"), ("POST", "delete"),
                         ("DELETE", "objects/vs/default/tools"), ("GET", "objects")):
        assert tools.node.admin_request(method, f"/api/v1/{path}", b"{}", tcp=True)[0] == 403
    assert tools.node.admin_request("POST", "/api/v1/apply", policy.documents(RULE),
                                    {"Origin": "http://evil"})[0] == 403
    assert tools.node.admin_request("GET", "/api/v1/apply")[0] == 405
