// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What maild needs of the machine: room on the disk, a clock that is right, mail that nobody else reads.
package enum MachineHealth {
    static func findings(_ instance: Instance) -> [Finding] {
        disk(instance.stateDirectory) + clock() + state(instance.stateDirectory)
    }

    // MARK: Disk

    private static func disk(_ directory: String) -> [Finding] {
        // Its parent will do for who may not look into it; it is seldom a file system of its own.
        for path in [directory, "/var/lib"] {
            var status = statvfs()
            guard statvfs(path, &status) == 0 else { continue }
            let unit = Int(status.f_frsize)
            let files = status.f_files == 0 ? nil : Int(status.f_favail)
            return [
                judge(disk: path, free: Int(status.f_bavail) * unit, total: Int(status.f_blocks) * unit, files: files)
            ]
        }
        return []
    }

    /// SQLite's log alone may grow to some hundred megabytes while much is submitted.
    private static let problemBytes = 256 << 20
    private static let warningBytes = 1 << 30
    private static let filesMin = 1000

    /// - Parameter files: how many may still be made; nil where the file system has no such bound.
    package static func judge(disk path: String, free: Int, total: Int, files: Int?) -> Finding {
        let message = "\(Measure.text(bytes: free)) free of \(Measure.text(bytes: total))"
        let advice = "make room on the file system of \(path); past its end jobs are answered read_only"
        if free < problemBytes { return .problem(path, message, advice, .tryAgain) }
        if let files, files < filesMin {
            return .problem(path, "only \(files) files may still be made", advice, .tryAgain)
        }
        return free < warningBytes ? .warning(path, message, advice) : .ok(path, message)
    }

    // MARK: Clock

    private static func clock() -> [Finding] {
        let program = Program(arguments: ["timedatectl", "show", "-p", "NTPSynchronized", "--value"])
        let answer = program.run().flatMap { $0.status == 0 ? $0.output.split(separator: "\n").first : nil }
        return [judge(clockSynchronized: answer.map { $0 == "yes" }, year: year())]
    }

    /// - Parameter synchronized: nil where the system does not tell.
    package static func judge(clockSynchronized synchronized: Bool?, year: Int) -> Finding {
        let advice = "timedatectl set-ntp true, or install systemd-timesyncd or chrony"
        guard year >= 2026 else {
            return .problem(
                "clock", "the machine believes in the year \(year): mail is dated and expires wrongly", advice)
        }
        guard let synchronized else { return .ok("clock", "of the year \(year); the system does not tell more") }
        guard synchronized else {
            return .warning("clock", "is not synchronized: mail may be dated, signed and expire wrongly", advice)
        }
        return .ok("clock", "synchronized")
    }

    private static func year() -> Int {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return Int(parts.tm_year) + 1900
    }

    // MARK: State

    private static func state(_ directory: String) -> [Finding] {
        var status = stat()
        guard stat(directory, &status) == 0 else { return [] }
        return judge(directory, mode: Int(status.st_mode & 0o777)).map { [$0] } ?? []
    }

    package static func judge(_ directory: String, mode: Int) -> Finding? {
        guard mode & 0o077 != 0 else { return nil }
        return .warning(
            directory, "is open to others (mode 0\(String(mode, radix: 8))): it holds mail", "chmod 700 \(directory)")
    }
}
