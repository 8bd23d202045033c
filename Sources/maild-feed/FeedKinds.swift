// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import FeedKafka
import FeedRabbitMQ
import MailFeed

/// All kinds of broker, a line each.
enum FeedKinds {
    static let all: [any FeedSettings.Type] = [
        RedisSettings.self,
        RabbitMQSettings.self,
        KafkaSettings.self,
    ]
}
