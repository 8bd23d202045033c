// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import NIOCore

/// How DNS is asked; answers come on the delivery loop, in a later turn. Tests bring their own.
package struct Lookups {
    package var ask: (DNSQuestion, @escaping (DNSAnswer) -> Void) -> Void
    /// Whether any name server answers at all.
    package var check: (@escaping (ServerCheck) -> Void) -> Void

    package init(
        ask: @escaping (DNSQuestion, @escaping (DNSAnswer) -> Void) -> Void,
        check: @escaping (@escaping (ServerCheck) -> Void) -> Void
    ) {
        self.ask = ask
        self.check = check
    }

    package init(_ resolver: Resolver, on loop: any EventLoop) {
        self.init(
            ask: { question, done in
                let bound = NIOLoopBound(done, eventLoop: loop)
                resolver.ask(question) { answer in loop.execute { bound.value(answer) } }
            },
            check: { done in
                let bound = NIOLoopBound(done, eventLoop: loop)
                resolver.checkServers { check in loop.execute { bound.value(check) } }
            })
    }

    /// Asks all that the search wants to know; `done` is told its result, once.
    func find(_ search: ExchangeSearch, done: @escaping (ExchangeSearch.Step) -> Void) {
        ExchangeFinder(search, self, done).begin()
    }
}

/// One search under way.
private final class ExchangeFinder {
    private var search: ExchangeSearch
    private let lookups: Lookups
    private let done: (ExchangeSearch.Step) -> Void

    init(_ search: ExchangeSearch, _ lookups: Lookups, _ done: @escaping (ExchangeSearch.Step) -> Void) {
        self.search = search
        self.lookups = lookups
        self.done = done
    }

    func begin() { take(search.begin()) }

    private func take(_ step: ExchangeSearch.Step) {
        switch step {
        case .ask(let questions):
            for question in questions {
                lookups.ask(question) { self.take(self.search.answered(question, $0)) }
            }
        case .wait: break
        case .found, .rejected, .deferred: done(step)
        }
    }
}
