/* hand.c - see hand.h. What a command is about is data; where things are is the stage's. */
#include "mesh/demo/hand.h"

#include <stdio.h>

#include "mesh/demo/tour.h"

/* As a shell takes it: TMPDIR and the program's place may hold anything. */
static void
put_word(struct gs_buf *out, const char *text)
{
    const char *plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%,=";

    if (text[strspn(text, plain)] == '\0') {
        (void)gs_buf_put_str(out, text);
        return;
    }
    (void)gs_buf_put_str(out, "'");
    for (; *text; text++) {
        if (*text == '\'')
            (void)gs_buf_put_str(out, "'\\'");
        (void)gs_buf_put(out, text, 1);
    }
    (void)gs_buf_put_str(out, "'");
}

/* GOSSAMER_SOCKET=... gossamer VERB: of that node. */
static void
put_verb(struct tour *t, unsigned node, const char *verb, struct gs_buf *out)
{
    (void)gs_buf_put_str(out, "    GOSSAMER_SOCKET=");
    put_word(out, stage_node(&t->stage, node)->socket);
    (void)gs_buf_put_str(out, " ");
    put_word(out, t->stage.program);
    (void)gs_buf_printf(out, " %s", verb);
}

static void
put_command(struct tour *t, unsigned node, const char *verb, struct gs_buf *out)
{
    put_verb(t, node, verb, out);
    (void)gs_buf_put_str(out, "\n");
}

static void
put_file(struct tour *t, const char *name, struct gs_buf *out)
{
    put_word(out, stage_path(&t->stage, name));
}

/* Of the process whose number is in the node's lock. */
static void
put_kill(struct tour *t, unsigned node, struct gs_buf *out)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "n%u/state/lock", node);
    (void)gs_buf_put_str(out, "    kill -9 \"$(cat ");
    put_file(t, name, out);
    (void)gs_buf_put_str(out, ")\"\n");
}

static void
hand_split(struct tour *t, const struct script_step *step, struct gs_buf *out)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s.yaml", step->name);
    put_verb(t, script_editor(), "apply -f ", out);
    put_file(t, name, out);
    (void)gs_buf_put_str(out, "\n");
}

static void
hand_eject(struct tour *t, struct gs_buf *out)
{
    unsigned node = script_sick(t->stage.node_count);
    const struct stage_service *v = stage_service(&t->stage, &script_apps[SCRIPT_APPS - 1], node);

    (void)gs_buf_printf(out, "    kill -USR1 %ld   # answers 500; -USR2: well again\n",
                        (long)v->child.pid);
    put_command(t, script_editor(), "endpoints " SCRIPT_SERVICE, out);
}

static void
hand_return(struct tour *t, struct gs_buf *out)
{
    const struct stage_node *n = stage_node(&t->stage, script_victim());

    (void)gs_buf_put_str(out, "    ");
    put_word(out, t->stage.program);
    (void)gs_buf_put_str(out, " run --allow-faults -c ");
    put_word(out, n->config);
    (void)gs_buf_put_str(out, "\n");
}

static void
hand_part(struct tour *t, struct gs_buf *out)
{
    unsigned cut = script_cut(t->stage.node_count);

    for (unsigned i = cut; i <= t->stage.node_count; i++) {
        put_verb(t, i, "debug block", out);
        for (unsigned k = 1; k < cut; k++)
            (void)gs_buf_printf(out, " n%u", k);
        (void)gs_buf_put_str(out, "\n");
    }
    put_command(t, 1, "split " SCRIPT_SERVICE " v1=80 v2=20 --no-wait", out);
    put_command(t, t->stage.node_count, "split " SCRIPT_SERVICE " v1=30 v2=70 --no-wait", out);
    for (unsigned i = cut; i <= t->stage.node_count; i++)
        put_command(t, i, "debug unblock --all", out);
    put_command(t, 1, "get vs " SCRIPT_SERVICE " --history", out);
}

void
hand_step(struct tour *t, const struct script_step *step, struct gs_buf *out)
{
    switch (step->act) {
    case ACT_MEET:
        put_command(t, 1, "members", out);
        return;
    case ACT_SPLIT:
        hand_split(t, step, out);
        return;
    case ACT_EJECT:
        hand_eject(t, out);
        return;
    case ACT_KILL:
        put_kill(t, script_victim(), out);
        put_command(t, 1, "members", out);
        return;
    case ACT_RETURN:
        hand_return(t, out);
        return;
    case ACT_PART:
        hand_part(t, out);
        return;
    }
    GS_UNREACHABLE("an act of the enum");
}

void
hand_more(struct tour *t, struct gs_buf *out)
{
    static const char *const verbs[] = {
        "members",
        "stat",
        "events",
        "split " SCRIPT_SERVICE " v1=90 v2=10",
        "get vs " SCRIPT_SERVICE " --history",
        "explain GET http://" SCRIPT_SERVICE "/",
        "analyze",
    };
    struct gs_addr outbound = ground_port(&t->stage.ground, 1, PORT_OUTBOUND);
    struct gs_addr admin = ground_port(&t->stage.ground, 1, PORT_ADMIN);
    char a[GS_ADDR_TEXT];

    for (size_t i = 0; i < GS_COUNT(verbs); i++)
        put_command(t, script_editor(), verbs[i], out);
    (void)gs_addr_text(&outbound, a);
    (void)gs_buf_printf(out,
                        "    curl -x http://%s http://" SCRIPT_ENTRY "/\n"
                        "    curl -H 'Host: " SCRIPT_SERVICE "' http://%s/\n",
                        a, a);
    (void)gs_buf_printf(out, "    curl http://%s/metrics\n", gs_addr_text(&admin, a));
}
