// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension JobOptions {
    /// The job that the flags describe, with the descriptors that it names; reads standard input.
    func job() throws(Failure) -> SubmissionInput {
        var draft = JobDraft()
        draft.texts = [
            ("type", type), ("ref", ref), ("idempotency_key", idempotencyKey), ("from", from), ("subject", subject),
            ("content", try contentText()), ("html", html == "-" ? try Self.standardInput() : html),
            ("send_at", sendAt), ("expires_at", expiresAt), ("wait", wait ? "settled" : nil),
        ]
        draft.lists = [("to", to), ("cc", cc), ("bcc", bcc), ("reply_to", replyTo)]
        draft.integers = [("priority", priority), ("max_attempts", maxAttempts)]
        draft.wantsBounce = bounce
        draft.delaySeconds = delay.flatMap(Measure.seconds)
        draft.headerFields = header
        var files: [Int32] = []
        for path in attach {
            draft.attachments.append((Self.fileName(path), try Self.content(of: path, passing: &files)))
        }
        return .job(draft.json, files)
    }

    /// Nil where there is no text: with `--html` alone, or where nothing was piped in.
    private func contentText() throws(Failure) -> String? {
        if text == "-" { return try Self.standardInput() }
        if text != nil || html != nil || !Self.isInputPiped { return text }
        let piped = try Self.standardInput()
        return piped.isEmpty ? nil : piped
    }

    /// A pipe, a file or a socket: not a terminal, and not /dev/null.
    private static var isInputPiped: Bool {
        var status = stat()
        guard fstat(STDIN_FILENO, &status) == 0 else { return false }
        return [S_IFIFO, S_IFREG, S_IFSOCK].contains(status.st_mode & S_IFMT)
    }

    private static func standardInput() throws(Failure) -> String {
        let name = "standard input"
        let bytes = try Descriptor.readAll(STDIN_FILENO, name, atMost: bytesMax)
        guard let bytes else { throw tooLarge(name) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.badData, "\(name): the text is not valid UTF-8")
        }
        return text
    }

    /// Smaller ones go as base64: there is nothing to gain.
    private static let passedBytesMin = 64 << 10
    /// SCM_MAX_FD of Linux.
    private static let passedMax = 253

    /// A large file is passed to maild as a descriptor, which stays open; anything else is read here.
    private static func content(of path: String, passing files: inout [Int32]) throws(Failure) -> JobDraft.Content {
        let descriptor = try Descriptor.opened(reading: path)
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= passedBytesMin,
            files.count < passedMax
        {
            files.append(descriptor)
            return .passed(files.count - 1)
        }
        defer { close(descriptor) }
        return .bytes(try contents(of: descriptor, path))
    }

    private static func contents(of descriptor: Int32, _ path: String) throws(Failure) -> [UInt8] {
        guard let bytes = try Descriptor.readAll(descriptor, Printable.text(path), atMost: bytesMax) else {
            throw tooLarge(Printable.text(path))
        }
        return bytes
    }

    /// Several times what maild takes unless configured otherwise: it is maild that says what is too much, this only
    /// keeps a wrong file from filling the memory.
    private static let bytesMax = 4 * Limits.lineBytesMax

    private static func tooLarge(_ name: String) -> Failure {
        Failure(.badData, "\(name): larger than \(Measure.text(bytes: bytesMax))")
    }

    private static func fileName(_ path: String) -> String {
        String(path.split(separator: "/").last ?? "attachment")
    }
}
