// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include "FaultDisk.h"
#include "Shadow.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct FaultDisk {
    sqlite3_vfs vfs;
    sqlite3_vfs *base;
    pthread_mutex_t mutex;
    char name[64];
    Shadow *shadows;
    int open_files, is_unwanted, is_powersafe;
    long count, first, end, cut;
    int kinds, code;
};

typedef struct {
    sqlite3_file file;
    FaultDisk *disk;
    /// NULL for temporary files: nobody expects to find them again.
    Shadow *shadow;
    sqlite3_file *base;
    /// Its first sync is one of the directory as well.
    int is_new;
} File;

// MARK: What survives

static Shadow *find(FaultDisk *disk, const char *path) {
    for (Shadow *shadow = disk->shadows; shadow; shadow = shadow->next)
        if (!strcmp(shadow->path, path)) return shadow;
    Shadow *shadow = calloc(1, sizeof *shadow);
    if (!shadow) abort();
    snprintf(shadow->path, sizeof shadow->path, "%s", path);
    shadow->last = &shadow->first;
    shadow->next = disk->shadows;
    disk->shadows = shadow;
    return shadow;
}

int FaultDiskSurvive(FaultDisk *disk, const char *directory, uint64_t seed, int percent) {
    pthread_mutex_lock(&disk->mutex);
    int result = 0;
    for (Shadow *shadow = disk->shadows; shadow && !result; shadow = shadow->next)
        result = shadow_survive(shadow, directory, &seed, percent);
    pthread_mutex_unlock(&disk->mutex);
    return result;
}

// MARK: Faults

/// Counts an operation; returns what it is to fail with, SQLITE_OK for the usual one.
static int fault(FaultDisk *disk, int kind) {
    long number = ++disk->count;
    if (disk->cut && number >= disk->cut) return SQLITE_IOERR;
    if (number >= disk->first && number < disk->end && (disk->kinds & kind)) return disk->code;
    return SQLITE_OK;
}

static int is_dead(FaultDisk *disk) { return disk->cut && disk->count >= disk->cut; }

// MARK: Files

static void free_disk(FaultDisk *disk) {
    while (disk->shadows) {
        Shadow *next = disk->shadows->next;
        shadow_free(disk->shadows);
        disk->shadows = next;
    }
    pthread_mutex_destroy(&disk->mutex);
    free(disk);
}

static int close_file(sqlite3_file *file) {
    FaultDisk *disk = ((File *)file)->disk;
    sqlite3_file *base = ((File *)file)->base;
    int result = base->pMethods ? base->pMethods->xClose(base) : SQLITE_OK;
    free(base);
    pthread_mutex_lock(&disk->mutex);
    int is_last = --disk->open_files == 0 && disk->is_unwanted;
    pthread_mutex_unlock(&disk->mutex);
    if (is_last) free_disk(disk);
    return result;
}

static int read_file(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xRead(base, bytes, length, offset);
}

static int write_file(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset) {
    File *self = (File *)file;
    if (!self->shadow) return self->base->pMethods->xWrite(self->base, bytes, length, offset);
    pthread_mutex_lock(&self->disk->mutex);
    int code = fault(self->disk, FaultDiskWrite);
    int part = code == SQLITE_OK ? length : is_dead(self->disk) ? 0 : length / 2;
    int result = SQLITE_OK;
    if (part > 0) {
        result = self->base->pMethods->xWrite(self->base, bytes, part, offset);
        shadow_note(self->shadow, offset, bytes, part);
    }
    pthread_mutex_unlock(&self->disk->mutex);
    return code == SQLITE_OK ? result : code;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size) {
    File *self = (File *)file;
    if (!self->shadow) return self->base->pMethods->xTruncate(self->base, size);
    pthread_mutex_lock(&self->disk->mutex);
    int code = fault(self->disk, FaultDiskTruncate);
    if (code == SQLITE_OK) {
        shadow_note(self->shadow, size, NULL, 0);
        code = self->base->pMethods->xTruncate(self->base, size);
    }
    pthread_mutex_unlock(&self->disk->mutex);
    return code;
}

