// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire

// A look at the whole spool: begun by one call and asked after by others, as it may take minutes.
extension ControlMethods {
    func checkSpool(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["full", "check"])
        let isFull = try parameters.optionalFlag("full") ?? false
        let number = try parameters.optionalInteger("check", in: 1...Int(Int32.max))
        // Beginning makes a thread, and may wait for the end of the last one: not on the loop.
        let spool = subject.spool
        spool.ask { _ in
            let look = number.map { spool.look($0) } ?? spool.check(isFull: isFull)
            guard let look else { return answer(Self.failed("SpoolFailed", "there is no such check")) }
            answer(Self.reply(look))
        }
    }

    private static func reply(_ look: SpoolChecks.Look) -> VarlinkReply {
        var object: JSONObject = [
            "check": JSONValue(look.number), "full": .bool(look.isFull), "done": .bool(look.result != nil),
            "stage": .string(look.progress.stage.rawValue),
            "jobs_read": JSONValue(look.progress.done), "jobs_total": JSONValue(look.progress.total),
        ]
        switch look.result {
        case nil: break
        case .success(let report)?: object["report"] = .object(self.report(report))
        case .failure(let error)?: return failed("SpoolFailed", error.message)
        }
        return VarlinkReply(object)
    }

    private static func report(_ report: SpoolCheckReport) -> JSONObject {
        [
            "jobs": JSONValue(report.jobs), "unsummed": JSONValue(report.unsummed),
            "finished": JSONValue(report.finished), "keys": JSONValue(report.keys),
            "miscounted": .bool(report.isMiscounted),
            "problems": .array(report.problems.map { .string($0) }),
            "damaged": .array(
                report.damaged.map { ["id": .string($0.id.description), "reason": .string($0.reason)] }),
        ]
    }
}
