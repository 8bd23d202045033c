// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include "gathered_log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// SQLite's own VFS takes no more in one write: it is made for pages, of 64 KiB at most, and keeps 17 bits of a length.
#define GATHERED_MAX 0x1ffff
// Of a log, which SQLite syncs by itself before the frames: https://sqlite.org/fileformat2.html#walformat
#define HEADER_LENGTH 32
// Held by whoever writes frames: WAL_WRITE_LOCK in https://sqlite.org/walformat.html
#define WRITE_LOCK 0

typedef struct Log Log;

// What stands behind the other VFS's own file, in the room that SQLite makes for both. The file is the other's, and
// its methods work on it as they are, but for those that we put before them: the table of methods is a copy with ours
// in it, and its address tells which file it belongs to.
typedef struct {
  sqlite3_io_methods methods;
  const sqlite3_io_methods *base;
} Face;

typedef struct {
  Face face;
  Log *log; // NULL while it is not open
} Database;

struct Log {
  Face face;
  sqlite3_file *file;
  Database *database;
  int gathers;          // what is written may wait for the sync that is to come; where it may not, nothing waits
  int length;           // of what waits
  sqlite3_int64 offset; // in the file, of its first byte
  char *bytes;
};

typedef struct {
  sqlite3_vfs vfs; // a copy of the other's, but for its name, the size of a file and how one is opened
  sqlite3_vfs *base;
  char name[];
} Layer;

// MARK: The log

// What could not be put down stays, and every later call tries again: none succeeds before it is down, so that its
// transaction cannot be committed, only rolled back.
static int put_down(Log *log) {
  if (log->length == 0) return SQLITE_OK;
  int result = log->face.base->xWrite(log->file, log->bytes, log->length, log->offset);
  if (result == SQLITE_OK) log->length = 0;
  return result;
}

static int write_log(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset) {
  Log *log = (Log *)file->pMethods;
  int joins = offset == log->offset + log->length && length <= GATHERED_MAX - log->length;
  int result = joins ? SQLITE_OK : put_down(log);
  if (result != SQLITE_OK) return result;
  if (!log->gathers || length > GATHERED_MAX) return log->face.base->xWrite(file, bytes, length, offset);
  if (log->length == 0) log->offset = offset;
  memcpy(log->bytes + log->length, bytes, (size_t)length);
  log->length += length;
  return SQLITE_OK;
}

// The sync of a commit is the last thing before SQLite shows the frames to all connections, but where it pads commits
// to whole sectors: there the end of the last frame comes after it. So nothing waits that comes after a sync, until the
// next transaction; unless it was the sync of the header alone, after which come all the frames.
static int sync_log(sqlite3_file *file, int flags) {
  Log *log = (Log *)file->pMethods;
  int is_header = log->length == HEADER_LENGTH && log->offset == 0;
  int result = put_down(log);
  if (result != SQLITE_OK) return result;
  if (!is_header) log->gathers = 0;
  return log->face.base->xSync(file, flags);
}

// Whoever looks at the file by way of us finds what was written.

static int read_log(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset) {
  Log *log = (Log *)file->pMethods;
  int result = put_down(log);
  return result == SQLITE_OK ? log->face.base->xRead(file, bytes, length, offset) : result;
}

static int size_log(sqlite3_file *file, sqlite3_int64 *size) {
  Log *log = (Log *)file->pMethods;
  int result = put_down(log);
  return result == SQLITE_OK ? log->face.base->xFileSize(file, size) : result;
}

static int truncate_log(sqlite3_file *file, sqlite3_int64 size) {
  Log *log = (Log *)file->pMethods;
  int result = put_down(log);
  return result == SQLITE_OK ? log->face.base->xTruncate(file, size) : result;
}

static int control_log(sqlite3_file *file, int operation, void *argument) {
  Log *log = (Log *)file->pMethods;
  int result = put_down(log);
  return result == SQLITE_OK ? log->face.base->xFileControl(file, operation, argument) : result;
}

static int close_log(sqlite3_file *file) {
  Log *log = (Log *)file->pMethods;
  log->database->log = NULL;
  free(log->bytes);
  file->pMethods = log->face.base;
  return file->pMethods->xClose(file);
}

