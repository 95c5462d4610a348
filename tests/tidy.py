#!/usr/bin/env python3
"""tidy.py - the rules of the house that a compiler cannot see.

    tests/tidy.py [ROOT]        check the tree; print sizes and assertion density; 1 if a rule fails
    tests/tidy.py --self-test   prove that every rule can fail, on trees made for it

A finding reads `file:line: rule: what to do`. Layers and library homes are the two tables below:
moving a border is an edit there, with its reason in the commit.
"""

import fnmatch
import os
import re
import sys
import tempfile

# ---- the architecture, as tables ------------------------------------------------------------

# What each layer may include, beside the system. Anything not named here (mesh/ itself, tests,
# examples) may include every layer.
LAYERS = {
    'base': ('base',),
    'gossip': ('base', 'gossip'),
    'proxy': ('base', 'proxy'),
    'model': ('base', 'model'),
    'config': ('base', 'config'),
}
# Single headers a layer may include although their layer is not on its list: the proxy sees the
# mesh as one immutable snapshot and nothing else of the model.
EXTRA = {'proxy': ('include/gossamer/snapshot.h',)}

FOLDERS = (  # first match wins
    ('mesh/base/', 'base'),
    ('mesh/model/', 'model'),
    ('mesh/config/', 'config'),
    ('gossip/', 'gossip'),
    ('proxy/', 'proxy'),
    ('mesh/', 'mesh'),
)
# A header in include/gossamer belongs to the folder that holds its .c (or _uv.c). These are the
# module interfaces for as long as no such file exists; every other header is vocabulary.
INTERFACES = {
    'gossip.h': 'gossip',
    'gossip_loop.h': 'gossip',
    'proxy.h': 'proxy',
    'h1.h': 'proxy',
    'h2.h': 'proxy',
    'mux.h': 'proxy',
    'head.h': 'proxy',
    'http.h': 'proxy',
    'stream.h': 'proxy',
    'snapshot.h': 'model',
    'model.h': 'model',
}
# The one file that holds both objects.
BOTH_SIDES = ('mesh/node.c',)

# Library, its headers, its homes. libuv's types may also stand in the private headers *_uv.h.
LIBRARIES = (
    ('libuv', r'uv\.h|uv/.*', ('*_uv.c', '*_uv.h')),
    ('OpenSSL', r'openssl/.*', ('mesh/base/tls.c', 'gossip/seal.c', 'mesh/identity/*.c')),
    ('llhttp', r'llhttp\.h|llhttp/.*', ('proxy/h1.c',)),
    ('nghttp2', r'nghttp2/.*', ('proxy/h2.c', 'proxy/mux.c', 'mesh/identity/spiffe.c')),
    ('msgpack-c', r'msgpack\.h|msgpack/.*', ('gossip/wire.c', 'mesh/model/codec.c')),
    ('libyaml', r'yaml\.h', ('mesh/config/yaml.c',)),
    ('jansson', r'jansson\.h', ('mesh/config/json.c',)),
    ('c-ares', r'ares\.h|ares_.*\.h', ('mesh/dns*.c',)),
    ('protobuf-c', r'protobuf-c/.*|.*\.pb-c\.h', ('mesh/identity/spiffe.c', 'mesh/otlp.c')),
)
# Everything else in angle brackets must come with the C library or the kernel, so that a new
# dependency cannot arrive unnoticed.
SYSTEM = re.compile(
    r'(sys|net|netinet|netpacket|arpa|linux|asm|asm-generic|bits|sanitizer|valgrind)/.*\.h'
    r'|(aio|assert|byteswap|complex|cpuid|ctype|dirent|dlfcn|elf|endian|err|errno|error|execinfo'
    r'|fcntl|features|fenv|float|fnmatch|ftw|getopt|glob|grp|iconv|ifaddrs|immintrin|inttypes'
    r'|iso646|langinfo|libgen|limits|link|locale|malloc|math|mntent|monetary|mqueue|netdb|paths'
    r'|poll|pthread|pty|pwd|regex|resolv|sched|search|semaphore|setjmp|shadow|signal|spawn'
    r'|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings'
    r'|syscall|sysexits|syslog|termios|tgmath|threads|time|uchar|ucontext|unistd|utime|utmp|utmpx'
    r'|wait|wchar|wctype|wordexp|x86intrin|emmintrin|nmmintrin|arm_acle|arm_neon)\.h')
TEST_LIBRARIES = re.compile(r'cmocka(_.*)?\.h')

# ---- words, names and sizes ------------------------------------------------------------------

