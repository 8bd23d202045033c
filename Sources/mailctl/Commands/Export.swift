// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write whole jobs that are not finished, one a line, for another maild to import.",
        discussion: """
            Nothing is changed here. Jobs that are in a worker's hands meanwhile are told, for they may be delivered \
            here as well: pause first, and wait until nothing is running.

              mailctl pause
              mailctl export --output queue.ndjson
              mailctl import queue.ndjson              (on the other machine)
              jq -r .id queue.ndjson | xargs mailctl purge --yes

            The lines hold everything that was submitted, secrets included. docs/operations.md tells how a queue moves \
            to another machine.
            """)

    @OptionGroup(title: "Which jobs") var filter: FilterOptions

    @Option(
        name: .shortAndLong, help: ArgumentHelp("A new file, for its owner alone.", valueName: "file"),
        completion: .file())
    var output: String?

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        for name in filter.state where JobState(name: name)?.isFinal ?? false {
            throw ValidationError("--state: of a \(name) job only its history is left, which cannot be imported.")
        }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        let descriptor = try output.map { path throws(Failure) in try Descriptor.created(path) } ?? STDOUT_FILENO
        let name = output.map { Printable.text($0) } ?? "standard output"
        var tally = ExportTally()
        var next: String?
        repeat {
            var parameters: JSONObject = filter.isEmpty ? [:] : ["filter": .object(filter.json)]
            if let next { parameters["after"] = .string(next) }
            let reply = try client.call("Export", parameters)
            let jobs = reply["jobs"]?.array ?? []
            var page: [UInt8] = []
            for job in jobs {
                tally.count(job)
                page += Array(job.text.utf8) + [0x0A]
            }
            let code = Descriptor.writeAll(descriptor, page)
            guard code == 0 else {
                throw code == EPIPE ? Failure(.inputOutput, nil) : .system(.inputOutput, name, code)
            }
            // A page that does not move on would be asked for without end.
            guard let following = reply["next"]?.string, following != next else { break }
            next = following
        } while true
        // Whoever purges these jobs next must not lose them to a power cut.
        if output != nil, fsync(descriptor) != 0 { throw Failure.system(.inputOutput, name, errno) }
        StandardError.write("mailctl: \(tally.text)\n")
    }
}

/// What was exported.
private struct ExportTally {
    private var jobs = 0
    private var running = 0

    mutating func count(_ job: JSONValue) {
        jobs += 1
        if job["state"]?.string == JobState.running.name { running += 1 }
    }

    var text: String {
        let all = "\(jobs) job\(jobs == 1 ? "" : "s") exported"
        guard running > 0 else { return all }
        let verb = running == 1 ? "is" : "are"
        return "\(all); \(running) of them \(verb) in a worker's hands, and may be delivered here too"
    }
}
