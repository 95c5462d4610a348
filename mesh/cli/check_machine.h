/* check_machine.h - the part of `gossamer check` that needs no node: this binary, and with --pre
 * whether one could be started here. */
#pragma once

#include "mesh/check_lines.h"

struct config;

void check_binary(struct check_lines *l); /* group binary */
/* Group machine: kernel, limits, folders, keys, and whether the ports of the configuration are
 * free. Nothing is made or changed; ports are bound for a moment. */
void check_machine(struct check_lines *l, const struct config *c);
