// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Rows under headings, columns as wide as their widest cell, two spaces between.
///
/// Cells are made safe for a terminal here. The last column is cut to the terminal's width and never padded.
package struct Table {
    package struct Column {
        let title: String
        let alignment: Alignment
        /// Cells that are wider are cut, on a terminal only.
        let widthMax: Int

        package init(_ title: String, _ alignment: Alignment = .left, widthMax: Int = .max) {
            self.title = title
            self.alignment = alignment
            self.widthMax = widthMax
        }
    }

    package enum Alignment: Sendable {
        case left
        case right
    }

    private let columns: [Column]
    private var rows: [[String]] = []
    /// Kept from page to page, so that a long list stays straight as far as it can be known.
    private var widths: [Int]
    /// The terminal's; nil where nothing is cut.
    private let lineWidth: Int?

    private static let gap = "  "
    /// A last column narrower than this is given it all the same, and the terminal wraps.
    private static let lastWidthMin = 10

    package init(_ columns: [Column], lineWidth: Int?) {
        self.columns = columns
        self.lineWidth = lineWidth
        widths = columns.map { CellWidth.of($0.title) }
    }

    package mutating func add(_ cells: [String]) {
        let cells = zip(columns, cells).map { column, cell in
            let safe = Printable.text(cell)
            return lineWidth == nil ? safe : CellWidth.cut(safe, to: column.widthMax)
        }
        for (index, cell) in cells.enumerated() { widths[index] = max(widths[index], CellWidth.of(cell)) }
        rows.append(cells)
    }

    package func heading() -> String { line(columns.map(\.title)) }

    /// The lines of the rows added since the last call.
    package mutating func takeRows() -> [String] {
        defer { rows.removeAll() }
        return rows.map(line)
    }

    private func line(_ cells: [String]) -> String {
        var text = ""
        var used = 0
        for (index, cell) in cells.enumerated() {
            let isLast = index == cells.count - 1
            if index > 0 { text += Self.gap }
            let place = isLast && columns[index].alignment == .left ? fitted(cell, after: used) : cell
            text += padded(place, index, isLast)
            used += widths[index] + Self.gap.count
        }
        while text.last == " " { text.removeLast() }
        return text
    }

    private func fitted(_ cell: String, after used: Int) -> String {
        guard let lineWidth else { return cell }
        return CellWidth.cut(cell, to: max(Self.lastWidthMin, lineWidth - used))
    }

    private func padded(_ cell: String, _ index: Int, _ isLast: Bool) -> String {
        let blank = String(repeating: " ", count: max(0, widths[index] - CellWidth.of(cell)))
        switch columns[index].alignment {
        case .right: return blank + cell
        case .left: return isLast ? cell : cell + blank
        }
    }
}
