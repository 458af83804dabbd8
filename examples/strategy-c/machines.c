// The strategy `machines`: the nodes are the words of a file, which is read again every second.
#include "libcluster_plugin.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    const libcluster_host *host;
    const void *ctx;
    char path[4096];
    pthread_t thread;
    atomic_int is_stopped, has_ended;
} instance;

static const libcluster_bytes NONE = {NULL, 0};

// The text of "file" in the config. There is no JSON library here, and so no escapes.
static int parse(libcluster_bytes config, char path[4096]) {
    char text[16384] = "", end = 0;
    if (config.len < sizeof text) memcpy(text, config.ptr, config.len);
    const char *key = strstr(text, "\"file\"");
    return key != NULL && sscanf(key + 6, " : \"%4095[^\"\\]%c", path, &end) == 2 && end == '"';
}

static void report(instance *self) {
    FILE *file = fopen(self->path, "r");
    if (file == NULL) // what was known stands
        return self->host->status(self->ctx, LIBCLUSTER_DEGRADED, libcluster_text(strerror(errno)), NONE);
    uint8_t records[LIBCLUSTER_CHUNK_BYTES_MAX];
    char name[512];
    size_t used = 0;
    self->host->report_begin(self->ctx, LIBCLUSTER_RESET, LIBCLUSTER_COMPLETE, LIBCLUSTER_TTL_NONE);
    while (fscanf(file, "%511s", name) == 1) {
        size_t next = libcluster_node(records, sizeof records, used, name, strlen(name));
        if (next == 0) { // full
            self->host->report_chunk(self->ctx, LIBCLUSTER_UPSERTS, (libcluster_bytes){records, used});
            next = libcluster_node(records, sizeof records, 0, name, strlen(name));
        }
        used = next;
    }
    fclose(file);
    self->host->report_chunk(self->ctx, LIBCLUSTER_UPSERTS, (libcluster_bytes){records, used});
    if (self->host->report_commit(self->ctx) == LIBCLUSTER_OK) // the host itself says why it refuses one
        self->host->status(self->ctx, LIBCLUSTER_RUNNING, NONE, NONE);
}

static void *run(void *arg) {
    instance *self = arg;
    for (int tick = 0; !self->is_stopped; tick++) {
        if (tick % 20 == 0) report(self);
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    self->host->exited(self->ctx, LIBCLUSTER_STOPPED, NONE);
    self->has_ended = 1;
    return NULL;
}

static uint32_t describe(libcluster_sink sink) {
    sink.write(sink.ctx, libcluster_text("[{\"kind\":\"strategy\",\"name\":\"machines\",\"schema\":{\"type\":\"object\","
                                         "\"properties\":{\"file\":{\"type\":\"string\"}},\"required\":[\"file\"]}}]"));
    return LIBCLUSTER_OK;
}

static uint32_t validate(uint32_t kind, libcluster_bytes name, libcluster_bytes config, libcluster_bytes local,
                         libcluster_sink sink) {
    char path[4096];
    sink.write(sink.ctx, libcluster_text(parse(config, path) ? "[]" : "[{\"path\":\"file\",\"message\":\"is missing\"}]"));
    return LIBCLUSTER_OK;
}

static uint32_t start(const libcluster_start *args, const void **out, libcluster_sink sink) {
    instance *self = calloc(1, sizeof *self);
    if (self == NULL) return LIBCLUSTER_EXHAUSTED;
    self->host = args->host, self->ctx = args->host_ctx, *out = self;
    int is_valid = parse(args->config, self->path);
    if (is_valid && pthread_create(&self->thread, NULL, run, self) == 0) return LIBCLUSTER_OK;
    free(self);
    if (!is_valid) validate(args->kind, args->name, args->config, args->context, sink);
    return is_valid ? LIBCLUSTER_EXHAUSTED : LIBCLUSTER_INVALID;
}

static void stop(const void *it, uint32_t reason, uint64_t deadline_ms) { ((instance *)it)->is_stopped = 1; }

static uint32_t destroy(const void *it) {
    instance *self = (instance *)it;
    if (!self->has_ended) return LIBCLUSTER_BUSY;
    pthread_join(self->thread, NULL);
    free(self);
    return LIBCLUSTER_OK;
}

static const libcluster_table TABLE = {.functions = LIBCLUSTER_FUNCTIONS, .describe = describe, .validate = validate,
                                       .start = start, .stop = stop, .destroy = destroy};
LIBCLUSTER_EXPORT const libcluster_entry libcluster_plugin_v1__strategy_c = {
    LIBCLUSTER_HANDSHAKE("strategy-c", "0.1.0", "s:machines"), &TABLE};
