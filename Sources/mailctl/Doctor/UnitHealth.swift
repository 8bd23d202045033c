// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The units of an installation, as systemd sees them.
package enum UnitHealth {
    private static let properties = [
        "Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "ExecMainStatus", "NRestarts",
        "StatusText",
    ]

    static func findings(_ instance: Instance) -> [Finding] {
        guard
            let states = UnitState.show(
                [instance.service] + instance.sockets + [instance.metricsSocket], properties)
        else {
            return [
                .warning(
                    instance.service, "systemd does not answer", "where maild is run by hand, nothing needs to be done")
            ]
        }
        return states.flatMap { judge($0, instance) }
    }

    package static func judge(_ state: UnitState, _ instance: Instance = .unnamed) -> [Finding] {
        let unit = state["Id"]
        guard state["LoadState"] != "not-found" else {
            return [
                .warning(unit, "there is no such unit", "install the package; where maild is run by hand, nothing")
            ]
        }
        guard state["LoadState"] == "loaded" else {
            return [.problem(unit, "is \(state["LoadState"])", "systemctl unmask \(unit); systemctl cat \(unit)")]
        }
        let activity = unit == instance.service ? serviceActivity(state, instance) : socketActivity(state, instance)
        return activity.verdict == .problem
            ? [activity] : [activity] + enablement(state, instance) + restarts(state, instance)
    }

    private static func serviceActivity(_ state: UnitState, _ instance: Instance) -> Finding {
        let unit = state["Id"]
        switch state["ActiveState"] {
        case "active", "reloading":
            let text = state["StatusText"]
            return .ok(unit, text.isEmpty ? "active" : "active: \(text)")
        case "activating" where state["SubState"] == "auto-restart":
            return .problem(unit, "keeps failing (\(cause(state)))", advice(state, instance))
        case "failed": return .problem(unit, "has failed (\(cause(state)))", advice(state, instance), exitStatus(state))
        case "inactive": return .problem(unit, "does not run", "systemctl enable --now \(unit)")
        default:
            return .warning(unit, "is \(state["ActiveState"]) (\(state["SubState"]))", "look again in a moment")
        }
    }

    private static func cause(_ state: UnitState) -> String {
        let status = state["ExecMainStatus"]
        return status.isEmpty || status == "0" ? state["Result"] : "\(state["Result"]), status \(status)"
    }

    private static func exitStatus(_ state: UnitState) -> Sysexit {
        state["ExecMainStatus"] == "78" ? .configuration : .unavailable
    }

    /// By the exit status of maild(8).
    private static func advice(_ state: UnitState, _ instance: Instance) -> String {
        switch state["ExecMainStatus"] {
        case "78": "maild --check-config \(instance.configuration); mend the file; systemctl start \(instance.unit)"
        case "74": "the spool cannot be opened: journalctl -u \(instance.unit) -x -n 20"
        default: "journalctl -u \(instance.unit) -x -n 20"
        }
    }

    private static func socketActivity(_ state: UnitState, _ instance: Instance) -> Finding {
        let unit = state["Id"]
        guard state["ActiveState"] != "active" else { return .ok(unit, "active") }
        let message = "is \(state["ActiveState"])" + (state["Result"] == "success" ? "" : " (\(state["Result"]))")
        let advice = "systemctl enable --now \(unit)"
        // Mail comes and goes without metrics.
        return unit == instance.metricsSocket ? .warning(unit, message, advice) : .problem(unit, message, advice)
    }

    private static func enablement(_ state: UnitState, _ instance: Instance) -> [Finding] {
        guard ["disabled", "masked", "linked"].contains(state["UnitFileState"]) else { return [] }
        let unit = state["Id"]
        let consequence =
            unit == instance.service
            ? "after a boot the queue waits until somebody connects" : "it is gone after the next boot"
        return [.warning(unit, "is not enabled: \(consequence)", "systemctl enable \(unit)")]
    }

    private static func restarts(_ state: UnitState, _ instance: Instance) -> [Finding] {
        guard let count = Int(state["NRestarts"]), count > 0 else { return [] }
        let times = count == 1 ? "once" : "\(count) times"
        return [
            .warning(
                state["Id"], "systemd had to start it again \(times)",
                "journalctl -u \(instance.unit) -x -p warning; it is counted anew after systemctl restart")
        ]
    }
}
