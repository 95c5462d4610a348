#!/usr/bin/env python3
"""summary.py - what a run of `meson test` came to, counted in cases.

    tests/summary.py BUILD_DIR [STATUS]   STATUS: what `meson test` exited with
    tests/summary.py --self-test

Reads meson's JSON log. A cmocka program counts as its test functions and a pytest run (known by
its --junitxml) as its test cases; anything else is one case. Prints the output of what failed, the
reasons of what was skipped, and as the last line `N passed, N failed, N skipped`. Exits 1 if
anything failed, 0 otherwise.
"""

import json
import os
import re
import sys
import tempfile
import xml.etree.ElementTree

OUTPUT_LINES_MAX = 400  # shown of one failed test; the rest is in the log
# "[  FAILED  ] 2 test(s), listed below:"; newer versions name the group before the number.
CMOCKA = re.compile(r'^\[  (PASSED|FAILED|SKIPPED) {1,2}\] (?:.*: )?(\d+) test\(s\)', re.M)
JUNIT = '--junitxml='


def output_of(test):
    return '\n'.join(part.rstrip('\n') for part in (test.get('stdout'), test.get('stderr'))
                     if part and part.strip())


def cmocka_cases(output):
    counts = {'PASSED': 0, 'FAILED': 0, 'SKIPPED': 0}
    for m in CMOCKA.finditer(output):  # one set for each group of tests the program runs
        counts[m.group(1)] += int(m.group(2))
    names = {m.group(1).strip() for m in re.finditer(r'^\[  SKIPPED \] (.*)$', output, re.M)
             if not CMOCKA.match(m.group())}
    return counts['PASSED'], counts['FAILED'], counts['SKIPPED'], sorted(names)


def junit_cases(path, started):
    """Figures of a junit file, or None if this run wrote none."""
    try:
        if os.path.getmtime(path) < started - 1:
            return None
        cases = list(xml.etree.ElementTree.parse(path).iter('testcase'))
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    passed = failed = 0
    skipped = []
    for case in cases:
        if case.find('failure') is not None or case.find('error') is not None:
            failed += 1
        elif case.find('skipped') is not None:
            skipped.append('%s.%s: %s' % (case.get('classname'), case.get('name'),
                                          case.find('skipped').get('message')))
        else:
            passed += 1
    return passed, failed, len(skipped), skipped


def cases(test):
    """(passed, failed, skipped, reasons of the skips) of one entry of meson's log."""
    result, output = test['result'], output_of(test)
    reports = [a[len(JUNIT):] for a in test.get('command', []) if a.startswith(JUNIT)]
    counts = None
    if reports:
        counts = junit_cases(reports[0], test.get('starttime', 0))
    elif CMOCKA.search(output):
        counts = cmocka_cases(output)
    passed, failed, skipped, reasons = counts or (0, 0, 0, [])
    if result in ('OK', 'EXPECTEDFAIL'):
        passed = passed if passed + failed + skipped else 1
    elif result == 'SKIP':
        if not skipped:
            skipped, reasons = 1, output.split('\n')[-1:]
    elif not failed:
        failed = 1  # a crash, a time-out, a leak found at exit: no case of its own tells
    return passed, failed, skipped, reasons


def tail(text):
    lines = text.split('\n')
    if len(lines) > OUTPUT_LINES_MAX:
        lines[:-OUTPUT_LINES_MAX] = ['[%d lines left out]' % (len(lines) - OUTPUT_LINES_MAX)]
    return '\n'.join(lines)


def summarise(build, status=0, write=print):
    path = os.path.join(build, 'meson-logs', 'testlog.json')
    tests = []
    if os.path.exists(path):
        with open(path, encoding='utf-8', errors='replace') as f:
            tests = [json.loads(line) for line in f if line.strip()]
    totals = [0, 0, 0]
    skips = []
    for test in tests:
        *counts, reasons = cases(test)
        totals = [a + b for a, b in zip(totals, counts)]
        skips += ['%s: %s' % (test['name'], reason) for reason in reasons]
        if counts[1]:
            write('==== %s: %s' % (test['name'], test['result']))
            write(tail(output_of(test)))
    for skip in skips:
        write('skipped: ' + skip)
    if not totals[1] and (status or not tests):
        write('no test ran' if not tests else 'meson test exited with %d' % status)
        totals[1] = 1
    write('%d passed, %d failed, %d skipped' % tuple(totals))
    return 1 if totals[1] else 0


# ---- self-test -------------------------------------------------------------------------------

