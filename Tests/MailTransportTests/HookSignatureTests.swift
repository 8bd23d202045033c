// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Secrets
import Testing

@Suite("Signatures of webhooks")
struct HookSignatureTests {
    private func fields(_ signature: HookSignature, _ secret: String, _ body: String) -> [String] {
        let bytes = Array(body.utf8)
        let fields = bytes.withUnsafeBytes {
            signature.fields(
                id: "msg_p5jXN8AQM9LWM0D4loKWxJek", at: WallTime(milliseconds: 1_614_265_330_999),
                secret: Secret(secret), body: $0)
        }
        return fields.map { "\($0.name): \($0.value)" }
    }

    @Test("GitHub's, by the example of its documentation")
    func github() {
        #expect(
            fields(.github, "It's a Secret to Everybody", "Hello, World!") == [
                "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            ])
    }

    @Test("that of Standard Webhooks, by the example of its specification")
    func standard() {
        let fields = fields(.standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", #"{"test": 2432232314}"#)
        #expect(
            fields == [
                "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330",
                "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ])
    }

    @Test("a secret without the prefix is taken as it is")
    func plain() {
        #expect(fields(.standard, "secret", "x") != fields(.standard, "whsec_c2VjcmV0", "y"))
        #expect(fields(.standard, "secret", "x") == fields(.standard, "whsec_c2VjcmV0", "x"))
    }
}
