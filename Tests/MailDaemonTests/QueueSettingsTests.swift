// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import Testing

@Suite("[queue.NAME]")
struct QueueSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(text, file: "f", hostname: "h")
    }

    @Test("queues come in the order of their names, each with what it says and the defaults of the rest")
    func queues() throws {
        let text = """
            [queue.transactional]
            weight = 10
            [queue.bulk]
            concurrency_max = 2
            weight = 0.5
            [queue.default]
            """
        let queues = try parse(text).queues
        #expect(queues.map(\.name) == ["bulk", "default", "transactional"])
        #expect(queues.map(\.weight) == [0.5, 1, 10])
        #expect(queues.map(\.concurrencyMax) == [2, nil, nil])
        #expect(try parse("").queues.isEmpty)
    }

    static let mistakes: [BadKey] = [
        BadKey("queue = 'a'", 1, "queue", "must be a table, not a string"),
        BadKey("queue.a = 1", 1, "queue.a", "must be a table, not an integer"),
        BadKey("[[queue]]\nweight = 1", 1, "queue", "must be a table, not an array"),
        BadKey("[queue.'a b']", 1, "queue.a b", "a queue's name has 1 to 63 letters, digits"),
        BadKey("[queue.'']", 1, "queue.", "a queue's name has"),
        BadKey("[queue.'ä']", 1, "queue.ä", "a queue's name has"),
        BadKey(
            "[queue.\(String(repeating: "q", count: 64))]", 1, "queue.\(String(repeating: "q", count: 64))", "1 to 63"),
        BadKey("[queue.a]\nweight = '1'", 2, "queue.a.weight", "must be a number, not a string"),
        BadKey("[queue.a]\nweight = 0", 2, "queue.a.weight", "must be from 0.001 to 1000, not 0"),
        BadKey("[queue.a]\nweight = -1", 2, "queue.a.weight", "must be from 0.001 to 1000, not -1"),
        BadKey("[queue.a]\nweight = 1000.5", 2, "queue.a.weight", "must be from 0.001 to 1000"),
        BadKey("[queue.a]\nweight = nan", 2, "queue.a.weight", "must be from 0.001 to 1000"),
        BadKey("[queue.a]\nconcurrency_max = 0", 2, "queue.a.concurrency_max", "must be from 1 to 1024, not 0"),
        BadKey("[queue.a]\nconcurrency_max = 1.5", 2, "queue.a.concurrency_max", "must be an integer"),
        BadKey("[queue.a]\nconcurrency_max = 1025", 2, "queue.a.concurrency_max", "must be from 1 to 1024"),
        BadKey("[queue.a]\nwieght = 1", 2, "queue.a.wieght", "is unknown; did you mean weight?"),
        BadKey("[queue.a]\npriority = 1", 2, "queue.a.priority", "is unknown"),
        BadKey("weight = 1", 1, "weight", "is unknown; did you mean weight in [queue.NAME]?"),
    ]

    @Test("a bad value names file, line and key", arguments: mistakes)
    func mistake(_ bad: BadKey) {
        let error = #expect(throws: ConfigurationError.self) { try parse(bad.text) }
        #expect(error?.line == bad.line && error?.key == bad.key, "\(String(describing: error))")
        #expect(error?.message.contains(bad.message) == true, "\(error?.message ?? "")")
    }

    @Test("a reload tells which of a queue's keys changed, came or went")
    func changes() throws {
        let one = try parse("[queue.a]\nweight = 2")
        let other = try parse("[queue.a]\nweight = 2\nconcurrency_max = 3\n[queue.b]")
        #expect(
            other.changes(from: one).changed == [
                "queue.a.concurrency_max", "queue.b.weight", "queue.b.concurrency_max",
            ])
        #expect(try parse("").changes(from: one).changed == ["queue.a.weight", "queue.a.concurrency_max"])
    }
}
