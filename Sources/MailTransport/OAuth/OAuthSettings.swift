// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Secrets

/// Where access tokens for a relay come from (RFC 6749).
///
/// With a refresh token they are had by it (§6), with a key by a signed statement (RFC 7523 §2.1), else by the client's
/// own name and secret (§4.4).
package struct OAuthSettings: Hashable, Sendable {
    /// The token endpoint.
    package var url: WebURL
    package var clientID: String
    package var clientSecret: PrivateFile?
    package var refreshToken: PrivateFile?
    /// The client's private key, and whose mailbox it asks for.
    package var key: PrivateFile?
    package var subject = ""
    package var scope: String?
    /// A file of the authorities to trust in place of the system's, PEM.
    package var tlsRoots: String?

    package init(url: WebURL, clientID: String) {
        self.url = url
        self.clientID = clientID
    }
}
