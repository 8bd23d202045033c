// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import FeedKafka
import MailConfiguration
import MailFeed
import Testing

@Suite struct KafkaSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> FeedConfiguration {
        try FeedConfiguration.parse(
            text, file: "shop.toml", name: "shop", kinds: [KafkaSettings.self], hostname: "app1")
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let kafka = try #require(try parse("[kafka]\ntopic = \"jobs\"\n").kind as? KafkaSettings)
        #expect(kafka.deadTopic == "jobs.dead")
        #expect(kafka.client == "app1/shop")
        #expect(kafka.outcomeTopic == nil)
        #expect(kafka.subject == "topic jobs at 127.0.0.1:9092")
    }

    @Test func theLoginReachesTheLibraryInItsWords() throws {
        let text = """
            ack = "settled"
            [kafka]
            topic = "jobs"
            brokers = ["a:9092", "b:9092"]
            tls = true
            user = "shop"
            password_file = "/p"
            sasl = "scram-sha-512"
            [outcomes]
            """
        let kafka = try #require(try parse(text).kind as? KafkaSettings)
        #expect(kafka.outcomeTopic == "jobs.outcomes")
        let found = Dictionary(
            KafkaProperties(kafka, password: "secret").consumer, uniquingKeysWith: { _, last in last })
        #expect(found["bootstrap.servers"] == "a:9092,b:9092")
        #expect(found["security.protocol"] == "sasl_ssl")
        #expect(found["sasl.mechanism"] == "SCRAM-SHA-512")
        #expect(found["sasl.password"] == "secret")
        #expect(found["enable.auto.commit"] == "false")
    }

    @Test func certificatesReachTheLibraryInItsWords() throws {
        let text = """
            [kafka]
            topic = "jobs"
            tls = true
            tls_roots = "/roots.pem"
            tls_certificate = "/own.pem"
            tls_key = "/own.key"
            session_timeout_seconds = 6
            """
        let kafka = try #require(try parse(text).kind as? KafkaSettings)
        let both = KafkaProperties(kafka, password: nil)
        for properties in [both.consumer, both.producer] {
            let found = Dictionary(properties, uniquingKeysWith: { _, last in last })
            #expect(found["security.protocol"] == "ssl")
            #expect(found["ssl.ca.location"] == "/roots.pem")
            #expect(found["ssl.certificate.location"] == "/own.pem")
            #expect(found["ssl.key.location"] == "/own.key")
            #expect(found["sasl.mechanism"] == nil)
        }
        let consumer = Dictionary(both.consumer, uniquingKeysWith: { _, last in last })
        #expect(consumer["session.timeout.ms"] == "6000")
        #expect(consumer["heartbeat.interval.ms"] == "2000")
    }

    @Test(arguments: [("plain", "PLAIN"), ("scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-512", "SCRAM-SHA-512")])
    func aMechanismHasTheLibrarysName(name: String, wanted: String) throws {
        let text = "[kafka]\ntopic = \"jobs\"\nuser = \"u\"\npassword_file = \"/p\"\nsasl = \"\(name)\"\n"
        let kafka = try #require(try parse(text).kind as? KafkaSettings)
        let found = Dictionary(KafkaProperties(kafka, password: "s").consumer, uniquingKeysWith: { _, last in last })
        #expect(found["sasl.mechanism"] == wanted)
        #expect(found["security.protocol"] == "sasl_plaintext")
    }

    private static let bad: [(String, String)] = [
        ("[kafka]\n", "shop.toml:1: kafka.topic: is needed: the topic with the jobs"),
        ("[kafka]\ntopc = \"j\"\n", "shop.toml:2: kafka.topc: is unknown; did you mean topic?"),
        (
            "[kafka]\ntopic = \"j\"\nuser = \"u\"\n", "shop.toml:3: kafka.user: user and a password belong together"
        ),
        (
            "[kafka]\ntopic = \"j\"\nsasl = \"plain\"\n",
            "shop.toml:3: kafka.sasl: is for a login, which needs user and a password"
        ),
        (
            "[kafka]\ntopic = \"j\"\ndead_topic = \"j\"\n",
            "shop.toml:3: kafka.dead_topic: must not be the topic itself: its letters would come back"
        ),
        (
            "[kafka]\ntopic = \"j\"\nbrokers = \"host\"\n",
            "shop.toml:3: kafka.brokers: must be HOST:PORT such as kafka.example:9092, not \"host\""
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
}
