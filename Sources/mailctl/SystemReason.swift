// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The system's words for an errno.
enum SystemReason {
    static func text(_ code: Int32) -> String {
        guard let reason = strerror(code) else { return "error \(code)" }
        return String(cString: reason)
    }
}
