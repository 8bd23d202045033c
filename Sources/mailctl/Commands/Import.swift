// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take jobs that another maild has exported.",
        discussion: """
            Each goes on as it stood, under its id: scheduled ones at their time, and who has his mail is not sent it \
            again. What is here already is left as it is, so the same file may be imported twice. Jobs of an app go on as \
            the app of that name here, others under their user's number.

            Each refused line is told with its number and the reason; the others are taken. The exit status is 65 then.
            """)

    @Argument(help: "The file, or - for standard input.", completion: .file()) var file: String?
    @Flag(help: "Set the jobs aside, until they are released.") var hold = false
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard file == nil, isatty(STDIN_FILENO) == 1 else { return }
        throw ValidationError("Nothing to import: name a file, or - for standard input.")
    }

    mutating func run() throws {
        let client = try ControlClient(common)
        let isInput = file == nil || file == "-"
        let descriptor = isInput ? STDIN_FILENO : try Descriptor.opened(reading: file ?? "")
        let name = isInput ? "standard input" : Printable.text(file ?? "")
        var run = ImportRun(client, isHeld: hold, isJSON: common.json)
        var cutter = LineCutter(heldBytesMax: Limits.importBytesMax)
        while true {
            var piece: [UInt8] = []
            switch Descriptor.readPiece(descriptor, into: &piece) {
            case .bytes: cutter.feed(piece)
            case .end: cutter.end()
            case .failed(let code): throw Failure.system(code == EISDIR ? .noInput : .inputOutput, name, code)
            }
            try run.take(from: &cutter)
            if piece.isEmpty { break }
        }
        try run.finish()
    }
}
