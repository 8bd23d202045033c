// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// What a Varlink error means to the user of mailctl.
package enum ControlError {
    package static func failure(_ name: String, _ parameters: JSONValue) -> Failure {
        let detail = { (key: String) in Printable.text(parameters[key]?.string ?? "?") }
        switch name {
        case "\(ControlInterface.name).NoSuchJob":
            return Failure(.badData, "no job \(detail("id")) (finished jobs are forgotten after a while)")
        case "\(ControlInterface.name).NoSuchRelay":
            return Failure(.badData, "no relay \(detail("relay")) in the configuration")
        case "\(ControlInterface.name).NotShared":
            return Failure(.unavailable, "this maild has its spool for itself: there is no [spool] database")
        case "\(ControlInterface.name).ReloadFailed":
            return Failure(.configuration, "the old configuration stays: \(detail("message"))")
        case "\(ControlInterface.name).SpoolFailed":
            return Failure(.inputOutput, "maild's spool: \(detail("message"))")
        case "\(ControlInterface.name).TooManyWatchers":
            return Failure(.tryAgain, "too many watch already")
        case ServiceError.invalidParameter("").name where noun(detail("parameter")) != nil:
            return Failure(.usage, "maild has no such \(noun(detail("parameter")) ?? "")")
        case ServiceError.invalidParameter("").name:
            return Failure(.usage, "maild does not take this \(detail("parameter"))")
        case ServiceError.permissionDenied.name:
            return Failure(
                .noPermission, "maild does not permit this: it needs the group \(Door.control.group) or root")
        default:
            let shown = Printable.text("\(name) \(CellWidth.cut(parameters.text, to: 200))")
            return Failure(.protocolError, "maild answered \(shown): are maild and mailctl of one version?")
        }
    }

    /// What a name stands for that maild does not know.
    private static func noun(_ parameter: String) -> String? {
        switch parameter {
        case "queue", "filter.queue": "queue"
        case "filter.kind": "kind of job"
        default: nil
        }
    }
}
