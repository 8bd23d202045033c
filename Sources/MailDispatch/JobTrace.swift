// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

extension TraceContext {
    /// Of a submitted line; nil where it has none, or is not at hand.
    init?(of line: ByteBuffer) {
        guard let found = line.withUnsafeReadableBytes({ TraceContext(of: $0) }) else { return nil }
        self = found
    }
}
