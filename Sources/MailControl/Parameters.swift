// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// A call's parameters, checked one by one. Every error names the parameter.
package struct Parameters {
    private let object: JSONObject

    /// - Parameter known: names of the method's parameters; any other is an error.
    package init(_ call: VarlinkCall, known: [String]) throws(ServiceError) {
        object = call.parameters
        for key in object.keys where !known.contains(key) { throw .invalidParameter(key) }
    }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(ServiceError) -> Int {
        guard let value = try optionalInteger(name, in: range) else { throw .invalidParameter(name) }
        return value
    }

    package func optionalInteger(_ name: String, in range: ClosedRange<Int>) throws(ServiceError) -> Int? {
        guard let value = present(name) else { return nil }
        guard let integer = value.int, range.contains(integer) else { throw .invalidParameter(name) }
        return integer
    }

    package func string(_ name: String) throws(ServiceError) -> String {
        guard let string = present(name)?.string else { throw .invalidParameter(name) }
        return string
    }

    package func optionalID(_ name: String) throws(ServiceError) -> JobID? {
        guard let value = present(name) else { return nil }
        guard let id = value.string.flatMap({ JobID($0) }) else { throw .invalidParameter(name) }
        return id
    }

    package func optionalState(_ name: String) throws(ServiceError) -> JobState? {
        guard let value = present(name) else { return nil }
        guard let state = value.string.flatMap({ JobState(name: $0) }) else { throw .invalidParameter(name) }
        return state
    }

    private func present(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }
}
