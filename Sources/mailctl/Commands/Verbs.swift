// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try jobs again at once, with all attempts and time to do it.",
        discussion: """
            A failed job's rejected recipients are tried again, those who have their mail are not. Named by what they \
            are, only failed jobs are meant, unless --state says otherwise.

              mailctl retry 0SAMKJXD000ZM
              mailctl retry --to example.com --newer-than 2h
            """)

    @OptionGroup var options: ChangeOptions

    mutating func run() throws { try options.run("Retry", done: "to be tried again") }
}

struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End jobs that are not finished; their history stays.",
        discussion: "A job in a worker's hands is left alone.")

    @OptionGroup var options: ChangeOptions

    mutating func run() throws { try options.run("Cancel", done: "cancelled") }
}

struct Hold: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set jobs aside, until they are released.",
        discussion: "A job in a worker's hands is left alone.")

    @OptionGroup var options: ChangeOptions

    mutating func run() throws { try options.run("Hold", done: "held") }
}

struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take held jobs up again, those that maild held after crashes too.")

    @OptionGroup var options: ChangeOptions

    mutating func run() throws { try options.run("Release", done: "released") }
}
