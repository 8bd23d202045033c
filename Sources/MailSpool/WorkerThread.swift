// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A named thread that runs one function to its end. Signals are blocked in it: the main thread alone waits for them.
package final class WorkerThread: @unchecked Sendable {
    private let handle: pthread_t
    private var joined = false

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// - Parameter name: at most 15 bytes, as `top -H` shows it.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SpoolError) {
        var handle = pthread_t()
        let result = Self.create(&handle, Start(name: name, body: body))
        guard result == 0 else { throw .failed(message: "thread \(name): \(String(cString: strerror(result)))") }
        self.handle = handle
    }

    private static func create(_ handle: inout pthread_t, _ start: Start) -> CInt {
        let start = Unmanaged.passRetained(start)
        // The thread inherits the mask.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let result = pthread_create(&handle, nil, runThread, start.toOpaque())
        if result != 0 { start.release() }
        return result
    }

    fileprivate static func run(_ argument: UnsafeMutableRawPointer) {
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        nameCurrentThread(start.name)
        start.body()
    }

    /// pthread_setname_np is GNU's own and prctl is variadic: neither imports. The file does the same (proc(5)).
    private static func nameCurrentThread(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, name, min(15, name.utf8.count))
        close(file)
    }

    package func join() {
        guard !joined else { return }
        joined = true
        pthread_join(handle, nil)
    }
}

/// A named function, because a closure in its place crashes the compiler (6.3.1, SendNonSendable).
private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { WorkerThread.run(argument) }
    return nil
}
