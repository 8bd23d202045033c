// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The command line of sendmail, as thirty years of programs write it.
///
/// Options that make no difference here (delivery modes, error modes, body types, notifications) are taken and do
/// nothing: a program that was told that they work must not fail for them.
package struct SendmailOptions: Equatable {
    package enum Mode: Equatable, Sendable {
        case deliver
        case smtp
        case listQueue
        case newAliases
        /// Where would mail to these go.
        case verify
        /// maild tries again by itself.
        case nothing
    }

    package var mode = Mode.deliver
    package var recipients: [String] = []
    /// `-t`
    package var readsRecipients = false
    /// `-i`: a line with a single dot does not end the message.
    package var ignoresDots = false
    /// `-f`; empty for the null sender.
    package var sender: String?
    /// `-F`
    package var fullName: String?
    /// `-V`
    package var envelopeID: String?

    package init() {}

    /// - Parameter program: the name it was called by.
    package init(program: String, _ arguments: [String]) throws(Failure) {
        switch program {
        case "mailq": mode = .listQueue
        case "newaliases": mode = .newAliases
        default: break
        }
        var rest = arguments[...]
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-" {
            rest.removeFirst()
            if argument == "--" { break }
            try read(argument.dropFirst(), &rest)
        }
        recipients = Array(rest)
    }

    /// One word of letters; the value of its last letter may be the word after it.
    private mutating func read(_ letters: Substring, _ rest: inout ArraySlice<String>) throws(Failure) {
        var letters = letters
        while let letter = letters.popFirst() {
            if Self.isFlag(letter) {
                set(letter)
                continue
            }
            guard let kind = Self.value(of: letter) else {
                throw Failure(.usage, "there is no option -\(Printable.text(String(letter))); see sendmail(8)")
            }
            var value = String(letters)
            letters = ""
            if value.isEmpty, kind == .required {
                guard let next = rest.popFirst() else { throw Failure(.usage, "-\(letter) needs a value") }
                value = next
            }
            try set(letter, value)
        }
    }

    private enum Value { case required, attached }

    // No Set and no Dictionary: the runtime would look through all types of the program for how to make one of
    // Character, which takes longer than all the rest of this.

    private static func isFlag(_ letter: Character) -> Bool {
        switch letter {
        case "i", "t", "n", "v", "G", "m", "s", "U", "c", "I": true
        default: false
        }
    }

    private static func value(of letter: Character) -> Value? {
        switch letter {
        case "b", "d", "e", "o", "q", "A": .attached
        case "B", "C", "D", "F", "L", "M", "N", "O", "R", "V", "X", "f", "h", "p", "r": .required
        default: nil
        }
    }

    private mutating func set(_ letter: Character) {
        switch letter {
        case "i": ignoresDots = true
        case "t": readsRecipients = true
        case "I": mode = .newAliases
        default: break
        }
    }

    private mutating func set(_ letter: Character, _ value: String) throws(Failure) {
        switch letter {
        case "b": mode = try Self.mode(value)
        case "f", "r": sender = value == "<>" ? "" : value
        case "F": fullName = value
        case "V": envelopeID = value
        case "o" where value.hasPrefix("i"): ignoresDots = true
        case "O" where value.lowercased().hasPrefix("ignoredots=t"): ignoresDots = true
        case "q": mode = .nothing
        default: break
        }
    }

    private static func mode(_ value: String) throws(Failure) -> Mode {
        switch value {
        case "m": .deliver
        case "s": .smtp
        case "p": .listQueue
        case "i": .newAliases
        case "v": .verify
        default:
            throw Failure(.usage, "-b\(Printable.text(value)) is not for a program that only hands mail to maild")
        }
    }
}