/// The file itself is not synced: nobody will cut the machine's own power.
static int sync_file(sqlite3_file *file, int flags) {
    (void)flags;
    File *self = (File *)file;
    if (!self->shadow) return SQLITE_OK;
    pthread_mutex_lock(&self->disk->mutex);
    int code = fault(self->disk, FaultDiskSync);
    if (code == SQLITE_OK) {
        shadow_synced(self->shadow);
        if (self->is_new)
            for (Shadow *shadow = self->disk->shadows; shadow; shadow = shadow->next) shadow_named(shadow);
        self->is_new = 0;
    } else if (!is_dead(self->disk)) {
        for (Pending *pending = self->shadow->first; pending; pending = pending->next) pending->is_lost = 1;
    }
    pthread_mutex_unlock(&self->disk->mutex);
    return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xFileSize(base, size);
}

static int lock_file(sqlite3_file *file, int level) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xLock(base, level);
}

static int unlock_file(sqlite3_file *file, int level) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xUnlock(base, level);
}

static int check_lock(sqlite3_file *file, int *is_reserved) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xCheckReservedLock(base, is_reserved);
}

static int control(sqlite3_file *file, int operation, void *argument) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xFileControl(base, operation, argument);
}

/// Nothing is promised about order, and no whole pages.
static int sector_size(sqlite3_file *file) {
    (void)file;
    return SECTOR;
}

static int characteristics(sqlite3_file *file) {
    return ((File *)file)->disk->is_powersafe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static int map_shared(sqlite3_file *file, int page, int size, int extend, void volatile **bytes) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xShmMap(base, page, size, extend, bytes);
}

static int lock_shared(sqlite3_file *file, int offset, int count, int flags) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xShmLock(base, offset, count, flags);
}

static void fence_shared(sqlite3_file *file) {
    sqlite3_file *base = ((File *)file)->base;
    base->pMethods->xShmBarrier(base);
}

static int unmap_shared(sqlite3_file *file, int remove) {
    sqlite3_file *base = ((File *)file)->base;
    return base->pMethods->xShmUnmap(base, remove);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_lock,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shared,
    .xShmLock = lock_shared,
    .xShmBarrier = fence_shared,
    .xShmUnmap = unmap_shared,
};

// MARK: The VFS

static void load(Shadow *shadow, sqlite3_file *base) {
    if (shadow->exists) return;
    shadow_created(shadow);
    sqlite3_int64 size = 0;
    if (base->pMethods->xFileSize(base, &size) != SQLITE_OK || size == 0) return;
    shadow_apply(shadow, size, NULL, 0);
    if (base->pMethods->xRead(base, shadow->durable, (int)size, 0) != SQLITE_OK) abort();
    shadow->is_there = 1;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    FaultDisk *disk = vfs->pAppData;
    File *self = (File *)file;
    self->file.pMethods = NULL;
    pthread_mutex_lock(&disk->mutex);
    int code = name ? fault(disk, FaultDiskOpen) : SQLITE_OK;
    if (code == SQLITE_OK) {
        self->disk = disk;
        self->base = calloc(1, (size_t)disk->base->szOsFile);
        if (!self->base) abort();
        code = disk->base->xOpen(disk->base, name, self->base, flags, out_flags);
        if (code == SQLITE_OK) {
            self->file.pMethods = &METHODS;
            disk->open_files++;
            self->shadow = name ? find(disk, name) : NULL;
            if (self->shadow) load(self->shadow, self->base);
            // As SQLite's own VFS has it, which syncs the directory with the first sync of a log it may have made.
            self->is_new = (flags & SQLITE_OPEN_CREATE) && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL));
        } else {
            free(self->base);
        }
    } else {
        code = SQLITE_CANTOPEN;
    }
    pthread_mutex_unlock(&disk->mutex);
    return code;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync_directory) {
    FaultDisk *disk = vfs->pAppData;
    pthread_mutex_lock(&disk->mutex);
    int code = fault(disk, FaultDiskDelete);
    if (code == SQLITE_OK) {
        code = disk->base->xDelete(disk->base, name, 0);
        shadow_deleted(find(disk, name), sync_directory);
    } else {
        code = SQLITE_IOERR_DELETE;
    }
    pthread_mutex_unlock(&disk->mutex);
    return code;
}