GROUPS = '''[==========] Running 3 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[  SKIPPED ] b
[ RUN      ] c
[  FAILED  ] c
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] b
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] c

 1 FAILED TEST(S)
[==========] Running 2 test(s).
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
'''
REPORT = '''<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="test_a" name="good"/>
<testcase classname="test_a" name="bad"><failure message="x">y</failure></testcase>
<testcase classname="test_a" name="worse"><error message="x">y</error></testcase>
<testcase classname="test_a" name="not"><skipped message="no nft"/></testcase>
</testsuite></testsuites>'''


def self_test():
    faults = []

    def expect(entries, last, exit_status, status=0, lines=()):
        with tempfile.TemporaryDirectory() as build:
            os.mkdir(os.path.join(build, 'meson-logs'))
            report = os.path.join(build, 'report.xml')
            if entries is not None:
                with open(os.path.join(build, 'meson-logs', 'testlog.json'), 'w',
                          encoding='utf-8') as f:
                    for name, entry in entries:
                        entry = {'name': name, 'command': ['x'], 'starttime': 0, **entry}
                        if 'report' in entry:
                            with open(report, 'w', encoding='utf-8') as r:
                                r.write(entry.pop('report'))
                            entry['command'] = ['pytest', JUNIT + report]
                        f.write(json.dumps(entry) + '\n')
            written = []
            got = summarise(build, status, written.append)
        others = [line for line in written if line.startswith('skipped: ') and line not in lines]
        if written[-1] != last or got != exit_status or not set(lines) <= set(written) \
                or (lines and others):
            faults.append('%r: %r, exit %d; not %r, exit %d, with %r' % (
                entries, written, got, last, exit_status, lines))

    expect(None, '0 passed, 1 failed, 0 skipped', 1)
    expect([], '0 passed, 1 failed, 0 skipped', 1)
    expect([('a', {'result': 'OK'})], '1 passed, 0 failed, 0 skipped', 0)
    expect([('a', {'result': 'OK'})], '1 passed, 1 failed, 0 skipped', 1, status=1)
    expect([('a', {'result': 'OK'}), ('b', {'result': 'FAIL', 'stdout': 'why\n'})],
           '1 passed, 1 failed, 0 skipped', 1, 1, ['==== b: FAIL', 'why'])
    for result in ('FAIL', 'TIMEOUT', 'ERROR', 'INTERRUPT', 'UNEXPECTEDPASS'):
        expect([('a', {'result': result})], '0 passed, 1 failed, 0 skipped', 1, 1)
    expect([('a', {'result': 'EXPECTEDFAIL'})], '1 passed, 0 failed, 0 skipped', 0)
    expect([('a', {'result': 'SKIP', 'stdout': 'x\nno nft\n'})],
           '0 passed, 0 failed, 1 skipped', 0, lines=['skipped: a: no nft'])
    expect([('a', {'result': 'FAIL', 'stdout': GROUPS})], '3 passed, 1 failed, 1 skipped', 1, 1,
           ['skipped: a: b'])
    expect([('a', {'result': 'FAIL', 'stderr': GROUPS, 'stdout': 'text'})],
           '3 passed, 1 failed, 1 skipped', 1, 1)
    named = GROUPS.replace('] 1 test(s), l', '] group: one: 1 test(s), l')
    expect([('a', {'result': 'FAIL', 'stdout': named})], '3 passed, 1 failed, 1 skipped', 1, 1,
           ['skipped: a: b'])
    # All cases passed and yet the program failed: a leak, a crash at exit.
    expect([('a', {'result': 'FAIL', 'stdout': '[  PASSED  ] 2 test(s).'})],
           '2 passed, 1 failed, 0 skipped', 1, 1)
    expect([('net', {'result': 'FAIL', 'report': REPORT})], '1 passed, 2 failed, 1 skipped', 1, 1,
           ['skipped: net: test_a.not: no nft'])
    expect([('net', {'result': 'FAIL', 'report': 'half of a <'})],
           '0 passed, 1 failed, 0 skipped', 1, 1)
    # A report from before this run is of another one.
    expect([('net', {'result': 'TIMEOUT', 'report': REPORT, 'starttime': 9e12})],
           '0 passed, 1 failed, 0 skipped', 1, 1)
    shown = tail('\n'.join(map(str, range(OUTPUT_LINES_MAX + 10)))).split('\n')
    if shown[0] != '[10 lines left out]' or shown[1] != '10' or len(shown) != OUTPUT_LINES_MAX + 1:
        faults.append('tail: %r' % shown[:2])
    for fault in faults:
        print('self-test: ' + fault)
    print('summary self-test: %d failed' % len(faults))
    return 1 if faults else 0


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        sys.exit(self_test())
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(summarise(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 0))