BANNED = {
    'strcpy': 'use a gs_buf or memcpy with a known length',
    'strcat': 'use a gs_buf',
    'sprintf': 'use snprintf or a gs_buf',
    'vsprintf': 'use vsnprintf or a gs_buf',
    'gets': 'use fgets',
    'atoi': 'use gs_slice_to_u64, which can refuse',
    'atol': 'use gs_slice_to_u64, which can refuse',
    'atoll': 'use gs_slice_to_u64, which can refuse',
    'atof': 'use strtod and check its end',
    'strtok': 'use gs_slice_cut, which keeps no state',
    'alloca': 'use a fixed array or an arena',
    'system': 'no shell: nothing is executed after start',
    'popen': 'no shell: nothing is executed after start',
}
MEMORY = {
    'malloc': 'gs_alloc',
    'calloc': 'gs_calloc',
    'realloc': 'gs_realloc',
    'reallocarray': 'gs_realloc',
    'free': 'gs_free',
    'strdup': 'gs_strdup',
    'strndup': 'gs_alloc and memcpy',
    'asprintf': 'a gs_buf',
    'vasprintf': 'a gs_buf',
}
MEMORY_HOME = 'mesh/base/alloc.c'

NAMELESS = re.compile(r'(utils?|common|helpers?|misc.*)\.(c|h)$')

FILE_LOOK, FILE_MAX = 800, 1200
FUNCTION_LOOK, FUNCTION_MAX = 70, 150
WIDTH_MAX = 100
README_MAX = 70
ASSERTIONS = re.compile(r'\bGS_(DEBUG_)?ASSERT\(')

TOP = ('gossip', 'proxy', 'mesh', 'include', 'examples', 'tests')
C_SUFFIXES = ('.c', '.h')
SOURCE_SUFFIXES = ('.c', '.h', '.def', '.py', '.sh')

RULES = {
    'layer': 'a layer includes only what lies below it',
    'both-sides': 'only mesh/node.c knows gossip and proxy at once',
    'home': 'a library is used in its home files only',
    'library': 'no library without a home',
    'banned': 'functions with a better replacement',
    'memory': 'memory comes from one place, which aborts when there is none',
    'line-comment': 'block comments only',
    'pragma-once': 'headers guard themselves the same way',
    'own-header': 'a .c includes its own header first, so the header is proved complete',
    'file-name': 'files are named after a duty',
    'tab': 'blanks, not tabs',
    'trailing-blank': 'no blanks at the end of a line',
    'line-width': 'at most %d columns' % WIDTH_MAX,
    'final-newline': 'a file ends with a newline',
    'file-size': 'fewer than %d lines' % FILE_MAX,
    'function-size': 'fewer than %d lines' % FUNCTION_MAX,
    'function-shape': 'return type, name and brace each start a line',
    'readme': 'every folder says what it is for',
}


class Finding:
    def __init__(self, path, line, rule, text):
        assert rule in RULES, rule
        self.path, self.line, self.rule, self.text = path, line, rule, text

    def __str__(self):
        return '%s:%d: %s: %s' % (self.path, self.line, self.rule, self.text)


# ---- reading C well enough -------------------------------------------------------------------

LEXEMES = re.compile(
    r'(?P<line>//(?:\\\n|[^\n])*)|(?P<block>/\*.*?(?:\*/|\Z))'
    r'|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>\'(?:\\.|[^\'\\\n])*\')', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]+>|"[^"\n]+")', re.M)


def blanked(text, kinds):
    """The text with every lexeme of these kinds replaced by blanks, line by line."""
    def blank(m):
        if m.lastgroup not in kinds:
            return m.group()
        return re.sub(r'[^\n]', ' ', m.group())
    return LEXEMES.sub(blank, text)


def line_of(text, at):
    return text.count('\n', 0, at) + 1


class CFile:
    def __init__(self, path, text):
        self.path, self.text = path, text
        self.code = blanked(text, ('line', 'block', 'string', 'char'))
        self.lines = text.split('\n')
        if self.lines and not self.lines[-1]:
            self.lines.pop()
        directives = blanked(text, ('line', 'block'))
        self.includes = [(line_of(directives, m.start(1)), m.group(1))
                         for m in INCLUDE.finditer(directives)]


class Function:
    def __init__(self, name, first, last, shape):
        self.name, self.first, self.last, self.shape = name, first, last, shape
        self.lines = last - first + 1


def without_directives(code):
    """Lines of code; preprocessor lines and their continuations are empty."""
    lines, inside = [], False
    for line in code.split('\n'):
        directive = inside or line.lstrip().startswith('#')
        inside = directive and line.endswith('\\')
        lines.append('' if directive else line.rstrip())
    return lines


