// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailFeed
import Testing

@Suite struct FeedConfigurationTests {
    private func parse(_ text: String) throws(ConfigurationError) -> FeedConfiguration {
        try FeedConfiguration.parse(
            text, file: "shop.toml", name: "shop", kinds: [RedisSettings.self], hostname: "app1")
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let feed = try parse("[redis]\nstream = \"jobs\"\n")
        #expect(feed.ack == .accepted)
        #expect(feed.window == 1024)
        #expect(feed.metrics == nil)
        #expect(feed.submit == "/run/maild/submit.sock")
        let redis = try #require(feed.kind as? RedisSettings)
        #expect(redis.consumer == "app1/shop")
        #expect(redis.deadStream == "jobs:dead")
        #expect(redis.subject == "stream jobs at 127.0.0.1:6379")
    }

    private static let bad: [(String, String)] = [
        ("", "shop.toml: says of no broker: one of [redis] is needed"),
        ("[redi]\n", "shop.toml:1: redi: is unknown; did you mean redis?"),
        ("windw = 3\n[redis]\nstream = \"j\"\n", "shop.toml:1: windw: is unknown; did you mean window?"),
        ("[redis]\nsteam = \"j\"\n", "shop.toml:2: redis.steam: is unknown; did you mean stream?"),
        ("[redis]\n", "shop.toml:1: redis.stream: is needed: the stream with the jobs"),
        ("[redis]\nstream = 3\n", "shop.toml:2: redis.stream: must be a string, not an integer"),
        (
            "[redis]\nstream = \"j\"\npassword = \"x\"\n",
            "shop.toml:3: redis.password: no secret stands in this file, which others may read: use password_file "
                + "(a path) or password_credential (a systemd credential)"
        ),
        ("ack = \"maybe\"\n[redis]\n", "shop.toml:1: ack: must be \"accepted\" or \"settled\", not \"maybe\""),
        (
            "[redis]\nstream = \"j\"\n[outcomes]\n",
            "shop.toml:3: outcomes: needs ack = \"settled\": else a message is forgotten before its outcome is known"
        ),
        ("window = 0\n[redis]\n", "shop.toml:1: window: must be from 1 to 65535, not 0"),
        (
            "[redis]\nstream = \"j\"\ntls_roots = \"/r\"\n",
            "shop.toml:3: redis.tls_roots: is for TLS, which tls = true switches on"
        ),
        (
            "[redis]\nstream = \"j\"\ntls = true\ntls_key = \"/k\"\n",
            "shop.toml:4: redis.tls_key: tls_certificate and tls_key belong together"
        ),
        (
            "[redis]\nstream = \"j\"\ndead_stream = \"j\"\n",
            "shop.toml:3: redis.dead_stream: must not be the stream itself: its letters would come back"
        ),
        (
            "[maild]\nsubmit = \"s\"\n[redis]\nstream = \"j\"\n",
            "shop.toml:2: maild.submit: must be an absolute path, not \"s\""
        ),
    ]

    @Test(arguments: bad.indices)
    func aMistakeIsNamedWithItsPlace(index: Int) {
        let (text, complaint) = Self.bad[index]
        do throws(ConfigurationError) {
            _ = try parse(text)
            Issue.record("taken: \(text)")
        } catch {
            #expect(error.description == complaint)
        }
    }

    @Test func outcomesHaveAStreamOfTheirOwn() throws {
        let feed = try parse("ack = \"settled\"\n[redis]\nstream = \"jobs\"\n[outcomes]\n")
        #expect(feed.publishesOutcomes)
        #expect(feed.window == 16_384)
        #expect((feed.kind as? RedisSettings)?.outcomeStream == "jobs:outcomes")
    }
}
