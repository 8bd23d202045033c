// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import MailTransport
import NIOCore
import NIOEmbedded

/// The world of an MXTransport without sockets: DNS that says what the test wants, hosts that open or do not, servers
/// that take all mail unless told otherwise, and a loop whose time is the test's.
final class Coast {
    enum Door { case open, refused, silent }

    let loop = EmbeddedEventLoop()
    /// Domain to hosts, the first the most preferred; none: the domain does not exist.
    var exchanges: [String: [String]] = [:]
    /// What DNS says in place of that.
    var failures: [String: DNSAnswer.Status] = [:]
    var hasNameServer = true
    /// By host; open where there is none.
    var doors: [String: Door] = [:]
    /// By host, what its server says to RCPT.
    var replies: [String: String] = [:]
    private(set) var lookups = 0
    /// Connections that were tried, by host.
    private(set) var tries: [String: Int] = [:]
    private(set) var servers: [ServerSide] = []
    private var pending: [(host: String, promise: EventLoopPromise<any Channel>)] = []
    private(set) var outcomes: [Int64: [Outcome]] = [:]
    private var count: Int64 = 0
    private var made: MXTransport?

    /// One connection as its server sees it.
    final class ServerSide {
        let host: String
        let channel: EmbeddedChannel
        var isGreeted = false
        var holdsData = false
        var rest = ""
        var isInData = false
        var taken = 0
        init(_ host: String, _ channel: EmbeddedChannel) {
            self.host = host
            self.channel = channel
        }
    }

    init(workers: Int = 8, perDomain: Int = 5) {
        var configuration = MXConfiguration(name: "direct", ehloName: "us.example")
        configuration.tls = .off
        configuration.connectionsPerDomainMax = perDomain
        made = MXTransport(
            configuration, loop: loop,
            lookups: Lookups(
                ask: { [unowned self] question, done in answer(question, done) },
                check: { [unowned self] done in
                    let check = ServerCheck(isAnswered: hasNameServer, servers: "192.0.2.53")
                    loop.execute { done(check) }
                }),
            connector: Connector { [unowned self] relay, _ in open(relay.host) }, chance: { 0.5 })
        transport.staffed(by: workers)
    }

    var transport: MXTransport {
        guard let made else { preconditionFailure("made in init") }
        return made
    }

    // MARK: DNS

    private func answer(_ question: DNSQuestion, _ done: @escaping (DNSAnswer) -> Void) {
        lookups += 1
        let answer = answer(question)
        loop.execute { done(answer) }
    }

    private func answer(_ question: DNSQuestion) -> DNSAnswer {
        guard hasNameServer else { return DNSAnswer(.failed("SERVFAIL")) }
        if let failure = failures[question.name] { return DNSAnswer(failure) }
        switch question.type {
        case .mx:
            guard let hosts = exchanges[question.name] else { return DNSAnswer(.noName, seconds: 60) }
            let records = hosts.enumerated().map { index, host -> [UInt8] in
                var bytes = [0, UInt8(index)]
                for label in host.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
                return bytes + [0]
            }
            return DNSAnswer(.data, records: records, seconds: 60)
        case .a: return DNSAnswer(.data, records: [[5, 6, 7, 8]], seconds: 60)
        default: return DNSAnswer(.noData, seconds: 60)
        }
    }

    // MARK: Hosts

    private func open(_ host: String) -> EventLoopFuture<any Channel> {
        tries[host, default: 0] += 1
        switch doors[host] ?? .open {
        case .refused: return loop.makeFailedFuture(IOError(errnoCode: 111, reason: "connect"))
        case .silent:
            let promise = loop.makePromise(of: (any Channel).self)
            pending.append((host, promise))
            return promise.futureResult
        case .open: return loop.makeSucceededFuture(connected(host))
        }
    }

    private func connected(_ host: String) -> any Channel {
        let channel = EmbeddedChannel(loop: loop)
        if let address = try? SocketAddress(ipAddress: "192.0.2.1", port: 25) {
            channel.connect(to: address, promise: nil)
        }
        servers.append(ServerSide(host, channel))
        return channel
    }

