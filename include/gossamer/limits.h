/* limits.h - every cap in one place, each with its reason. Starting values; change by
 * measurement. Bytes unless the name says otherwise. */
#pragma once

/* ---- input and output of one loop ---- */
#define LOOP_SCRATCH_BYTES (256 * 1024) /* 16 KiB reads cost 4x the CPU of 256 KiB ones per GiB */
#define LOOP_TICK_MS 10                 /* timer wheel resolution: no timeout here needs finer */
#define LOOP_WHEEL_SLOTS 1024           /* 10.24 s a round; longer timers wait further rounds */
#define LOOP_BUDGET_BYTES (64u << 20)   /* queued bytes of one process; above half, rooms shrink */
#define BLOCK_BYTES 16384               /* of a queue; one pool per loop */
#define BLOCKS_KEPT_MAX 64              /* free blocks a loop keeps: 1 MiB */

/* ---- streams ---- */
#define STREAM_HIGH_BYTES (64 * 1024) /* queued for a slow reader: the source is not read on */
#define STREAM_LOW_BYTES (16 * 1024)  /* drained to here: it is read again */
#define STREAM_JOIN_BYTES 4096        /* writes up to this size wait for the end of the event */
#define ACCEPT_BATCH_MAX 32           /* accepted per event, so that others get their turn */
#define LISTEN_BACKLOG 4096           /* the kernel caps it at somaxconn */
#define DRAIN_IDLE_MS 300             /* a busy client's next request is here by then */
#define DESCRIPTORS_KEPT 16           /* from clients: for operators, instances and files */
#define DRAIN_PEER_MS 1000            /* a node that was told has let its idle streams go by then */
#define LINGER_MS 2000                /* how long unread input is drained after a refusal */
#define LINGER_BYTES (1u << 20)       /* and how much of it */
#define STREAM_DEAD_MS 16000          /* a silent peer's host is gone; gossip tells it in 8 s */

/* ---- HTTP/1 heads (reference/reliability 3.4, B3) ---- */
#define HEAD_BYTES_MAX (64 * 1024) /* whole head, 431 beyond */
#define HEAD_LINE_MAX 16384        /* request line, 414 beyond */
#define HEAD_FIELDS_MAX 100        /* 431 beyond */
#define TRAILER_BYTES_MAX 8192
#define CHUNK_EXT_BYTES_MAX 4096 /* of one message: unbounded extensions are CVE-2024-22019 */
#define CHUNK_SIZE_DIGITS_MAX 16
#define HEAD_BLANK_LINES_MAX 1
#define INTERIM_MAX 16 /* 1xx answers before the final one */
#define HOST_BYTES_MAX 255

/* ---- exchanges ---- */
#define REPLAY_BYTES_MAX (64 * 1024) /* of a request body that may be sent again */
#define ATTEMPTS_MAX 3               /* the first and two more */
#define RETRY_BUDGET_PERCENT 20      /* of the requests of a service in the last 10 s, about */
#define RETRY_BUDGET_FLOOR_PER_S 10  /* of the node: so that a quiet service can retry at all */
#define RETRY_BUDGET_FLOOR_MAX 100   /* saved up by a service that needed none */
#define OUTLIER_ERRORS 5             /* in a row, then an endpoint is out; as Envoy */
#define OUTLIER_INTERVAL_MS 10000    /* as Envoy */
#define OUTLIER_BASE_MS 30000        /* as Envoy */
#define OUTLIER_MAX_MS 300000        /* at most, however often it was out; as Envoy */
#define OUTLIER_AGAIN_MS 1000     /* between trials in vain: of one whose node is starting, ... */
#define OUTLIER_MAX_PERCENT 30    /* Envoy's 10 means nobody in subsets of fewer than ten */
#define EXCHANGE_ARENA_BYTES 2048 /* first piece, inside the exchange itself */
#define EXCHANGES_KEPT_MAX 256    /* free exchanges a worker keeps */
#define CONNECTIONS_MAX 16384     /* of clients, per worker; the one over it is closed */

/* ---- upstream pools ---- */
#define POOL_IDLE_MAX 1024     /* kept idle connections per endpoint and worker */
#define POOL_IDLE_MS 1500      /* shorter than what common servers give a kept connection */
#define POOL_PEEK_AFTER_MS 2   /* idle longer than this: look for a FIN before reuse */
#define POOL_WAITERS_MAX 4096  /* exchanges that wait for a connection, per worker */
#define POOL_CONNECTS_MAX 1024 /* connects under way per endpoint and worker */

