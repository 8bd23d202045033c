// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CRdKafka
import MailFeed

/// Makes instances of librdkafka. They connect, and connect again, by themselves.
enum KafkaHandle {
    /// - Parameter prepare: sets the callbacks.
    static func make(
        _ type: rd_kafka_type_t, _ properties: [(String, String)], _ prepare: (OpaquePointer) -> Void
    ) throws(FeedFailure) -> OpaquePointer {
        guard let conf = rd_kafka_conf_new() else { throw .system("kafka: no memory for its settings") }
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in properties {
            guard rd_kafka_conf_set(conf, name, value, &text, text.count) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(conf)
                throw .configuration("kafka: \(words(text))")
            }
        }
        // What it would log comes as an error as well, where it matters.
        rd_kafka_conf_set_log_cb(conf) { _, _, _, _ in }
        prepare(conf)
        // The settings are its own from here on, unless it fails.
        guard let handle = rd_kafka_new(type, conf, &text, text.count) else {
            rd_kafka_conf_destroy(conf)
            throw .configuration("kafka: \(words(text))")
        }
        return handle
    }

    static func words(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func words(_ error: rd_kafka_resp_err_t) -> String {
        rd_kafka_err2str(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
    }
}
