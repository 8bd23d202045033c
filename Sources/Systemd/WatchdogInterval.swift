// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSystemd

/// How often systemd wants to hear `WATCHDOG=1` (the unit's `WatchdogSec=`).
package enum WatchdogInterval {
    /// Seconds after which systemd takes us for dead; nil where no watchdog is wanted of this process.
    /// Half of it is the customary rhythm.
    package static func seconds() -> Double? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0, microseconds > 0 else { return nil }
        return Double(microseconds) / 1e6
    }
}
