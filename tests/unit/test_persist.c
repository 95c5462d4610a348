/* test_persist.c - which requests share a write of mesh.state, what is in it, and the last one. A
 * real core on the test's own loop; each write is a new file, told by its inode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/stats.h>

#include "mesh/base/loop_uv.h"
#include "mesh/config/config.h"
#include "mesh/node.h"
#include "mesh/state.h"

#define BOOT 7

struct bench {
    struct node node;
    struct config config;
    char dir[64];
    bool drained, stopped;
};

static struct bench b;

struct waiter {
    struct persist_waiter w;
    bool done;
    gs_err e;
    ino_t inode; /* of the file when it was told */
};

static void
turn(void)
{
    (void)uv_run(gs_loop_uv(b.node.loop), UV_RUN_ONCE);
}

static ino_t
inode_of(const char *name)
{
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", b.dir, name);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void
on_waited(struct persist_waiter *w, gs_err e, const char *why)
{
    struct waiter *waiter = GS_CONTAINER(w, struct waiter, w);

    assert_non_null(why);
    waiter->done = true;
    waiter->e = e;
    waiter->inode = inode_of("mesh.state");
}

static void
save(struct waiter *w)
{
    *w = (struct waiter){ .w = { .done = on_waited } };
    persist_save(b.node.persist, &w->w);
}

static void
on_event(void *arg, const struct gossip_event *e)
{
    (void)arg;
    (void)e;
}

static struct gossip *
core_with_a_record(void)
{
    struct gs_id self = { { 0xa1 } };
    struct gossip *g = gossip_new(&(struct gossip_options){ .self = self, .boot = BOOT });
    struct gossip_op op = { GOSSIP_KIND_USER, GS_SLICE("k"), GS_SLICE("value"), false, NULL };
    struct gossip_put_result result;

    assert_int_equal(gossip_put(g, 0, UINT64_C(1732000000000), &op, 1, &result, NULL), GS_E_OK);
    return g;
}

static int
set_up(void **state)
{
    static const char kept[] = "of a later version";
    static const struct state_frame frame = { 0x7001, { kept, sizeof(kept) } };
    struct gossip_loop_options o = { .core = core_with_a_record(), .on_event = on_event };
    struct gs_addr any;

    (void)state;
    memset(&b, 0, sizeof(b));
    (void)snprintf(b.dir, sizeof(b.dir), "/tmp/gossamer-persist-XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    b.config.state_dir = b.dir;
    b.node.config = &b.config;
    b.node.loop = gs_loop_new("test", 1);
    b.node.slots = slots_new();
    b.node.hub = snapshot_hub_new(b.node.slots, 1);
    b.node.stat_names = stat_names_new();
    b.node.model = model_new(&(struct model_options){ .node = GS_SLICE("n"),
                                                      .ns = GS_SLICE("default"),
                                                      .slots = b.node.slots,
                                                      .hub = b.node.hub,
                                                      .stat_names = b.node.stat_names });
    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    assert_int_equal(gossip_sockets_open(&any, &o.sockets, NULL), GS_E_OK);
    o.control = o.shared = b.node.loop;
    b.node.gossip = gossip_loop_start(&o);
    b.node.persist = persist_new(&(struct persist_options){ &b.node, BOOT, &frame, 1 });
    return 0;
}

static void
on_stopped(void *arg)
{
    (void)arg;
    b.stopped = true;
}

static int
tear_down(void **state)
{
    static const char *const names[] = { "mesh.state", "node.state" };
    char path[128];

    (void)state;
    gossip_loop_stop(b.node.gossip, on_stopped, NULL);
    while (!b.stopped)
        turn();
    gossip_loop_free(b.node.gossip);
    persist_free(b.node.persist);
    gs_loop_stop(b.node.loop);
    gs_loop_run(b.node.loop);
    gs_loop_free(b.node.loop);
    model_free(b.node.model);
    snapshot_hub_free(b.node.hub);
    slots_free(b.node.slots);
    stat_names_free(b.node.stat_names);
    for (size_t i = 0; i < GS_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b.dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(b.dir);
}

/* Given  a write under way
 * When   two more are asked for
 * Then   they share the next one, and are not told of the first */
static void
requests_meanwhile_share_the_next_write(void **state)
{
    struct waiter one, two, three;

    (void)state;
    save(&one);
    save(&two);
    save(&three);
    while (!one.done)
        turn();
    assert_int_equal(one.e, GS_E_OK);
    assert_false(two.done);
    while (!two.done)
        turn();
    assert_true(three.done);
    assert_int_equal(two.e, GS_E_OK);
    assert_true(one.inode != two.inode);
    assert_true(two.inode == three.inode);
    assert_int_equal(inode_of("node.state"), 0); /* the boot number is the same */
    assert_int_equal(persist_failures(b.node.persist), 0);
}

static void
a_file_holds_the_store_and_what_it_does_not_know(void **state)
{
    struct waiter one;
    struct state_file f = { 0 };
    struct gs_why why = { "" };

    (void)state;
    save(&one);
    while (!one.done)
        turn();
    assert_int_equal(state_load(b.dir, "mesh.state", STATE_MESH, 1, &f, &why), GS_E_OK);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.frames[0].kind, 0x7001);
    assert_int_equal(f.frames[1].kind, GOSSIP_FRAME_RECORD);
    state_file_fini(&f);
}

/* Nobody waits: the first at once, what follows half a second later, in one. */
static void
soon_is_at_most_twice_a_second(void **state)
{
    ino_t first;

    (void)state;
    persist_soon(b.node.persist);
    while (inode_of("mesh.state") == 0)
        turn();
    first = inode_of("mesh.state");
    for (int i = 0; i < 3; i++)
        persist_soon(b.node.persist);
    gs_loop_clock(b.node.loop);
    gs_wheel_advance(&b.node.loop->wheel, b.node.loop->now_ms + PERSIST_SOON_MS / 2);
    assert_true(inode_of("mesh.state") == first);
    gs_wheel_advance(&b.node.loop->wheel, b.node.loop->now_ms + PERSIST_SOON_MS + 20);
    while (inode_of("mesh.state") == first)
        turn();
}

static void
on_drained(void *arg)
{
    assert_ptr_equal(arg, &b);
    assert_false(b.drained);
    b.drained = true;
}

/* Given  a write under way and another asked for
 * When   it is drained
 * Then   both files are written last, everybody is told, and nothing is taken any more */
static void
the_last_write_is_of_both_files(void **state)
{
    struct waiter one, two, late;
    struct state_file f = { 0 };
    struct state_node n;

    (void)state;
    save(&one);
    save(&two);
    persist_drain(b.node.persist, on_drained, &b);
    while (!b.drained)
        turn();
    assert_true(one.done);
    assert_true(two.done);
    assert_int_equal(state_load(b.dir, "node.state", STATE_NODE, 1, &f, NULL), GS_E_OK);
    assert_int_equal(state_read_node(&f, &n, NULL), GS_E_OK);
    assert_int_equal(n.boot, BOOT);
    assert_int_equal(gs_hlc_ms(n.hlc), UINT64_C(1732000000000));
    state_file_fini(&f);
    save(&late);
    assert_true(late.done);
    assert_int_equal(late.e, GS_E_CLOSED);
    persist_soon(b.node.persist);
}

/* Given  a state directory that cannot be written
 * When   a write is asked for
 * Then   the waiter is told so, and the next one is tried anew */
static void
a_failure_is_told_and_forgotten(void **state)
{
    struct waiter one, two;

    (void)state;
    b.config.state_dir = "/nonexistent";
    save(&one);
    while (!one.done)
        turn();
    assert_int_equal(one.e, GS_E_IO);
    assert_int_equal(persist_failures(b.node.persist), 1);
    assert_non_null(strstr(persist_trouble(b.node.persist), "/nonexistent"));
    b.config.state_dir = b.dir;
    save(&two);
    while (!two.done)
        turn();
    assert_int_equal(two.e, GS_E_OK);
    assert_null(persist_trouble(b.node.persist));
}

/* Given  a write that failed
 * When   nobody asks for another
 * Then   there is one all the same, before long */
static void
a_failure_is_made_good(void **state)
{
    struct waiter one;

    (void)state;
    b.config.state_dir = "/nonexistent";
    save(&one);
    while (!one.done)
        turn();
    b.config.state_dir = b.dir;
    gs_loop_clock(b.node.loop);
    gs_wheel_advance(&b.node.loop->wheel, b.node.loop->now_ms + PERSIST_RETRY_MS / 2);
    assert_true(inode_of("mesh.state") == 0);
    gs_wheel_advance(&b.node.loop->wheel, b.node.loop->now_ms + PERSIST_RETRY_MS + 20);
    while (inode_of("mesh.state") == 0)
        turn();
    while (persist_trouble(b.node.persist))
        turn();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(requests_meanwhile_share_the_next_write),
        CASE(a_file_holds_the_store_and_what_it_does_not_know),
        CASE(soon_is_at_most_twice_a_second),
        CASE(the_last_write_is_of_both_files),
        CASE(a_failure_is_told_and_forgotten),
        CASE(a_failure_is_made_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
