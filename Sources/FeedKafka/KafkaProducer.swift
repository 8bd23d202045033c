// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CRdKafka
import MailFeed
import MailJob
import MailWire

/// One message for a topic of ours.
struct KafkaLetter {
    enum Task {
        case bury(DeadLetter)
        case publish(FeedOutcome)
    }

    var task: Task
    /// A dead letter that is too long for its topic says where the message lies, and leaves it there.
    var isWithoutBody = false

    var receipt: Receipt {
        switch task {
        case .bury(let letter): letter.receipt
        case .publish(let outcome): outcome.receipt
        }
    }

    func topic(_ settings: KafkaSettings) -> String {
        switch task {
        case .bury: settings.deadTopic
        case .publish: settings.outcomeTopic ?? ""
        }
    }

    /// Events of one job keep their order, because they share a partition.
    var key: [UInt8]? {
        if case .publish(let outcome) = task { Array(outcome.job.utf8) } else { nil }
    }

    func body(feed: String, at time: WallTime) -> [UInt8] {
        switch task {
        case .bury(let letter): isWithoutBody ? [] : letter.body
        case .publish(let outcome): outcome.json(feed: feed, at: time.rfc3339)
        }
    }

    func headers(at time: WallTime) -> [(String, String)] {
        guard case .bury(let letter) = task else { return [] }
        let all = [
            ("error", letter.error), ("message", letter.message), ("field", letter.field),
            ("source", letter.identity), ("at", time.rfc3339), ("body", isWithoutBody ? "too long" : ""),
        ]
        return all.filter { !$0.1.isEmpty }
    }
}

/// Writes letters, and hears whether they are kept. On the source's thread: reports come within `poll`.
final class KafkaProducer {
    enum Report {
        case kept
        case tooLong
        case failed(String)
    }

    private final class Errand {
        let letter: KafkaLetter
        init(_ letter: KafkaLetter) { self.letter = letter }
    }

    private let settings: KafkaSettings
    private var handle: OpaquePointer?
    private var queue: OpaquePointer?
    private(set) var underWay = 0
    var reported: (KafkaLetter, Report) -> Void = { _, _ in }

    init(_ settings: KafkaSettings, _ properties: KafkaProperties) throws(FeedFailure) {
        self.settings = settings
        let opaque = Unmanaged.passUnretained(self).toOpaque()
        handle = try KafkaHandle.make(RD_KAFKA_PRODUCER, properties.producer) { conf in
            rd_kafka_conf_set_opaque(conf, opaque)
            rd_kafka_conf_set_dr_msg_cb(conf) { _, message, opaque in
                guard let message, let opaque, let errand = message.pointee._private else { return }
                Unmanaged<KafkaProducer>.fromOpaque(opaque).takeUnretainedValue().delivered(
                    Unmanaged<Errand>.fromOpaque(errand).takeRetainedValue(), message.pointee.err)
            }
        }
        queue = rd_kafka_queue_get_main(handle)
    }

    /// `descriptor`, an eventfd(2), becomes readable with the first report.
    func wake(_ descriptor: CInt) {
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, descriptor, &one, MemoryLayout<UInt64>.size)
    }

    func poll(milliseconds: CInt = 0) { rd_kafka_poll(handle, milliseconds) }

    func send(_ letter: KafkaLetter) {
        let time = SystemClock().now()
        let errand = Unmanaged.passRetained(Errand(letter))
        var values = KafkaValues()
        values.topic(letter.topic(settings))
        values.body(letter.body(feed: settings.client, at: time), key: letter.key)
        for (name, value) in letter.headers(at: time) { values.header(name, value) }
        values.errand(errand.toOpaque())
        underWay += 1
        if let code = values.produce(handle) { delivered(errand.takeRetainedValue(), code) }
    }

    private func delivered(_ errand: Errand, _ code: rd_kafka_resp_err_t) {
        underWay -= 1
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: reported(errand.letter, .kept)
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: reported(errand.letter, .tooLong)
        default: reported(errand.letter, .failed(KafkaHandle.words(code)))
        }
    }
}

/// The arguments of `rd_kafka_produceva`, with the memory that they point into.
struct KafkaValues {
    private var values: [rd_kafka_vu_t] = []
    private var memory: [UnsafeMutableRawBufferPointer] = []

    private mutating func keep(_ bytes: some Collection<UInt8>) -> UnsafeMutableRawBufferPointer {
        let place = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 1, alignment: 1)
        place.copyBytes(from: bytes)
        place[bytes.count] = 0
        memory.append(place)
        return place
    }

    private mutating func add(_ type: rd_kafka_vtype_t, _ fill: (inout rd_kafka_vu_t) -> Void) {
        var value = rd_kafka_vu_t()
        value.vtype = type
        fill(&value)
        values.append(value)
    }

    mutating func topic(_ name: String) {
        let place = keep(name.utf8)
        add(RD_KAFKA_VTYPE_TOPIC) { $0.u.cstr = UnsafePointer(place.baseAddress?.assumingMemoryBound(to: CChar.self)) }
    }

    mutating func body(_ bytes: [UInt8], key: [UInt8]?) {
        let place = keep(bytes)
        add(RD_KAFKA_VTYPE_VALUE) { $0.u.mem = .init(ptr: place.baseAddress, size: bytes.count) }
        add(RD_KAFKA_VTYPE_MSGFLAGS) { $0.u.i = RD_KAFKA_MSG_F_COPY }
        guard let key else { return }
        let keyPlace = keep(key)
        add(RD_KAFKA_VTYPE_KEY) { $0.u.mem = .init(ptr: keyPlace.baseAddress, size: key.count) }
    }

    mutating func header(_ name: String, _ value: String) {
        let namePlace = keep(name.utf8)
        let valuePlace = keep(value.utf8)
        add(RD_KAFKA_VTYPE_HEADER) {
            $0.u.header = .init(
                name: UnsafePointer(namePlace.baseAddress?.assumingMemoryBound(to: CChar.self)),
                val: UnsafeRawPointer(valuePlace.baseAddress), size: value.utf8.count)
        }
    }

    mutating func errand(_ pointer: UnsafeMutableRawPointer) { add(RD_KAFKA_VTYPE_OPAQUE) { $0.u.ptr = pointer } }

    /// Returns the error where it was not taken; once only.
    mutating func produce(_ handle: OpaquePointer?) -> rd_kafka_resp_err_t? {
        defer {
            for place in memory { place.deallocate() }
            memory = []
        }
        guard let error = rd_kafka_produceva(handle, values, values.count) else { return nil }
        defer { rd_kafka_error_destroy(error) }
        return rd_kafka_error_code(error)
    }
}
