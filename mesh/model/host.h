/* host.h - what hosts in manifests and requests mean. */
#pragma once

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

#define HOST_TEXT 336 /* a host of 255, a namespace of 63, dots, NUL */

/* A name as VirtualServices and DestinationRules may write it: labels of letters, digits and '-',
 * the last not a number, at most 255 bytes; a dot at the end is allowed. Wildcards and IP
 * addresses are GS_E_UNSUPPORTED, everything else GS_E_INVALID, each with its reason. */
gs_err host_check(struct gs_slice host, struct gs_why *why) GS_MUST_CHECK;

/* One spelling for all: lower case, "svc.ns". ns is that of whoever wrote it.
 *     web, web.mesh                                         -> web.NS
 *     web.ai, web.ai.svc, web.ai.svc.cluster.local, web.ai. -> web.ai
 *     api.example.com                                       -> api.example.com
 * Whether "a.b" is service a of namespace b, or a service whose name holds a dot, only who knows
 * the services can tell; the name with the dot wins. */
struct gs_slice host_canonical(struct gs_slice host, struct gs_slice ns, char out[HOST_TEXT]);

/* ---- names and labels as Kubernetes has them ---- */

/* RFC 1123: lower case, digits, '-', at most 63. */
bool name_is_label(struct gs_slice s);
/* Likewise with dots, at most 253. */
bool name_is_subdomain(struct gs_slice s);
/* [prefix/]name of at most 63 letters, digits, '-', '_', '.', beginning and ending with the first
 * two. The reason is in why. */
gs_err label_check_key(struct gs_slice key, struct gs_why *why) GS_MUST_CHECK;
gs_err label_check_value(struct gs_slice value, struct gs_why *why) GS_MUST_CHECK;
