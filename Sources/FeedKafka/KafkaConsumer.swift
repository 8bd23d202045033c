// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CRdKafka
import MailFeed
import NIOCore

/// The group's member. On the source's thread, which also calls back: all happens within `poll`.
final class KafkaConsumer {
    struct Message {
        var partition: Int32
        var offset: Int64
        var body: [UInt8]
    }

    enum Polled {
        case message(Message)
        /// Something is wrong with the topic or the session.
        case error(String)
        case nothing
    }

    private let settings: KafkaSettings
    private var handle: OpaquePointer?
    private var queue: OpaquePointer?
    private var commits: OpaquePointer?
    private var isCommitting = false
    private var partitions: [Int32] = []
    /// Why it will never work again: it was fenced, say. Then another one has to be made.
    private(set) var end: String?
    var assigned: ([Int32]) -> Void = { _ in }
    /// Before they are let go of. `isLost`: somebody else may have them already.
    var revoked: (_ isLost: Bool) -> Void = { _ in }
    var failed: (String) -> Void = { _ in }
    var told: (KafkaStatistics) -> Void = { _ in }
    var committed: ([(partition: Int32, offset: Int64, succeeded: Bool)]) -> Void = { _ in }

    init(_ settings: KafkaSettings, _ properties: KafkaProperties) throws(FeedFailure) {
        self.settings = settings
        let opaque = Unmanaged.passUnretained(self).toOpaque()
        handle = try KafkaHandle.make(RD_KAFKA_CONSUMER, properties.consumer) { conf in
            rd_kafka_conf_set_opaque(conf, opaque)
            rd_kafka_conf_set_rebalance_cb(conf) { _, event, list, opaque in
                KafkaConsumer.of(opaque)?.rebalance(event, list)
            }
            rd_kafka_conf_set_error_cb(conf) { _, code, reason, opaque in
                KafkaConsumer.of(opaque)?.errorCame(code, reason)
            }
            rd_kafka_conf_set_stats_cb(conf) { _, json, length, opaque in
                KafkaConsumer.of(opaque)?.statisticsCame(UnsafeRawBufferPointer(start: json, count: length))
                return 0
            }
        }
        rd_kafka_poll_set_consumer(handle)
        queue = rd_kafka_queue_get_consumer(handle)
        commits = rd_kafka_queue_new(handle)
    }

    private static func of(_ opaque: UnsafeMutableRawPointer?) -> KafkaConsumer? {
        opaque.map { Unmanaged<KafkaConsumer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// `descriptor`, an eventfd(2), becomes readable with the first thing to poll.
    func subscribe(wakes descriptor: CInt) {
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, descriptor, &one, MemoryLayout<UInt64>.size)
        let topics = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(topics) }
        rd_kafka_topic_partition_list_add(topics, settings.topic, -1)
        let error = rd_kafka_subscribe(handle, topics)
        if error != RD_KAFKA_RESP_ERR_NO_ERROR { failed(KafkaHandle.words(error)) }
    }

    func poll() -> Polled {
        guard let message = rd_kafka_consumer_poll(handle, 0) else { return .nothing }
        defer { rd_kafka_message_destroy(message) }
        let found = message.pointee
        guard found.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
            guard found.err != RD_KAFKA_RESP_ERR__FATAL else {
                noteEnd()
                return .nothing
            }
            let text = rd_kafka_message_errstr(message).map { String(cString: $0) }
            return .error(text ?? KafkaHandle.words(found.err))
        }
        // A message without a value (a tombstone) is an empty body, which is no job.
        let body = found.payload.map { Array(UnsafeRawBufferPointer(start: $0, count: found.len)) } ?? []
        return .message(Message(partition: found.partition, offset: found.offset, body: body))
    }

    // MARK: Partitions

    private func rebalance(
        _ event: rd_kafka_resp_err_t, _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) {
        guard event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, let list else {
            revoked(rd_kafka_assignment_lost(handle) != 0)
            partitions = []
            rd_kafka_assign(handle, nil)
            return
        }
        partitions = Self.partitions(of: list).map(\.partition)
        rd_kafka_assign(handle, list)
        assigned(partitions)
    }

    private static func partitions(
        of list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) -> [rd_kafka_topic_partition_t] {
        Array(UnsafeBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt)))
    }

    private func list(_ offsets: [Int32: Int64]) -> UnsafeMutablePointer<rd_kafka_topic_partition_list_t>? {
        let list = rd_kafka_topic_partition_list_new(CInt(offsets.count))
        for (partition, offset) in offsets {
            rd_kafka_topic_partition_list_add(list, settings.topic, partition)?.pointee.offset = offset
        }
        return list
    }

    /// Nothing more is fetched from where we are, or again.
    func pause(_ isPaused: Bool) {
        let list = list(Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        _ = isPaused ? rd_kafka_pause_partitions(handle, list) : rd_kafka_resume_partitions(handle, list)
    }

    // MARK: Offsets

    /// One commit at a time is under way.
    var canCommit: Bool { !isCommitting }

    func commit(_ offsets: [Int32: Int64]) {
        let list = list(offsets)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        let error = rd_kafka_commit_queue(handle, list, commits, nil, nil)
        guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return committed(offsets.map { ($0.key, $0.value, false) })
        }
        isCommitting = true
    }

    /// Waits for the answer to the commit that is under way, at most so long.
    func awaitCommit(milliseconds: CInt) {
        guard isCommitting, let event = rd_kafka_queue_poll(commits, milliseconds) else { return }
        defer { rd_kafka_event_destroy(event) }
        isCommitting = false
        guard let list = rd_kafka_event_topic_partition_list(event) else { return }
        let isFine = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR
        committed(
            Self.partitions(of: list).map {
                ($0.partition, $0.offset, isFine && $0.err == RD_KAFKA_RESP_ERR_NO_ERROR)
            })
    }

    // MARK: What it tells

    private func errorCame(_ code: CInt, _ reason: UnsafePointer<CChar>?) {
        // "1/1 brokers are down" says less than the error before it.
        guard code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue else { return }
        guard code != RD_KAFKA_RESP_ERR__FATAL.rawValue else { return noteEnd() }
        failed(reason.map { String(cString: $0) } ?? KafkaHandle.words(rd_kafka_resp_err_t(code)))
    }

    private func noteEnd() {
        var text = [CChar](repeating: 0, count: 512)
        rd_kafka_fatal_error(handle, &text, text.count)
        end = KafkaHandle.words(text)
    }

    private func statisticsCame(_ json: UnsafeRawBufferPointer) {
        guard let found = KafkaStatistics(json, topic: settings.topic, partitions: partitions) else { return }
        told(found)
    }

    // MARK: The way down

    /// Lets go of it without a word to the group, which hears nothing from a consumer in this state.
    func abandon() {
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        rd_kafka_queue_destroy(queue)
        rd_kafka_queue_destroy(commits)
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        (handle, queue, commits) = (nil, nil, nil)
    }

    /// Leaves the group, so that others need not wait for the session's end; at most until then. The rest ends with the
    /// process: librdkafka's own end may wait for a broker that is away.
    func close(until deadline: NIODeadline) {
        if let error = rd_kafka_consumer_close_queue(handle, queue) {
            return rd_kafka_error_destroy(error)
        }
        while rd_kafka_consumer_closed(handle) == 0, NIODeadline.now() < deadline {
            // What was read ahead is in the way of the news. rd_kafka_queue_poll_callback would abort over it.
            if let message = rd_kafka_consumer_poll(handle, 50) { rd_kafka_message_destroy(message) }
        }
    }
}
