// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include "Shadow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shadow_apply(Shadow *shadow, int64_t offset, const uint8_t *bytes, int64_t length) {
    int64_t size = offset + (bytes ? length : 0);
    if (bytes ? size > shadow->size : 1) {
        uint8_t *grown = realloc(shadow->durable, size > 0 ? (size_t)size : 1);
        if (!grown) abort();
        if (size > shadow->size) memset(grown + shadow->size, 0, (size_t)(size - shadow->size));
        shadow->durable = grown;
        shadow->size = size;
    }
    if (bytes) memcpy(shadow->durable + offset, bytes, (size_t)length);
}

void shadow_clear(Shadow *shadow) {
    while (shadow->first) {
        Pending *next = shadow->first->next;
        free(shadow->first->bytes);
        free(shadow->first);
        shadow->first = next;
    }
    shadow->last = &shadow->first;
}

void shadow_note(Shadow *shadow, int64_t offset, const void *bytes, int length) {
    Pending *pending = calloc(1, sizeof *pending);
    if (!pending) abort();
    pending->offset = offset;
    pending->length = length;
    if (bytes) {
        pending->bytes = malloc(length > 0 ? (size_t)length : 1);
        if (!pending->bytes) abort();
        memcpy(pending->bytes, bytes, (size_t)length);
    }
    *shadow->last = pending;
    shadow->last = &pending->next;
}

static void forget_former(Shadow *shadow) {
    free(shadow->former);
    shadow->former = NULL;
}

void shadow_synced(Shadow *shadow) {
    for (Pending *pending = shadow->first; pending; pending = pending->next)
        if (!pending->is_lost) shadow_apply(shadow, pending->offset, pending->bytes, pending->length);
    shadow_clear(shadow);
    shadow->is_there = 1;
    forget_former(shadow);
}

void shadow_created(Shadow *shadow) {
    if (shadow->is_leaving) {
        shadow->former = shadow->durable;
        shadow->former_size = shadow->size;
        shadow->durable = NULL;
    }
    shadow_clear(shadow);
    shadow->size = 0;
    shadow->exists = 1;
    shadow->is_there = shadow->is_leaving = 0;
}

void shadow_deleted(Shadow *shadow, int is_synced) {
    shadow->exists = 0;
    if (!is_synced && shadow->is_there) {
        shadow->is_leaving = 1;
        return;
    }
    shadow_clear(shadow);
    shadow->size = 0;
    shadow->is_there = shadow->is_leaving = 0;
    if (is_synced || !shadow->former) return forget_former(shadow);
    free(shadow->durable);
    shadow->durable = shadow->former;
    shadow->size = shadow->former_size;
    shadow->former = NULL;
    shadow->is_there = shadow->is_leaving = 1;
}

void shadow_named(Shadow *shadow) {
    if (shadow->exists) {
        shadow->is_there = 1;
        forget_former(shadow);
    } else {
        shadow_deleted(shadow, 1);
    }
}

void shadow_free(Shadow *shadow) {
    shadow_clear(shadow);
    forget_former(shadow);
    free(shadow->durable);
    free(shadow);
}

static uint64_t roll(uint64_t *state) {
    uint64_t mixed = *state += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

static int happens(uint64_t *state, int percent) { return (int)(roll(state) % 100) < percent; }

static int write_out(const Shadow *shadow, const uint8_t *bytes, int64_t size, const char *directory) {
    char path[2 * NAME_MAX_BYTES];
    const char *slash = strrchr(shadow->path, '/');
    snprintf(path, sizeof path, "%s/%s", directory, slash ? slash + 1 : shadow->path);
    FILE *file = fopen(path, "w");
    if (!file) return errno;
    int result = fwrite(bytes, 1, (size_t)size, file) == (size_t)size ? 0 : EIO;
    return fclose(file) ? errno : result;
}

int shadow_survive(const Shadow *shadow, const char *directory, uint64_t *seed, int percent) {
    Shadow copy = *shadow;
    copy.durable = malloc(copy.size > 0 ? (size_t)copy.size : 1);
    if (!copy.durable) abort();
    memcpy(copy.durable, shadow->durable ? shadow->durable : (uint8_t *)"", (size_t)copy.size);
    for (Pending *pending = copy.first; pending; pending = pending->next) {
        if (!pending->bytes) {
            if (happens(seed, percent)) shadow_apply(&copy, pending->offset, NULL, 0);
            continue;
        }
        for (int at = 0; at < pending->length; at += SECTOR) {
            int part = pending->length - at < SECTOR ? pending->length - at : SECTOR;
            if (happens(seed, percent)) shadow_apply(&copy, pending->offset + at, pending->bytes + at, part);
        }
    }
    int has_name = copy.is_there ? !(copy.is_leaving && happens(seed, percent)) : copy.exists && happens(seed, percent);
    int result = 0;
    if (has_name)
        result = write_out(&copy, copy.durable, copy.size, directory);
    else if (copy.former && !happens(seed, percent))
        result = write_out(&copy, copy.former, copy.former_size, directory);
    free(copy.durable);
    return result;
}
