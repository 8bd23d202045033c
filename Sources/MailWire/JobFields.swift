// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The fields of every job, as they stand in a line.
struct JobFields {
    var type: JSONMember?
    private var ref: JSONMember?
    private var priority: JSONMember?
    private var sendAt: JSONMember?
    private var delay: JSONMember?
    private var expiresAt: JSONMember?
    private var maxAttempts: JSONMember?
    private var queue: JSONMember?
    private var tags: JSONMember?
    private var wait: JSONMember?
    private var idempotencyKey: JSONMember?
    private var traceparent: JSONMember?
    private var tracestate: JSONMember?

    init() {}

    /// Whether `member` is one of these.
    @inline(__always)
    mutating func take(_ member: JSONMember, in line: UnsafeRawBufferPointer) -> Bool {
        if member.hasKey("type", in: line) {
            type = member
        } else if member.hasKey("ref", in: line) {
            ref = member
        } else if member.hasKey("priority", in: line) {
            priority = member
        } else if member.hasKey("send_at", in: line) {
            sendAt = member
        } else if member.hasKey("delay", in: line) {
            delay = member
        } else if member.hasKey("expires_at", in: line) {
            expiresAt = member
        } else if member.hasKey("max_attempts", in: line) {
            maxAttempts = member
        } else if member.hasKey("queue", in: line) {
            queue = member
        } else if member.hasKey("tags", in: line) {
            tags = member
        } else if member.hasKey("wait", in: line) {
            wait = member
        } else if member.hasKey("idempotency_key", in: line) {
            idempotencyKey = member
        } else if member.hasKey("traceparent", in: line) {
            traceparent = member
        } else if member.hasKey("tracestate", in: line) {
            tracestate = member
        } else {
            return false
        }
        return true
    }

    func job(
        kind: Int, _ line: UnsafeRawBufferPointer, _ now: WallTime, _ limits: JobLimits
    ) throws(WireError) -> JobLine {
        var job = JobLine(kind: kind)
        if let ref {
            try Self.checkRef(ref, in: line)
            job.ref = ref.value
        }
        if let priority {
            job.priority = UInt8(try Self.priority(priority, line, limits))
        } else {
            job.priority = UInt8(min(Limits.priorityDefault, limits.priorityMax))
        }
        if let maxAttempts {
            job.maxAttempts = try Self.integer(maxAttempts, "max_attempts", 1...Limits.attemptsMax, line)
        }
        job.queue =
            try queue.map { queue throws(WireError) in try Self.queue(queue, line, limits) } ?? limits.queueDefault
        if let tags { try JobTags.check(tags, in: line) }
        job.isTraced = try TraceContext.check(traceparent, tracestate, in: line) != nil
        if let wait { job.waitsForOutcome = try Self.waitsForOutcome(wait, line) }
        job.dueAt = try dueAt(line, now)
        if let expiresAt { job.expiresAt = try Self.expiry(expiresAt, line, now, dueAt: job.dueAt) }
        return job
    }

    /// Its name; what it stands for is told by the whole line.
    func key(_ line: UnsafeRawBufferPointer) throws(WireError) -> [UInt8]? {
        guard let idempotencyKey else { return nil }
        let name = idempotencyKey.bytes(in: line) ?? []
        guard (1...Limits.keyBytesMax).contains(name.count) else {
            let reason = "must be a string of 1 to \(Limits.keyBytesMax) bytes"
            throw .invalid("idempotency_key", reason, not: idempotencyKey.value, in: line)
        }
        return name
    }

    private static func priority(
        _ priority: JSONMember, _ line: UnsafeRawBufferPointer, _ limits: JobLimits
    ) throws(WireError) -> Int {
        let value = try integer(priority, "priority", 0...Limits.priorityMax, line)
        guard value <= limits.priorityMax else {
            let reason = "may be \(limits.priorityMax) at most, not \(value)"
            throw WireError(.permissionDenied, "priority: \(reason)", field: "priority")
        }
        return value
    }

