// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What maild and mailctl say of themselves; both come from one build.
package enum Version {
    package static let text = "0.1.0"
}
