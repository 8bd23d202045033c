// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What the author of an unknown name probably meant.
package enum NearName {
    /// At most two letters, or a third of them, may differ: `hots` is `host` with two that do.
    package static func nearest(to name: String, among names: [String]) -> String? {
        let distances = names.map { (name: $0, distance: distance($0, name)) }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, name.count / 3) && best.distance < name.count ? best.name : nil
    }

    /// Levenshtein's: letters to insert, delete or replace.
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let replaced = diagonal + (right[column] == letter ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
