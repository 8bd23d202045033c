// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What an operator may bound about a job, of everybody's or of one app's.
package struct JobLimits: Equatable, Sendable {
    /// Recipients of one job.
    package var recipientsMax: Int
    /// Numbers of the queues that jobs may name.
    package var queues: [String: UInt16]
    /// Of a job that names none.
    package var queueDefault: UInt16 = 0
    package var priorityMax = Limits.priorityMax
    /// nil: anybody's mail may be sent.
    package var senders: SenderRule?

    package init(recipientsMax: Int = Limits.recipientsMax, queues: [String: UInt16] = ["default": 0]) {
        self.recipientsMax = recipientsMax
        self.queues = queues
    }
}

/// A kind of job: knows the fields that are its own.
package protocol JobSchema: Sendable {
    /// As the field `type` names it.
    var type: String { get }

    /// Judges the members that are not fields of every job; unknown ones are errors. Returns the number of recipients.
    func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int

    /// Where a line that `check` has not seen names descriptors, in their order.
    func descriptors(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember]
    ) throws(WireError) -> [DescriptorPlace]

    /// What people are shown of a job that `check` let pass.
    func heading(_ job: JSONValue) -> JobHeading
}

extension JobSchema {
    package func heading(_ job: JSONValue) -> JobHeading { JobHeading() }

    package func descriptors(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember]
    ) throws(WireError) -> [DescriptorPlace] {
        []
    }
}

/// A job in a line of a list, in the words of a letter. What a kind keeps secret is not in it.
package struct JobHeading: Equatable, Sendable {
    package var sender: String?
    /// Who or what the job is for.
    package var recipients: [String] = []
    package var subject: String?

    package init() {}
}

/// The schema of a kind that the configuration has no longer named since the start: it takes no job.
package struct ClosedSchema: JobSchema {
    package let type: String

    package init(type: String) { self.type = type }

    package func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int {
        throw WireError(.unknownType, "type: this maild is no longer configured for \(type)", field: "type")
    }
}