def functions(code):
    """Function definitions of a file. The house style is `type NEWLINE name(...) NEWLINE {`; the
    other shapes are found too, so that a long function cannot hide behind a wrong one."""
    lines = without_directives(code)
    found, i = [], 0
    while i < len(lines):
        line = lines[i]
        own_line = line == '{'
        same_line = not own_line and re.search(r'\)\s*\{', line)
        if not own_line and not same_line:
            i += 1
            continue
        head = i - 1 if own_line else i
        while head > 0 and (not lines[head] or lines[head][0].isspace()):
            head -= 1
        signature = ' '.join(lines[head:i] if own_line else lines[head:i + 1])
        before = signature.split('(')[0]
        if '(' not in signature or '=' in before or ';' in before or '{' in before \
                or before.lstrip().startswith(('typedef', 'struct {', '}')):
            i += 1
            continue
        names = re.findall(r'[A-Za-z_]\w*', before)
        if not names:
            i += 1
            continue
        shape = None
        if not own_line:
            shape = 'put the opening brace on a line of its own'
        elif len(names) > 1 or '*' in before:
            shape = 'put the return type on a line of its own'
        last = i
        if own_line or not line.endswith('}'):
            while last + 1 < len(lines) and not lines[last].startswith('}'):
                last += 1
        found.append(Function(names[-1], head + 1, last + 1, shape))
        i = last + 1
    return found


# ---- the tree --------------------------------------------------------------------------------

class Tree:
    def __init__(self, root):
        self.root = root
        self.paths = []
        for top in TOP:
            for folder, folders, names in os.walk(os.path.join(root, top)):
                folders[:] = sorted(f for f in folders
                                    if f not in ('__pycache__', 'corpus', 'node_modules')
                                    and not f.startswith(('.', 'build')))
                for name in sorted(names):
                    path = os.path.relpath(os.path.join(folder, name), root)
                    self.paths.append(path.replace(os.sep, '/'))
        self.paths += [p for p in ('run', '.ci/run', 'meson.build', 'meson_options.txt')
                       if os.path.isfile(os.path.join(root, p))]
        self.all = set(self.paths)
        self.c = {p: CFile(p, self.read(p)) for p in self.paths if p.endswith(C_SUFFIXES)}

    def read(self, path):
        with open(os.path.join(self.root, path), encoding='utf-8', errors='replace',
                  newline='') as f:
            return f.read()

    def layer(self, path):
        """The layer a file belongs to; '' for those above all layers."""
        if path.startswith('include/gossamer/'):
            return self.owner(path)
        for folder, layer in FOLDERS:
            if path.startswith(folder):
                return layer
        return ''

    def owner(self, path):
        name = path[len('include/gossamer/'):]
        for folder, layer in FOLDERS:
            for source in (name[:-2] + '.c', name[:-2] + '_uv.c'):
                if name.endswith('.h') and folder + source in self.all:
                    return layer
        return INTERFACES.get(name, 'base')

    def resolve(self, path, include):
        """The project file an include names, or None for one of the system or a library."""
        name = include[1:-1]
        if name.startswith('gossamer/'):
            return 'include/' + name
        if include[0] == '<':
            return name if name in self.all else None
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name)).replace(os.sep, '/')
        return beside if beside in self.all else os.path.normpath(name).replace(os.sep, '/')

    def reach(self, path, seen=None):
        """The project files that including `path` brings along, itself too. Only headers of mesh/
        are looked into: what the others may include is check_layers' business."""
        seen = set() if seen is None else seen
        if path not in seen:
            seen.add(path)
            if path in self.c and self.layer(path) == 'mesh':
                for _, include in self.c[path].includes:
                    target = self.resolve(path, include)
                    if target:
                        self.reach(target, seen)
        return seen


# ---- the rules -------------------------------------------------------------------------------

def check_layers(tree, f):
    layer = tree.layer(f.path)
    if f.path == 'include/gossamer/snapshot.h':
        layer = 'base'  # else the proxy would see the model through it
    if layer not in LAYERS:
        return
    for line, include in f.includes:
        target = tree.resolve(f.path, include)
        if not target or target in EXTRA.get(layer, ()):
            continue
        # A path outside the known folders can only be a file beside this one.
        other = tree.layer(target) if '/' in target else layer
        if other not in LAYERS[layer]:
            yield Finding(f.path, line, 'layer', '%s may include %s only, and %s belongs to %s: '
                          'move the code up or pass it as data' % (
                              layer, ' and '.join(LAYERS[layer]), include, other or 'nobody here'))


