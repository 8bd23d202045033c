// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A moment by the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
package struct WallTime: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }

    package static func + (time: WallTime, seconds: Double) -> WallTime {
        WallTime(milliseconds: time.milliseconds + Int64(seconds * 1000))
    }

    /// Seconds from `earlier` to here; negative where `earlier` is later.
    package func seconds(since earlier: WallTime) -> Double {
        Double(milliseconds - earlier.milliseconds) / 1000
    }
}

/// Where the time comes from. Tests bring their own.
package protocol Clock: Sendable {
    /// Wall-clock time: for what people wrote down (send_at, expires_at) and for what is kept on disk.
    func now() -> WallTime
    /// Seconds that only grow: for measuring how long something took.
    func monotonic() -> Double
}

package struct SystemClock: Clock {
    package init() {}

    package func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package func monotonic() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
    }
}
