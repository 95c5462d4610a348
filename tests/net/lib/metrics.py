"""A strict reader of the Prometheus text format 0.0.4, stricter than promtool."""
import collections
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(
    rf'({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)(?: \d+)?\Z')
LABEL = re.compile(rf'({NAME})="((?:[^"\\]|\\.)*)"')
KINDS = ("counter", "gauge", "histogram", "summary", "untyped")
Sample = collections.namedtuple("Sample", "name labels value")


def parse(text):
    """{family: [Sample, ...]}; a sample belongs to the family that its TYPE line announced. Raises
    ValueError for a malformed line, a missing HELP or TYPE, a repeated series, a family in two
    places, a counter that is negative or not called _total, a histogram whose buckets fall."""
    families, types, helps, series = {}, {}, set(), set()
    family = None
    if text and not text.endswith("\n"):
        raise ValueError("no newline at the end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            if name in helps or len(line.split(" ", 3)) < 4:
                raise ValueError(f"HELP: {line}")
            helps.add(name)
        elif line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            if family in types or kind not in KINDS:
                raise ValueError(f"TYPE: {line}")
            types[family] = kind
            families[family] = []
        elif line and not line.startswith("#"):
            hit = SAMPLE.match(line)
            if not hit:
                raise ValueError(f"sample: {line}")
            labels = {k: v for k, v in LABEL.findall(hit[2] or "")}
            key = (hit[1], tuple(sorted(labels.items())))
            base = hit[1]
            if types.get(family) == "histogram":
                base = re.sub(r"_(bucket|sum|count)\Z", "", base)
            if key in series or base != family or family not in helps:
                raise ValueError(f"repeated, out of place or without HELP: {line}")
            series.add(key)
            value = float(hit[3])
            if types[family] == "counter" and (value < 0 or not family.endswith("_total")):
                raise ValueError(f"counter: {line}")
            families[family].append(Sample(hit[1], labels, value))
    for name, kind in types.items():
        if kind == "histogram":
            _histogram(name, families[name])
    return families


def _histogram(name, samples):
    groups = collections.defaultdict(list)
    counts = {}
    for s in samples:
        rest = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
        if s.name.endswith("_bucket"):
            groups[rest].append((float(s.labels["le"]), s.value))
        elif s.name.endswith("_count"):
            counts[rest] = s.value
    for rest, buckets in groups.items():
        buckets.sort()
        values = [v for _, v in buckets]
        open_end = buckets[-1][0] == float("inf")
        if values != sorted(values) or not open_end or values[-1] != counts.get(rest):
            raise ValueError(f"histogram {name} {rest}: {buckets}, count {counts.get(rest)}")


def total(samples, **labels):
    """Sum of the samples that carry these label values."""
    return sum(s.value for s in samples if all(s.labels.get(k) == v for k, v in labels.items()))