    /// Those that were silent answer after all, or are given up.
    func release(_ host: String, opening: Bool) {
        let released = pending.filter { $0.host == host }
        pending.removeAll { $0.host == host }
        for one in released {
            if opening {
                one.promise.succeed(connected(host))
            } else {
                one.promise.fail(ChannelError.connectTimeout(.seconds(15)))
            }
        }
        run()
    }

    /// Lets everything happen that happens without time passing.
    func run() {
        for _ in 0..<50 {
            loop.run()
            var isStill = true
            for server in servers where server.channel.isActive {
                if speak(server) { isStill = false }
            }
            if isStill { return }
        }
    }

    func run(seconds: Double) {
        for _ in 0..<Int((seconds * 10).rounded()) {
            run()
            loop.advanceTime(by: .milliseconds(100))
        }
        run()
    }

    /// Ends connections that live, as a server does that restarts.
    func hangUp(_ host: String) {
        for server in servers where server.host == host && server.channel.isActive {
            server.channel.close(promise: nil)
        }
        run()
    }

    var held: [ServerSide] { servers.filter(\.holdsData) }
    /// Hosts that hold the mail they are given until `answerHeld`.
    var holding: Set<String> = []

    func answerHeld() {
        for server in held {
            server.holdsData = false
            server.taken += 1
            say(server, "250 2.0.0 taken")
        }
        run()
    }

    private func speak(_ server: ServerSide) -> Bool {
        var isBusy = false
        if !server.isGreeted {
            server.isGreeted = true
            isBusy = true
            say(server, "220 \(server.host)")
        }
        while let buffer = try? server.channel.readOutbound(as: ByteBuffer.self) {
            isBusy = true
            server.rest += String(buffer: buffer)
        }
        while let end = server.rest.firstIndex(where: { $0 == "\r\n" }) {
            let line = String(server.rest[..<end])
            server.rest = String(server.rest[server.rest.index(after: end)...])
            hear(server, line)
        }
        return isBusy
    }

    private func hear(_ server: ServerSide, _ line: String) {
        if server.isInData {
            guard line == "." else { return }
            server.isInData = false
            if holding.contains(server.host) { return server.holdsData = true }
            server.taken += 1
            return say(server, "250 2.0.0 taken")
        }
        switch line.prefix(4) {
        case "RCPT": say(server, replies[server.host] ?? "250 ok")
        case "DATA":
            let refuses = replies[server.host]?.hasPrefix("2") == false
            server.isInData = !refuses
            say(server, refuses ? "503 no recipients" : "354 go on")
        case "QUIT":
            say(server, "221 bye")
            server.channel.close(promise: nil)
        default: say(server, "250 ok")
        }
    }

    private func say(_ server: ServerSide, _ line: String) {
        _ = try? server.channel.writeInbound(ByteBuffer(string: line + "\r\n"))
    }

    // MARK: Mail

    @discardableResult
    func send(_ recipients: String...) -> Int64 {
        count += 1
        let job = count
        let mail = Mail(
            job: JobID(raw: job), sender: "me@us.example", recipients: recipients,
            message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: false)
        var isSending = true
        transport.send(mail) { outcome in
            precondition(!isSending, "answered from within send")
            self.outcomes[job, default: []].append(outcome)
        }
        isSending = false
        run()
        return job
    }

    /// The one outcome of a job; nil while there is none.
    func outcome(_ job: Int64) -> Outcome? {
        run()
        let all = outcomes[job] ?? []
        precondition(all.count < 2, "answered twice")
        return all.first
    }

    /// "delivered 250" for each recipient, "waits" where nothing was tried; empty while there is no outcome.
    func verdicts(_ job: Int64) -> [String] {
        guard let outcome = outcome(job) else { return [] }
        let waiting = Set(outcome.putOff?.recipients ?? [])
        return outcome.verdicts.enumerated().map { index, verdict in
            waiting.contains(index) ? "waits" : "\(verdict.name) \(verdict.reply.code)"
        }
    }

    func taken(by host: String) -> Int { servers.filter { $0.host == host }.reduce(0) { $0 + $1.taken } }
    var report: TransportReport { transport.reports[0] }
}
