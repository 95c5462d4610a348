/* notify.h - what the service manager hears of a Type=notify unit: the words of sd_notify(3), sent
 * to NOTIFY_SOCKET. Without one nothing is said. */
#pragma once

#include <gossamer/check.h>

/* Lines of NAME=VALUE. Never blocks; what cannot be sent is lost. */
void notify_send(const char *fmt, ...) GS_PRINTF(1, 2);
/* RELOADING=1, which READY=1 ends. */
void notify_reloading(void);
