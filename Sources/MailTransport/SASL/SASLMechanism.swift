// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Why a login cannot go on, in words for the operator.
package struct SASLError: Error, Equatable {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// One login by one mechanism (RFC 4422), without a connection: responses are made of challenges.
package protocol SASLMechanism: Sendable {
    /// Goes with AUTH; nil where the server speaks first.
    var initialResponse: [UInt8]? { get }
    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8]
    /// The server has shown whatever it must show of itself: from here on its success counts.
    var isSatisfied: Bool { get }
    /// What the server said of the failure before it refused.
    var complaint: String? { get }
}

extension SASLMechanism {
    package var isSatisfied: Bool { true }
    package var complaint: String? { nil }
}

/// The mechanisms known here, by the names of RFC 4422 §3.1.
package enum SASLName: String, CaseIterable, Sendable {
    case scramSHA256 = "SCRAM-SHA-256"
    case cramMD5 = "CRAM-MD5"
    case plain = "PLAIN"
    case login = "LOGIN"
    case oauthBearer = "OAUTHBEARER"
    case xoauth2 = "XOAUTH2"

    /// As it stands in the configuration.
    package init?(key: String) {
        guard let name = Self.allCases.first(where: { $0.key == key }) else { return nil }
        self = name
    }

    package var key: String { rawValue.lowercased() }

    package var kind: Credential.Kind { self == .oauthBearer || self == .xoauth2 ? .token : .password }

    /// The strongest first: that which shows the password to nobody, before that which shows it to the server.
    package static func all(for kind: Credential.Kind) -> [SASLName] { allCases.filter { $0.kind == kind } }

    /// - Parameters host, port: of the server as configured, which OAUTHBEARER names.
    package func begin(
        _ credential: Credential, host: String, port: Int
    ) throws(SASLError) -> any SASLMechanism {
        switch self {
        case .scramSHA256: try ScramSHA256(credential)
        case .cramMD5: CramMD5(credential)
        case .plain: try PlainMechanism(credential)
        case .login: LoginMechanism(credential)
        case .oauthBearer: try OAuthBearer(credential, host: host, port: port)
        case .xoauth2: try XOAuth2(credential)
        }
    }
}

/// RFC 5801 §4: a name within a comma-separated message.
func saslName(_ user: String) -> String {
    String(user.flatMap { $0 == "=" ? Array("=3D") : $0 == "," ? Array("=2C") : [$0] })
}
