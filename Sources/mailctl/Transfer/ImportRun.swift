// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// Lines of an export on their way to maild, some at a time, and what became of each.
struct ImportRun: ~Copyable {
    /// A call takes so many jobs, and no more once they reach so many bytes (but at least one): below what any
    /// operator's call may have.
    private static let jobsMax = 500
    private static let bytesMax = 256 << 10

    private var client: ControlClient
    private let isHeld: Bool
    private let isJSON: Bool
    private var output = StandardOutput()
    private var waiting: [(number: Int, job: JSONValue)] = []
    private var bytes = 0
    private var counts = ImportCounts()

    init(_ client: consuming ControlClient, isHeld: Bool, isJSON: Bool) {
        self.client = client
        self.isHeld = isHeld
        self.isJSON = isJSON
    }

    mutating func take(from cutter: inout LineCutter) throws(Failure) {
        var line: [UInt8] = []
        var places: [LineCutter.Line] = []
        while cutter.cut(to: &line, &places) {
            guard let place = places.last, place.end != nil else {
                throw Failure(.badData, "line \(places.last?.number ?? 0): longer than any job")
            }
            try take(line.dropLast(), place.number)
            line.removeAll(keepingCapacity: line.capacity < Self.bytesMax)
            places.removeAll()
        }
    }

    private mutating func take(_ line: ArraySlice<UInt8>, _ number: Int) throws(Failure) {
        do throws(JSONError) {
            let job = try JSONValue(parsing: line)
            guard job.object != nil else { throw JSONError(offset: 0, reason: "expected an object") }
            waiting.append((number, job))
        } catch {
            return try tell(["outcome": "refused", "reason": .string("byte \(error.offset): \(error.reason)")], number)
        }
        bytes += line.count
        if bytes >= Self.bytesMax || waiting.count >= Self.jobsMax { try send() }
    }

    private mutating func send() throws(Failure) {
        guard !waiting.isEmpty else { return }
        var parameters: JSONObject = ["jobs": .array(waiting.map(\.job))]
        if isHeld { parameters["hold"] = true }
        let results = try client.call("Import", parameters)["results"]?.array ?? []
        guard results.count == waiting.count else { throw .strangeAnswer("for another number of jobs") }
        for (line, result) in zip(waiting, results) { try tell(result, line.number) }
        waiting.removeAll(keepingCapacity: true)
        bytes = 0
    }

    private mutating func tell(_ result: JSONValue, _ number: Int) throws(Failure) {
        counts.count(result["outcome"]?.string ?? "")
        if isJSON {
            var object = result.object ?? [:]
            object["line"] = JSONValue(number)
            try output.line(JSONValue.object(object).text)
        }
        guard result["outcome"]?.string == "refused" else { return }
        let job = result["job"]?.string.map { "\($0): " } ?? ""
        StandardError.write(
            "mailctl: line \(number): \(Printable.text(job + (result["reason"]?.string ?? "refused")))\n")
    }

    mutating func finish() throws(Failure) {
        try send()
        try output.flush()
        StandardError.write("mailctl: \(counts.text)\n")
        if counts.refused > 0 { throw Failure(.badData, nil) }
    }
}

private struct ImportCounts {
    private var imported = 0
    private var known = 0
    private(set) var refused = 0

    mutating func count(_ outcome: String) {
        switch outcome {
        case "imported": imported += 1
        case "known": known += 1
        default: refused += 1
        }
    }

    /// `1000 imported, 3 here already, 1 refused`.
    var text: String {
        let parts = [(imported, "imported"), (known, "here already"), (refused, "refused")]
        return parts.enumerated().filter { $0.offset == 0 || $0.element.0 > 0 }
            .map { "\($0.element.0) \($0.element.1)" }.joined(separator: ", ")
    }
}
