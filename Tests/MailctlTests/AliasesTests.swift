// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite("Aliases") struct AliasesTests {
    private let aliases = Aliases(
        parsing: """
            # /etc/aliases
            mailer-daemon: postmaster
            Postmaster: root
            root: ops@example.org,
                ann
            "ann": \\ann, ann@example.com   # both
            nobody: /dev/null
            logger: |/usr/bin/logger, eve@example.com
            loop: pool
            pool: loop
            broken
            """)

    @Test(
        "a name becomes the addresses that its alias leads to",
        arguments: [
            ("ops", ["ops@localhost"]), ("root", ["ops@example.org", "ann@localhost", "ann@example.com"]),
            ("MAILER-DAEMON", ["ops@example.org", "ann@localhost", "ann@example.com"]),
            ("ann", ["ann@localhost", "ann@example.com"]), ("nobody", []),
        ])
    func resolve(name: String, addresses: [String]) { #expect(aliases.resolve(name) == addresses) }

    @Test("what only a mail server could serve goes to the mailbox, and is told")
    func unserved() {
        #expect(aliases.resolve("logger") == ["logger@localhost", "eve@example.com"])
        #expect(aliases.complaints.count == 2)
        #expect(aliases.complaints.first?.hasPrefix("line 8: |/usr/bin/logger cannot be served") == true)
        #expect(aliases.complaints.last == "line 11: is not of the form \"name: targets\"")
    }

    @Test("a circle ends in a mailbox") func circle() { #expect(aliases.resolve("loop") == ["loop@localhost"]) }

    @Test(
        "which addresses are local",
        arguments: [
            ("ann", "ann"), ("ann@localhost", "ann"), ("ann@LOCALHOST.localdomain", "ann"), ("ann@example.com", nil),
        ] as [(String, String?)])
    func local(address: String, name: String?) { #expect(Aliases.localName(address) == name) }

    @Test("without a file every name is its mailbox")
    func empty() {
        #expect(Aliases().resolve("root") == ["root@localhost"])
        #expect(Aliases(parsing: "").complaints.isEmpty)
    }
}
