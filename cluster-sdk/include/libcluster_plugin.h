/* libcluster_plugin.h: write a plugin for cluster-host in C, or in whatever can export C.
 *
 * The same ABI, version 1.0, as the one that cluster-sdk describes for Rust: the handshake, the tables, the codes and the
 * records are the same to the byte. A test compares both. 64-bit little-endian targets only.
 *
 * A plugin is a shared library that exports one symbol, named libcluster_plugin_v1__ and the plugin's name:
 *
 *     LIBCLUSTER_EXPORT const libcluster_entry libcluster_plugin_v1__mine = {
 *         LIBCLUSTER_HANDSHAKE("mine", "1.0.0", "s:mine"), &table };
 *
 * The host reads the handshake from the file, before it loads it: all of it must be known to the compiler.
 *
 * Rules:
 * - Nothing owned crosses. Bytes are lent for the call; they have no NUL at their end.
 * - Texts are UTF-8. Configs, contexts, answers and counters are JSON. JSON keys, codes and functions at the end of the
 *   tables may be added: ignore what you do not know.
 * - Functions of the plugin may be called from any thread, and return soon: work belongs on a thread of the instance.
 * - An instance may call the host from any thread of its own from `start` on. `exited` is its last call. What start was
 *   given as `host_ctx` stays valid until `destroy` has returned LIBCLUSTER_OK.
 * - Do not exit, abort, fork or install signal handlers: the process is the host's.
 */
#ifndef LIBCLUSTER_PLUGIN_H
#define LIBCLUSTER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if UINTPTR_MAX != UINT64_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "libcluster_plugin.h is for 64-bit little-endian targets"
#endif

#define LIBCLUSTER_ABI_MAJOR 1
#define LIBCLUSTER_ABI_MINOR 0
#define LIBCLUSTER_INTERFACE_C 2
/* Nothing in it ends the process by a panic: of Rust, that it unwinds. */
#define LIBCLUSTER_FLAG_PANIC_UNWIND 1
#define LIBCLUSTER_HANDSHAKE_BYTES 840
#define LIBCLUSTER_CHUNK_BYTES_MAX (256 * 1024)
#define LIBCLUSTER_LOCAL_BYTES_MAX (16 * 1024)
/* A time to live that never ends. */
#define LIBCLUSTER_TTL_NONE UINT64_MAX

/* How a call went. */
enum {
    LIBCLUSTER_OK = 0,
    LIBCLUSTER_UNKNOWN = 1,      /* no such strategy or connector, or an instance that does not do this */
    LIBCLUSTER_INVALID = 2,      /* a config that is not valid */
    LIBCLUSTER_MALFORMED = 3,    /* bytes that are not what they should be */
    LIBCLUSTER_PANICKED = 4,
    LIBCLUSTER_BUSY = 5,         /* the instance's thread still runs */
    LIBCLUSTER_TOO_MANY = 6,     /* more nodes than the host allows */
    LIBCLUSTER_TOO_LARGE = 7,
    LIBCLUSTER_OUT_OF_ORDER = 8, /* a chunk or a commit without a begin */
    LIBCLUSTER_STOPPING = 9,     /* the instance has ended or is about to */
    LIBCLUSTER_EXHAUSTED = 10    /* the system did not give what is needed, such as a thread */
};
enum { LIBCLUSTER_STRATEGY = 1, LIBCLUSTER_CONNECTOR = 2 };
enum { LIBCLUSTER_RESET = 0, LIBCLUSTER_APPLY = 1 };
enum { LIBCLUSTER_COMPLETE = 0, LIBCLUSTER_PARTIAL = 1 };
enum { LIBCLUSTER_UPSERTS = 0, LIBCLUSTER_REMOVALS = 1 };
enum { LIBCLUSTER_STARTING = 0, LIBCLUSTER_RUNNING = 1, LIBCLUSTER_DEGRADED = 2, LIBCLUSTER_DENIED = 3 };
enum { LIBCLUSTER_ERROR = 1, LIBCLUSTER_WARN = 2, LIBCLUSTER_INFO = 3, LIBCLUSTER_DEBUG = 4, LIBCLUSTER_TRACE = 5 };
enum { LIBCLUSTER_CONNECT = 1, LIBCLUSTER_DISCONNECT = 2, LIBCLUSTER_LIST = 3 };
enum {
    LIBCLUSTER_DONE = 0,
    LIBCLUSTER_UNREACHABLE = 1,
    LIBCLUSTER_NOT_PART_OF_NETWORK = 2,
    LIBCLUSTER_UNSUPPORTED = 3,
    LIBCLUSTER_KEPT = 4
};
enum { LIBCLUSTER_LEAVE = 0, LIBCLUSTER_RESTART = 1 };
enum { LIBCLUSTER_FINISHED = 0, LIBCLUSTER_FAILED = 1, LIBCLUSTER_EXIT_PANICKED = 2, LIBCLUSTER_STOPPED = 3 };
enum { LIBCLUSTER_NO = 0, LIBCLUSTER_YES = 1 };

