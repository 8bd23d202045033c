// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What an operator may bound about a job.
package struct JobLimits: Equatable, Sendable {
    /// Recipients of one job.
    package var recipientsMax: Int
    /// Numbers of the queues that jobs may name.
    package var queues: [String: UInt16]

    package init(recipientsMax: Int = Limits.recipientsMax, queues: [String: UInt16] = ["default": 0]) {
        self.recipientsMax = recipientsMax
        self.queues = queues
    }
}

/// A kind of job: knows the fields that are its own. A new kind is a type like EmailSchema and a line in the list that
/// the daemon gives to its JobReader.
package protocol JobSchema: Sendable {
    /// As the field `type` names it.
    var type: String { get }

    /// Judges the members that are not fields of every job; unknown ones are errors. Returns the number of recipients.
    func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int
}
