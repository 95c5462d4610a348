/* screen.h - where the demo writes: on a terminal, lines that scroll by and below them a block that
 * is drawn anew in place (the table, what keys do); elsewhere plain lines, without any block. */
#pragma once

#include <gossamer/buf.h>

#include "mesh/demo/watch.h"

#define SCREEN_KEPT_LINES 64 /* are written again when the terminal changes its size */

struct screen {
    bool silent; /* nothing is written at all: JSON is wanted */
    bool live;   /* a terminal that can move its cursor */
    bool colour;
    bool keys; /* single keys can be read */
    unsigned rows, columns;
    int error;                             /* errno of output that could not be written */
    struct gs_buf block;                   /* as wanted */
    unsigned drawn;                        /* lines of it on the screen; 0: it is not there */
    struct gs_buf kept[SCREEN_KEPT_LINES]; /* a ring of the last lines */
    unsigned kept_next;
    void *terminal; /* as it was before keys were read */
};

void screen_init(struct screen *s, bool silent, bool by_hand);
void screen_fini(struct screen *s); /* the block goes, the terminal is as it was */
/* Lines above the block, each with its end. */
void screen_say(struct screen *s, struct gs_slice text);
/* What the block is from now on; lines beyond the terminal's size are cut. */
void screen_block(struct screen *s, struct gs_slice text);
void screen_resized(struct screen *s);
