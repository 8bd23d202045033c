// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// What a request is answered with, before it is known whether the body is wanted.
package struct HTTPAnswer {
    package var status: HTTPResponseStatus
    package var type: String
    package var body: [UInt8]
    package var extra: [(name: String, value: String)] = []

    package init(
        status: HTTPResponseStatus, type: String, body: [UInt8], extra: [(name: String, value: String)] = []
    ) {
        self.status = status
        self.type = type
        self.body = body
        self.extra = extra
    }

    package static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPAnswer {
        HTTPAnswer(status: status, type: "text/plain; charset=utf-8", body: Array("\(text)\n".utf8))
    }

    /// For HTTP/1.1 and 1.0; `closing` is said to the client, not done.
    func head(version: HTTPVersion, closing: Bool) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: type)
        // RFC 9110 §8.6: in the answer to HEAD it is the length that GET would have.
        headers.add(name: "Content-Length", value: String(body.count))
        headers.add(name: "Cache-Control", value: "no-store")
        headers.add(name: "X-Content-Type-Options", value: "nosniff")
        for header in extra { headers.add(name: header.name, value: header.value) }
        if closing {
            headers.add(name: "Connection", value: "close")
        } else if version == .http1_0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        return HTTPResponseHead(version: version, status: status, headers: headers)
    }
}
