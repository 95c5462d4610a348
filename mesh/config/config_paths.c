/* config_paths.c - where files are: the system's places for root, XDG's for everybody else. */
#include "mesh/config/config.h"

#include <pwd.h>

const char *
config_env(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return (*env)[len + 1] ? *env + len + 1 : NULL;
    }
    return NULL;
}

/* XDG: a base directory that is not absolute is to be ignored. */
static const char *
absolute(const char *path)
{
    return path && path[0] == '/' ? path : NULL;
}

/* $VARIABLE/gossamer, else HOME/FALLBACK/gossamer; NULL without a home. */
static const char *
xdg_dir(char *const *env, const char *variable, const char *home, const char *fallback,
        struct gs_arena *arena)
{
    const char *base = absolute(config_env(env, variable));

    if (base)
        return gs_arena_printf(arena, "%s/gossamer", base);
    return home ? gs_arena_printf(arena, "%s/%s/gossamer", home, fallback) : NULL;
}

static const char *
join(struct gs_arena *arena, const char *dir, const char *name)
{
    return dir ? gs_arena_printf(arena, "%s/%s", dir, name) : NULL;
}

void
config_paths_get(uint32_t uid, char *const *env, struct gs_arena *arena, struct config_paths *out)
{
    const char *home = absolute(config_env(env, "HOME"));
    const char *runtime;

    if (uid == 0) {
        *out = (struct config_paths){ "/etc/gossamer/gossamer.yaml", "/var/lib/gossamer",
                                      "/run/gossamer/admin.sock" };
        return;
    }
    if (!home) {
        const struct passwd *pw = getpwuid(uid); /* at start, one thread */

        home = pw ? absolute(gs_arena_strdup(arena, gs_slice_str(pw->pw_dir))) : NULL;
    }
    out->file =
        join(arena, xdg_dir(env, "XDG_CONFIG_HOME", home, ".config", arena), "gossamer.yaml");
    out->state_dir = xdg_dir(env, "XDG_STATE_HOME", home, ".local/state", arena);
    runtime = xdg_dir(env, "XDG_RUNTIME_DIR", NULL, "", arena);
    out->socket = join(arena, runtime ? runtime : out->state_dir, "admin.sock");
}
