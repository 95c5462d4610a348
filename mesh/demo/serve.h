/* serve.h - `gossamer demo serve`: one version of the demo's sample service. Not for people; the
 * demo and the examples start it. */
#pragma once

#define SERVE_LISTENS "listens on" /* said on standard output once it does */

/* Runs until SIGTERM or SIGINT. argv[0] is the sub-verb; returns an exit code. */
int serve_cmd(int argc, char **argv);
