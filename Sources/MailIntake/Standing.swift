// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import MailWire

/// What a connected user may, as the rules of its app have it.
struct Standing {
    let app: AppHandle
    /// nil: what everybody may.
    let limits: JobLimits?
    let quota: Quota
}
