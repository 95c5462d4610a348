/* test_health.c - checks that are added, changed and removed while others run: what is kept of
 * each, and what is dropped. Real connections on loopback, to a listener that accepts and says what
 * it is told to. */
#include "panics.h"

#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include <gossamer/listener.h>

#include "mesh/base/loop_uv.h"
#include "mesh/health.h"

#define CONNS_MAX 64

struct told {
    enum health_verdict verdict;
    char http[32]; /* of the check it was told of */
    unsigned rise;
};

static struct {
    struct gs_loop *loop;
    struct h1_pool *pool;
    struct health *health;
    struct gs_listener *listener;
    struct gs_addr addr;
    int conns[CONNS_MAX]; /* accepted and kept open */
    size_t accepted;
    const char *answer; /* NULL: silence */
    struct told told[32];
    size_t told_count;
    bool closed;
} b;

static void
on_accepted(void *arg, int fd)
{
    (void)arg;
    assert_true(b.accepted < CONNS_MAX);
    b.conns[b.accepted++] = fd;
    if (b.answer)
        assert_int_equal(send(fd, b.answer, strlen(b.answer), MSG_NOSIGNAL), strlen(b.answer));
}

static void
on_changed(void *arg, const struct health_check *check, enum health_verdict verdict,
           const char *why)
{
    struct told *t = &b.told[b.told_count++];

    assert_ptr_equal(arg, &b);
    assert_non_null(why);
    assert_string_equal(check->service, "web");
    assert_true(b.told_count <= GS_COUNT(b.told));
    t->verdict = verdict;
    t->rise = check->rise;
    (void)snprintf(t->http, sizeof(t->http), "%s", check->http ? check->http : "");
}

static void
turn(void)
{
    (void)uv_run(gs_loop_uv(b.loop), UV_RUN_ONCE);
}

/* What is ready now, without waiting for more. */
static void
pump(void)
{
    for (int i = 0; i < 5; i++)
        (void)uv_run(gs_loop_uv(b.loop), UV_RUN_NOWAIT);
}

/* Let the loop run until the condition holds; the alarm ends a test that hangs. */
#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    turn()

/* A check at the listener. The texts go away at once: they are copied. */
static void
put(const char *http, uint64_t interval_ms, uint64_t timeout_ms, uint32_t rise)
{
    char ns[] = "default", service[] = "web", path[32];
    struct health_check c = { .ns = ns,
                              .service = service,
                              .port = 80,
                              .address = b.addr,
                              .interval_ms = interval_ms,
                              .timeout_ms = timeout_ms,
                              .rise = rise,
                              .fall = 1 };

    if (http) {
        (void)snprintf(path, sizeof(path), "%s", http);
        c.http = path;
    }
    health_put(b.health, &c);
    memset(ns, '#', sizeof(ns) - 1);
    memset(service, '#', sizeof(service) - 1);
    memset(path, '#', sizeof(path));
}

static void
drop(void)
{
    health_remove(b.health, &(struct health_check){
                                .ns = "default", .service = "web", .port = 80, .address = b.addr });
}

static int
health_setup(void **state)
{
    struct gs_listener_events events = { on_accepted, NULL, NULL };
    struct gs_addr any;
    int fd;

    (void)state;
    (void)alarm(20);
    memset(&b, 0, sizeof(b));
    b.loop = gs_loop_new("test", 1);
    b.pool = h1_pool_new();
    b.health = health_new(b.loop, b.pool, on_changed, &b);
    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    fd = gs_listen_tcp(&any, false, NULL);
    assert_true(fd >= 0);
    assert_int_equal(gs_listen_addr(fd, &b.addr), GS_E_OK);
    b.listener = gs_listener_new(b.loop, fd, &events);
    return 0;
}

static void
on_closed(void *arg)
{
    assert_ptr_equal(arg, &b);
    b.closed = true;
}

static int
health_teardown(void **state)
{
    (void)state;
    health_close(b.health, on_closed);
    UNTIL(b.closed);
    gs_listener_close(b.listener);
    gs_loop_stop(b.loop);
    gs_loop_run(b.loop);
    gs_loop_free(b.loop);
    h1_pool_free(b.pool);
    for (size_t i = 0; i < b.accepted; i++)
        close(b.conns[i]);
    (void)alarm(0);
    return 0;
}

