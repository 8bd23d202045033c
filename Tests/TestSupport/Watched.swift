// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that tests wait for, without polling. A wait that a time limit cancels throws.
package final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        var isEnough: @Sendable (Value) -> Bool
        var continuation: CheckedContinuation<Value, any Error>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var cancelled: Set<Int> = []
        var count = 0
    }

    private let state: Mutex<State>

    package init(_ value: Value) { state = Mutex(State(value: value)) }

    package var value: Value { state.withLock { $0.value } }

    package func change(_ body: @Sendable (inout Value) -> Void) {
        let ready: [(Waiter, Value)] = state.withLock { state in
            body(&state.value)
            let value = state.value
            let enough = state.waiters.filter { $0.value.isEnough(value) }
            for key in enough.keys { state.waiters[key] = nil }
            return enough.values.map { ($0, value) }
        }
        for (waiter, value) in ready { waiter.continuation.resume(returning: value) }
    }

    @discardableResult
    package func until(_ isEnough: @escaping @Sendable (Value) -> Bool) async throws -> Value {
        let number = state.withLock { state in
            state.count += 1
            return state.count
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { wait(number, Waiter(isEnough: isEnough, continuation: $0)) }
        } onCancel: {
            let waiter = state.withLock { state in
                state.cancelled.insert(number)
                return state.waiters.removeValue(forKey: number)
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    private func wait(_ number: Int, _ waiter: Waiter) {
        let result: Result<Value, any Error>? = state.withLock { state in
            if state.cancelled.contains(number) { return .failure(CancellationError()) }
            if waiter.isEnough(state.value) { return .success(state.value) }
            state.waiters[number] = waiter
            return nil
        }
        if let result { waiter.continuation.resume(with: result) }
    }
}
