// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// A call's parameters, checked one by one. Every error names the parameter.
package struct Parameters {
    private let object: JSONObject
    /// Of an object within the parameters: its name and a dot.
    private let path: String

    /// - Parameter known: names of the method's parameters; any other is an error.
    package init(_ call: VarlinkCall, known: [String]) throws(ServiceError) {
        try self.init(call.parameters, path: "", known: known)
    }

    /// Of an object that stands by itself.
    package init(_ object: JSONObject, known: [String]) throws(ServiceError) {
        try self.init(object, path: "", known: known)
    }

    private init(_ object: JSONObject, path: String, known: [String]) throws(ServiceError) {
        self.object = object
        self.path = path
        for key in object.keys where !known.contains(key) { throw .invalidParameter(path + key) }
    }

    /// An object within the parameters; nil where there is none.
    package func object(_ name: String, known: [String]) throws(ServiceError) -> Parameters? {
        guard let value = present(name) else { return nil }
        guard let object = value.object else { throw invalid(name) }
        return try Parameters(object, path: "\(path)\(name).", known: known)
    }

    package func invalid(_ name: String) -> ServiceError { .invalidParameter(path + name) }

    package func has(_ name: String) -> Bool { present(name) != nil }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(ServiceError) -> Int {
        guard let value = try optionalInteger(name, in: range) else { throw invalid(name) }
        return value
    }

    package func optionalInteger(_ name: String, in range: ClosedRange<Int>) throws(ServiceError) -> Int? {
        guard let value = present(name) else { return nil }
        guard let integer = value.int, range.contains(integer) else { throw invalid(name) }
        return integer
    }

    package func optionalFlag(_ name: String) throws(ServiceError) -> Bool? {
        guard let value = present(name) else { return nil }
        guard let flag = value.bool else { throw .invalidParameter(name) }
        return flag
    }

    package func string(_ name: String) throws(ServiceError) -> String {
        guard let string = present(name)?.string else { throw invalid(name) }
        return string
    }

    package func optionalID(_ name: String) throws(ServiceError) -> JobID? {
        guard let value = present(name) else { return nil }
        guard let id = value.string.flatMap({ JobID($0) }) else { throw invalid(name) }
        return id
    }

    package func optionalString(_ name: String) throws(ServiceError) -> String? {
        guard let value = present(name) else { return nil }
        guard let string = value.string else { throw invalid(name) }
        return string
    }

    package func optionalBool(_ name: String) throws(ServiceError) -> Bool? {
        guard let value = present(name) else { return nil }
        guard let bool = value.bool else { throw invalid(name) }
        return bool
    }

    /// RFC 3339 with an offset or `Z`.
    package func optionalTime(_ name: String) throws(ServiceError) -> WallTime? {
        guard let text = try optionalString(name) else { return nil }
        guard let time = WallTime(rfc3339: text) else { throw invalid(name) }
        return time
    }

    /// Each element as `read` makes it; nil where the list is missing.
    package func optionalList<Value>(
        _ name: String, _ read: (JSONValue) -> Value?
    ) throws(ServiceError) -> [Value]? {
        guard let value = present(name) else { return nil }
        guard let array = value.array else { throw invalid(name) }
        var list: [Value] = []
        for element in array {
            guard let value = read(element) else { throw invalid(name) }
            list.append(value)
        }
        return list
    }

    package func optionalState(_ name: String) throws(ServiceError) -> JobState? {
        guard let value = present(name) else { return nil }
        guard let state = value.string.flatMap({ JobState(name: $0) }) else { throw invalid(name) }
        return state
    }

    private func present(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }
}
