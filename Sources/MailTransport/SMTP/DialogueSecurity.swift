// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

// What lies between EHLO and the first mail: encryption (RFC 3207) and login (RFC 4954).

extension Dialogue {
    /// EHLO was answered. Nothing is sent behind STARTTLS or AUTH before they are (RFC 2920 §3.1).
    mutating func secureOrLogIn() {
        guard tlsVersion == nil, security.tls == .required || security.tls == .opportunistic else { return logIn() }
        if capabilities.startTLS {
            phase = .startTLS
            outbound.writeStaticString("STARTTLS\r\n")
        } else if security.tls == .required {
            giveUp(Reply(454, "4.7.4", "TLS is required, and \(server) does not offer STARTTLS"))
        } else {
            logIn()
        }
    }

    mutating func startTLSReplied(_ reply: ServerReply) {
        if reply.code == 220 {
            phase = .securing
        } else if security.tls == .required {
            let words = reply.reply
            giveUp(Reply(454, "4.7.4", "TLS is required, and \(server) refused STARTTLS: \(words.code) \(words.text)"))
        } else {
            logIn()
        }
    }

    // MARK: What happens to the encryption

    /// The handshake is done, the certificate verified where the policy wants it. `version` such as `TLSv1.3`.
    package mutating func secured(_ version: String) {
        guard phase == .securing else { return }
        tlsVersion = version
        guard security.tls != .implicit else { return phase = .greeting }
        // RFC 3207 §4.2: what was said in clear is forgotten, and asked for again.
        terms.capabilities = Capabilities()
        sayHello()
    }

    /// No encryption came about; the connection is of no use for anything else.
    package mutating func securingFailed(_ reason: String) {
        guard phase == .securing else { return }
        // RFC 3463 §3.8: X.7.5, cryptographic failure.
        end(Reply(454, "4.7.5", "no TLS with \(server): \(reason)"), isRefusal: true)
    }

    /// Octets came in clear behind the 220 to STARTTLS. They would be taken for what the server says once it is
    /// encrypted, so that a third party could speak for it (RFC 3207 §4.2, CVE-2011-0411).
    package mutating func injected() {
        guard phase == .securing else { return }
        let cause = "\(server) sent more in clear after its reply to STARTTLS; somebody on the way may have"
        end(Reply(454, "4.7.5", cause), isRefusal: true)
    }

    // MARK: Login

    private mutating func logIn() {
        guard security.mechanisms != nil else { return becomeReady() }
        // RFC 4954 §4, RFC 8314 §3.3: no secret goes over a wire that others can hear.
        guard tlsVersion != nil || Loopback.contains(security.host) else {
            return giveUp(Reply(454, "4.7.4", "no login to \(server) without TLS: the secret would go in clear"))
        }
        phase = .identifying
    }

    /// The answer to the phase `identifying`.
    package mutating func identify(as credential: Credential) {
        guard phase == .identifying else { return }
        phase = .login
        var login = Login(credential, offered: capabilities.login, security: security, server: server)
        loginStepped(login.begin(), login)
    }

    /// There is no credential; `reason` says which file is to blame.
    package mutating func cannotIdentify(_ reason: String) {
        guard phase == .identifying else { return }
        giveUp(Reply(454, "4.7.0", "cannot log in to \(server): \(reason)"))
    }

    /// The credential takes its time, and the server did not wait.
    mutating func spokeUnasked(_ reply: ServerReply) {
        giveUp(Reply(451, "4.5.0", "\(server) said \"\(reply.code) \(reply.reply.text)\" before we logged in"))
    }

    mutating func loginReplied(_ reply: ServerReply) {
        guard var login else { return }
        loginStepped(login.received(reply), login)
    }

    private mutating func loginStepped(_ step: Login.Step, _ login: Login) {
        self.login = login
        switch step {
        case .send(let line): outbound.writeString("\(line)\r\n")
        case .done:
            loginName = login.mechanismName
            self.login = nil
            becomeReady()
        // RFC 4954 §4: after a failure another AUTH may be tried.
        case .failed(let cause) where cause.code == 535 && login.credential.isKept && refusedToken == nil:
            refusedToken = login.credential.secret
            self.login = nil
            phase = .identifying
        case .failed(let cause): giveUp(cause)
        case .cancelled(let cause):
            // RFC 4954 §4: a lone "*" ends an exchange that we do not go on with.
            outbound.writeStaticString("*\r\n")
            giveUp(cause)
        }
    }

    /// Nothing of this is any mail's fault: all of it waits.
    private mutating func giveUp(_ cause: Reply) {
        login = nil
        outbound.writeStaticString("QUIT\r\n")
        end(cause, isRefusal: true)
    }
}
