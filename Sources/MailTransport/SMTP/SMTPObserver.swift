// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Hears what happens between one relay and its servers, on the delivery loop.
package protocol SMTPObserver: AnyObject {
    /// A session is ready for mail. `disconnected` follows once for each.
    func connected(tls: Bool)
    func disconnected()
    func reply(_ stage: SMTPStage, _ reply: ServerReply)
    /// No session came about: no address, no connection, or the server refused to talk.
    func unreachable(_ reason: String)
}