static const char well[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
static const char ill[] = "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n";

/* ---- cases ---- */

/* Given  an instance that was found well
 * When   it is put again as it is
 * Then   nothing happens; put with other settings, it is checked at once, and stays well */
static void
other_settings_take_effect_at_once_and_the_verdict_stays(void **state)
{
    size_t before;

    (void)state;
    put(NULL, 3600000, 1000, 1);
    UNTIL(b.told_count == 1 && b.accepted == 1);
    assert_int_equal(b.told[0].verdict, HEALTH_UP);
    put(NULL, 3600000, 1000, 1);
    for (int i = 0; i < 3; i++)
        put(NULL, 20, 1000, 1);
    before = b.accepted;
    UNTIL(b.accepted >= before + 3); /* it goes on at the new pace */
    b.answer = ill;
    put("/ill", 20, 1000, 1);
    UNTIL(b.told_count == 2);
    assert_int_equal(b.told[1].verdict, HEALTH_DOWN);
    assert_string_equal(b.told[1].http, "/ill");
}

/* Given  a check whose answer never comes
 * When   other settings come
 * Then   what is under way counts for nothing, and the next begins without waiting for it */
static void
a_probe_under_way_is_dropped_for_other_settings(void **state)
{
    (void)state;
    put("/silent", 3600000, 600000, 1);
    UNTIL(b.accepted == 1);
    pump();
    b.answer = well;
    put("/well", 3600000, 600000, 1);
    UNTIL(b.told_count == 1);
    assert_int_equal(b.told[0].verdict, HEALTH_UP);
    assert_string_equal(b.told[0].http, "/well");
    b.answer = NULL;
    put("/silent", 3600000, 600000, 1);
    UNTIL(b.accepted == 3);
    put(NULL, 3600000, 600000, 1); /* without a path: another kind of probe */
    UNTIL(b.accepted == 4);
    put("/silent", 3600000, 600000, 1);
    put("/again", 3600000, 600000, 1); /* the later one counts */
    UNTIL(b.accepted == 5);
    assert_int_equal(b.told_count, 1);
}

/* Given  a count towards a verdict that was begun under other settings
 * Then   it begins anew */
static void
a_count_begins_anew(void **state)
{
    (void)state;
    b.answer = ill;
    put("/x", 20, 1000, 1);
    UNTIL(b.told_count == 1);
    assert_int_equal(b.told[0].verdict, HEALTH_NEVER);
    b.answer = well;
    put("/x", 20, 1000, 4);
    b.accepted = 0;
    UNTIL(b.told_count == 2);
    assert_int_equal(b.told[1].verdict, HEALTH_UP);
    assert_int_equal(b.told[1].rise, 4);
    assert_true(b.accepted >= 4);
}

/* In whatever state its check is, nothing is heard of an instance that was removed. */
static void
nothing_is_heard_of_who_was_removed(void **state)
{
    (void)state;
    drop(); /* nobody */
    put(NULL, 3600000, 1000, 1);
    drop(); /* while it connects */
    put("/silent", 3600000, 600000, 1);
    UNTIL(b.accepted == 2);
    pump();
    drop(); /* while it is asked */
    b.answer = well;
    put("/well", 3600000, 1000, 1); /* it came back before the other was closed */
    UNTIL(b.told_count == 1);
    assert_int_equal(b.told[0].verdict, HEALTH_UP);
    assert_string_equal(b.told[0].http, "/well");
    pump();
    drop(); /* between two checks */
    b.answer = ill;
    put("/ill", 3600000, 1000, 1);
    UNTIL(b.told_count == 2);
    assert_int_equal(b.told[1].verdict, HEALTH_NEVER); /* what was known of the former is gone */
}

static void
many_come_and_go(void **state)
{
    struct gs_rng rng;

    (void)state;
    gs_rng_init(&rng, 7);
    b.answer = well;
    for (int i = 0; i < 300; i++) {
        switch (gs_rng_below(&rng, 4)) {
        case 0:
            put("/a", 3600000, 1000, 1 + gs_rng_below(&rng, 2));
            break;
        case 1:
            put(NULL, 3600000, 1000, 1);
            break;
        case 2:
            drop();
            break;
        default:
            (void)uv_run(gs_loop_uv(b.loop), UV_RUN_NOWAIT);
        }
        while (b.accepted > CONNS_MAX / 2)
            close(b.conns[--b.accepted]);
        b.told_count = 0;
    }
    drop();
    put("/last", 3600000, 1000, 1);
    b.told_count = 0;
    UNTIL(b.told_count == 1);
    assert_string_equal(b.told[0].http, "/last");
}

int
main(void)
{
#define HEALTH(name) cmocka_unit_test_setup_teardown(name, health_setup, health_teardown)
    const struct CMUnitTest tests[] = {
        HEALTH(other_settings_take_effect_at_once_and_the_verdict_stays),
        HEALTH(a_probe_under_way_is_dropped_for_other_settings),
        HEALTH(a_count_begins_anew),
        HEALTH(nothing_is_heard_of_who_was_removed),
        HEALTH(many_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
