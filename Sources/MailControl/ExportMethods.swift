// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailWire

// Export and Import: whole jobs out of one spool and into another, a page at a time. What is large is read and judged
// on the spool reader's thread, for the loops have others to serve.
extension ControlMethods {
    func export(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["filter", "after"])
        let wanted = try FilterParameter(parameters, subject) ?? FilterParameter()
        // Of a finished job only its history is left.
        guard !wanted.states.contains(where: \.isFinal) else { throw parameters.invalid("filter.states") }
        let after = try parameters.optionalID("after") ?? JobID(raw: 0)
        let (subject, dispatcher) = (subject, subject.dispatcher)
        let now = subject.clock.now()
        subject.spool.ask { reading in
            let page: JobPage
            do throws(SpoolError) {
                page = try reading.list(
                    wanted.filter, at: now, after: after, limit: Limits.changeJobsMax, whole: true)
            } catch {
                return answer(Self.failed("SpoolFailed", error.message))
            }
            let jobs = page.records.map {
                (id: $0.id, state: $0.standing(at: now), json: ExportedJob.json($0, subject))
            }
            dispatcher.loop.execute {
                let running = dispatcher.running(jobs.map(\.id))
                var told: [JSONValue] = []
                for job in jobs {
                    let state = running.contains(job.id) ? JobState.running : job.state
                    guard wanted.takes(state) else { continue }
                    var json = job.json
                    json["state"] = .string(state.name)
                    told.append(.object(json))
                }
                var reply: JSONObject = ["jobs": .array(told)]
                if let next = page.next { reply["next"] = .string(next.description) }
                answer(VarlinkReply(reply))
            }
        }
    }

    func importJobs(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["jobs", "hold"])
        let held = try parameters.optionalBool("hold") ?? false
        let objects = try parameters.optionalList("jobs") { $0.object }
        guard let objects, objects.count <= Limits.changeJobsMax else { throw parameters.invalid("jobs") }
        let subject = subject
        subject.spool.ask { _ in
            let found = objects.map { object in
                Result { () throws(ExportedJob.Refusal) in
                    try ExportedJob.read(object, held: held, by: answer.caller.uid, subject)
                }
            }
            subject.spool.take(found.compactMap { try? $0.get() }) { result in
                switch result {
                case .success(let verdicts): answer(Self.imported(found, verdicts, subject, by: answer.caller.uid))
                case .failure(let error): answer(Self.failed("SpoolFailed", error.message))
                }
            }
        }
    }

    private static func imported(
        _ found: [Result<ImportedJob, ExportedJob.Refusal>], _ verdicts: [ImportVerdict], _ subject: ControlSubject,
        by uid: UInt32
    ) -> VarlinkReply {
        var rest = verdicts[...]
        let results = found.map { found -> JSONValue in
            switch found {
            case .failure(let refusal): return result("refused", refusal.id, reason: refusal.reason)
            case .success(let job):
                switch rest.popFirst() {
                case .imported: return result("imported", job.id, state: job.state)
                case .known(let id, let state): return result("known", id, state: state)
                case .refused(let reason): return result("refused", job.id, reason: reason)
                case nil: return result("refused", job.id, reason: "was not looked at")
                }
            }
        }
        let count = verdicts.filter { $0 == .imported }.count
        if count > 0 { subject.events.operated(verb: "import", jobs: count, by: uid) }
        return VarlinkReply(["results": .array(results)])
    }

    private static func result(
        _ outcome: String, _ id: JobID?, state: JobState? = nil, reason: String? = nil
    ) -> JSONValue {
        var result: JSONObject = ["outcome": .string(outcome)]
        if let id { result["job"] = .string(id.description) }
        if let state { result["state"] = .string(state.name) }
        if let reason { result["reason"] = .string(reason) }
        return .object(result)
    }
}

extension JobRecord {
    /// A scheduled job whose time has come is ready.
    fileprivate func standing(at time: WallTime) -> JobState {
        state == .scheduled && dueAt.map { $0 <= time } ?? false ? .ready : state
    }
}
