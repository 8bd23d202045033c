// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailSpool
import Synchronization

/// A PostgreSQL of the tests' own, on a socket in a directory of its own; started by whoever wants it first, and gone
/// with the process, however that ends. It syncs to disk, as it would in earnest.
final class PostgreSQLServer: Sendable {
    private static let shared = Result { try PostgreSQLServer() }
    private static let schemas = Atomic<Int>(0)

    private let directory: String

    struct Failed: Error, CustomStringConvertible { var description: String }

    /// A place in it that nobody has used.
    static func location() throws -> FleetLocation {
        let server = try shared.get()
        var location = FleetLocation(uri: "postgresql://maild@/postgres?host=\(server.directory)")
        location.schema = "shelf_\(schemas.add(1, ordering: .relaxed).newValue)"
        return location
    }

    private init() throws {
        // Many shelves are open at once, each with connections of its own.
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, 16_384)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var template = Array("\(P_tmpdir)/maild-postgresql-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failed(description: String(cString: strerror(errno))) }
        directory = String(cString: made)
        let said = Self.run(try Self.command("start", Self.start, directory))
        guard said.hasSuffix("started\n") else {
            throw Failed(description: "PostgreSQL does not start (scripts/install-deps test brings it): \(said)")
        }
        // Its input ends with this process; it is never closed before.
        guard popen(try Self.command("watch", Self.watch, directory), "we") != nil else {
            throw Failed(description: String(cString: strerror(errno)))
        }
    }

    /// What runs here outlives its start, and other tests' sockets must not: a listener that a child has inherited goes
    /// on listening after it was closed. PostgreSQL refuses to run as root.
    private static let prelude = """
        for file in /proc/$BASHPID/fd/*; do number=${file##*/}; (( number > 2 )) && exec {number}>&-; done
        cd DIRECTORY; bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }
        """
    private static let start = """
        exec 2>&1; \(prelude)
        [ "$(id -u)" = 0 ] && chown postgres DIRECTORY
        as "$bin/initdb" --auth trust --username maild --no-sync --pgdata DIRECTORY/data >DIRECTORY/log &&
        as "$bin/pg_ctl" --pgdata DIRECTORY/data --log DIRECTORY/server.log --wait --timeout 120 \
        --options "-k DIRECTORY -c listen_addresses= -c max_connections=1000" start >/dev/null && echo started ||
        cat DIRECTORY/log DIRECTORY/server.log
        """
    private static let watch = """
        trap '' INT TERM; \(prelude)
        cat >/dev/null; as "$bin/pg_ctl" --pgdata DIRECTORY/data --mode immediate stop >/dev/null 2>&1; rm -rf DIRECTORY
        """

    /// The shell of popen(3) may know no descriptors above 9.
    private static func command(_ name: String, _ script: String, _ directory: String) throws -> String {
        let path = "\(directory)/\(name).sh"
        guard let file = fopen(path, "we") else { throw Failed(description: String(cString: strerror(errno))) }
        fputs(script.replacing("DIRECTORY", with: directory), file)
        fclose(file)
        return "exec bash -c \"$(cat \(path))\""
    }

    private static func run(_ command: String) -> String {
        guard let pipe = popen(command, "re") else { return String(cString: strerror(errno)) }
        defer { pclose(pipe) }
        var said: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&part, 1, part.count, pipe), count > 0 { said += part[..<count] }
        return String(decoding: said, as: UTF8.self)
    }
}
