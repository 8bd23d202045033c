// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("A relay that wants a login")
struct RelayLoginTests {
    private let directory = TemporaryDirectory()

    private func dock() throws -> Dock {
        directory.write("password", "tanstaaftanstaaf\n")
        chmod(directory.path + "/password", 0o600)
        let source = SecretSource(kind: .password, place: .file(directory.path + "/password"))
        return try Dock(connectionsMax: 1, host: "localhost", login: LoginSettings(user: "tim", secret: source))
    }

    @Test("the password comes from its file, and mail goes once the server has said 235")
    func accepted() throws {
        let dock = try dock()
        let job = dock.send()
        try dock.server(0, "220 mx")
        #expect(try dock.server(0, "250-mx\r\n250 AUTH PLAIN") == "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\n")
        #expect(dock.heard.words == [])
        #expect(try dock.server(0, "235 welcome") == "MAIL FROM:<a@example.org>\n")
        #expect(dock.heard.words == ["connected"])
        #expect(dock.heard.replies.contains("login 235"))
        dock.dies(0)
        #expect(dock.verdicts(job) == ["deferred 451"])
    }

    @Test("RFC 4954 §6: a 535 defers all mail that waits by one login, and until the pause is over the next by none")
    func refused() throws {
        let dock = try dock()
        let jobs = [dock.send(), dock.send(), dock.send()]
        try dock.server(0, "220 mx")
        try dock.server(0, "250-mx\r\n250 AUTH PLAIN")
        #expect(try dock.server(0, "535 5.7.8 no") == "QUIT\n")
        for job in jobs { #expect(dock.verdicts(job) == ["deferred 535"]) }
        let later = dock.send()
        #expect(dock.verdicts(later) == ["deferred 535"])
        #expect(dock.tries == 1)
        #expect(dock.heard.words == ["unreachable: localhost:25 refused the login by PLAIN: no"])
        dock.loop.advanceTime(by: .seconds(2))
        dock.send()
        #expect(dock.tries == 2)
        dock.dies(1)
    }
}
