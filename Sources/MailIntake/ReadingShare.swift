// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A share of the reading budget that goes with a line through the house. Whoever lets go of it last, on whatever
/// thread, gives it back: the budget tells what is in memory, and not what was answered.
final class ReadingShare: Sendable {
    private let bytes: Int
    private let intake: Intake

    init(_ bytes: Int, of intake: Intake) {
        self.bytes = bytes
        self.intake = intake
    }

    deinit {
        let (bytes, intake) = (bytes, intake)
        intake.loop.execute { intake.release(bytes) }
    }
}
