// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct LostConnectionTests {
    /// Lines of ten bytes each from `first` to `last`.
    private func lost(
        _ first: Int, _ last: Int, sent: Int, isInputLeft: Bool = false, isSingle: Bool = false
    ) -> Failure {
        // A line that is still being cut has no end yet: here that is line 9.
        let lines = (first..<last + 1).map { number in
            number == 9 ? Self.unfinished : LineCutter.Line(number: number, end: number * 10)
        }
        return LostConnection(waiting: lines[...], sentBytes: sent, isInputLeft: isInputLeft, isSingle: isSingle)
            .failure
    }

    private static let unfinished = LineCutter.Line(number: 9, end: nil)

    @Test("it says which lines were answered, which may have been taken, and which were not")
    func story() {
        #expect(
            lost(3, 6, sent: 45, isInputLeft: true)
                == Failure(
                    .tryAgain,
                    "maild closed the connection: the lines before line 3 were answered; "
                        + "lines 3 to 4 were sent and not answered: they may have been taken; "
                        + "line 5 and what follows was not taken, send it again"))
    }

    @Test("a line that did not leave as a whole cannot have been taken")
    func partial() {
        #expect(
            lost(9, 9, sent: 1000).message
                == "maild closed the connection: the lines before line 9 were answered; "
                + "line 9 and what follows was not taken, send it again")
        #expect(
            lost(1, 1, sent: 9).message
                == "maild closed the connection: no line was answered; "
                + "line 1 and what follows was not taken, send it again")
    }

    @Test("with nothing left but answers there is nothing to send again")
    func onlyAnswers() {
        #expect(
            lost(2, 2, sent: 20).message
                == "maild closed the connection: the lines before line 2 were answered; "
                + "line 2 was sent and not answered: it may have been taken")
    }

    @Test("input that was never cut into lines was not sent")
    func inputLeft() {
        #expect(
            lost(1, 0, sent: 0, isInputLeft: true).message
                == "maild closed the connection: all lines sent so far were answered; what follows was not sent")
        #expect(lost(1, 2, sent: 20, isInputLeft: true).message?.hasSuffix("what follows line 2 was not sent") == true)
    }

    @Test("a single job is told without line numbers")
    func single() {
        #expect(lost(1, 1, sent: 10, isSingle: true).message?.hasSuffix("it may have been taken") == true)
        #expect(
            lost(1, 1, sent: 5, isSingle: true).message?.hasSuffix("the job was not taken, send it again") == true)
    }
}
