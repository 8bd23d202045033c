// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import Glibc
import Testing

/// libunbound against a name server of our own; DNSSEC and MX records are tested in Tests/System with whole zones.
@Suite("Resolver")
struct ResolverTests {
    private func settings(_ stub: NameServerStub) throws -> ResolverSettings {
        var settings = ResolverSettings()
        settings.validation = .off
        settings.servers = [try #require(NameServer("127.0.0.1:\(stub.port)"))]
        return settings
    }

    private func ask(_ resolver: Resolver, _ name: String, _ type: RecordType) async -> DNSAnswer {
        await withCheckedContinuation { done in
            resolver.ask(DNSQuestion(name, type)) { done.resume(returning: $0) }
        }
    }

    private func check(_ resolver: Resolver) async -> ServerCheck {
        await withCheckedContinuation { done in resolver.checkServers { done.resume(returning: $0) } }
    }

    @Test("finds data, tells what does not exist from what has none, and what failed from both")
    func answers() async throws {
        let stub = NameServerStub { name in
            switch name {
            case "a.example", "host.test": .address([192, 0, 2, 1])
            case "gone.example": .code(3)
            case "broken.example": .code(2)
            default: .code(0)
            }
        }
        defer { stub.end() }
        let resolver = try Resolver(settings(stub))
        let found = await ask(resolver, "a.example", .a)
        #expect(found.status == .data && found.records == [[192, 0, 2, 1]] && !found.isSecure)
        #expect(found.seconds > 0 && found.seconds <= 60)
        #expect(await ask(resolver, "host.test", .a).records.count == 1, "names that others keep for themselves too")
        #expect(await ask(resolver, "a.example", .aaaa).status == .noData)
        #expect(await ask(resolver, "gone.example", .mx).status == .noName)
        #expect(await ask(resolver, "broken.example", .a).status == .failed("SERVFAIL"))
    }

    @Test("answers a thousand questions that are asked at once, each by its own")
    func many() async throws {
        let stub = NameServerStub { name in
            let number = Int(name.prefix { $0 != "." }) ?? 0
            return .address([10, 0, UInt8(number >> 8), UInt8(number & 0xFF)])
        }
        defer { stub.end() }
        let resolver = try Resolver(settings(stub))
        let right = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    let answer = await ask(resolver, "\(number).example", .a)
                    return answer.records == [[10, 0, UInt8(number >> 8), UInt8(number & 0xFF)]]
                }
            }
            var right = 0
            for await isRight in group where isRight { right += 1 }
            return right
        }
        #expect(right == 1000)
    }

    @Test("a name server that fails is not one that is away, and one that is away is found out")
    func serverCheck() async throws {
        let stub = NameServerStub { _ in .code(2) }
        let resolver = try Resolver(settings(stub))
        #expect(await check(resolver) == ServerCheck(isAnswered: true, servers: "127.0.0.1:\(stub.port)"))
        stub.end()
        let gone = try Resolver(settings(stub))
        #expect(await check(gone) == ServerCheck(isAnswered: false, servers: "127.0.0.1:\(stub.port)"))
        guard case .failed = await ask(gone, "a.example", .a).status else {
            Issue.record("there was an answer")
            return
        }
    }

    @Test("a resolver that goes answers what it was asked")
    func closing() async throws {
        let stub = NameServerStub { _ in nil }
        defer { stub.end() }
        var resolver: Resolver? = try Resolver(settings(stub))
        let answer = await withCheckedContinuation { done in
            resolver?.ask(DNSQuestion("a.example", .a)) { done.resume(returning: $0) }
            resolver = nil
        }
        #expect(answer.status == .failed("the resolver is closed"))
    }

    @Test("a trust anchor that is none is an error at once")
    func badAnchor() throws {
        var path = Array("/tmp/maild-anchor-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(name) }
        _ = write(descriptor, "nonsense\n", 9)
        close(descriptor)
        var settings = ResolverSettings()
        settings.servers = [try #require(NameServer("127.0.0.1:9"))]
        settings.trustAnchor = name
        #expect(throws: ResolverError.self) { try Resolver(settings) }
    }
}
