// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import MailWire

// Check: a relay is tried as it is configured.
extension ControlMethods {
    func check(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let name = try Parameters(call, known: ["relay"]).string("relay")
        subject.check(name) { report in
            guard let report else {
                return answer(
                    VarlinkReply(["relay": .string(name)], error: "\(ControlInterface.name).NoSuchRelay"))
            }
            answer(VarlinkReply(Self.object(report)))
        }
    }

    private static func object(_ report: CheckReport) -> JSONObject {
        var object: JSONObject = [
            "name": .string(report.relay), "transport": .string(report.transport),
            "address": .string(report.address), "ok": .bool(report.isOK),
            "extensions": .array(report.extensions.map { .string($0) }),
            "findings": .array(
                report.findings.map { finding in
                    [
                        "step": .string(finding.step.rawValue), "ok": .bool(finding.isOK),
                        "text": .string(finding.text),
                    ]
                }),
        ]
        if let peer = report.peer { object["peer"] = .string(peer) }
        if let tls = report.tls { object["tls"] = .string(tls) }
        return object
    }
}
