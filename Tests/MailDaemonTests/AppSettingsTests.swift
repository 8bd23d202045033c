// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import MailJob
import Testing

@Suite("[app.NAME]")
struct AppSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(text, file: "f", hostname: "h")
    }

    @Test("apps come in the order of their names, users and groups as numbers")
    func apps() throws {
        let text = """
            [queue.bulk]
            [app.shop]
            user = ["root", 1000]
            group = "daemon"
            senders = ["app@example.org", "@Shop.Example", "*.shop.example"]
            queue = "bulk"
            priority_max = 7
            jobs_max = 100
            bytes_max = 200
            jobs_per_minute = 300
            [app.other]
            jobs_max = 0
            senders = []
            [app.cron]
            group = 0
            """
        let apps = try parse(text).apps
        #expect(apps.map(\.name) == ["cron", "other", "shop"])
        #expect(apps[0].groups == [0] && apps[0].users == [] && apps[0].senders == nil && apps[0].priorityMax == 9)
        #expect(apps[1].senders == [] && apps[1].quota.jobsMax == 0 && apps[1].quota.bytesMax == nil)
        #expect(apps[2].users == [0, 1000] && apps[2].groups == [1])
        #expect(
            apps[2].senders == [
                .address(local: "app", domain: "example.org"), .domain("shop.example"), .below("shop.example"),
            ])
        #expect(apps[2].queue == "bulk" && apps[2].priorityMax == 7)
        #expect(apps[2].quota.jobsMax == 100 && apps[2].quota.bytesMax == 200 && apps[2].quota.jobsPerMinute == 300)
    }

    static let mistakes: [BadKey] = [
        BadKey("app = 'a'", 1, "app", "must be a table, not a string"),
        BadKey("[app.'a b']\nuser = 1", 1, "app.a b", "an app's name has 1 to 63 letters"),
        BadKey("workers = 1\n[app.a]", 2, "app.a", "needs user or group"),
        BadKey(
            "[app.a]\nuser = 'no-such-user'", 2, "app.a.user", "must be a user of this machine, not \"no-such-user\""),
        BadKey(
            "[app.a]\ngroup = ['root', 'no-such-group']", 2, "app.a.group", "a group of this machine, not \"no-such"),
        BadKey("[app.a]\nuser = []", 2, "app.a.user", "must not be empty"),
        BadKey("[app.a]\nuser = -1", 2, "app.a.user", "must be from 0 to 4294967294, not -1"),
        BadKey("[app.a]\nuser = 4294967295", 2, "app.a.user", "must be from 0 to 4294967294"),
        BadKey("[app.a]\nuser = 1.5", 2, "app.a.user", "must be names or numbers, not a floating-point number"),
        BadKey("[app.a]\nuser = 1\n[app.b]\nuser = [2, 1]", 4, "app.b.user", "user 1 belongs to app a already"),
        BadKey("[app.a]\ngroup = 1\n[app.b]\ngroup = 'daemon'", 4, "app.b.group", "group 1 belongs to app a already"),
        BadKey("[app.other]\nuser = 1", 2, "app.other.user", "app other is whoever is no other app"),
        BadKey(
            "[app.a]\nuser = 1\nsenders = 'example.org'", 3, "app.a.senders", "must be app@example.org, @example.org or"
        ),
        BadKey("[app.a]\nuser = 1\nsenders = 5", 3, "app.a.senders", "must be a string or a list of strings"),
        BadKey(
            "[app.a]\nuser = 1\nqueue = 'bulk'", 3, "app.a.queue", "must be the name of a [queue.NAME], not \"bulk\""),
        BadKey("[app.a]\nuser = 1\npriority_max = 10", 3, "app.a.priority_max", "must be from 0 to 9, not 10"),
        BadKey("[app.a]\nuser = 1\njobs_max = -1", 3, "app.a.jobs_max", "must be from 0 to 1000000000"),
        BadKey("[app.a]\nuser = 1\nbytes_max = '1G'", 3, "app.a.bytes_max", "must be an integer"),
        BadKey(
            "[app.a]\nuser = 1\njobs_per_minute = 0", 3, "app.a.jobs_per_minute", "must be from 1 to 1000000, not 0"),
        BadKey(
            "[app.a]\nuser = 1\njobs_per_min = 5", 3, "app.a.jobs_per_min",
            "is unknown; did you mean jobs_per_minute?"),
        BadKey("senders = '@example.org'", 1, "senders", "is unknown; did you mean senders in [app.NAME]?"),
    ]

    @Test("a bad value names file, line and key", arguments: mistakes)
    func mistake(_ bad: BadKey) {
        let error = #expect(throws: ConfigurationError.self) { try parse(bad.text) }
        #expect(error?.line == bad.line && error?.key == bad.key, "\(String(describing: error))")
        #expect(error?.message.contains(bad.message) == true, "\(error?.message ?? "")")
    }

    @Test("a reload tells which of an app's keys changed, came or went")
    func changes() throws {
        let one = try parse("[app.a]\nuser = 1\njobs_max = 2")
        let other = try parse("[app.a]\nuser = [1, 2]\nsenders = '@a.example'\n")
        #expect(other.changes(from: one).changed == ["app.a.user", "app.a.senders", "app.a.jobs_max"])
        #expect(try parse("").changes(from: one).changed == ["app.a.user", "app.a.jobs_max"])
        #expect(try parse("[app.a]\nuser = 'daemon'\njobs_max = 2").changes(from: one).changed.isEmpty)
    }
}
