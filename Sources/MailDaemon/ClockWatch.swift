// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CTimer
import MailSpool

/// Says when somebody sets the wall clock, so that a job that is due by the new time does not wait for the next look.
///
/// A thread that sleeps in the kernel until then: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET. Where there is no such
/// timer the dispatcher's own look, once a minute, is all there is.
enum ClockWatch {
    static func begin(_ changed: @escaping @Sendable () -> Void) {
        let timer = timer_of_wall_clock()
        guard timer >= 0 else { return }
        // It ends with the process: there is nothing to give back.
        _ = try? WorkerThread(name: "clock-watch") { watch(timer, changed) }
    }

    private static func watch(_ timer: CInt, _ changed: () -> Void) {
        while true {
            switch timer_wait_for_set_clock(timer) {
            case 1: changed()
            case 0: continue
            default: return
            }
        }
    }
}
