// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct TableTests {
    @Test(
        "width is counted in columns of a terminal",
        arguments: [("abc", 3), ("Grüße", 5), ("日本", 4), ("e\u{301}", 1), ("😀", 2), ("", 0)])
    func width(text: String, columns: Int) { #expect(CellWidth.of(text) == columns) }

    @Test(
        "what is too wide ends in an ellipsis",
        arguments: [
            ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 1, "…"),
            ("ab", 0, ""),
        ])
    func cut(text: String, width: Int, shown: String) { #expect(CellWidth.cut(text, to: width) == shown) }

    private func table(_ lineWidth: Int?) -> Table {
        var table = Table(
            [.init("ID"), .init("AGE", .right), .init("FROM", widthMax: 6), .init("REPLY")], lineWidth: lineWidth)
        table.add(["1", "10s", "someone@example.com", "250 Ok, it went through"])
        table.add(["22", "9s", "", ""])
        return table
    }

    @Test("columns are as wide as their widest cell, and no line ends in blanks")
    func columns() {
        var table = table(nil)
        #expect(table.heading() == "ID  AGE  FROM                 REPLY")
        #expect(
            table.takeRows() == [
                "1   10s  someone@example.com  250 Ok, it went through",
                "22   9s",
            ])
        #expect(table.takeRows().isEmpty)
    }

    @Test("on a terminal wide cells are cut, and the last column to what is left of the line")
    func fitted() {
        var table = table(30)
        #expect(table.heading() == "ID  AGE  FROM    REPLY")
        #expect(table.takeRows() == ["1   10s  someo…  250 Ok, it w…", "22   9s"])
    }

    @Test("the next page keeps the widths of the one before")
    func pages() {
        var table = table(nil)
        _ = table.takeRows()
        table.add(["3", "1s", "a@b", "x"])
        #expect(table.takeRows() == ["3    1s  a@b                  x"])
    }

    @Test("a cell cannot break its line or steer the terminal")
    func safe() {
        var table = Table([.init("A"), .init("B")], lineWidth: nil)
        table.add(["x\ny", "\u{1B}c"])
        #expect(table.takeRows() == ["x\\ny  \\u{1B}c"])
    }
}