// MARK: The database

// Frames wait while their transaction holds the lock of whoever writes, and no longer: those of one that was rolled
// back would otherwise be put down over another connection's.
static int lock_shared(sqlite3_file *file, int first, int count, int flags) {
  Database *database = (Database *)file->pMethods;
  Log *log = first == WRITE_LOCK ? database->log : NULL;
  if (log && (flags & SQLITE_SHM_UNLOCK)) {
    put_down(log);
    log->length = log->gathers = 0;
  }
  int result = database->face.base->xShmLock(file, first, count, flags);
  if (log && result == SQLITE_OK && (flags & SQLITE_SHM_LOCK)) log->gathers = 1;
  return result;
}

// MARK: Opening

static void put_before(sqlite3_file *file, Face *face) {
  face->base = file->pMethods;
  face->methods = *file->pMethods;
  file->pMethods = &face->methods;
}

static int open_log(sqlite3_file *file, Log *log, const char *name) {
  // Of the connection that opens the log, which is one of ours: it has the same VFS.
  Database *database = (Database *)sqlite3_database_file_object(name)->pMethods;
  *log = (Log){.file = file, .database = database, .bytes = malloc(GATHERED_MAX)};
  if (!log->bytes) {
    file->pMethods->xClose(file);
    file->pMethods = NULL;
    return SQLITE_NOMEM;
  }
  put_before(file, &log->face);
  log->face.methods.xClose = close_log;
  log->face.methods.xRead = read_log;
  log->face.methods.xWrite = write_log;
  log->face.methods.xTruncate = truncate_log;
  log->face.methods.xSync = sync_log;
  log->face.methods.xFileSize = size_log;
  log->face.methods.xFileControl = control_log;
  database->log = log;
  return SQLITE_OK;
}

static void open_database(sqlite3_file *file, Database *database) {
  *database = (Database){.log = NULL};
  put_before(file, &database->face);
  // From version 2 on there is a wal-index, and without one there is no log.
  if (database->face.base->iVersion >= 2) database->face.methods.xShmLock = lock_shared;
}

static int room(const sqlite3_vfs *base) { return (base->szOsFile + 7) & ~7; }

// Files of other kinds are the other VFS's without us.
static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  sqlite3_vfs *base = ((Layer *)vfs)->base;
  int result = base->xOpen(base, name, file, flags, out_flags);
  if (result != SQLITE_OK) return result;
  void *behind = (char *)file + room(base);
  if (flags & SQLITE_OPEN_WAL) return open_log(file, behind, name);
  if (flags & SQLITE_OPEN_MAIN_DB) open_database(file, behind);
  return SQLITE_OK;
}

// A method of a VFS tells by pAppData which one it is of, and so works for a copy.
static const char *add_layer(sqlite3_vfs *base, const char *name) {
  size_t length = strlen(name) + 1;
  Layer *layer = malloc(sizeof *layer + length);
  if (!layer) return NULL;
  layer->vfs = *base;
  layer->base = base;
  memcpy(layer->name, name, length);
  layer->vfs.zName = layer->name;
  layer->vfs.xOpen = open_file;
  layer->vfs.szOsFile = room(base) + (int)(sizeof(Log) > sizeof(Database) ? sizeof(Log) : sizeof(Database));
  if (sqlite3_vfs_register(&layer->vfs, 0) == SQLITE_OK) return layer->name;
  free(layer);
  return NULL;
}

const char *gathered_log(const char *base_name) {
  // Of no effect once SQLite is initialized. Nobody asks how much memory it has, and each of its allocations would take
  // a lock to count it: https://sqlite.org/compile.html#recommended_compile_time_options
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  if (sqlite3_initialize() != SQLITE_OK) return NULL;
  sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
  sqlite3_mutex_enter(mutex);
  const char *result = NULL;
  sqlite3_vfs *base = sqlite3_vfs_find(base_name);
  if (base) {
    char name[128];
    snprintf(name, sizeof name, "gathered-log on %s", base->zName);
    sqlite3_vfs *known = sqlite3_vfs_find(name);
    result = known ? known->zName : add_layer(base, name);
  }
  sqlite3_mutex_leave(mutex);
  return result;
}
