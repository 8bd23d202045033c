// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@main
struct Mailctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mailctl",
        abstract: "Submit jobs to maild, see its queue and steer it.",
        discussion: """
            Exit status: 0 done; 64 wrong usage; 65 a job or an id was refused; 66 no such file; 67 a job that was \
            waited for failed, 68 expired, 73 was cancelled; 69 maild is not there, or a relay; 70 our bug; 74 reading \
            or writing failed; 75 try again later; 76 maild and mailctl do not understand each other; 77 no \
            permission, or a login refused; 78 the configuration is wrong.

            MAILD_SUBMIT_SOCKET and MAILD_CONTROL_SOCKET name the sockets where the options do not, MAILD_INSTANCE the \
            maild among several. NO_COLOR turns colours off.
            """,
        version: Version.text,
        subcommands: [
            Submit.self, Status.self, Top.self, List.self, Show.self, Wait.self, Watch.self, Retry.self, Cancel.self,
            Hold.self, Release.self, Purge.self, Export.self, Import.self, Pause.self, Resume.self, Drain.self,
            Scale.self, Relays.self, Check.self, CheckSpool.self, Feeds.self, Reload.self, Doctor.self, UnitFailed.self,
            VersionCommand.self,
        ])

    /// In place of the library's own: our failures carry their exit status, and a closed pipe says nothing.
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        let name = Sendmail.calledName(CommandLine.arguments.first ?? "")
        do {
            if let name {
                try Sendmail(name: name, Array(CommandLine.arguments.dropFirst())).run()
            } else {
                var command = try parseAsRoot()
                try command.run()
            }
        } catch let failure as Failure {
            if let message = failure.message { StandardError.write("\(name ?? "mailctl"): \(message)\n") }
            failure.status.endProgram()
        } catch {
            exit(withError: error)
        }
    }
}