/* Borrowed bytes. */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} libcluster_bytes;

/* Where an answer goes; `write` may be called several times before the function returns. */
typedef struct {
    void *ctx;
    void (*write)(void *ctx, libcluster_bytes bytes);
} libcluster_sink;

/* The host's functions. Bit n of `functions` says that the n-th is there. */
typedef struct {
    uint64_t functions;
    const void *reserved;
    uint64_t (*ping)(const void *ctx, uint64_t value);
    void (*log)(const void *ctx, uint32_t level, libcluster_bytes target, libcluster_bytes message);
    /* A report: begin, chunks of whole records, commit. Only the commit counts, or is refused. */
    uint32_t (*report_begin)(const void *ctx, uint32_t kind, uint32_t completeness, uint64_t ttl_ms);
    uint32_t (*report_chunk)(const void *ctx, uint32_t section, libcluster_bytes records);
    uint32_t (*report_commit)(const void *ctx);
    /* How it does; the counters are a JSON object of numbers, such as {}. */
    void (*status)(const void *ctx, uint32_t health, libcluster_bytes reason, libcluster_bytes counters);
    /* Of a connector: how an operation ended; links that came or went; all links; whether it can make any. */
    void (*completed)(const void *ctx, uint64_t op, uint32_t outcome, libcluster_bytes reason);
    void (*link)(const void *ctx, uint64_t generation, libcluster_bytes node, uint32_t up, libcluster_bytes reason);
    uint32_t (*links_begin)(const void *ctx, uint64_t generation);
    uint32_t (*links_chunk)(const void *ctx, libcluster_bytes records);
    uint32_t (*links_commit)(const void *ctx);
    void (*availability)(const void *ctx, uint32_t available, libcluster_bytes reason);
    /* Of a connector: whether the local node takes part, as JSON: `up`; with it `name`, `incarnation`, `stays`. */
    void (*local)(const void *ctx, libcluster_bytes node);
    /* The instance has ended: its last call. */
    void (*exited)(const void *ctx, uint32_t kind, libcluster_bytes reason);
} libcluster_host;

/* What `start` is given; lent for the call, but for `host` and `host_ctx`. */
typedef struct {
    uint32_t kind;
    libcluster_bytes name;
    libcluster_bytes config;  /* JSON */
    libcluster_bytes context; /* JSON: topology, local, log_level; diagnose only where describe said diagnoses */
    const libcluster_host *host;
    const void *host_ctx;
} libcluster_start;

/* The plugin's functions. Of ping, update, submit and cancel NULL is as good as one that does nothing. */
typedef struct {
    uint64_t functions; /* LIBCLUSTER_FUNCTIONS */
    const void *reserved;
    uint64_t (*ping)(uint64_t value);
    /* A JSON list of objects with kind ("strategy", "connector"), name, description, schema; of a connector also links
     * ("own", "outlive"), by_address, local_node. Whoever says "diagnoses": true is also started with the key diagnose
     * (in it node: name, addresses, attributes; or nothing): it then does none of its work, and exits FINISHED with a JSON
     * list of objects rung, verdict ("pass", "warn", "fail", "skipped"), evidence, fix as its reason. */
    uint32_t (*describe)(libcluster_sink sink);
    /* A JSON list of objects with path and message: what is wrong with a config. With another code than OK a text. */
    uint32_t (*validate)(uint32_t kind, libcluster_bytes name, libcluster_bytes config, libcluster_bytes local,
                         libcluster_sink sink);
    /* Starts an instance on a thread of its own. With INVALID the sink gets what validate would say. */
    uint32_t (*start)(const libcluster_start *args, const void **instance, libcluster_sink sink);
    /* The local node has changed: JSON. */
    void (*update)(const void *instance, libcluster_bytes local);
    /* Asks it to end; `exited` follows within the deadline. */
    void (*stop)(const void *instance, uint32_t reason, uint64_t deadline_ms);
    /* Work for a connector; `completed` follows. A strategy says UNKNOWN. */
    uint32_t (*submit)(const void *instance, uint64_t op, uint32_t kind, libcluster_bytes record, uint64_t deadline_ms);
    void (*cancel)(const void *instance, uint64_t op);
    /* Frees it. BUSY: its thread lives, nothing happened. */
    uint32_t (*destroy)(const void *instance);
} libcluster_table;
#define LIBCLUSTER_FUNCTIONS 0x1ff

