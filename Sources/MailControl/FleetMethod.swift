// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire

// Fleet: from the database alone, so that every node tells the same.
extension ControlMethods {
    func fleet(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        _ = try Parameters(call, known: [])
        let subject = subject
        guard let member = subject.spool.fleet else {
            return answer(VarlinkReply([:], error: "\(ControlInterface.name).NotShared"))
        }
        subject.spool.ask { reading in
            do throws(SpoolError) {
                let report = try reading.fleet() ?? FleetReport()
                answer(VarlinkReply(Self.fleet(report, member, subject.spool.tally)))
            } catch {
                answer(Self.failed("SpoolFailed", error.message))
            }
        }
    }

    private static func fleet(_ report: FleetReport, _ member: FleetMember, _ tally: Tally) -> JSONObject {
        let live = report.nodes.filter { $0.state == .live }
        let running = live.reduce(0) { $0 + $1.note.running }
        return [
            "node": .string(member.name), "format": JSONValue(report.format), "nodes": .array(report.nodes.map(node)),
            "live": JSONValue(live.count),
            "expired": JSONValue(report.nodes.filter { $0.state == .expired }.count),
            "workers": JSONValue(live.reduce(0) { $0 + $1.note.workers }), "running": JSONValue(running),
            "waiting": JSONValue(max(0, tally.ready + tally.scheduled - running)),
            "held": JSONValue(tally.held), "failed": JSONValue(tally.failed),
        ]
    }

    private static func node(_ node: FleetNode) -> JSONValue {
        var object: JSONObject = [
            "name": .string(node.name), "state": .string(node.state.rawValue), "version": .string(node.version),
            "started_at": .string(node.startedAt.rfc3339), "renewed_at": .string(node.renewedAt.rfc3339),
            "claimed": JSONValue(node.claimed),
        ]
        // What it last told of itself is nothing that is, once it is gone.
        guard node.state == .live else { return .object(object) }
        object["workers"] = JSONValue(node.note.workers)
        object["running"] = JSONValue(node.note.running)
        if let metrics = node.note.metrics { object["metrics"] = .string(metrics) }
        return .object(object)
    }
}
