// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Types of records, by their IANA numbers.
package enum RecordType: UInt16, Sendable {
    case a = 1
    case mx = 15
    case aaaa = 28
    case tlsa = 52
}

/// What is asked: `example.com` and a type, class IN.
package struct DNSQuestion: Hashable, Sendable, CustomStringConvertible {
    /// In presentation format, without the dot of the root.
    package var name: String
    package var type: RecordType

    package init(_ name: String, _ type: RecordType) {
        self.name = name
        self.type = type
    }

    package var description: String { "\(name) (\("\(type)".uppercased()))" }
}

/// What was found, CNAMEs followed.
package struct DNSAnswer: Equatable, Sendable {
    package enum Status: Equatable, Sendable {
        case data
        /// The name exists, the type does not (RFC 2308 §2.2).
        case noData
        /// The name does not exist (RFC 8020).
        case noName
        /// DNSSEC says that it was forged, or its zone is broken; the validator's reason.
        case bogus(String)
        /// SERVFAIL, REFUSED, or nobody answered in time: nothing is known. The reason, for people.
        case failed(String)
    }

    package var status: Status
    /// One for each record, in wire format without compression (RFC 1035 §3.3).
    package var records: [[UInt8]]
    /// DNSSEC proves it, be it data or the absence of them.
    package var isSecure: Bool
    /// Until it must be asked again; 0 where nothing is known.
    package var seconds: Int
    /// The name at the end of the CNAMEs, without the dot of the root; nil where there were none.
    package var canonicalName: String?

    package init(
        _ status: Status, records: [[UInt8]] = [], isSecure: Bool = false, seconds: Int = 0,
        canonicalName: String? = nil
    ) {
        self.status = status
        self.records = records
        self.isSecure = isSecure
        self.seconds = seconds
        self.canonicalName = canonicalName
    }
}
