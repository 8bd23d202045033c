// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Idempotency keys of the whole fleet.
struct PostgreSQLKeys {
    let kinds: KindTable

    // A job that is in neither table was purged or forgotten: then the key remembers its end.
    private static let lookUp = """
        SELECT keys.job, keys.digest, coalesce(jobs.state, keys.state) FROM keys LEFT JOIN jobs ON jobs.id = keys.job
        WHERE keys.uid = $1 AND keys.kind = $2::int8 AND keys.name = $3
        """

    func find(_ name: [UInt8], uid: UInt32, kind: UInt8, _ link: Link) throws(SpoolError) -> KnownKey? {
        let rows = try link.run(
            Self.lookUp, [.integer(Int64(uid)), .integer(kinds.number(of: kind)), .bytes(name)])
        guard rows.count == 1 else { return nil }
        let state = rows.isNull(0, 2) ? nil : JobState(rawValue: UInt8(clamping: rows.integer(0, 2)))
        return KnownKey(
            job: Repeat(id: JobID(raw: rows.integer(0, 0)), state: state ?? .ready), digest: Array(rows.bytes(0, 1)))
    }
}
