// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension UnitFailure {
    /// What systemd handed over (systemd.exec(5), `$MONITOR_SERVICE_RESULT` and its like), completed by what it and the
    /// journal tell when asked. The unit may have been started again meanwhile; what was handed over stays true.
    static func gather(_ unit: String, lines count: Int) -> UnitFailure {
        var failure = UnitFailure(unit: unit, host: hostName())
        let names = ["Description", "Result", "ExecMainCode", "ExecMainStatus", "InvocationID"]
        let state = UnitState.show([unit], names)?.first ?? UnitState([:])
        failure.description = state["Description"]
        let isHandedOver = Environment.value("MONITOR_UNIT") == unit
        if isHandedOver {
            failure.result = Environment.value("MONITOR_SERVICE_RESULT") ?? ""
            failure.exitCode = Environment.value("MONITOR_EXIT_CODE") ?? ""
            failure.exitStatus = Environment.value("MONITOR_EXIT_STATUS") ?? ""
            failure.invocation = Environment.value("MONITOR_INVOCATION_ID") ?? ""
        } else {
            failure.result = state["Result"] == "success" ? "" : state["Result"]
            failure.exitCode = exitCode(state["ExecMainCode"])
            failure.exitStatus = failure.exitCode.isEmpty ? "" : state["ExecMainStatus"]
            failure.invocation = state["InvocationID"]
        }
        letJournalCatchUp()
        failure.lines = journal(unit, failure.invocation, count, on: failure.host)
        return failure
    }

    /// What a program printed and what systemd says of its end reach the journal over two sockets, which it reads in no
    /// order and when it comes to it: the last words of a program that died may be the last it reads. --sync returns
    /// when all that lay there has been read. Only root may; maild-unit-failed@.service has an ExecStartPre= for it.
    private static func letJournalCatchUp() {
        guard geteuid() == 0 else { return }
        _ = Program(arguments: ["journalctl", "--sync"]).run()
    }

    /// waitid(2): CLD_EXITED, CLD_KILLED, CLD_DUMPED.
    private static func exitCode(_ number: String) -> String {
        switch number {
        case "1": "exited"
        case "2": "killed"
        case "3": "dumped"
        default: ""
        }
    }

    private static func journal(_ unit: String, _ invocation: String, _ count: Int, on host: String) -> [String] {
        let fields = JournalEntry.fields.joined(separator: ",")
        // Some may turn out to be of other runs.
        let arguments = ["journalctl", "--no-pager", "--quiet", "-o", "json", "-n", "\(4 * count)"]
        let run = ["_SYSTEMD_INVOCATION_ID=\(invocation)", "+", "INVOCATION_ID=\(invocation)"]
        let program = Program(
            arguments: arguments + ["--output-fields=\(fields)"]
                + (invocation.isEmpty ? ["-u", unit] : run + ["+", "_SYSTEMD_UNIT=\(unit)"]))
        guard let ending = program.run(), ending.status == 0 else { return [] }
        let entries = ending.output.utf8.split(separator: UInt8(ascii: "\n")).compactMap { JournalEntry($0) }
        let lines = invocation.isEmpty ? entries : JournalEntry.of(run: invocation, among: entries)
        return lines.suffix(count).map { $0.text(on: host) }
    }

    /// The name by which mail would find the machine, where the resolver knows one.
    static func hostName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard !name.isEmpty else { return "localhost" }
        guard !name.contains(".") else { return name }
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &found) == 0 else { return name }
        defer { freeaddrinfo(found) }
        return found?.pointee.ai_canonname.map { String(cString: $0) } ?? name
    }
}
