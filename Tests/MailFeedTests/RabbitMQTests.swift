// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import FeedRabbitMQ
import MailConfiguration
import MailFeed
import Testing

@Suite struct TagWindowTests {
    private static let rows: [([[UInt64]], [String])] = [
        ([[1]], ["<=1"]),
        ([[1, 2, 3]], ["<=3"]),
        ([[3, 1, 2]], ["<=3"]),
        ([[2]], ["2"]),
        ([[2], [1], [3]], ["2", "<=1", "<=3"]),
        ([[2, 4], [1]], ["2", "4", "<=1"]),
        ([[1, 2, 5], [4], [3, 6]], ["<=2", "5", "4", "<=6"]),
        ([[2], [2]], ["2"]),
        ([[1], [1]], ["<=1"]),
        ([[]], []),
    ]

    @Test(arguments: rows.indices)
    func asFewCallsAsSayIt(index: Int) {
        var window = TagWindow()
        let steps = Self.rows[index].0.flatMap { window.acknowledge($0) }
        #expect(steps.map { ($0.isMultiple ? "<=" : "") + "\($0.tag)" } == Self.rows[index].1)
    }

    @Test func everyTagIsSaidOnceInAnyOrder() {
        var chance = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var window = TagWindow()
            var said: Set<UInt64> = []
            var rest = Array(UInt64(1)...40).shuffled(using: &chance)
            while !rest.isEmpty {
                let some = Array(rest.prefix(Int.random(in: 1...7)))
                rest.removeFirst(some.count)
                for step in window.acknowledge(some) {
                    if step.isMultiple { said.formUnion(1...step.tag) } else { said.insert(step.tag) }
                }
                #expect(said.isDisjoint(with: rest))
            }
            #expect(said == Set(1...40))
        }
    }
}

@Suite struct RabbitMQSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> FeedConfiguration {
        try FeedConfiguration.parse(
            text, file: "shop.toml", name: "shop", kinds: [RedisSettings.self, RabbitMQSettings.self], hostname: "app1")
    }

    @Test func lettersAndOutcomesGoToQueuesBesideItsOwn() throws {
        let feed = try parse("ack = \"settled\"\n[rabbitmq]\nqueue = \"mail\"\n[outcomes]\n")
        let rabbit = try #require(feed.kind as? RabbitMQSettings)
        #expect([rabbit.dead.exchange, rabbit.dead.key] == ["", "mail.dead"])
        #expect([rabbit.outcomes?.exchange, rabbit.outcomes?.key] == ["", "mail.outcomes"])
        #expect(rabbit.prefetch == feed.window)
        #expect(rabbit.subject == "queue mail at 127.0.0.1:5672")
    }

    @Test(arguments: [
        ("[rabbitmq]\n", "shop.toml:1: rabbitmq.queue: is needed: the queue with the jobs"),
        (
            "[rabbitmq]\nqueue = \"m\"\ndead_routing_key = \"m\"\n",
            "shop.toml:3: rabbitmq.dead_routing_key: is the queue itself: its letters would come back"
        ),
        (
            "[rabbitmq]\nqueue = \"m\"\n[redis]\nstream = \"s\"\n",
            "shop.toml:1: rabbitmq: a feed has one broker; make another feed for this one"
        ),
        ("[rabbitmq]\nqueue = \"m\"\nprefetch = 3\n", "shop.toml:3: rabbitmq.prefetch: is unknown"),
    ])
    func aMistakeIsNamedWithItsPlace(text: String, complaint: String) {
        do throws(ConfigurationError) {
            _ = try parse(text)
            Issue.record("taken: \(text)")
        } catch {
            #expect(error.description == complaint)
        }
    }
}
