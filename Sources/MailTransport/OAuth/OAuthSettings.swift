// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Where access tokens for a relay come from (RFC 6749).
///
/// With a refresh token they are had by it (§6), without one by the client's own name and secret (§4.4).
package struct OAuthSettings: Hashable, Sendable {
    /// The token endpoint.
    package var url: WebURL
    package var clientID: String
    package var clientSecret: PrivateFile?
    package var refreshToken: PrivateFile?
    package var scope: String?
    /// A file of the authorities to trust in place of the system's, PEM.
    package var tlsRoots: String?

    package init(url: WebURL, clientID: String) {
        self.url = url
        self.clientID = clientID
    }
}
