// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite("The command line of sendmail") struct SendmailOptionsTests {
    private func options(_ line: String, program: String = "sendmail") throws(Failure) -> SendmailOptions {
        try SendmailOptions(program: program, line.split(separator: " ").map(String.init))
    }

    @Test("what cron, php, git and mail write is understood")
    func callers() throws {
        let cron = try options("-FCronDaemon -i -B8BITMIME -oem root")
        #expect(cron.fullName == "CronDaemon" && cron.ignoresDots && cron.recipients == ["root"])
        let php = try options("-t -i")
        #expect(php.readsRecipients && php.ignoresDots && php.recipients.isEmpty)
        let git = try options("-i -f ann@example.com bob@example.com eve@example.com")
        #expect(git.sender == "ann@example.com" && git.recipients.count == 2)
        let mailx = try options("-oi -t -r ann@example.com")
        #expect(mailx.ignoresDots && mailx.readsRecipients && mailx.sender == "ann@example.com")
    }

    @Test("letters may stand together, values with them or after them")
    func words() throws {
        var expected = SendmailOptions()
        expected.readsRecipients = true
        expected.ignoresDots = true
        expected.sender = "a@b"
        #expect(try options("-tif a@b") == expected)
        #expect(try options("-ti -fa@b") == expected)
        #expect(try options("-oi -t -f a@b") == expected)
        #expect(try options("-O IgnoreDots=true -t -f a@b") == expected)
    }

    @Test("what makes no difference here is taken, with its value")
    func ignored() throws {
        let line =
            "-N success,delay -R hdrs -B 8BITMIME -h 5 -L tag -p ESMTP -X /tmp/log -om -em -odb -d0.1 -Ac -G -v x"
        #expect(try options(line).recipients == ["x"])
        #expect(try options("-V order-17 x").envelopeID == "order-17")
    }

    @Test("the null sender is written in two ways")
    func nullSender() throws {
        #expect(try options("-f <> x").sender == "")
        #expect(try SendmailOptions(program: "sendmail", ["-f", "", "x"]).sender == "")
    }

    @Test("two hyphens end the options")
    func end() throws {
        #expect(try options("-i -- -x@example.com").recipients == ["-x@example.com"])
    }

    @Test(
        "each mode has its letter, and two have names of their own",
        arguments: [
            ("-bm", SendmailOptions.Mode.deliver), ("-bs", .smtp), ("-bp", .listQueue), ("-bi", .newAliases),
            ("-bv", .verify), ("-q", .nothing), ("-q15m", .nothing), ("", .deliver),
        ])
    func modes(line: String, mode: SendmailOptions.Mode) throws {
        #expect(try options(line).mode == mode)
        #expect(try options("", program: "mailq").mode == .listQueue)
        #expect(try options("", program: "newaliases").mode == .newAliases)
    }

    @Test("what cannot be meant is wrong usage", arguments: ["-bd", "-bt", "-f", "-Z", "-tZ"])
    func wrong(line: String) {
        #expect(throws: Failure.self) { try options(line) }
    }
}
