// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// maild's two sockets as a client sees them.
package enum Door: Sendable {
    case submit
    case control

    package var defaultPath: String { Instance.unnamed.path(of: self) }

    package var fileName: String {
        switch self {
        case .submit: "submit.sock"
        case .control: "control.sock"
        }
    }

    package var variable: String {
        switch self {
        case .submit: "MAILD_SUBMIT_SOCKET"
        case .control: "MAILD_CONTROL_SOCKET"
        }
    }

    package var option: String {
        switch self {
        case .submit: "--submit-socket"
        case .control: "--control-socket"
        }
    }

    /// Who may open the socket.
    package var group: String {
        switch self {
        case .submit: "maild"
        case .control: "maild-admin"
        }
    }

    package var purpose: String {
        switch self {
        case .submit: "submitting"
        case .control: "controlling maild"
        }
    }
}
