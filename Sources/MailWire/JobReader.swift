// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Judges lines by docs/protocol.md. One reader serves many lines, on one thread: its scratch memory is kept, so that
/// the common line costs no allocation.
package struct JobReader {
    private let schemas: [any JobSchema]
    private let types: [[UInt8]]
    private let limits: JobLimits
    private var scanner = JSONScanner()
    private var members: [JSONMember] = []
    /// Those of `members` that are the schema's.
    private var others: [JSONMember] = []

    package init(schemas: [any JobSchema], limits: JobLimits) {
        self.schemas = schemas
        self.types = schemas.map { Array($0.type.utf8) }
        self.limits = limits
    }

    /// `line` is without its newline. Whatever the error, it carries the job's ref if that could be read.
    package mutating func read(_ line: UnsafeRawBufferPointer, now: WallTime) throws(WireError) -> JobLine {
        do {
            return try judge(line, now)
        } catch {
            var error = error
            if error.ref == nil { error.ref = ref(in: line) }
            throw error
        }
    }

    /// The job's ref, a string with its quotes, where the line is JSON and has one that may be echoed.
    package mutating func ref(of line: UnsafeRawBufferPointer) -> [UInt8]? {
        members.removeAll(keepingCapacity: true)
        guard (try? scanner.members(of: line, into: &members)) != nil else { return nil }
        return ref(in: line)
    }

    private mutating func judge(_ line: UnsafeRawBufferPointer, _ now: WallTime) throws(WireError) -> JobLine {
        do { try scanner.members(of: line, into: &members) } catch { throw WireError(error) }
        var fields = JobFields()
        others.removeAll(keepingCapacity: true)
        for member in members where !fields.take(member, in: line) { others.append(member) }
        var job = try fields.job(kind: kind(fields.type, line), line, now, limits)
        job.recipients = try schemas[job.kind].check(line, others, limits: limits)
        if let name = try fields.key(line) {
            job.key = IdempotencyKey(name: name, digest: LineDigest.of(members, in: line))
        }
        return job
    }

    private func kind(_ type: JSONMember?, _ line: UnsafeRawBufferPointer) throws(WireError) -> Int {
        guard let type else {
            if let kind = schemas.firstIndex(where: { $0.type == EmailSchema.type }) { return kind }
            throw WireError(.unknownType, "type: missing, and this maild sends no e-mail", field: "type")
        }
        guard let text = type.text else { throw .invalid("type", "must be a string", not: type.value, in: line) }
        for kind in types.indices where text.equals(types[kind], in: line) { return kind }
        throw WireError(
            .unknownType, "type: this maild has no kind of job \(WireError.shown(type.value, in: line))", field: "type")
    }

    private func ref(in line: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let ref = members.first(where: { $0.hasKey("ref", in: line) }),
            (try? JobFields.checkRef(ref, in: line)) != nil
        else { return nil }
        return Array(line[ref.value])
    }
}
