/* codes.h - the stable codes of findings about documents and the node configuration. A number is
 * never given to something else; policy's codes start at GS0100. */
#pragma once

#define CODE_YAML_SYNTAX "GS0001"    /* libyaml or jansson could not read it */
#define CODE_YAML_DUPLICATE "GS0002" /* a key twice in one map */
#define CODE_YAML_LIMIT "GS0003"     /* depth, nodes, aliases, bytes, documents */
#define CODE_YAML_KEY "GS0004"       /* a key that is no plain text */
#define CODE_YAML_TAG "GS0005"       /* a tag such as !!binary or !mine */
#define CODE_YAML_MERGE "GS0006"     /* << with something other than maps */
#define CODE_YAML_ALIAS "GS0007"     /* an alias to an anchor that is not there, or to itself */

#define CODE_CONFIG_FILE "GS0010"        /* cannot be read, or holds more than one document */
#define CODE_CONFIG_UNKNOWN "GS0011"     /* a key that does not exist */
#define CODE_CONFIG_TYPE "GS0012"        /* a map where a list is due, and the like */
#define CODE_CONFIG_VALUE "GS0013"       /* not a value of that type, or not one that is allowed */
#define CODE_CONFIG_RANGE "GS0014"       /* too small or too large */
#define CODE_CONFIG_MISSING "GS0015"     /* a key that must be there */
#define CODE_CONFIG_DUPLICATE "GS0016"   /* two services or instances that are the same */
#define CODE_CONFIG_CLASH "GS0017"       /* two listeners on one address */
#define CODE_CONFIG_NOT_BUILT "GS0018"   /* known, but not in this version */
#define CODE_CONFIG_NO_IDENTITY "GS0019" /* warning: nobody is authenticated */
#define CODE_CONFIG_EITHER "GS0020"      /* two keys of which only one may be there */
#define CODE_CONFIG_KEYS "GS0021"        /* gossip.key_file */
#define CODE_CONFIG_RESTART "GS0022"     /* a change that a running node cannot take over */
