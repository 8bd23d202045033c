// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// What every verb understands.
struct CommonOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON for programs instead of text for people.")
    var json = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The submission socket. (default: $MAILD_SUBMIT_SOCKET or \(Door.submit.defaultPath))", valueName: "path"))
    var submitSocket: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The operators' socket. (default: $MAILD_CONTROL_SOCKET or \(Door.control.defaultPath))", valueName: "path")
    )
    var controlSocket: String?

    @Option(
        name: .customLong("instance"),
        help: ArgumentHelp("The maild of maild@NAME.service. (default: $MAILD_INSTANCE)", valueName: "name"))
    var instanceName: String?

    mutating func validate() throws {
        for (name, source) in [(instanceName, "--instance"), (Environment.value("MAILD_INSTANCE"), "MAILD_INSTANCE")] {
            guard let name, Instance(name) == nil else { continue }
            throw ValidationError("\(source): up to 64 letters, digits, \"-\", \"_\" and \".\"")
        }
    }

    var instance: Instance { named ?? Environment.value("MAILD_INSTANCE").flatMap { Instance($0) } ?? .unnamed }

    private var named: Instance? { instanceName.flatMap { Instance($0) } }

    /// An option is stronger than a variable, and a socket's name than an instance's.
    func path(of door: Door) -> String {
        if let option = door == .submit ? submitSocket : controlSocket { return option }
        return named?.path(of: door) ?? Environment.value(door.variable) ?? instance.path(of: door)
    }

    func connect(to door: Door) throws(Failure) -> UnixStream {
        try UnixStream(connectingTo: path(of: door), door: door)
    }
}
