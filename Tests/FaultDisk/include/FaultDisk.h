// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// A disk for SQLite that fails when it is told to, and loses what was not synced when its power is cut: a VFS on top of
// the machine's own (https://sqlite.org/vfs.html). Files are real; what would survive is kept apart in memory.

#ifndef FAULT_DISK_H
#define FAULT_DISK_H

#include <stdint.h>

typedef struct FaultDisk FaultDisk;

/// What is counted, and may fail.
enum {
    FaultDiskOpen = 1,
    FaultDiskWrite = 2,
    FaultDiskSync = 4,
    FaultDiskTruncate = 8,
    FaultDiskDelete = 16,
    FaultDiskAll = 31,
};

/// Registers a VFS of this name; NULL where there is no memory.
/// `is_powersafe`: says that a write leaves the bytes beside it as they are, as SQLite's own VFS does on Linux; where
/// that is not said SQLite pads each commit to whole sectors.
FaultDisk *FaultDiskCreate(const char *name, int is_powersafe);
/// Connections that are still open keep it until they are closed.
void FaultDiskDestroy(FaultDisk *disk);

/// Operations since the disk was made, or since the counter was last set to zero.
long FaultDiskCount(FaultDisk *disk);
void FaultDiskResetCount(FaultDisk *disk);

/// Operations numbered `first` up to, not including, `end` fail with `code` (of SQLite's), those that are of `kinds`.
/// A write that fails leaves half of itself; after a sync that fails nobody knows what is on disk, and no later sync
/// brings it there (as Linux has it).
void FaultDiskFail(FaultDisk *disk, long first, long end, int kinds, int code);

/// From operation `number` on nothing happens any more.
void FaultDiskCutPower(FaultDisk *disk, long number);

/// Writes the files as they may be after the power cut into `directory`, under their own last names: what was synced,
/// and of the rest each sector with a chance of `percent`, the same for the same seed. Returns 0 or an errno.
int FaultDiskSurvive(FaultDisk *disk, const char *directory, uint64_t seed, int percent);

#endif
