// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One mail in the transport's hands, with the duty to answer for it exactly once.
package final class Delivery {
    package let mail: Mail
    /// It was on a connection that died unanswered, and has had its second chance.
    var isRetry = false
    private var done: ((Outcome) -> Void)?

    package init(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        self.mail = mail
        self.done = done
    }

    package func answer(_ outcome: Outcome) {
        assert(done != nil, "a mail was answered twice")
        let done = self.done
        self.done = nil
        done?(outcome)
    }

    deinit { assert(done == nil, "a mail was forgotten") }
}
