// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Glibc

/// What Prometheus' own client libraries tell of a process, under the same names.
///
/// Reads /proc/self only, which `ProcSubset=pid` leaves visible; a number that cannot be had is left out.
package enum ProcessMetrics {
    package static func register(in registry: Registry) {
        registry.computed(
            "process_cpu_seconds_total", "User and system CPU time of the process.", type: .counter, cpuSeconds)
        registry.computed("process_resident_memory_bytes", "Resident memory of the process.", residentBytes)
        registry.computed("process_virtual_memory_bytes", "Virtual memory of the process.", virtualBytes)
        registry.computed("process_open_fds", "Open file descriptors.", openDescriptors)
        registry.computed("process_max_fds", "Limit of open file descriptors.", descriptorsMax)
        let start = startTime()
        registry.computed("process_start_time_seconds", "When the process was started.") { start }
    }

    @Sendable static func cpuSeconds() -> Double? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        let microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(microseconds) / 1e6
    }

    @Sendable static func residentBytes() -> Double? { memoryBytes(field: 1) }

    @Sendable static func virtualBytes() -> Double? { memoryBytes(field: 0) }

    /// statm counts in pages: size, resident, …
    private static func memoryBytes(field: Int) -> Double? {
        guard let fields = read("/proc/self/statm")?.split(separator: " "), field < fields.count,
            let pages = Double(fields[field])
        else { return nil }
        return pages * Double(sysconf(CInt(_SC_PAGESIZE)))
    }

    @Sendable static func openDescriptors() -> Double? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Not ".", not "..", and not the descriptor that reads the directory.
        return Double(max(0, count - 3))
    }

    @Sendable static func descriptorsMax() -> Double? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return Double(limit.rlim_cur)
    }

    /// Now, less the age of the process: the time of boot stands in /proc/stat, which the sandbox hides.
    private static func startTime() -> Double? {
        // The second field is the program's name in parentheses and may hold anything.
        guard let line = read("/proc/self/stat"), let end = line.lastIndex(of: ")") else { return nil }
        // starttime is field 22, in ticks since boot (proc_pid_stat(5)).
        let fields = line[end...].split(separator: " ")
        guard fields.count > 20, let ticks = Double(fields[20]) else { return nil }
        let sinceBoot = ticks / Double(sysconf(CInt(_SC_CLK_TCK)))
        return seconds(CLOCK_REALTIME) - (seconds(CLOCK_BOOTTIME) - sinceBoot)
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A file of /proc as text; they are short.
    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