static int access_file(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    sqlite3_vfs *base = ((FaultDisk *)vfs->pAppData)->base;
    return base->xAccess(base, name, flags, result);
}

static int full_name(sqlite3_vfs *vfs, const char *name, int size, char *result) {
    sqlite3_vfs *base = ((FaultDisk *)vfs->pAppData)->base;
    return base->xFullPathname(base, name, size, result);
}

static int randomness(sqlite3_vfs *vfs, int size, char *bytes) {
    sqlite3_vfs *base = ((FaultDisk *)vfs->pAppData)->base;
    return base->xRandomness(base, size, bytes);
}

/// Nobody waits here for a lock: whoever is told busy is to know at once.
static int no_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return microseconds;
}

static int current_time(sqlite3_vfs *vfs, double *time) {
    sqlite3_vfs *base = ((FaultDisk *)vfs->pAppData)->base;
    return base->xCurrentTime(base, time);
}

static int last_error(sqlite3_vfs *vfs, int size, char *text) {
    (void)vfs;
    if (size > 0) *text = 0;
    return 0;
}

FaultDisk *FaultDiskCreate(const char *name, int is_powersafe) {
    FaultDisk *disk = calloc(1, sizeof *disk);
    if (!disk) return NULL;
    disk->base = sqlite3_vfs_find(NULL);
    disk->is_powersafe = is_powersafe;
    snprintf(disk->name, sizeof disk->name, "%s", name);
    pthread_mutex_init(&disk->mutex, NULL);
    disk->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(File),
        .mxPathname = NAME_MAX_BYTES - 1,
        .zName = disk->name,
        .pAppData = disk,
        .xOpen = open_file,
        .xDelete = delete_file,
        .xAccess = access_file,
        .xFullPathname = full_name,
        .xRandomness = randomness,
        .xSleep = no_sleep,
        .xCurrentTime = current_time,
        .xGetLastError = last_error,
    };
    sqlite3_vfs_register(&disk->vfs, 0);
    return disk;
}

void FaultDiskDestroy(FaultDisk *disk) {
    sqlite3_vfs_unregister(&disk->vfs);
    pthread_mutex_lock(&disk->mutex);
    disk->is_unwanted = 1;
    int is_idle = disk->open_files == 0;
    pthread_mutex_unlock(&disk->mutex);
    if (is_idle) free_disk(disk);
}

long FaultDiskCount(FaultDisk *disk) {
    pthread_mutex_lock(&disk->mutex);
    long count = disk->count;
    pthread_mutex_unlock(&disk->mutex);
    return count;
}

void FaultDiskResetCount(FaultDisk *disk) {
    pthread_mutex_lock(&disk->mutex);
    disk->count = 0;
    pthread_mutex_unlock(&disk->mutex);
}

void FaultDiskFail(FaultDisk *disk, long first, long end, int kinds, int code) {
    pthread_mutex_lock(&disk->mutex);
    disk->first = first;
    disk->end = end;
    disk->kinds = kinds;
    disk->code = code;
    pthread_mutex_unlock(&disk->mutex);
}

void FaultDiskCutPower(FaultDisk *disk, long number) {
    pthread_mutex_lock(&disk->mutex);
    disk->cut = number;
    pthread_mutex_unlock(&disk->mutex);
}
