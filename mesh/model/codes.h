/* codes.h - the stable codes of findings about manifests and policy. A number is never given to
 * something else; those below GS0100 are of documents and the node configuration. */
#pragma once

#define CODE_POLICY_DOCUMENT "GS0101"    /* no manifest: apiVersion or kind missing, no map */
#define CODE_POLICY_UNKNOWN "GS0102"     /* a field that does not exist */
#define CODE_POLICY_UNSUPPORTED "GS0103" /* known upstream, but not in this version */
#define CODE_POLICY_TYPE "GS0104"        /* a map where a list is due, a number for text, ... */
#define CODE_POLICY_MISSING "GS0105"     /* a field that must be there */
#define CODE_POLICY_VALUE "GS0106"       /* of the right type, but not allowed */
#define CODE_POLICY_SUBSET "GS0107"      /* a subset that no DestinationRule defines */
#define CODE_POLICY_HOST "GS0108"        /* a host that no service has */
#define CODE_POLICY_KIND "GS0109"        /* a kind this version does not have */
#define CODE_POLICY_API "GS0110"         /* an apiVersion that is not served */
#define CODE_POLICY_NAME "GS0111"        /* metadata.name or namespace is no such name */
#define CODE_POLICY_DUPLICATE "GS0112"   /* object, host, subset twice */
#define CODE_POLICY_WEIGHT "GS0113"      /* weights that add up to nothing */
#define CODE_POLICY_REGEX "GS0114"       /* a regular expression that is none, or not ours */
#define CODE_POLICY_LIMIT "GS0115"       /* more than may be */
#define CODE_POLICY_NEEDED "GS0116"      /* another object needs what would go */
#define CODE_POLICY_PORT "GS0117"        /* a port that the service does not have */
#define CODE_POLICY_NOT_FOUND "GS0118"   /* an object to delete that is not there */
#define CODE_POLICY_SPLIT "GS0119"       /* a split that could mean several things */
#define CODE_POLICY_TARGET "GS0130"      /* of a Maintenance: nobody knows it, or it is several */
#define CODE_POLICY_NOBODY "GS0131"      /* no endpoint of a service is left for new requests */

#define CODE_POLICY_UNREACHED "GS0201"  /* warning: a rule or match that nothing ever reaches */
#define CODE_POLICY_TAKEN "GS0202"      /* warning: another VirtualService has that host */
#define CODE_POLICY_EMPTY "GS0203"      /* warning: a subset that selects no endpoint */
#define CODE_POLICY_GATEWAY "GS0204"    /* warning: bound to a gateway beside the mesh */
#define CODE_POLICY_SHADOWED "GS0205"   /* warning: a subset of that name is defined elsewhere */
#define CODE_POLICY_ONE_WEIGHT "GS0206" /* warning: the weight of an only destination */
#define CODE_POLICY_PENDING "GS0207"    /* warning: stored, but not active */
#define CODE_POLICY_PROTOCOL "GS0208"   /* warning: nodes say different protocols for one service */
#define CODE_POLICY_TOO_MANY "GS0209"   /* warning: endpoints of a service beyond what is used */
#define CODE_POLICY_CONFLICT "GS0210"   /* warning: a write that lost against one it had not seen */
#define CODE_POLICY_EJECTION                                                                       \
    "GS0211"                       /* warning: a limit of ejections that is not taken as written */
#define CODE_POLICY_TWICE "GS0230" /* warning: several Maintenances of one target */
#define CODE_POLICY_IDLE "GS0231"  /* warning: a Maintenance that changes nothing */
