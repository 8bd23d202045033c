// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The file that the next start or reload will read, in maild's own judgement.
enum ConfigurationHealth {
    static func findings(_ path: String, _ instance: Instance) -> [Finding] {
        guard access(path, F_OK) == 0 || errno != ENOENT else {
            // maild alone does without: a unit of an instance names its file.
            return instance == .unnamed
                ? [.ok(path, "is not there: every key has its default")]
                : [.problem(path, "is not there", "touch \(path): every key has its default", .configuration)]
        }
        guard access(path, R_OK) == 0 else {
            return [.warning(path, "cannot be read by this user", "look as root")]
        }
        // systemd.exec(5): where it keeps what LoadCredential= of the running service names.
        let credentials = "/run/credentials/\(instance.service)"
        for program in ["maild", "/usr/sbin/maild"] {
            let check = Program(
                arguments: [program, "--check-config", path], variables: ["CREDENTIALS_DIRECTORY": credentials],
                mergesErrors: true)
            if let ending = check.run() { return [judge(path, ending, instance)] }
        }
        return [.warning(path, "was not checked: there is no program maild", "install the package")]
    }

    private static func judge(_ path: String, _ ending: Program.Ending, _ instance: Instance) -> Finding {
        guard ending.status != 0 else { return .ok(path, "has no error") }
        let reason = ending.output.split(separator: "\n").first.map(String.init) ?? "status \(ending.status)"
        return .problem(
            path, reason.hasPrefix("maild: ") ? String(reason.dropFirst(7)) : reason,
            "mend it, then systemctl reload \(instance.unit); until then the old configuration stays", .configuration)
    }
}
