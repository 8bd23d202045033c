// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Where questions are put and answered. `put` is for any thread, all else belongs to the resolver's own, which sleeps
/// in poll(2) until there is a question, an answer, or a time-out.
final class ResolverDesk: @unchecked Sendable {
    struct Inbox {
        var questions: [(DNSQuestion, @Sendable (DNSAnswer) -> Void)] = []
        var checks: [@Sendable (ServerCheck) -> Void] = []
        var isClosing = false
    }

    /// After so long without an answer it is found out whether the servers say anything at all: libunbound would take
    /// a quarter of a minute to despair of them.
    private static let doubtSeconds = 3.0
    /// How often resolv.conf is looked at, where there are questions.
    private static let lookSeconds = 5.0

    private let inbox = Mutex(Inbox())
    /// The reading and the writing end of the bell.
    private let bell: (CInt, CInt)
    private let settings: ResolverSettings
    private var resolvConf: ResolvConf?
    private var lookedAt: Double
    /// The last is asked; those before it only finish.
    private var contexts: [UnboundContext]
    /// In the order in which they were asked.
    private var inquiries: [Inquiry] = []
    /// When that was last found out.
    private var checkedAt = 0.0
    private var probe: NameServerProbe
    /// No server answered: what libunbound remembers of them is not to be trusted once they do.
    private var isSpoiled = false

    init(_ settings: ResolverSettings, resolvConf path: String) throws(ResolverError) {
        self.settings = settings
        let file = settings.servers.isEmpty ? ResolvConf(path: path) : nil
        let servers = file?.servers ?? settings.servers
        resolvConf = file
        lookedAt = Self.now()
        probe = NameServerProbe(servers)
        contexts = [try UnboundContext(settings, servers: servers)]
        var ends: [CInt] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw ResolverError(reason: "no socket to wake it: \(String(cString: strerror(errno)))")
        }
        bell = (ends[0], ends[1])
    }

    func put(_ add: @Sendable (inout Inbox) -> Void) {
        inbox.withLock { add(&$0) }
        // Where it is full it rings already.
        _ = write(bell.1, [1] as [UInt8], 1)
    }

    func closeDescriptors() {
        close(bell.0)
        close(bell.1)
    }

    // MARK: On the resolver's thread

    func serve() {
        while true {
            wait()
            let work = takeInbox()
            if work.isClosing { break }
            for (question, done) in work.questions { ask(question, done) }
            for check in work.checks { probe.add(check, at: Self.now()) }
            for context in contexts { context.process() }
            check(at: Self.now())
            giveUp(at: Self.now())
            contexts.removeAll { $0 !== contexts.last && $0.isIdle }
        }
        end()
    }

    private func wait() {
        var files = [pollfd(fd: bell.0, events: Int16(POLLIN), revents: 0)]
        for descriptor in contexts.map(\.descriptor) + probe.descriptors {
            files.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
        let oldest = inquiries.first?.askedAt
        let doubt = oldest.map { max($0 + Self.doubtSeconds, checkedAt + Self.doubtSeconds) }
        let alarms = [oldest.map { $0 + Resolver.secondsMax }, doubt, probe.alarm].compactMap { $0 }
        let seconds = alarms.min().map { max(0, $0 - Self.now()) }
        _ = poll(&files, nfds_t(files.count), seconds.map { CInt($0 * 1000) + 1 } ?? -1)
    }

    private func takeInbox() -> Inbox {
        var rings = [UInt8](repeating: 0, count: 4096)
        while read(bell.0, &rings, rings.count) == rings.count {}
        return inbox.withLock { inbox in
            let taken = inbox
            if !taken.isClosing { inbox = Inbox() }
            return taken
        }
    }

    private func ask(_ question: DNSQuestion, _ done: @escaping @Sendable (DNSAnswer) -> Void) {
        let now = Self.now()
        renew(at: now)
        let inquiry = Inquiry(question, at: now, done: done)
        inquiries.append(inquiry)
        contexts.last?.ask(inquiry)
    }

    /// A fresh context where other servers are to be asked, or the old one has learnt that they are dead.
    private func renew(at now: Double) {
        var isDue = isSpoiled
        if now - lookedAt >= Self.lookSeconds, resolvConf?.refresh() == true { isDue = true }
        if now - lookedAt >= Self.lookSeconds { lookedAt = now }
        guard isDue else { return }
        isSpoiled = false
        let servers = resolvConf?.servers ?? settings.servers
        probe.servers = servers
        // Where there can be none now, the old one must do.
        if let fresh = try? UnboundContext(settings, servers: servers) { contexts.append(fresh) }
    }

    /// Asks after the servers where an answer is long in coming; where nobody is there, none will come.
    private func check(at now: Double) {
        if let oldest = inquiries.first?.askedAt, now >= max(oldest, checkedAt) + Self.doubtSeconds {
            checkedAt = now
            probe.begin(at: now)
        }
        guard let isAnswered = probe.advance(at: now) else { return }
        isSpoiled = !isAnswered
        guard !isAnswered else { return }
        let failure = DNSAnswer(.failed("no name server answers"))
        for inquiry in inquiries where now >= inquiry.askedAt + Self.doubtSeconds { inquiry.answer(failure) }
    }

    private func giveUp(at now: Double) {
        let deadline = now - Resolver.secondsMax
        let late = inquiries.prefix { !$0.isOpen || $0.askedAt <= deadline }
        for inquiry in late { inquiry.answer(DNSAnswer(.failed("no answer within \(Int(Resolver.secondsMax)) s"))) }
        inquiries.removeFirst(late.count)
    }

    private func end() {
        let work = inbox.withLock { $0 }
        let closed = DNSAnswer(.failed("the resolver is closed"))
        for inquiry in inquiries { inquiry.answer(closed) }
        for (_, done) in work.questions { done(closed) }
        probe.end()
        for check in work.checks { check(ServerCheck(isAnswered: true, servers: "")) }
        inquiries = []
        contexts = []
        closeDescriptors()
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
