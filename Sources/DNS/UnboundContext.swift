// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CUnbound
import Glibc

/// One question on its way.
final class Inquiry {
    let question: DNSQuestion
    /// Monotonic seconds.
    let askedAt: Double
    private var done: ((DNSAnswer) -> Void)?

    init(_ question: DNSQuestion, at now: Double, done: @escaping (DNSAnswer) -> Void) {
        self.question = question
        askedAt = now
        self.done = done
    }

    var isOpen: Bool { done != nil }

    /// What comes second is not heard.
    func answer(_ answer: DNSAnswer) {
        let done = self.done
        self.done = nil
        done?(answer)
    }
}

/// A libunbound context: its cache, its upstream servers, and a thread of libunbound's own that asks them. Used on the
/// resolver's thread alone. Its upstreams cannot be changed once it has asked; a new one takes its place then.
final class UnboundContext {
    /// Readable when there are answers for `process`.
    let descriptor: CInt
    /// What libunbound carries along with each question that it still works on.
    private var tickets: [ObjectIdentifier: Ticket] = [:]
    private let context: OpaquePointer

    init(_ settings: ResolverSettings, servers: [NameServer]) throws(ResolverError) {
        guard let context = ub_ctx_create() else { throw ResolverError(reason: "libunbound has no memory") }
        do throws(ResolverError) {
            try Self.configure(context, settings, servers)
        } catch {
            ub_ctx_delete(context)
            throw error
        }
        self.context = context
        descriptor = ub_fd(context)
    }

    /// Who is not answered yet never is: the caller sees to that first.
    deinit { ub_ctx_delete(context) }

    var isIdle: Bool { tickets.isEmpty }

    func ask(_ inquiry: Inquiry) {
        let ticket = Ticket(inquiry, self)
        tickets[ObjectIdentifier(ticket)] = ticket
        let status = ub_resolve_async(
            context, inquiry.question.name, CInt(inquiry.question.type.rawValue), Self.internet,
            Unmanaged.passUnretained(ticket).toOpaque(), answered, nil)
        guard status != 0 else { return }
        ended(ticket)
        inquiry.answer(DNSAnswer(.failed(Self.words(status))))
    }

    /// The class IN.
    private static let internet: CInt = 1

    /// Answers what is there, by the inquiries' closures.
    func process() { _ = ub_process(context) }

    fileprivate func ended(_ ticket: Ticket) { tickets[ObjectIdentifier(ticket)] = nil }

    fileprivate static func words(_ status: CInt) -> String {
        ub_strerror(status).map { String(cString: $0) } ?? "libunbound's error \(status)"
    }
}

/// A question that was given up keeps its ticket until libunbound has done with it, or ends.
fileprivate final class Ticket {
    let inquiry: Inquiry
    unowned let context: UnboundContext

    init(_ inquiry: Inquiry, _ context: UnboundContext) {
        self.inquiry = inquiry
        self.context = context
    }
}

private func answered(_ data: UnsafeMutableRawPointer?, _ status: CInt, _ result: UnsafeMutablePointer<ub_result>?) {
    defer { ub_resolve_free(result) }
    guard let data else { return }
    let ticket = Unmanaged<Ticket>.fromOpaque(data).takeUnretainedValue()
    ticket.context.ended(ticket)
    if status == 0, let result {
        ticket.inquiry.answer(DNSAnswer(result.pointee))
    } else {
        ticket.inquiry.answer(DNSAnswer(.failed(UnboundContext.words(status))))
    }
}

extension DNSAnswer {
    fileprivate init(_ result: ub_result) {
        self.init(Self.status(result), isSecure: result.secure != 0, seconds: max(0, Int(result.ttl)))
        var index = 0
        while let item = result.data?[index], let length = result.len?[index] {
            records.append(Array(UnsafeRawBufferPointer(start: item, count: Int(length))))
            index += 1
        }
        canonicalName = result.canonname.map { name in
            let text = String(cString: name)
            return text.hasSuffix(".") ? String(text.dropLast()) : text
        }
    }

    private static func status(_ result: ub_result) -> Status {
        if result.bogus != 0 {
            return .bogus(result.why_bogus.map { String(cString: $0) } ?? "its signatures do not verify")
        }
        if result.havedata != 0 { return .data }
        if result.nxdomain != 0 { return .noName }
        switch result.rcode {
        case 0: return .noData
        case 2: return .failed("SERVFAIL")
        case 5: return .failed("REFUSED")
        default: return .failed("RCODE \(result.rcode)")
        }
    }
}

// MARK: - Settings

extension UnboundContext {
    private static func configure(
        _ context: OpaquePointer, _ settings: ResolverSettings, _ servers: [NameServer]
    ) throws(ResolverError) {
        // It would write to standard error, in words of its own.
        _ = ub_ctx_debugout(context, nil)
        for (option, value) in options(settings) {
            try check(ub_ctx_set_option(context, "\(option):", value), "\(option): \(value)")
        }
        for server in servers { try check(ub_ctx_set_fwd(context, server.unboundText), "server \(server)") }
        if let anchor = settings.anchor { try check(ub_ctx_add_ta_file(context, anchor), anchor) }
        try check(ub_ctx_async(context, 1), "thread")
        // What libunbound answers by itself: these names may be in use in a network of one's own. The first such call
        // reads the settings, so that a bad trust anchor is found here.
        for zone in ["test.", "home.arpa."] {
            try check(ub_ctx_zone_remove(context, zone), settings.anchor.map { "trust anchor \($0)" } ?? "zone \(zone)")
        }
    }

    private static func options(_ settings: ResolverSettings) -> [(String, String)] {
        [
            // libunbound's 16 sockets would make a thousand domains wait for each other.
            ("outgoing-range", "128"), ("outgoing-num-tcp", "16"),
            // Room for some thousand domains; the caches never grow beyond.
            ("msg-cache-size", "4m"), ("rrset-cache-size", "8m"),
            // A name server that was away is asked again within the minute, and not after a quarter of an hour.
            ("infra-host-ttl", "60"), ("infra-keep-probing", "yes"),
            // RFC 8145 reports are the business of the resolvers upstream.
            ("trust-anchor-signaling", "no"),
            ("harden-dnssec-stripped", settings.validation == .required ? "yes" : "no"),
            ("module-config", settings.anchor == nil ? "iterator" : "validator iterator"),
        ]
    }

    private static func check(_ status: CInt, _ what: String) throws(ResolverError) {
        guard status != 0 else { return }
        throw ResolverError(reason: "\(what): \(words(status))")
    }
}

/// Why there is no resolver.
package struct ResolverError: Error, Equatable, CustomStringConvertible {
    package var reason: String
    package var description: String { reason }
}