def check_both_sides(tree, f):
    if not f.path.startswith('mesh/') or f.path in BOTH_SIDES:
        return
    sides = set()
    for line, include in f.includes:
        target = tree.resolve(f.path, include)
        if not target:
            continue
        for path in tree.reach(target):
            if path == 'include/gossamer/gossip.h' or path.startswith('gossip/'):
                sides.add('gossip')
            if path == 'include/gossamer/proxy.h' or path.startswith('proxy/'):
                sides.add('proxy')
        if len(sides) == 2:
            yield Finding(f.path, line, 'both-sides', '%s brings the second of gossip and proxy '
                          'in here; let mesh/node.c join them' % include)
            return


def check_homes(f):
    tests = f.path.startswith('tests/')
    for line, include in f.includes:
        name = include[1:-1]
        if name.startswith('gossamer/'):
            continue
        for library, headers, homes in LIBRARIES:
            if re.fullmatch(headers, name):
                # Tests may speak a library's language to check ours.
                if not tests and not any(fnmatch.fnmatch(f.path, h) for h in homes):
                    yield Finding(f.path, line, 'home', '%s lives in %s; go through it' % (
                        library, ', '.join(homes)))
                break
        else:
            if include[0] == '<' and not SYSTEM.fullmatch(name) \
                    and not (tests and TEST_LIBRARIES.fullmatch(name)):
                yield Finding(f.path, line, 'library', '%s is of no library we know: give it a '
                              'home in tests/tidy.py, or do without' % include)


def calls(code, words):
    """Calls of these functions; members of the same name (x->free(x)) are somebody else's."""
    for m in re.finditer(r'(?<![\w.])(?<!->)(%s)\s*\(' % '|'.join(words), code):
        yield line_of(code, m.start()), m.group(1)


def check_words(f):
    for line, word in calls(f.code, BANNED):
        yield Finding(f.path, line, 'banned', '%s: %s' % (word, BANNED[word]))
    if f.path.startswith(('tests/', 'examples/')) or f.path == MEMORY_HOME:
        return
    for line, word in calls(f.code, MEMORY):
        yield Finding(f.path, line, 'memory', '%s belongs in %s: use %s' % (
            word, MEMORY_HOME, MEMORY[word]))


def check_form(tree, f):
    for m in LEXEMES.finditer(f.text):
        if m.lastgroup == 'line':
            yield Finding(f.path, line_of(f.text, m.start()), 'line-comment',
                          'finish the thought as /* ... */ or delete it')
    name = os.path.basename(f.path)
    if NAMELESS.match(name):
        yield Finding(f.path, 1, 'file-name', 'name it after what it does')
    if name.endswith('.h'):
        if not re.search(r'^#pragma once$', f.code, re.M):
            yield Finding(f.path, 1, 'pragma-once', 'add #pragma once below the first comment')
        return
    stem = f.path[:-2]
    own = [h for h in (stem + '.h',) if h in tree.all]
    public = 'include/gossamer/' + name[:-2] + '.h'
    if public in tree.all and tree.layer(f.path) == tree.owner(public):
        own.append(public)
    if own:
        first = tree.resolve(f.path, f.includes[0][1]) if f.includes else None
        if first not in own:
            yield Finding(f.path, f.includes[0][0] if f.includes else 1, 'own-header',
                          'include %s before anything else' % own[-1])


def check_text(path, text):
    """Rules for every text of ours, whatever its language."""
    lines = text.split('\n')
    for number, line in enumerate(lines, 1):
        if '\t' in line:
            yield Finding(path, number, 'tab', 'indent with blanks')
        if line != line.rstrip():
            yield Finding(path, number, 'trailing-blank', 'remove it')
        if path.endswith(C_SUFFIXES) and len(line) > WIDTH_MAX:  # a row of a .def stays one row
            yield Finding(path, number, 'line-width', '%d columns: break the line' % len(line))
    if text and not text.endswith('\n'):
        yield Finding(path, len(lines), 'final-newline', 'end the last line')


def check_sizes(f, notes):
    if len(f.lines) >= FILE_MAX:
        yield Finding(f.path, len(f.lines), 'file-size',
                      '%d lines: take the second thing out of it' % len(f.lines))
    elif len(f.lines) > FILE_LOOK:
        notes.append('%s: %d lines: look for the second thing inside' % (f.path, len(f.lines)))
    for fn in functions(f.code):
        if fn.shape:
            yield Finding(f.path, fn.first, 'function-shape', '%s(): %s' % (fn.name, fn.shape))
        if fn.lines >= FUNCTION_MAX:
            yield Finding(f.path, fn.first, 'function-size', '%s() has %d lines: split it' % (
                fn.name, fn.lines))
        elif fn.lines > FUNCTION_LOOK:
            notes.append('%s:%d: %s() has %d lines: look for the second thing inside' % (
                f.path, fn.first, fn.name, fn.lines))


