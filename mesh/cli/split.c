/* split.c - `gossamer split`: how the requests for a service are shared by its subsets. */
#include <gossamer/json_out.h>
#include <gossamer/limits.h>
#include <gossamer/model.h>

#include "mesh/cli/change.h"

static int
write_request(const struct change *c, int argc, char **argv, struct gs_buf *out)
{
    struct split_weight w;
    struct gs_why why;
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    json_kstr(&j, "service", argv[1]);
    if (c->ns)
        json_kstr(&j, "namespace", c->ns);
    json_key(&j, "weights");
    json_arr(&j);
    for (int i = 2; i <= argc; i++) {
        if (split_weight_parse(gs_slice_str(argv[i]), &w, &why) != GS_E_OK)
            return cli_fail(CLI_USAGE, "gossamer split SERVICE v1=90 v2=10", "split: %s", why.text);
        json_obj(&j);
        json_kslice(&j, "subset", w.subset);
        json_ku64(&j, "weight", w.weight);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
    return CLI_GO_ON;
}

int
cmd_split(int argc, char **argv)
{
    struct change c = CHANGE_DEFAULTS;
    const struct cli_option table[] = { CHANGE_OPTIONS(c) };
    const struct cli_command cmd = {
        .name = "split",
        .operands = "SERVICE[.NS] SUBSET=WEIGHT...",
        .help = "Share the requests for a service between its subsets: sums other than 100 are\n"
                "shares, a subset that is not named gets none. Writes the weights of the one\n"
                "weighted route of the service's VirtualService, or makes one.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 2,
        .operands_max = 1 + ROUTE_BACKENDS_MAX,
    };
    struct gs_buf path, body;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    gs_buf_init(&body, ADMIN_BODY_MAX);
    ask_path(&path, "split");
    code = write_request(&c, operands, argv, &body);
    if (code == CLI_GO_ON)
        code = change_request(&c, "POST", &path, gs_buf_slice(&body));
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    return code;
}
