// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

// What a power cut leaves of one file: what was synced, and any part of the rest.
#ifndef FAULTDISK_SHADOW_H
#define FAULTDISK_SHADOW_H

#include <stdint.h>

enum { SECTOR = 512, NAME_MAX_BYTES = 1024 };

/// Something that was done to a file and is not synced. `bytes` is NULL for a truncation to `offset`.
typedef struct Pending {
    struct Pending *next;
    int64_t offset;
    uint8_t *bytes;
    int length;
    /// A sync that failed was to bring it to the disk: no later one will.
    int is_lost;
} Pending;

/// What would be found of a file by its name after a power cut.
typedef struct Shadow {
    struct Shadow *next;
    char path[NAME_MAX_BYTES];
    uint8_t *durable;
    int64_t size;
    /// For those who run, whatever is on disk.
    int exists;
    /// Its name is on disk as well.
    int is_there;
    /// Deleted, and the directory not synced.
    int is_leaving;
    /// What its name still leads to on disk: an earlier file, deleted since, and the directory not synced. NULL: none.
    uint8_t *former;
    int64_t former_size;
    Pending *first, **last;
} Shadow;

// Does to what is on disk what was asked for; a truncation where `bytes` is NULL.
void shadow_apply(Shadow *shadow, int64_t offset, const uint8_t *bytes, int64_t length);

// Forgets what is not synced.
void shadow_clear(Shadow *shadow);

// Keeps in mind what was done and not synced.
void shadow_note(Shadow *shadow, int64_t offset, const void *bytes, int length);

// All of it is on disk.
void shadow_synced(Shadow *shadow);

// A file of that name was made.
void shadow_created(Shadow *shadow);

// It was deleted; `is_synced`: on disk as well.
void shadow_deleted(Shadow *shadow, int is_synced);

// The directory was synced: what was made and deleted is so on disk.
void shadow_named(Shadow *shadow);

void shadow_free(Shadow *shadow);

// Writes what a power cut may leave into `directory`: each sector that was not synced with a chance of `percent`.
// Returns 0 or an errno.
int shadow_survive(const Shadow *shadow, const char *directory, uint64_t *seed, int percent);

#endif