def named(readme, name, globs):
    if re.search(r'(?<![\w.-])%s(?!\w)' % re.escape(name), readme):
        return True
    return globs and any(fnmatch.fnmatchcase(name, pattern)
                         for pattern in re.findall(r'(\w[\w.-]*\*[\w.*-]*)', readme))


def check_readmes(tree):
    folders = {}
    for path in tree.paths:
        if path.startswith(tuple(top + '/' for top in TOP)) and path.endswith(SOURCE_SUFFIXES):
            folders.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    for folder, names in sorted(folders.items()):
        path = folder + '/README.md'
        if path not in tree.all:
            yield Finding(path, 1, 'readme', 'say what the folder is for and list its files in '
                          'reading order')
            continue
        readme = tree.read(path)
        lines = readme.count('\n')
        if lines > README_MAX:
            yield Finding(path, lines, 'readme', '%d lines: a page holds %d' % (lines, README_MAX))
        for name in names:
            # Tests are named after what they test, so there `test_*.c` says it for all of them.
            if name.endswith('.c') and not named(readme, name, folder.startswith('tests')):
                yield Finding(path, 1, 'readme', 'name %s where a reader should meet it' % name)


def density(tree):
    """(folder, lines, assertions) of every folder that ends up in the binary."""
    folders = {}
    for path, f in tree.c.items():
        if not path.startswith(('tests/', 'examples/')):
            lines, asserts = folders.get(os.path.dirname(path), (0, 0))
            folders[os.path.dirname(path)] = (lines + len(f.lines),
                                              asserts + len(ASSERTIONS.findall(f.code)))
    return [(folder, *figures) for folder, figures in sorted(folders.items())]


def check(tree, notes):
    found = []
    for path in tree.paths:
        name = os.path.basename(path)
        if path.endswith(SOURCE_SUFFIXES) or name in ('run', 'meson.build', 'meson_options.txt'):
            found += check_text(path, tree.read(path))
    for f in tree.c.values():
        found += check_layers(tree, f)
        found += check_both_sides(tree, f)
        found += check_homes(f)
        found += check_words(f)
        found += check_form(tree, f)
        found += check_sizes(f, notes)
    found += check_readmes(tree)
    return found


def main(root):
    tree, notes = Tree(root), []
    found = check(tree, notes)
    print('assertions per 1,000 lines:')
    for folder, lines, asserts in density(tree):
        print('  %-20s %6d lines %5.1f' % (folder, lines, 1000.0 * asserts / max(lines, 1)))
    for note in notes:
        print('note: ' + note)
    for finding in found:
        print(finding)
    print('tidy: %d files, %d findings' % (len(tree.paths), len(found)))
    if not tree.c:  # a check of nothing is no check
        print('tidy: no C file under %s' % root)
    return 1 if found or not tree.c else 0


# ---- self-test: a check that cannot fail is a defect -----------------------------------------

