// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailTransport
import MailWire

/// The methods of `io.maild.Control` and `org.varlink.service`. Called on the control loop; each answers once, on
/// whatever thread its answer is found.
struct ControlMethods: Sendable {
    let subject: ControlSubject

    init(_ subject: ControlSubject) { self.subject = subject }

    func answer(_ call: VarlinkCall, _ answer: Answer) {
        do throws(ServiceError) {
            switch call.interface {
            case ServiceInterface.name: answer(VarlinkReply(try service(call)))
            case ControlInterface.name: try control(call, answer)
            default: throw .interfaceNotFound(call.interface)
            }
        } catch {
            answer(VarlinkReply(error))
        }
    }

    private func service(_ call: VarlinkCall) throws(ServiceError) -> JSONObject {
        switch call.member {
        case "GetInfo":
            _ = try Parameters(call, known: [])
            return [
                "vendor": "maild", "product": "maild", "version": .string(Version.text),
                "url": "", "interfaces": [.string(ServiceInterface.name), .string(ControlInterface.name)],
            ]
        case "GetInterfaceDescription":
            let name = try Parameters(call, known: ["interface"]).string("interface")
            let known = [
                ServiceInterface.name: ServiceInterface.description,
                ControlInterface.name: ControlInterface.description,
            ]
            guard let description = known[name] else { throw .interfaceNotFound(name) }
            return ["description": .string(description)]
        default: throw .methodNotFound(call.method)
        }
    }

    private func control(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        switch call.member {
        case "Status": try status(call, answer)
        case "Fleet": try fleet(call, answer)
        case "Scale": try scale(call, answer)
        case "Pause": try pause(true, call, answer)
        case "Resume": try pause(false, call, answer)
        case "List": try list(call, answer)
        case "Show": try show(call, answer)
        case "Export": try export(call, answer)
        case "Import": try importJobs(call, answer)
        case "Relays": try relays(call, answer)
        case "Check": try check(call, answer)
        case "Reload": try reload(call, answer)
        case "Watch": try watch(call, answer)
        case "Drain": try drain(call, answer)
        case "Retry": try change(.retry, call, answer)
        case "Cancel": try change(.cancel, call, answer)
        case "Hold": try change(.hold, call, answer)
        case "Release": try change(.release, call, answer)
        case "Purge": try change(.purge, call, answer)
        case "CheckSpool": try checkSpool(call, answer)
        default: throw .methodNotFound(call.method)
        }
    }

    // MARK: Steering

    private func scale(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let count = try Parameters(call, known: ["workers"]).integer("workers", in: 0...Limits.workersMax)
        let (dispatcher, spool) = (subject.dispatcher, subject.spool)
        dispatcher.loop.execute {
            let previous = dispatcher.scale(to: count)
            let reply = VarlinkReply([
                "workers": JSONValue(dispatcher.report.target), "previous": JSONValue(previous),
            ])
            spool.kept { answer(Self.reply(reply, unless: $0)) }
        }
    }

    private func reload(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        _ = try Parameters(call, known: [])
        subject.reload { result in
            switch result {
            case .success(let outcome):
                answer(
                    VarlinkReply([
                        "changed": .array(outcome.changed.map { .string($0) }),
                        "restart_needed": .array(outcome.restartNeeded.map { .string($0) }),
                    ]))
            case .failure(let failure):
                answer(Self.failed("ReloadFailed", failure.message))
            }
        }
    }

    static func failed(_ error: String, _ message: String) -> VarlinkReply {
        VarlinkReply(["message": .string(message)], error: "\(ControlInterface.name).\(error)")
    }
}
