/* view.c - asking the nodes and /proc, and the table. */
#include "mesh/demo/view.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/stage.h"

#define TEXT_BYTES_MAX 16384
#define CELL 32

/* ---- asking ---- */

static bool
read_proc(long pid, const char *file, char *out, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, out, size - 1);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static uint64_t
cpu_us_of(long pid)
{
    unsigned long long user, kernel;
    char text[1024];
    const char *rest;

    if (!read_proc(pid, "stat", text, sizeof(text)))
        return 0;
    rest = strrchr(text, ')'); /* the name before it may hold anything */
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                        &kernel) != 2)
        return 0;
    return (user + kernel) * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK);
}

static uint64_t
rss_bytes_of(long pid)
{
    unsigned long long pages;
    char text[256];

    if (!read_proc(pid, "statm", text, sizeof(text)) || sscanf(text, "%*u %llu", &pages) != 1)
        return 0;
    return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

/* Rates, from the oldest sample to this one. */
static void
take_sample(struct view_node *n, uint64_t now_us, uint64_t requests, uint64_t failed)
{
    struct view_sample now = { now_us, requests, failed, cpu_us_of(n->pid) };
    const struct view_sample *then;
    double seconds;

    memmove(n->samples + 1, n->samples, (VIEW_SAMPLES - 1) * sizeof(n->samples[0]));
    n->samples[0] = now;
    n->sample_count += n->sample_count < VIEW_SAMPLES;
    then = &n->samples[n->sample_count - 1];
    if (n->sample_count < 2 || now.requests < then->requests || now.cpu_us < then->cpu_us)
        return;
    seconds = (double)(now.at_us - then->at_us) / 1e6;
    GS_ASSERT(seconds > 0);
    n->rps = (double)(now.requests - then->requests) / seconds;
    n->cpu_percent = (double)(now.cpu_us - then->cpu_us) / 1e4 / seconds;
    n->success = now.requests == then->requests ? 1
                                                : 1 - (double)(now.failed - then->failed) /
                                                          (double)(now.requests - then->requests);
}

static void
refresh_node(struct view_node *n, struct stage *s, unsigned number)
{
    const struct stage_node *node = stage_node(s, number);
    struct peek_stat stat;

    if (node->child.pid != n->pid)
        *n = (struct view_node){ .pid = node->child.pid, .success = 1 };
    n->running = !node->down && n->pid > 0;
    n->alive = n->suspect = n->dead = n->peers = 0;
    n->answers = n->running && peek_stat(s, number, &stat);
    if (!n->answers)
        return;
    n->p99_ms = stat.p99_ms;
    n->rss_bytes = rss_bytes_of(n->pid);
    (void)peek_policy(s, number, &n->policy);
    take_sample(n, watch_now_us(), stat.requests, stat.failed);
}

void
view_refresh(struct view *v, struct stage *s)
{
    struct peek_members m;

    v->count = s->node_count;
    GS_ASSERT(v->count <= SCRIPT_NODES_MAX);
    for (unsigned i = 1; i <= v->count; i++)
        refresh_node(&v->nodes[i - 1], s, i);
    for (unsigned i = 1; i <= v->count; i++) {
        if (!v->nodes[i - 1].answers || !peek_members(s, i, &m))
            continue;
        v->nodes[i - 1].peers = m.alive - (m.of[i] == PEEK_ALIVE);
        for (unsigned k = 1; k <= v->count; k++) {
            v->nodes[k - 1].alive += k != i && m.of[k] == PEEK_ALIVE;
            v->nodes[k - 1].suspect += k != i && m.of[k] == PEEK_SUSPECT;
            v->nodes[k - 1].dead += k != i && (m.of[k] == PEEK_DEAD || m.of[k] == PEEK_LEFT);
        }
    }
}

bool
view_is_whole(const struct view *v)
{
    const char *version = NULL;
    unsigned running = 0;

    for (unsigned i = 0; i < v->count; i++)
        running += v->nodes[i].running;
    for (unsigned i = 0; i < v->count; i++) {
        const struct view_node *n = &v->nodes[i];

        if (!n->running)
            continue;
        if (!n->answers || n->peers + 1 != running || n->suspect + n->dead > 0)
            return false;
        if (version && strcmp(version, n->policy.version) != 0)
            return false;
        version = n->policy.version;
    }
    return true;
}

/* ---- the table ---- */

const char *
view_state(const struct view *v, unsigned node, char out[32])
{
    const struct view_node *n = &v->nodes[node - 1];
    unsigned others = n->alive + n->suspect + n->dead;

    GS_ASSERT(node >= 1);
    GS_ASSERT(node <= v->count);
    GS_ASSERT(others < SCRIPT_NODES_MAX);
    if (n->dead > 0 && n->dead == others)
        (void)snprintf(out, 32, "dead");
    else if (n->dead > 0)
        (void)snprintf(out, 32, "dead for %u of %u", n->dead, others);
    else if (n->suspect > 0)
        (void)snprintf(out, 32, "suspect");
    else if (!n->running)
        (void)snprintf(out, 32, "killed"); /* and nobody knows it yet */
    else
        (void)snprintf(out, 32, "%s", !n->answers ? "silent" : others == 0 ? "starting" : "alive");
    return out;
}

enum column {
    COLUMN_NODE,
    COLUMN_STATE,
    COLUMN_PEERS,
    COLUMN_CONFIG,
    COLUMN_RPS,
    COLUMN_SUCCESS,
    COLUMN_P99,
    COLUMN_CPU,
    COLUMN_RSS,
    COLUMNS
};
static const char *const headers[COLUMNS] = { "NODE",    "STATE", "PEERS", "CONFIG", "RPS",
                                              "SUCCESS", "P99",   "CPU",   "RSS" };
/* The first is the first to go. */
static const enum column least[] = { COLUMN_RSS,     COLUMN_CPU,   COLUMN_P99,   COLUMN_RPS,
                                     COLUMN_SUCCESS, COLUMN_PEERS, COLUMN_CONFIG };

static void
write_cells(const struct view *v, unsigned node, char cells[COLUMNS][CELL])
{
    const struct view_node *n = &v->nodes[node - 1];

    for (unsigned i = 0; i < COLUMNS; i++)
        (void)snprintf(cells[i], CELL, "-");
    (void)snprintf(cells[COLUMN_NODE], CELL, "n%u", node);
    (void)view_state(v, node, cells[COLUMN_STATE]);
    if (!n->answers)
        return;
    (void)snprintf(cells[COLUMN_PEERS], CELL, "%u/%u", n->peers, v->count - 1);
    if (n->policy.generation > 0)
        (void)snprintf(cells[COLUMN_CONFIG], CELL, "v%u by %s", n->policy.generation,
                       n->policy.writer);
    (void)snprintf(cells[COLUMN_RPS], CELL, "%.1f", n->rps);
    (void)snprintf(cells[COLUMN_SUCCESS], CELL, "%.2f%%", 100 * n->success);
    (void)snprintf(cells[COLUMN_P99], CELL, "%.1f ms", n->p99_ms);
    (void)snprintf(cells[COLUMN_CPU], CELL, "%.1f%%", n->cpu_percent);
    (void)snprintf(cells[COLUMN_RSS], CELL, "%.1f MB", (double)n->rss_bytes / 1e6);
}

/* Without the columns that do not fit; returns the width of the widest line. */
static unsigned
render(const struct view *v, unsigned dropped, struct gs_buf *out)
{
    const char *shown[COLUMNS], *row[COLUMNS];
    char cells[COLUMNS][CELL];
    bool gone[COLUMNS] = { false };
    struct cli_table t;
    struct gs_slice rest, line;
    unsigned widest = 0;
    size_t n = 0;

    GS_ASSERT(dropped <= GS_COUNT(least));
    for (unsigned i = 0; i < dropped; i++)
        gone[least[i]] = true;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (!gone[i])
            shown[n++] = headers[i];
    }
    cli_table_init(&t, shown, n);
    for (unsigned node = 1; node <= v->count; node++) {
        write_cells(v, node, cells);
        n = 0;
        for (unsigned i = 0; i < COLUMNS; i++) {
            if (!gone[i])
                row[n++] = cells[i];
        }
        cli_table_row(&t, row);
    }
    gs_buf_clear(out);
    cli_table_render(&t, false, out);
    cli_table_fini(&t);
    for (rest = gs_buf_slice(out); rest.len > 0 && gs_slice_cut(&rest, '\n', &line);)
        widest = line.len > widest ? (unsigned)line.len : widest;
    return widest;
}