# A tree without a fault, full of things that look like one.
GOOD = {
    'include/gossamer/README.md': 'vocabulary\n',
    'include/gossamer/slice.h': '/* slice.h - bytes */\n#pragma once\n#include <stddef.h>\n',
    'include/gossamer/gossip.h': '#pragma once\n#include <gossamer/slice.h>\n',
    'include/gossamer/snapshot.h': '#pragma once\n#include <gossamer/slice.h>\n',
    'include/gossamer/proxy.h': '#pragma once\n#include <gossamer/snapshot.h>\n',
    'include/gossamer/model.h': '#pragma once\n#include <gossamer/snapshot.h>\n',
    'include/gossamer/h1.h': '#pragma once\n#include <gossamer/slice.h>\n',
    'include/gossamer/reasons.def': 'REASON(NONE)\n',
    'gossip/README.md': 'gossip.c, then wire.c, then gossip_uv.c\n',
    'gossip/gossip.c': '#include <gossamer/gossip.h>\n\n#include <stdint.h>\n\n#include "wire.h"\n',
    'gossip/wire.c': '#include "gossip/wire.h"\n\n#include <msgpack.h>\n',
    'gossip/wire.h': '#pragma once\n#include "mesh/base/loop_uv.h"\n',
    'gossip/gossip_uv.c': '#include <uv.h>\n',
    'proxy/README.md': 'proxy.c h1.c pool.c\n',
    'proxy/proxy.c': '#include <gossamer/proxy.h>\n#include <gossamer/snapshot.h>\n',
    'proxy/h1.c': '#include <gossamer/h1.h>\n#include <llhttp.h>\n',
    'proxy/pool.h': '#pragma once\n/* %s */\n' % ('─' * (WIDTH_MAX - 6)),
    'proxy/pool.c':
        '#include "proxy/pool.h"\n'
        '/* strcpy(a, b) in words, http://example.org // and system("x") */\n'
        'static const char *const URL = "http://x/*y*/ // strcpy(1) \\" atoi(";\n'
        'static const char QUOTE = \'"\';\n'
        'struct pool_ops {\n    void (*free)(void *p);\n};\n'
        '#define POOL_EACH(x)  \\\n    for (int x = 0; x < 3; x++) {  \\\n    }\n'
        '#define POOL_GETTER(x)  \\\nint x(void) {  \\\n}\n'
        'static int pool_table[] = { 1, 2 };\n'
        'static void *\npool_get(struct pool *p, int sprintf_count)\n{\n'
        '    char *at = strtok_r(p->text, " ", &p->rest);\n'
        '    if (p->ops->free && at) {\n        p->ops->free(p);\n        p->ops.free(p);\n    }\n'
        '    return p > 0 ? pool_free(p) : NULL;\n}\n',
    'mesh/README.md': 'node.c then main.c\n',
    'mesh/node.c': '#include <gossamer/gossip.h>\n#include <gossamer/proxy.h>\n',
    'mesh/main.c': '#include <gossamer/proxy.h>\n#include <gossamer/h1.h>\n',
    'mesh/members.h': '#pragma once\n#include <gossamer/gossip.h>\n',
    'mesh/base/README.md': '`alloc.c`, `slice.c`, `loop_uv.c`\n',
    'mesh/base/alloc.c': 'void *\ngs_alloc(size_t n)\n{\n    return malloc(n);\n}\n',
    'mesh/base/slice.c': '#include <gossamer/slice.h>\n',
    'mesh/base/loop_uv.c': '#include "mesh/base/loop_uv.h"\n#include <stdlib.h>\n',
    'mesh/base/loop_uv.h': '#pragma once\n#include <uv.h>\n',
    'mesh/model/README.md': 'catalog.c\n',
    'mesh/model/catalog.c': '#include <gossamer/model.h>\n',
    'mesh/config/README.md': 'json.c\n',
    'mesh/config/json.c': '#include <jansson.h>\n',
    'tests/unit/README.md': '`test_*.c`: one for each source file\n',
    'tests/unit/test_h1.c': '#include <cmocka.h>\n#include <nghttp2/nghttp2.h>\n'
                            '#include "proxy/pool.h"\n#include "gossip/wire.h"\n'
                            'int\nmain(void)\n{\n    free(malloc(1));\n    return 0;\n}\n',
    'meson.build': "project('x', 'c')\n",
}


def body(lines):  # counted from the name to the closing brace
    return 'static void\nlong_one(void)\n{\n' + '    step();\n' * (lines - 3) + '}\n'


