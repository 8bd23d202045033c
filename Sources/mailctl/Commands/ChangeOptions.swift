// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

/// What the verbs have in common that change jobs: by ids, or by a filter.
struct ChangeOptions: ParsableArguments {
    @Argument(help: "The jobs' ids, as submit and list print them.") var ids: [String] = []
    @OptionGroup(title: "Jobs by what they are") var filter: FilterOptions
    @Flag(help: "All jobs that the verb is for, however many.") var all = false
    @Flag(help: "Change nothing; say what would be changed.") var dryRun = false
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        for id in ids where JobID(id) == nil {
            throw ValidationError("\"\(id)\" is not a job's id: 13 letters and digits.")
        }
        if !ids.isEmpty, !filter.isEmpty || all {
            throw ValidationError("Jobs are named by their ids or by what they are, not both.")
        }
        if ids.isEmpty, filter.isEmpty, !all {
            throw ValidationError("Which jobs? Name their ids, or what they are (--state, --queue, --to, …), or --all.")
        }
    }

    func parameters(dryRun: Bool) -> JSONObject {
        var parameters: JSONObject = [:]
        if ids.isEmpty {
            parameters["filter"] = .object(filter.json)
        } else {
            parameters["ids"] = .array(ids.map { .string($0.uppercased()) })
        }
        if dryRun { parameters["dry_run"] = true }
        return parameters
    }

    /// Calls the method and shows what it changed.
    /// - Parameter done: what has become of a changed job, as in `held`.
    func run(_ method: String, done: String) throws {
        var client = try ControlClient(common)
        var listing = ChangeListing(done: dryRun ? "would be \(done)" : done, isJSON: common.json)
        try client.stream(method, parameters(dryRun: dryRun)) { reply throws(Failure) in try listing.show(reply) }
        try listing.finish(isByID: !ids.isEmpty)
    }
}