/* Line 0 is the header, line i is node i. */
static const char *
colour_of(const struct view *v, unsigned line)
{
    const struct view_node *n;

    GS_ASSERT(line <= v->count);
    if (line == 0)
        return "\x1b[1m";
    n = &v->nodes[line - 1];
    if (!n->running || n->dead > 0)
        return "\x1b[31m";
    return n->suspect > 0 || !n->answers || n->success < 1 ? "\x1b[33m" : "";
}

void
view_render(const struct view *v, unsigned width, bool colour, struct gs_buf *out)
{
    struct gs_slice rest, line;
    unsigned dropped = 0;
    struct gs_buf plain;

    gs_buf_init(&plain, TEXT_BYTES_MAX);
    while (render(v, dropped, &plain) > width && dropped < GS_COUNT(least))
        dropped++;
    rest = gs_buf_slice(&plain);
    for (unsigned i = 0; rest.len > 0 && gs_slice_cut(&rest, '\n', &line); i++) {
        const char *code = colour ? colour_of(v, i) : "";

        line = gs_slice_head(line, line.len < width ? line.len : width);
        (void)gs_buf_printf(out, "%s%.*s%s\n", code, GS_SLICE_FMT(line), code[0] ? "\x1b[0m" : "");
    }
    GS_ASSERT(!plain.failed);
    gs_buf_fini(&plain);
}
