// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOHTTP1

/// One request of ours. `Host` and `Content-Length` are supplied.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    package var url: WebURL
    package var headers: HTTPHeaders
    package var body: ByteBuffer
    /// Of the answer's body so many bytes are kept.
    package var keptBytesMax = Limits.keptTextBytesMax

    package init(_ method: HTTPMethod, _ url: WebURL, headers: HTTPHeaders = HTTPHeaders(), body: ByteBuffer) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }

    /// RFC 9110 §7.2 wants Host first.
    var head: HTTPRequestHead {
        var all = HTTPHeaders([("Host", url.authority)])
        all.add(contentsOf: headers)
        all.replaceOrAdd(name: "Content-Length", value: String(body.readableBytes))
        return HTTPRequestHead(version: .http1_1, method: method, uri: url.target, headers: all)
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    /// Its beginning.
    package var body: [UInt8]
    /// Nothing of the body is missing.
    package var isWhole: Bool
    package var link: HTTPLink

    package init(status: Int, headers: HTTPHeaders, body: [UInt8], isWhole: Bool, link: HTTPLink) {
        self.status = status
        self.headers = headers
        self.body = body
        self.isWhole = isWhole
        self.link = link
    }
}

/// How a server was reached.
package struct HTTPLink: Equatable, Sendable {
    /// Address and port.
    package var peer: String?
    /// Such as `TLSv1.3`; nil in clear.
    package var tls: String?

    package init() {}
}

/// Why there is no response.
package struct HTTPFailure: Error, Equatable {
    package enum Kind: Equatable, Sendable {
        /// The policy lets nobody go to any address of the host.
        case forbidden
        /// No connection, no TLS: nothing was asked.
        case unreachable
        /// The connection broke, or time was up, before the request was sent whole.
        case unsent
        /// The same after it: the server may have done what it was asked for.
        case unanswered
    }

    package var kind: Kind
    /// In words; names the origin.
    package var reason: String
    package var link = HTTPLink()

    package init(_ kind: Kind, _ reason: String, link: HTTPLink = HTTPLink()) {
        self.kind = kind
        self.reason = reason
        self.link = link
    }
}

/// One request under way.
final class HTTPExchange {
    let request: HTTPRequest
    /// It may still go to a connection that was used before.
    var mayReuse = true
    var isSent = false
    var timer: Scheduled<Void>?
    private var done: ((Result<HTTPResponse, HTTPFailure>) -> Void)?

    init(_ request: HTTPRequest, done: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) {
        self.request = request
        self.done = done
    }

    var isOver: Bool { done == nil }

    func answer(_ result: Result<HTTPResponse, HTTPFailure>) {
        timer?.cancel()
        timer = nil
        let done = self.done
        self.done = nil
        done?(result)
    }

    deinit { assert(done == nil, "an exchange was forgotten") }
}