def cases():
    """(rule, files to change, where it must be found: path, line)"""
    def case(rule, path, text, line=None):  # found in the first line of the text appended
        return rule, {path: GOOD[path] + text}, path, line or GOOD[path].count('\n') + 1

    for header in ('<gossamer/proxy.h>', '<gossamer/snapshot.h>', '<gossamer/model.h>',
                   '<gossamer/h1.h>', '"proxy/pool.h"', '"../proxy/pool.h"', '"mesh/members.h"'):
        yield case('layer', 'gossip/gossip.c', '#include %s\n' % header)
        yield case('layer', 'mesh/base/slice.c', '#include %s\n' % header)
        yield case('layer', 'include/gossamer/slice.h', '#include %s\n' % header)
    for header in ('<gossamer/gossip.h>', '"gossip/wire.h"', '<gossamer/model.h>',
                   '"mesh/members.h"'):
        yield case('layer', 'proxy/proxy.c', '#include %s\n' % header)
        yield case('layer', 'include/gossamer/proxy.h', '#include %s\n' % header)
    for header in ('<gossamer/gossip.h>', '<gossamer/proxy.h>', '"gossip/wire.h"',
                   '"proxy/pool.h"', '<gossamer/h1.h>'):
        yield case('layer', 'mesh/model/catalog.c', '#include %s\n' % header)
        yield case('layer', 'mesh/config/json.c', '#include %s\n' % header)
    yield case('layer', 'include/gossamer/snapshot.h', '#include <gossamer/model.h>\n')
    # The owner of a header follows its .c, wherever that is.
    yield ('layer', {'include/gossamer/tap.h': '#pragma once\n', 'proxy/tap_uv.c': '',
                     'proxy/README.md': GOOD['proxy/README.md'] + 'tap_uv.c\n',
                     'gossip/gossip.c': GOOD['gossip/gossip.c'] + '#include <gossamer/tap.h>\n'},
           'gossip/gossip.c', 6)

    yield case('both-sides', 'mesh/main.c', '#include <gossamer/gossip.h>\n')
    yield case('both-sides', 'mesh/main.c', '#include "members.h"\n')
    yield case('both-sides', 'mesh/main.c', '#include "gossip/wire.h"\n')

    for library, header in (('libuv', 'uv.h'), ('OpenSSL', 'openssl/ssl.h'),
                            ('llhttp', 'llhttp.h'), ('nghttp2', 'nghttp2/nghttp2.h'),
                            ('msgpack-c', 'msgpack/pack.h'), ('libyaml', 'yaml.h'),
                            ('jansson', 'jansson.h'), ('c-ares', 'ares.h'),
                            ('protobuf-c', 'protobuf-c/protobuf-c.h'),
                            ('protobuf-c', 'workload.pb-c.h')):
        assert any(library == row[0] for row in LIBRARIES), library
        for path in ('mesh/main.c', 'proxy/proxy.c', 'gossip/wire.h', 'include/gossamer/slice.h'):
            yield case('home', path, '#include <%s>\n' % header)
    yield case('home', 'mesh/main.c', '#include "yaml.h"\n')
    yield case('library', 'mesh/main.c', '#include <curl/curl.h>\n')
    yield case('library', 'tests/unit/test_h1.c', '#include <check.h>\n')
    yield case('library', 'mesh/main.c', '#include <cmocka.h>\n')

    for word in BANNED:
        yield case('banned', 'proxy/pool.c', 'int pool_x = %s(1);\n' % word)
        yield case('banned', 'tests/unit/test_h1.c', 'int x = a > %s (1);\n' % word)
    for word in MEMORY:
        yield case('memory', 'mesh/base/slice.c', 'int x = %s(1);\n' % word)
        yield case('memory', 'mesh/main.c', 'int x =\n    %s (1);\n' % word,
                   GOOD['mesh/main.c'].count('\n') + 2)

    yield case('line-comment', 'proxy/pool.c', 'int x; // note to myself\n')
    yield ('pragma-once',
           {'mesh/members.h': '/*\n#pragma once\n*/\n#include <gossamer/gossip.h>\n'},
           'mesh/members.h', 1)
    yield ('own-header', {'proxy/proxy.c': '#include <stdio.h>\n#include <gossamer/proxy.h>\n'},
           'proxy/proxy.c', 1)
    yield 'own-header', {'proxy/pool.c': 'int x;\n'}, 'proxy/pool.c', 1
    yield ('own-header', {'mesh/base/loop_uv.c': '#include <uv.h>\n#include "loop_uv.h"\n'},
           'mesh/base/loop_uv.c', 1)
    for name in ('util.c', 'utils.c', 'common.h', 'misc.c', 'misc_text.h', 'helpers.c'):
        yield ('file-name', {'proxy/' + name: '#pragma once\n',
                             'proxy/README.md': GOOD['proxy/README.md'] + name + '\n'},
               'proxy/' + name, 1)

    yield case('tab', 'proxy/pool.c', '\tint x;\n')
    yield case('tab', 'meson.build', '\tx = 1\n')
    yield case('trailing-blank', 'proxy/pool.c', 'int x; \n')
    yield case('trailing-blank', 'include/gossamer/reasons.def', 'REASON(X)\r\n')
    yield case('line-width', 'proxy/pool.c', '/* %s */\n' % ('x' * (WIDTH_MAX - 5)))
    yield case('line-width', 'proxy/pool.h', '/* %s */\n' % ('─' * (WIDTH_MAX - 5)))
    yield case('final-newline', 'proxy/pool.c', 'int x;')
    yield case('file-size', 'proxy/pool.c',
               'int x;\n' * (FILE_MAX - GOOD['proxy/pool.c'].count('\n')), FILE_MAX)
    at = GOOD['proxy/pool.c'].count('\n')
    yield case('function-size', 'proxy/pool.c', body(FUNCTION_MAX), at + 2)
    yield case('function-size', 'proxy/pool.c', body(FUNCTION_MAX - 1).replace(
        'void)', 'int a,\n         int b)'), at + 2)
    yield case('function-shape', 'proxy/pool.c', 'static int shape(void)\n{\n}\n')
    yield case('function-shape', 'proxy/pool.c', 'char *shape(void)\n{\n}\n')
    yield case('function-shape', 'proxy/pool.c', 'int\nshape(void) {\n}\n', at + 2)
    yield case('function-shape', 'proxy/pool.c', 'int\nshape(int a,\n      int b) {\n}\n', at + 2)
    yield case('function-shape', 'proxy/pool.c', 'static int shape(void) { return 1; }\n')

    yield 'readme', {'proxy/README.md': None}, 'proxy/README.md', 1
    yield 'readme', {'tests/unit/README.md': None}, 'tests/unit/README.md', 1
    yield 'readme', {'examples/canary/run.sh': ':\n'}, 'examples/canary/README.md', 1
    yield 'readme', {'proxy/README.md': 'proxy.c h1.c old_pool.c po*.c\n'}, 'proxy/README.md', 1
    yield 'readme', {'tests/unit/README.md': 'fuzz_*.c\n'}, 'tests/unit/README.md', 1
    yield ('readme', {'mesh/README.md': GOOD['mesh/README.md'] + '\n' * README_MAX},
           'mesh/README.md', README_MAX + 1)


