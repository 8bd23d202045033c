// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed

/// The settings in librdkafka's words (its CONFIGURATION.md).
package struct KafkaProperties {
    package private(set) var common: [(String, String)]
    private let settings: KafkaSettings

    package init(_ settings: KafkaSettings, password: String?) {
        self.settings = settings
        let access = settings.access
        common = [
            ("bootstrap.servers", settings.brokers.joined(separator: ",")), ("client.id", settings.client),
            // A broker that came back is found within seconds.
            ("reconnect.backoff.max.ms", "3000"), ("log.connection.close", "false"),
        ]
        let hasLogin = access.user != nil
        common.append(("security.protocol", (hasLogin ? "sasl_" : "") + (access.isTLS ? "ssl" : "plaintext")))
        if let roots = access.tlsRoots { common.append(("ssl.ca.location", roots)) }
        if let certificate = access.tlsCertificate { common.append(("ssl.certificate.location", certificate)) }
        if let key = access.tlsKey { common.append(("ssl.key.location", key)) }
        if let user = access.user, let password {
            common += [
                ("sasl.mechanism", settings.mechanism.rawValue.uppercased()), ("sasl.username", user),
                ("sasl.password", password),
            ]
        }
    }

    package var consumer: [(String, String)] {
        let session = Int(settings.sessionTimeoutSeconds * 1000)
        return common + [
            ("group.id", settings.group), ("auto.offset.reset", settings.start),
            // Ours alone: a message is done when maild has answered, not when it was handed over.
            ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
            ("partition.assignment.strategy", "range,roundrobin"), ("session.timeout.ms", "\(session)"),
            ("heartbeat.interval.ms", "\(max(100, min(3000, session / 3)))"),
            ("max.poll.interval.ms", "\(max(300_000, session))"),
            ("statistics.interval.ms", "1000"),
            // What is read ahead is bounded by us as well: 16 MB.
            ("queued.max.messages.kbytes", "16384"), ("fetch.wait.max.ms", "100"),
        ]
    }

    package var producer: [(String, String)] {
        common + [
            ("acks", "all"), ("linger.ms", "5"), ("message.timeout.ms", "60000"),
            // How long a message may be is the topic's to say.
            ("message.max.bytes", "1000000000"),
        ]
    }
}
