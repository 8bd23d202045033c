// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A call as it goes to a Varlink service (varlink.org, "Method Call"): one object, ended by NUL on the wire.
package struct VarlinkCall: Equatable, Sendable {
    /// Fully qualified: `io.maild.Control.Status`.
    package var method: String
    package var parameters: JSONObject
    /// Several replies are welcome.
    package var more: Bool
    /// No reply is wanted.
    package var oneway: Bool
    /// After the reply the connection speaks something else.
    package var upgrade: Bool

    package init(
        method: String, parameters: JSONObject = [:], more: Bool = false, oneway: Bool = false, upgrade: Bool = false
    ) {
        self.method = method
        self.parameters = parameters
        self.more = more
        self.oneway = oneway
        self.upgrade = upgrade
    }

    /// `message` is without its NUL. Members that Varlink does not know are passed over, as its clients may add some.
    package init(parsing message: some Collection<UInt8>) throws(JSONError) {
        let value = try JSONValue(parsing: message)
        guard let method = value["method"]?.string else {
            throw JSONError(offset: 0, reason: "a call must be an object with the string \"method\"")
        }
        self.init(
            method: method, parameters: try Self.parameters(of: value), more: try Self.flag("more", of: value),
            oneway: try Self.flag("oneway", of: value), upgrade: try Self.flag("upgrade", of: value))
    }

    private static func flag(_ name: String, of value: JSONValue) throws(JSONError) -> Bool {
        switch value[name] {
        case nil, .null?: return false
        case .bool(let flag)?: return flag
        default: throw JSONError(offset: 0, reason: "\"\(name)\" must be true or false")
        }
    }

    fileprivate static func parameters(of value: JSONValue) throws(JSONError) -> JSONObject {
        switch value["parameters"] {
        case nil, .null?: return [:]
        case .object(let parameters)?: return parameters
        default: throw JSONError(offset: 0, reason: "\"parameters\" must be an object")
        }
    }

    package var json: JSONValue {
        var object: JSONObject = ["method": .string(method), "parameters": .object(parameters)]
        for (name, flag) in [("more", more), ("oneway", oneway), ("upgrade", upgrade)] where flag {
            object[name] = true
        }
        return .object(object)
    }

    /// With the NUL that ends it.
    package var bytes: [UInt8] { VarlinkReply.message(json) }

    /// `io.maild.Control` of `io.maild.Control.Status`; empty if the method has no interface.
    package var interface: String { split.interface }
    /// `Status` of `io.maild.Control.Status`.
    package var member: String { split.member }

    private var split: (interface: String, member: String) {
        guard let dot = method.lastIndex(of: ".") else { return ("", method) }
        return (String(method[..<dot]), String(method[method.index(after: dot)...]))
    }
}

/// A service's reply to a call.
package struct VarlinkReply: Equatable, Sendable {
    package var parameters: JSONObject
    /// More replies to the same call follow.
    package var continues: Bool
    /// Fully qualified: `io.maild.Control.NoSuchJob`; nil if the call succeeded.
    package var error: String?

    package init(_ parameters: JSONObject = [:], continues: Bool = false, error: String? = nil) {
        self.parameters = parameters
        self.continues = continues
        self.error = error
    }

    package init(_ error: ServiceError) { self.init(error.parameters, error: error.name) }

    /// `message` is without its NUL.
    package init(parsing message: some Collection<UInt8>) throws(JSONError) {
        let value = try JSONValue(parsing: message)
        guard value.object != nil else { throw JSONError(offset: 0, reason: "a reply must be an object") }
        self.init(
            try VarlinkCall.parameters(of: value), continues: value["continues"]?.bool ?? false,
            error: value["error"]?.string)
    }

    package var json: JSONValue {
        var object: JSONObject = [:]
        if let error { object["error"] = .string(error) }
        object["parameters"] = .object(parameters)
        if continues { object["continues"] = true }
        return .object(object)
    }

    /// With the NUL that ends it.
    package var bytes: [UInt8] { Self.message(json) }

    fileprivate static func message(_ json: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        json.write(into: &bytes)
        bytes.append(0)
        return bytes
    }
}