def grow(root, files):
    for path, text in files.items():
        if text is None:
            continue
        target = os.path.join(root, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'w', encoding='utf-8', newline='') as f:
            f.write(text)
    notes = []
    tree = Tree(root)
    return tree, check(tree, notes), notes


def self_test():
    faults, shown = [], set()
    count = 0

    def expect(what, holds, detail=''):
        nonlocal count
        count += 1
        if not holds:
            faults.append('%s %s' % (what, detail))

    with tempfile.TemporaryDirectory() as root:
        tree, found, notes = grow(root, GOOD)
        expect('the good tree is clean:', not found, '; '.join(map(str, found)))
        expect('the good tree needs no note:', not notes, str(notes))
    for rule, files, path, line in cases():
        with tempfile.TemporaryDirectory() as root:
            _, found, _ = grow(root, {**GOOD, **files})
        got = [(f.path, f.line, f.rule) for f in found]
        expect('%s at %s:%d for %r' % (rule, path, line, files), got == [(path, line, rule)],
               'but found: %s' % '; '.join(map(str, found)))
        shown.update(f.rule for f in found)
    expect('every rule is shown to fail; not so:', shown == set(RULES), str(set(RULES) - shown))

    with tempfile.TemporaryDirectory() as root:
        text = GOOD['proxy/pool.c'] + body(FUNCTION_LOOK + 1) + 'int x;\n' * FILE_LOOK
        text += 'void\nheld(void)\n{\n' + '    GS_ASSERT(1);\n' * 5 + '    GS_DEBUG_ASSERT(2);\n}\n'
        tree, found, notes = grow(root, {**GOOD, 'proxy/pool.c': text})
        expect('sizes worth a look are no failure:', not found, '; '.join(map(str, found)))
        expect('but a note each:', len(notes) == 2, str(notes))
        figures = {folder: asserts for folder, _, asserts in density(tree)}
        expect('assertions are counted:', figures.get('proxy') == 6, str(figures))
        expect('in shipped folders only:', not any(f.startswith('tests') for f in figures))
    with tempfile.TemporaryDirectory() as root:
        stdout, sys.stdout = sys.stdout, open(os.devnull, 'w', encoding='utf-8')
        try:
            empty = main(root)
            grow(root, GOOD)
            clean = main(root)
            grow(root, {**GOOD, 'proxy/pool.c': GOOD['proxy/pool.c'] + '\tint x;\n'})
            dirty = main(root)
        finally:
            sys.stdout.close()
            sys.stdout = stdout
        expect('exit status:', (empty, clean, dirty) == (1, 0, 1), str((empty, clean, dirty)))

    for fault in faults:
        print('self-test: ' + fault)
    print('tidy self-test: %d checks, %d failed' % (count, len(faults)))
    return 1 if faults else 0


if __name__ == '__main__':
    arguments = sys.argv[1:]
    if arguments == ['--self-test']:
        sys.exit(self_test())
    if len(arguments) > 1 or (arguments and arguments[0].startswith('-')):
        sys.exit(__doc__)
    sys.exit(main(arguments[0] if arguments
                  else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
