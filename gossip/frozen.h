/* frozen.h - what the store holds at one moment, to be read on any thread afterwards. */
#pragma once

#include "gossip/records.h"

struct gossip_frozen *records_freeze(const struct records *r);
