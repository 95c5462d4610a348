/* serve.h - `gossamer demo serve`: one version of the demo's sample service. Not for people; the
 * demo and the examples start it. */
#pragma once

/* Said on standard output, each once it is so. */
#define SERVE_LISTENS "listens on"
#define SERVE_FAILS "answers with an error from now on"
#define SERVE_WELL "is well again"

/* Runs until SIGTERM or SIGINT. argv[0] is the sub-verb; returns an exit code. */
int serve_cmd(int argc, char **argv);
