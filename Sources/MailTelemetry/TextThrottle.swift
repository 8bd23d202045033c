// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets each text through once a second, whatever others are, and counts how often it came meanwhile.
final class TextThrottle: Sendable {
    private struct Said {
        /// Monotonic time of the next line in seconds.
        var next: Double
        var held = 0
    }

    private let said = Mutex<[String: Said]>([:])
    /// Past so many texts at a time no further one is kept silent.
    private static let textsMax = 64

    init() {}

    /// nil: keep silent. Else write, and say how often this text was kept silent since the last time.
    /// - Parameter now: monotonic, in seconds.
    func pass(_ text: String, _ now: Double) -> Int? {
        said.withLock { said in
            let known = said[text]
            if let known, now < known.next {
                said[text]?.held += 1
                return nil
            }
            if said.count >= Self.textsMax { said = said.filter { now < $0.value.next } }
            if said.count < Self.textsMax { said[text] = Said(next: now + 1) }
            return known?.held ?? 0
        }
    }
}
