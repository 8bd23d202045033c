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

    func path(of door: Door) -> String {
        let option = door == .submit ? submitSocket : controlSocket
        return option ?? Environment.value(door.variable) ?? door.defaultPath
    }

    func connect(to door: Door) throws(Failure) -> UnixStream {
        try UnixStream(connectingTo: path(of: door), door: door)
    }
}
