// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One of maild's Unix sockets: is it there, who may open it, does somebody answer.
package enum SocketHealth {
    static func findings(_ door: Door, _ path: String, _ instance: Instance) -> [Finding] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return [
                .problem(
                    path, SystemReason.text(errno),
                    errno == EACCES
                        ? "look as root"
                        : "systemctl start \(instance.sockets.joined(separator: " ")); or name it: \(door.option)",
                    errno == EACCES ? .noPermission : .unavailable)
            ]
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            return [.problem(path, "is no socket", "move it away; systemctl restart \(instance.sockets[0])")]
        }
        let rights = Rights(
            group: getgrgid(status.st_gid).map { String(cString: $0.pointee.gr_name) } ?? "\(status.st_gid)",
            mode: Int(status.st_mode & 0o777))
        return judge(door, path, rights, instance, connection: connectionFailure(door, path))
    }

    package struct Rights: Equatable {
        package var group: String
        package var mode: Int

        package init(group: String, mode: Int) {
            self.group = group
            self.mode = mode
        }
    }

    /// - Parameter failure: nil where the connection came about.
    package static func judge(
        _ door: Door, _ path: String, _ rights: Rights, _ instance: Instance = .unnamed, connection failure: Failure?
    ) -> [Finding] {
        var findings: [Finding] = []
        if let failure {
            findings.append(.problem(path, failure.message ?? "?", advice(door, failure, instance), failure.status))
        } else {
            findings.append(.ok(path, "takes connections; for \(who(rights))"))
        }
        // A system of its own user (maild --state) has the user's group: that is the user's to know.
        if rights.mode & 0o002 != 0 {
            findings.append(
                .warning(
                    path, "is open to every user of this machine",
                    "SocketMode=0660 and SocketGroup=\(door.group) in the socket's unit, then restart it"))
        }
        return findings
    }

    private static func who(_ rights: Rights) -> String {
        if rights.mode & 0o002 != 0 { return "everybody" }
        return rights.mode & 0o020 != 0 ? "the group \(rights.group)" : "its owner alone"
    }

    private static func advice(_ door: Door, _ failure: Failure, _ instance: Instance) -> String {
        switch failure.status {
        case .noPermission: "run this as root, or usermod -aG \(door.group) USER and log in again"
        case .tryAgain: "mailctl status; systemctl status \(instance.unit): it is very busy or stuck"
        default: "systemctl restart \(instance.sockets.joined(separator: " ")) \(instance.unit)"
        }
    }

    private static func connectionFailure(_ door: Door, _ path: String) -> Failure? {
        do throws(Failure) {
            _ = try UnixStream(connectingTo: path, door: door)
            return nil
        } catch {
            return error
        }
    }
}
