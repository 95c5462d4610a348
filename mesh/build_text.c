/* build_text.c - the one file that sees the build's own figures. */
#include "mesh/build_text.h"

#include <gossamer/json_out.h>

#include "mesh/build_date.h"
#include "mesh/build_info.h"

const char *
build_version(void)
{
    return GS_VERSION;
}

const char *
build_commit(void)
{
    return GS_COMMIT;
}

const char *
build_date(void)
{
    return GS_DATE;
}

const char *
build_llhttp(void)
{
    return GS_LLHTTP_TEXT;
}

void
build_json(struct json_out *j)
{
    json_obj(j);
    json_kstr(j, "version", build_version());
    json_kstr(j, "commit", build_commit());
    json_kstr(j, "llhttp", build_llhttp());
    json_obj_end(j);
}