/* ---- mesh transport ---- */
#define MUX_STREAMS_MAX 256              /* of one connection; HTTP/2's advice is 100 at least */
#define MUX_WINDOW_BYTES (64 * 1024)     /* of a stream at first: what a stalled one may hold */
#define MUX_WINDOW_MAX (1u << 20)        /* of one whose reader keeps up: 80 Gbit/s over 100 us */
#define MUX_CONNECTION_WINDOW (8u << 20) /* credited on receipt: it only covers the way */
#define MUX_OUT_HIGH_BYTES (256 * 1024)  /* queued for a peer: no more frames are made */
#define MUX_CONGESTED_MS 100             /* for so long: a second connection is opened */
#define MUX_STALLED_MS 30000             /* a peer that reads nothing for so long is gone */
#define MUX_STREAM_IDLE_MS 30000         /* a stream kept for the next request */
#define MUX_IDLE_MS 60000                /* a connection after its last stream */
#define MUX_SERVER_IDLE_MS 90000         /* the side that opened it has not closed it by now */
#define MUX_CONNECTIONS_MAX 4096         /* of a process, both directions */
#define MUX_HEADER_BYTES_MAX 8192        /* names and values of one stream; ours are below 1 KiB */
#define MUX_HEADER_FIELDS_MAX 32
#define MUX_SETTINGS_MAX 32        /* entries of one frame (CVE-2020-11080) */
#define MUX_CONTINUATIONS_MAX 8    /* frames behind one HEADERS (CVE-2024-28182) */
#define MUX_ACKS_MAX 256           /* unsent answers to PING and SETTINGS (CVE-2019-9512, -9515) */
#define MUX_FRAMES_QUEUED_MAX 4096 /* unsent frames that carry no data */
#define MUX_IDLE_FRAMES_BURST 2000 /* frames that carry nothing: PING, SETTINGS, empty DATA, ... */
#define MUX_IDLE_FRAMES_PER_S 200  /* (CVE-2019-9512, -9515, -9518) */
#define MUX_RESETS_BURST 20000     /* RST_STREAM (CVE-2023-44487): each of our clients that */
#define MUX_RESETS_PER_S 5000      /* leaves early makes one, so a low cap would cut others */
#define MESH_SWEEP_MS 1000         /* looks for idle and stalled connections */
#define MESH_HANDED_MAX 256        /* accepted and not yet taken by another worker */
#define MESHCALL_BYTES_MAX (1u << 20) /* of an answer of another node */
#define MESHCALL_GRACE_MS 300         /* for the way there and back, of an answer that may wait */
#define CONFIRM_RETRY_MS 200          /* a member that could not be asked may be restarting */
#define ANNOUNCE_MS 2000              /* for members to route by what became of our services */
#define CONFIRM_RESTART_MS 1500       /* one that restarts is waited for; most are back soon */
#define CONFIRMS_MAX 256              /* of other nodes, that wait here at a time */
#define SURVEY_NODES_MAX 256          /* asked for one answer to an operator; the rest is counted */

/* ---- snapshot ---- */
#define WORKERS_MAX 64
#define SLOTS_MAX 65536 /* endpoints the node has ever routed to at once */
#define SERVICES_MAX 16384
#define SERVICE_ENDPOINTS_MAX 4096
#define LOST_KEPT_MS (600 * UINT64_C(1000)) /* endpoints of a dead node: it may be a partition */
#define TRUSTED_MS 5000 /* own traffic that succeeded is worth more than hearsay for so long */
#define STAT_CELLS_MAX 65536
#define STAT_KEPT_MS (3600 * UINT64_C(1000)) /* counters of a service that nobody has any more */
#define ROUTE_RULES_MAX 256                  /* per service */
#define ROUTE_MATCHES_MAX 64                 /* per rule */
#define ROUTE_BACKENDS_MAX 64                /* per rule */
#define SUBSETS_MAX 128                      /* per service */

/* ---- admin ---- */
#define ADMIN_BODY_MAX (1u << 20)
#define ADMIN_CONNECTIONS_MAX 64
#define APPLY_OBJECTS_MAX 256
#define OBJECT_BYTES_MAX (64 * 1024)
#define PROBLEMS_MAX 200
#define JOURNAL_MAX 256 /* lines about the mesh that are kept for `events` */

/* ---- documents (YAML, JSON) ---- */
#define TREE_DEPTH_MAX 64
#define TREE_NODES_MAX 100000 /* aliases count what they stand for: a bomb hits this */
#define TREE_ALIASES_MAX 1000
#define TREE_TEXT_MAX (1u << 20)
#define TREE_DOCS_MAX 1024

/* ---- records ---- */
#define RECORDS_MAX 16384             /* of all classes; beyond it a new key is refused */
#define RECORDS_BYTES_MAX (64u << 20) /* of all versions, former ones included */
#define RECORD_KEY_MAX 384            /* kind, namespace (63) and name (253) fit */
#define RECORD_VALUE_MAX OBJECT_BYTES_MAX
#define RECORD_LIST_MAX (256 * 1024) /* members of one transaction, longest keys */
#define RECORD_HISTORY_MAX 8         /* former versions kept per key */
#define RECORD_LINEAGE_MAX 32        /* ancestors a version names, 4 bytes each */
#define RECORD_GENERATION_MAX (UINT64_C(1) << 48)
#define RECORD_GENERATION_JUMP 1000000 /* above the stored one: nobody edits that often */
#define TOMBSTONE_KEPT_MS (24 * 3600 * UINT64_C(1000)) /* longer than an ordinary partition */
#define TOMBSTONE_QUIET_MS (TOMBSTONE_KEPT_MS / 2)     /* this old, it is in digests no more */
#define TOMBSTONES_MIN 1024   /* kept at once, or as many as there are records */
#define GOSSIP_NOTICES_MAX 64 /* events that may be dropped, and then are counted */
#define HLC_AHEAD_MS 60000    /* another's clock moves ours by no more */