    private static func queue(
        _ queue: JSONMember, _ line: UnsafeRawBufferPointer, _ limits: JobLimits
    ) throws(WireError) -> UInt16 {
        guard let name = queue.string(in: line) else {
            throw .invalid("queue", "must be a string", not: queue.value, in: line)
        }
        guard let number = limits.queues[name] else {
            let known = limits.queues.keys.sorted().prefix(8).joined(separator: ", ")
            throw .invalid("queue", "must be one that is configured (\(known))", not: queue.value, in: line)
        }
        return number
    }

    private static func waitsForOutcome(
        _ wait: JSONMember, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> Bool {
        switch wait.string(in: line) {
        case "durable": return false
        case "settled": return true
        default: throw .invalid("wait", "must be \"durable\" or \"settled\"", not: wait.value, in: line)
        }
    }

    /// Without CR, LF and NUL, so that it can stand in a log and in a header.
    static func checkRef(_ ref: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard let text = ref.text else { throw .invalid("ref", "must be a string", not: ref.value, in: line) }
        if text.escaped {
            let decoded = text.decoded(from: line)
            try checkRef(bytes: decoded.count, decoded.contains { $0 == 0 || $0 == 10 || $0 == 13 }, ref, line)
        } else {
            try checkRef(bytes: text.range.count, false, ref, line)
        }
    }

    private static func checkRef(
        bytes: Int, _ breaks: Bool, _ ref: JSONMember, _ line: UnsafeRawBufferPointer
    ) throws(WireError) {
        if bytes > Limits.refBytesMax {
            throw .invalid("ref", "must have at most \(Limits.refBytesMax) bytes", not: ref.value, in: line)
        }
        if breaks { throw .invalid("ref", "must be without CR, LF and NUL", not: ref.value, in: line) }
    }

    private static func integer(
        _ member: JSONMember, _ field: String, _ range: ClosedRange<Int>, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> Int {
        guard let integer = member.integer(in: line), let integer = Int(exactly: integer), range ~= integer else {
            let reason = "must be an integer from \(range.lowerBound) to \(range.upperBound)"
            throw .invalid(field, reason, not: member.value, in: line)
        }
        return integer
    }

    /// nil: at once.
    private func dueAt(_ line: UnsafeRawBufferPointer, _ now: WallTime) throws(WireError) -> WallTime? {
        if let delay {
            guard let seconds = delay.double(in: line), seconds >= 0, seconds <= Double(Limits.delaySecondsMax) else {
                let reason = "must be a number of seconds from 0 to \(Limits.delaySecondsMax)"
                throw .invalid("delay", reason, not: delay.value, in: line)
            }
            if sendAt != nil { throw .invalid("delay", "excludes send_at", in: line) }
            return seconds == 0 ? nil : now + seconds
        }
        guard let sendAt else { return nil }
        let time = try Self.time(sendAt, "send_at", line)
        return time > now ? time : nil
    }

    private static func expiry(
        _ member: JSONMember, _ line: UnsafeRawBufferPointer, _ now: WallTime, dueAt: WallTime?
    ) throws(WireError) -> WallTime {
        let expiry = try time(member, "expires_at", line)
        if expiry <= now { throw .invalid("expires_at", "must lie in the future", not: member.value, in: line) }
        if let dueAt, expiry <= dueAt {
            throw .invalid("expires_at", "must lie after the time to send", not: member.value, in: line)
        }
        return expiry
    }

    private static func time(
        _ member: JSONMember, _ field: String, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> WallTime {
        if let text = member.text {
            let time =
                text.escaped
                ? WallTime(rfc3339: text.string(from: line))
                : WallTime(rfc3339: UnsafeRawBufferPointer(rebasing: line[text.range]))
            if let time { return time }
        }
        throw .invalid(field, "must be a time as \"2026-11-23T12:00:00Z\"", not: member.value, in: line)
    }
}
