// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// What of librdkafka's statistics (its STATISTICS.md) a feed looks at.
package struct KafkaStatistics: Equatable {
    /// The group's coordinator is there.
    package var isUp: Bool
    /// Messages that were not handed over yet; nil before Kafka has told. While partitions rest, it is as of then.
    package var lag: Int?

    package init(isUp: Bool, lag: Int?) {
        self.isUp = isUp
        self.lag = lag
    }

    package init?(_ bytes: UnsafeRawBufferPointer, topic: String, partitions: [Int32]) {
        guard let value = try? JSONValue(parsing: bytes), let state = value["cgrp"]?["state"]?.string
        else { return nil }
        isUp = state == "up"
        for partition in partitions {
            guard let found = value["topics"]?[topic]?["partitions"]?["\(partition)"],
                let end = found["ls_offset"]?.int, end >= 0
            else { continue }
            // Negative numbers stand for what is not known.
            let places = [found["app_offset"]?.int, found["committed_offset"]?.int, found["lo_offset"]?.int]
            let place = places.lazy.compactMap { $0 }.first { $0 >= 0 } ?? 0
            lag = (lag ?? 0) + max(0, end - place)
        }
    }
}
