// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Which delivery tags of a channel are acknowledged: as few calls as say it. Tags count from 1.
package struct TagWindow {
    package struct Step: Equatable {
        package var tag: UInt64
        /// All tags up to this one.
        package var isMultiple: Bool
    }

    /// The lowest that is not acknowledged.
    private var next: UInt64 = 1
    /// Above it, those that are.
    private var done: Set<UInt64> = []

    package init() {}

    package mutating func acknowledge(_ tags: [UInt64]) -> [Step] {
        let fresh = Set(tags)
        var last: UInt64?
        while fresh.contains(next) || done.contains(next) {
            if done.remove(next) == nil { last = next }
            next += 1
        }
        var steps = last.map { [Step(tag: $0, isMultiple: true)] } ?? []
        for tag in fresh.sorted() where tag >= next && !done.contains(tag) {
            steps.append(Step(tag: tag, isMultiple: false))
            done.insert(tag)
        }
        return steps
    }
}
