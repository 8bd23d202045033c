// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find out what is wrong with this installation, and what to do.",
        discussion: """
            Looks at units, sockets, configuration, queue, relays, disk and clock. A problem is what keeps mail from \
            being taken or delivered; a warning works, but somebody should know.

            The exit status is 0 without a problem, else that of the first: 69 something is not there, 75 the disk is \
            full, 77 no permission, 78 the configuration is wrong. As root it sees most.
            """)

    @Option(
        help: ArgumentHelp(
            "The configuration file to check. (default: \(Instance.unnamed.configuration), or that of --instance)",
            valueName: "file"), completion: .file())
    var config: String?

    @Flag(help: "Do not connect to the relays.") var offline = false

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        let instance = common.instance
        var findings = UnitHealth.findings(instance)
        findings += SocketHealth.findings(.submit, common.path(of: .submit), instance)
        findings += SocketHealth.findings(.control, common.path(of: .control), instance)
        findings += ConfigurationHealth.findings(config ?? instance.configuration, instance)
        findings += askDaemon()
        findings += MachineHealth.findings(instance)
        var screen = Screen()
        if common.json {
            try screen.document(["findings": .array(findings.map(\.json))])
        } else {
            try FindingPage(findings).show(on: &screen)
        }
        try screen.flush()
        if findings.status != .done { throw Failure(findings.status, nil) }
    }

    /// That it cannot be reached is a finding already.
    private func askDaemon() -> [Finding] {
        do throws(Failure) {
            var client = try ControlClient(common)
            let status = try client.call("Status")
            let findings = QueueHealth.judge(status, common.instance)
            return try offline ? findings : findings + checks(status, &client)
        } catch {
            return error.status == .unavailable || error.status == .noPermission
                ? []
                : [
                    .problem(
                        "maild", error.message ?? "?", "journalctl -u \(common.instance.unit) -x -n 20", error.status)
                ]
        }
    }

    /// A session with each relay that mail would try now; an open breaker has told its cause.
    private func checks(_ status: JSONValue, _ client: inout ControlClient) throws(Failure) -> [Finding] {
        let interface = JSONValue.string(ControlInterface.name)
        let method = "\(ServiceInterface.name).GetInterfaceDescription"
        let description = try client.call(VarlinkCall(method: method, parameters: ["interface": interface]))
        guard description["description"]?.string?.contains("method Check(") == true else { return [] }
        var findings: [Finding] = []
        for relay in status["relays"]?.array ?? [] where relay["transport"]?.string != "maildir" {
            guard relay["breaker"]?.string != "open", let name = relay["name"] else { continue }
            findings.append(QueueHealth.judge(check: try client.call("Check", ["relay": name]), common.instance))
        }
        return findings
    }
}
