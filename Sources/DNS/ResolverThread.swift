// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The thread that serves a `ResolverDesk` until that is closed.
enum ResolverThread {
    static func start(_ desk: ResolverDesk) throws(ResolverError) {
        // The thread and libunbound's inherit the mask: signals belong to the daemon's main thread.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let retained = Unmanaged.passRetained(desk)
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, runResolver, retained.toOpaque())
        guard status == 0 else {
            retained.release()
            throw ResolverError(reason: "no thread for it: \(String(cString: strerror(status)))")
        }
        pthread_detach(thread)
    }

    fileprivate static func name() {
        // pthread_setname_np does not import; the file does the same (proc(5)).
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "resolver", 8)
        close(file)
    }
}

private func runResolver(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    ResolverThread.name()
    Unmanaged<ResolverDesk>.fromOpaque(argument).takeRetainedValue().serve()
    return nil
}
