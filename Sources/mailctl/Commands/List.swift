// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the jobs that are not finished, oldest first.",
        discussion: "AGE is the time since the job was accepted. With --json each job is one line.")

    @OptionGroup(title: "Which jobs") var filter: FilterOptions
    @Option(help: "At most so many jobs. (default: 100)") var limit: Int?
    @Option(help: ArgumentHelp("Only jobs with an id above this one.", valueName: "id")) var after: String?
    @Flag(help: "All jobs, however many.") var all = false

    @OptionGroup var common: CommonOptions

    private static let limitDefault = 100
    /// As many as maild gives at a time.
    private static let pageMax = 1000

    mutating func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit: must be at least 1.") }
        if limit != nil, all { throw ValidationError("--all and --limit exclude each other.") }
        if let after, JobID(after) == nil {
            throw ValidationError("--after: \"\(after)\" is not a job's id: 13 letters and digits.")
        }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        var listing = JobListing(isJSON: common.json)
        var left = all ? Int.max : limit ?? Self.limitDefault
        var next = after
        repeat {
            let reply = try client.call("List", parameters(after: next, limit: min(left, Self.pageMax)))
            let jobs = reply["jobs"]?.array ?? []
            try listing.show(jobs)
            left -= jobs.count
            // A page that does not move on would be asked for without end.
            guard let following = reply["next"]?.string, following != next else {
                next = nil
                break
            }
            next = following
        } while left > 0
        try listing.finish(next: next)
    }

    private func parameters(after: String?, limit: Int) -> JSONObject {
        var parameters: JSONObject = ["limit": .integer(Int64(limit))]
        if !filter.isEmpty { parameters["filter"] = .object(filter.json) }
        if let after { parameters["after"] = .string(after) }
        return parameters
    }
}
