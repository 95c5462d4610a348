/* script.c - the services, the steps, their manifests, and the difference between two of those. */
#include "mesh/demo/script.h"

#include <gossamer/buf.h>

/*      clients ─▶ n1 ─▶ gateway ─▶ planner ─┬─▶ search
 *                                           └─▶ tools (v1 | v2)        each arrow through the mesh
 *
 * n2 and n3 both have everything, so that any node may be missing but n1, which has the clients. */
const struct script_app script_apps[SCRIPT_APPS] = {
    { SCRIPT_ENTRY, "v1", 9001, "1", { "planner" } },
    { "planner", "v1", 9002, "23", { SCRIPT_SEARCH, SCRIPT_SERVICE } },
    { SCRIPT_SEARCH, "v1", 9003, "234", { NULL } },
    { SCRIPT_SERVICE, "v1", 9004, "235", { NULL } },
    { SCRIPT_SERVICE, "v2", 9005, "23456789", { NULL } },
};

const struct script_step script_steps[SCRIPT_STEPS] = {
    { "meet", ACT_MEET, 1, "the nodes meet", 0, false, true },
    { "canary-0", ACT_SPLIT, 2, "tools has two subsets, all requests go to v1", 0, true, false },
    { "canary-10", ACT_SPLIT, 2, "canary: a tenth to v2", 10, false, false },
    { "canary-50", ACT_SPLIT, 2, "canary: half to v2", 50, false, false },
    { "canary-100", ACT_SPLIT, 2, "canary: everything to v2", 100, false, true },
    { "eject", ACT_EJECT, 3, "an instance of v2 fails, and is ejected", 0, false, false },
    { "kill", ACT_KILL, 4, "kill -9 of a node under load", 0, false, true },
    { "return", ACT_RETURN, 5, "the node is back", 0, false, false },
    { "partition", ACT_PART, 6, "the mesh is cut in two, both sides are edited, it heals", 0, false,
      true },
};

bool
script_hosts(const struct script_app *app, unsigned node)
{
    GS_ASSERT(node >= 1);
    GS_ASSERT(node <= SCRIPT_NODES_MAX);
    return strchr(app->nodes, (int)('0' + node)) != NULL;
}

/* ---- who does what ---- */

unsigned
script_editor(void)
{
    return 2;
}

unsigned
script_victim(void)
{
    return 3;
}

unsigned
script_sick(unsigned nodes)
{
    GS_ASSERT(nodes >= SCRIPT_NODES_MIN);
    return nodes;
}

unsigned
script_cut(unsigned nodes)
{
    GS_ASSERT(nodes >= SCRIPT_NODES_MIN);
    return nodes - nodes / 2 + 1;
}

/* ---- manifests ---- */

static const char subsets[] = "apiVersion: networking.istio.io/v1\n"
                              "kind: DestinationRule\n"
                              "metadata: { name: tools }\n"
                              "spec:\n"
                              "  host: tools\n"
                              "  subsets:\n"
                              "  - { name: v1, labels: { version: v1 } }\n"
                              "  - { name: v2, labels: { version: v2 } }\n"
                              "---\n";
static const char route[] = "apiVersion: networking.istio.io/v1\n"
                            "kind: VirtualService\n"
                            "metadata: { name: tools }\n"
                            "spec:\n"
                            "  hosts: [tools]\n"
                            "  http:\n";
void
script_manifest(unsigned share_v2, bool defines_subsets, struct gs_buf *out)
{
    GS_ASSERT(share_v2 <= 100);
    (void)gs_buf_put_str(out, defines_subsets ? subsets : "");
    (void)gs_buf_put_str(out, route);
    (void)gs_buf_printf(out,
                        "  - route:\n"
                        "    - destination: { host: tools, subset: v1 }\n"
                        "      weight: %u\n"
                        "    - destination: { host: tools, subset: v2 }\n"
                        "      weight: %u\n",
                        100 - share_v2, share_v2);
}

/* ---- differences ---- */

struct lines {
    struct gs_slice at[SCRIPT_LINES_MAX];
    size_t count;
};

/* Lengths of the longest common part of what follows line i of one and j of the other. */
struct common {
    unsigned char len[SCRIPT_LINES_MAX + 1][SCRIPT_LINES_MAX + 1];
};

static void
split(const char *text, struct lines *out)
{
    struct gs_slice rest = gs_slice_str(text);
    struct gs_slice line;

    out->count = 0;
    while (rest.len > 0 && gs_slice_cut(&rest, '\n', &line)) {
        GS_ASSERT(out->count < SCRIPT_LINES_MAX);
        out->at[out->count++] = line;
    }
}

static void
fill(const struct lines *a, const struct lines *b, struct common *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t i = a->count; i-- > 0;) {
        for (size_t j = b->count; j-- > 0;) {
            unsigned char down = c->len[i + 1][j], right = c->len[i][j + 1];

            if (gs_slice_eq(a->at[i], b->at[j]))
                c->len[i][j] = (unsigned char)(c->len[i + 1][j + 1] + 1);
            else
                c->len[i][j] = down > right ? down : right;
        }
    }
}

struct walk { /* lines that are the same wait until it is known whether a change is near */
    struct gs_buf *out;
    struct gs_slice before;
    bool has_before, after_change;
};

static void
put(struct walk *w, const char *mark, struct gs_slice line)
{
    (void)gs_buf_printf(w->out, "%s%.*s\n", mark, GS_SLICE_FMT(line));
}

static void
walk_same(struct walk *w, struct gs_slice line)
{
    if (w->after_change)
        put(w, "  ", line);
    w->has_before = !w->after_change;
    w->before = line;
    w->after_change = false;
}

static void
walk_change(struct walk *w, const char *mark, struct gs_slice line)
{
    if (w->has_before)
        put(w, "  ", w->before);
    w->has_before = false;
    w->after_change = true;
    put(w, mark, line);
}

void
script_changes(const char *from, const char *to, struct gs_buf *out)
{
    struct walk w = { .out = out };
    struct lines a, b;
    struct common c;
    size_t i = 0, j = 0;

    split(from, &a);
    split(to, &b);
    fill(&a, &b, &c);
    while (i < a.count || j < b.count) {
        if (i < a.count && j < b.count && gs_slice_eq(a.at[i], b.at[j])) {
            walk_same(&w, b.at[j++]);
            i++;
        } else if (j == b.count || (i < a.count && c.len[i + 1][j] >= c.len[i][j + 1])) {
            walk_change(&w, "- ", a.at[i++]);
        } else {
            walk_change(&w, "+ ", b.at[j++]);
        }
    }
}
