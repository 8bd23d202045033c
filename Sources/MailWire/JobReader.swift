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
    /// - Parameter limits: those of the line's app, where they are not everybody's.
    package mutating func read(
        _ line: UnsafeRawBufferPointer, now: WallTime, limits: JobLimits? = nil
    ) throws(WireError) -> JobLine {
        do {
            return try judge(line, now, limits ?? self.limits)
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

    /// Where the line names descriptors that came with it. Whatever else is wrong with the line is told by `read`.
    package mutating func descriptors(in line: UnsafeRawBufferPointer) throws(WireError) -> DescriptorPlaces {
        var found = DescriptorPlaces()
        guard (try? scanner.members(of: line, into: &members)) != nil else { return found }
        var fields = JobFields()
        others.removeAll(keepingCapacity: true)
        for member in members where !fields.take(member, in: line) { others.append(member) }
        guard let kind = try? self.kind(fields.type, line) else { return found }
        found.ref = ref(in: line)
        do {
            found.places = try schemas[kind].descriptors(line, others)
        } catch {
            var error = error
            error.ref = found.ref
            throw error
        }
        return found
    }

    private mutating func judge(
        _ line: UnsafeRawBufferPointer, _ now: WallTime, _ limits: JobLimits
    ) throws(WireError) -> JobLine {
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