/* Who the plugin is and what it offers: "s:NAME" a strategy, "c:NAME" a connector, separated by spaces. */
typedef struct {
    char magic[16];
    uint32_t handshake_bytes, abi_major, abi_minor, interface, flags, features_needed;
    uint64_t cpu_features;
    char sdk[24], compiler[48], target[64], plugin[64], version[80], offers[512];
} libcluster_handshake;

typedef struct {
    libcluster_handshake handshake;
    const libcluster_table *table;
} libcluster_entry;

#if defined(__x86_64__)
#define LIBCLUSTER_TARGET "x86_64-unknown-linux-gnu"
#elif defined(__aarch64__)
#define LIBCLUSTER_TARGET "aarch64-unknown-linux-gnu"
#else
#error "libcluster_plugin.h does not know this target"
#endif

/* A plugin that is compiled for more than the baseline of its target (-march) says so in cpu_features: see CPU_FEATURES in
 * cluster-sdk/src/abi/handshake.rs. */
#define LIBCLUSTER_HANDSHAKE(NAME, VERSION, OFFERS)                                                                       \
    {                                                                                                                     \
        {'l', 'i', 'b', 'c', 'l', 'u', 's', 't', 'e', 'r', '-', 'r', 's', 0, 1, '\n'}, LIBCLUSTER_HANDSHAKE_BYTES,         \
            LIBCLUSTER_ABI_MAJOR, LIBCLUSTER_ABI_MINOR, LIBCLUSTER_INTERFACE_C, LIBCLUSTER_FLAG_PANIC_UNWIND, 0, 0, "c",   \
            "cc", LIBCLUSTER_TARGET, NAME, VERSION, OFFERS                                                                 \
    }
#define LIBCLUSTER_EXPORT __attribute__((visibility("default"), used))

static inline libcluster_bytes libcluster_text(const char *text) {
    libcluster_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

/* Appends what one says of a node: its name first, then a key and a value for each of its attributes. Begin a record by
 * libcluster_node, append to it by libcluster_attribute (".address" for an address). Both give the bytes that are used of
 * the buffer then, or 0 where it is too small: chunks are at most LIBCLUSTER_CHUNK_BYTES_MAX. */
static inline size_t libcluster_put_(uint8_t *buffer, size_t size, size_t used, const char *text, size_t len) {
    if (len > UINT16_MAX || used + 2 + len > size) return 0;
    buffer[used] = (uint8_t)len;
    buffer[used + 1] = (uint8_t)(len >> 8);
    memcpy(buffer + used + 2, text, len);
    return used + 2 + len;
}

static inline void libcluster_length_(uint8_t *buffer, size_t record, size_t used) {
    uint32_t len = (uint32_t)(used - record - 4);
    memcpy(buffer + record, &len, sizeof len);
}

static inline size_t libcluster_node(uint8_t *buffer, size_t size, size_t used, const char *name, size_t len) {
    size_t end = used + 4 <= size ? libcluster_put_(buffer, size, used + 4, name, len) : 0;
    if (end != 0) libcluster_length_(buffer, used, end);
    return end;
}

/* `record` is where the record begins: what `used` was before libcluster_node. */
static inline size_t libcluster_attribute(uint8_t *buffer, size_t size, size_t record, size_t used, const char *key,
                                          const char *value) {
    size_t end = libcluster_put_(buffer, size, used, key, strlen(key));
    if (end != 0) end = libcluster_put_(buffer, size, end, value, strlen(value));
    if (end != 0) libcluster_length_(buffer, record, end);
    return end;
}

#endif
