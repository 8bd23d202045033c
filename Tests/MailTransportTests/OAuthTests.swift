// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOHTTP1
import Secrets
import Testing

@Suite("An OAuth 2 endpoint's answer")
struct OAuthGrantTests {
    private let now = WallTime(milliseconds: 0)

    private func read(_ status: Int, _ body: String, _ headers: [(String, String)] = []) throws
        -> Result<OAuthGrant, OAuthFault>
    {
        let response = HTTPResponse(
            status: status, headers: HTTPHeaders(headers), body: Array(body.utf8), isWhole: true, link: HTTPLink())
        return OAuthGrant.read(response, from: try WebURL(parsing: "https://id.example/token?secret"), now: now)
    }

    @Test(
        "is a token and how long it is good for",
        arguments: [
            (#"{"access_token":"t","token_type":"Bearer","expires_in":3599}"#, 3599, nil),
            (#"{"access_token":"t","token_type":"bearer","expires_in":"3599"}"#, 3599, nil),
            (#"{"access_token":"t","token_type":"BEARER"}"#, 300, nil),
            (#"{"access_token":"t","token_type":"Bearer","expires_in":0}"#, 300, nil),
            (#"{"access_token":"t","token_type":"Bearer","expires_in":9e9}"#, 2_592_000, nil),
            (#"{"access_token":"t","token_type":"Bearer","refresh_token":"r","x":[]}"#, 300, "r"),
            (#"{"access_token":"t","token_type":"Bearer","refresh_token":""}"#, 300, nil),
        ] as [(String, Double, String?)])
    func good(_ body: String, _ seconds: Double, _ refresh: String?) throws {
        let grant = try read(200, body).get()
        #expect(grant.token == Secret("t") && grant.lifetime == seconds)
        #expect(grant.refreshToken == refresh.map { Secret($0) })
    }

    @Test(
        "or a fault in words that show no secret",
        arguments: [
            (
                400, #"{"error":"invalid_grant","error_description":"AADSTS70008: the token\r\nhas expired"}"#,
                "400 invalid_grant: AADSTS70008: the token has expired"
            ),
            (401, #"{"error":"invalid_client"}"#, "401 invalid_client"), (503, "<html>", "503"), (302, "", "302"),
        ])
    func bad(_ status: Int, _ body: String, _ words: String) throws {
        let result = try read(status, body, [("Retry-After", "7")])
        guard case .failure(let fault) = result else {
            Issue.record("a token")
            return
        }
        #expect(fault.reason == "https://id.example gives no access token: \(words)")
        #expect(fault.retryAfter == 7 && fault.isGrantInvalid == words.contains("invalid_grant"))
    }

    @Test(
        "without a token that can be used it is a fault too",
        arguments: [
            "", "[]", #"{"token_type":"Bearer"}"#, #"{"access_token":"","token_type":"Bearer"}"#,
            #"{"access_token":"a b","token_type":"Bearer"}"#, #"{"access_token":"t"}"#,
            #"{"access_token":"t","token_type":"mac"}"#, #"{"access_token":5,"token_type":"Bearer"}"#,
        ])
    func useless(_ body: String) throws {
        guard case .failure(let fault) = try read(200, body) else {
            Issue.record("a token")
            return
        }
        #expect(fault.reason.hasPrefix("https://id.example gives ") && !fault.isGrantInvalid)
    }

    @Test("a form is encoded as RFC 6749 Appendix B has it")
    func form() {
        let bytes = FormEncoding.bytes([("scope", Array("a b+c/d".utf8)), ("x", Array("é&=~".utf8))])
        #expect(String(decoding: bytes, as: UTF8.self) == "scope=a%20b%2Bc%2Fd&x=%C3%A9%26%3D~")
    }

    @Test(
        "a token is used until shortly before its end, and its successor asked for before that",
        arguments: [
            (3600, 0, true, false), (3600, 3299, true, false), (3600, 3300, true, true), (3600, 3569, true, true),
            (3600, 3570, false, true), (10, 7, true, false), (10, 8, true, true), (10, 9, false, true),
        ] as [(Double, Double, Bool, Bool)])
    func life(_ lifetime: Double, _ later: Double, _ isUsable: Bool, _ isAging: Bool) {
        let token = AccessToken(Secret("t"), lifetime: lifetime, askedAt: 100)
        #expect(token.isUsable(at: 100 + later) == isUsable && token.isAging(at: 100 + later) == isAging)
    }
}

@Suite("Where refresh tokens are kept")
struct TokenShelfTests {
    private let directory = TemporaryDirectory()

    private var shelf: TokenShelf { TokenShelf(directory: directory.path + "/oauth", relay: "office365") }

    @Test("is for the owner alone, and void once the operator has put another token in place")
    func keeps() throws {
        #expect(try shelf.read(ancestor: Secret("first")) == nil)
        try shelf.keep(Secret("second"), ancestor: Secret("first"))
        try shelf.keep(Secret("third"), ancestor: Secret("first"))
        #expect(try shelf.read(ancestor: Secret("first")) == Secret("third"))
        #expect(try shelf.read(ancestor: Secret("other")) == nil)
        #expect(directory.mode("oauth") == 0o700 && directory.mode("oauth/office365.json") == 0o600)
        #expect(directory.read("oauth/office365.json")?.contains("first") == false)
        #expect(directory.list("oauth") == ["office365.json"])
        shelf.forget()
        #expect(try shelf.read(ancestor: Secret("first")) == nil)
    }

    @Test("says why where it cannot be written, and what was there stays")
    func fails() throws {
        try shelf.keep(Secret("second"), ancestor: Secret("first"))
        let elsewhere = TokenShelf(directory: directory.path + "/oauth/office365.json", relay: "x")
        #expect(throws: SecretFileError.self) { try elsewhere.keep(Secret("t"), ancestor: Secret("a")) }
        #expect(try shelf.read(ancestor: Secret("first")) == Secret("second"))
    }

    @Test("a file that is none of ours, or torn, is as good as none")
    func torn() throws {
        try shelf.keep(Secret("second"), ancestor: Secret("first"))
        directory.write("oauth/office365.json", #"{"ancestor":"#)
        #expect(try shelf.read(ancestor: Secret("first")) == nil)
    }
}

@Suite("A login by a token that was kept")
struct KeptTokenTests {
    private static let login = LoginSettings(
        user: "u", secret: SecretSource(kind: .token, place: .file("unread")), mechanism: .xoauth2)

    private func refused(isKept: Bool) -> Exchange {
        let exchange = Exchange(tls: .implicit, login: Self.login)
        exchange.dialogue.secured("TLSv1.3")
        exchange.says("220 mx")
        exchange.says("250-mx\r\n250 AUTH XOAUTH2")
        exchange.dialogue.identify(as: credential("old", isKept: isKept))
        _ = exchange.sent()
        exchange.says("535 5.7.8 no")
        return exchange
    }

    private func credential(_ token: String, isKept: Bool) -> Credential {
        var credential = Credential(user: "u", secret: Secret(token), kind: .token, nonce: "n")
        credential.isKept = isKept
        return credential
    }

    @Test("and was refused is repeated with another one, in the same session, once")
    func again() {
        let exchange = refused(isKept: true)
        #expect(exchange.dialogue.phase == .identifying && exchange.dialogue.refusedToken == Secret("old"))
        exchange.dialogue.identify(as: credential("new", isKept: false))
        #expect(exchange.sent().hasPrefix("AUTH XOAUTH2 "))
        exchange.says("235 ok")
        #expect(exchange.dialogue.phase == .ready)
        let twice = refused(isKept: true)
        twice.dialogue.identify(as: credential("new", isKept: true))
        _ = twice.sent()
        #expect(twice.says("535 5.7.8 no") == "QUIT\n")
        #expect(twice.dialogue.isClosed && twice.dialogue.ending?.code == 535)
    }

    @Test("a fresh one that is refused ends the session")
    func fresh() {
        let exchange = refused(isKept: false)
        #expect(exchange.dialogue.isClosed && exchange.dialogue.ending?.code == 535)
    }

    @Test("while the token is on its way the server may not speak but to say goodbye")
    func meanwhile() {
        for line in ["250 what?", "421 bye"] {
            let exchange = refused(isKept: true)
            exchange.says(line)
            #expect(exchange.dialogue.isClosed && exchange.dialogue.ending != nil)
        }
    }
}