/* ---- membership and packets (reference/gossip 6) ---- */
#define GOSSIP_NAME_MAX 253
#define GOSSIP_ABOUT_MAX 512
#define GOSSIP_SEEDS_MAX 64
#define GOSSIP_KEYS_MAX 16         /* of a ring; a change of keys needs two */
#define MEMBERS_MAX 16384          /* the next is refused and counted */
#define FORGOTTEN_MAX MEMBERS_MAX  /* all may go at once, and must not come back from a peer */
#define PACKET_BYTES_MAX 1200      /* UDP payload: passes any tunnel unfragmented */
#define FRAME_BYTES_MAX (1u << 20) /* of a stream: claims about MEMBERS_MAX fit */
#define PROBE_MS 1000
#define PROBE_TIMEOUT_MS 500 /* longest wait for a direct answer at good health */
#define PROBE_TIMEOUT_MIN_MS 20
#define PROBE_HELPERS 3 /* asked to probe in our place */
#define HEALTH_MAX 8    /* Lifeguard's S */
#define SUSPECT_MIN_MS 2000
#define SUSPECT_MAX_FACTOR 6
#define SUSPECT_CONFIRMATIONS 3 /* Lifeguard's K */
#define STALL_MS 50             /* a tick this late, and what was due meanwhile is void */
#define RUMOR_COALESCE_MS 4
#define RUMOR_REPEAT_MS 30
#define RUMOR_FANOUT 4
#define RUMOR_BURST 8      /* records owed at once: beyond, they are announced first */
#define RUMOR_DUPLICATES 3 /* heard back that often: the rest is announced only */
#define DIGEST_BUCKETS 64
#define SYNC_OUT_MAX 2
#define SYNC_IN_MAX 4
#define SYNC_TIMEOUT_MS 5000           /* without a frame either way */
#define STREAM_CHUNK_BYTES (64 * 1024) /* records per frame, about */
#define PROBE_STREAMS_MAX 8            /* TCP probes under way */
#define OPEN_WAIT_MS 2000
#define JOIN_PEERS_MAX 16    /* remembered members asked at start */
#define DEAD_CONTACT_MS 2000 /* one attempt per dead member, by whoever's turn it is */
#define DEAD_KEPT_MS (24 * 3600 * UINT64_C(1000))
#define LEFT_KEPT_MS (3600 * UINT64_C(1000))
#define CHALLENGE_EVERY_MS 1000 /* per sender, in answer to an unknown session */
#define SESSIONS_MAX 20480      /* members and some that restarted */
#define REPLAY_WINDOW_BITS 1024
#define LEAVE_MS 1000
#define DOUBTS_MAX 16         /* nodes that workers doubt at once; one more is found without it */
#define DOUBTS_EVERY_MS 100   /* those are asked so often, at the most */
#define CUTS_MAX 256          /* nodes that `debug block` keeps off: a test's, never a mesh's */
#define RESTART_GRACE_MS 5000 /* of silence, for one that said it restarts: once per boot */
#define RESTART_TELL_MS 500   /* from its word to its last packet, at most */
#define BOOT_MAX (UINT64_C(1) << 48) /* boots are milliseconds since 1970, or a few more */

/* ---- record values (mesh/model/codec.def) ---- */
#define PACK_DEPTH_MAX 12      /* nesting of a record's value */
#define PACK_OBJECTS_MAX 65536 /* in it: msgpack-c takes 24 bytes each */
#define POLICY_HOSTS_MAX 64    /* of one VirtualService */
#define POLICY_PORTS_MAX 64    /* portLevelSettings of one policy; upstream's is 4096 */
#define POLICY_LABELS_MAX 64   /* of one subset or object */
#define POLICY_HEADERS_MAX 32  /* conditions of one match */
#define POLICY_REGEX_MAX 1024  /* bytes, as upstream */
#define POLICY_REGEXES_MAX 256 /* of one object: compiling a nasty one takes 0.1 s */
#define NOTE_BYTES_MAX 4096    /* a text for people */
#define MAINT_TEXT_MAX 256     /* why and by whom, likewise: one line each */
#define MAINT_WEIGHT_MAX 1000  /* percent: ten times the ordinary */
#define TRANSACTIONS_MAX 1024  /* incomplete ones the model keeps apart */

/* ---- state files ---- */
#define STATE_BYTES_MAX (96u << 20) /* all records and what frames add */
#define STATE_FRAMES_MAX (1u << 18) /* present and former versions, and some */
#define STATE_BAD_KEPT_MAX 4        /* files set aside, of each name: the newest */

/* ---- node configuration (counts of its lists are rows of mesh/config/schema.def) ---- */
#define CONFIG_KEY_FILE_BYTES_MAX 8192 /* holds them with comments */
