/* complete.h - what could stand next on a command line: from the tables that parse it, and for
 * names of nodes, services and objects from the node, if one answers at once. */
#pragma once

/* words: without the program's name; the last is the one to be completed, perhaps "". To standard
 * output, one candidate a line, behind a tab what it is; ":files" stands for file names. */
void complete(char **words, int count);
