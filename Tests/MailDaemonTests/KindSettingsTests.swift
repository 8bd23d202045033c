// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import MailJob
import MailTransport
import Testing

@Suite("The tables of the kinds of job")
struct KindSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(text, file: "f", hostname: "h")
    }

    @Test("a kind is there where its table is, empty or not, and a noop where it is asked for")
    func presence() throws {
        let none = try parse("")
        #expect(none.webhook == nil && none.exec == nil && none.noop == nil)
        let all = try parse("[webhook]\n[exec]\n[noop]\nenabled = true")
        #expect(all.webhook == WebhookSettings() && all.exec == ExecSettings() && all.noop != nil)
        #expect(try parse("[noop]\nenabled = false").noop == nil)
        #expect(try parse("[webhook.a]\nurl = 'https://a.example'").webhook?.hooks.map(\.name) == ["a"])
    }

    @Test("a webhook has its documented defaults and takes its keys")
    func webhook() throws {
        let plain = WebhookSettings()
        #expect(plain.client.policy == .publicOnly && plain.client.connectSecondsMax == 10)
        #expect(plain.client.secondsMax == 30 && plain.concurrencyMax == nil && plain.tlsRoots == nil)
        let text = """
            [webhook]
            allow_private = true
            connect_seconds_max = 2
            seconds_max = 7.5
            concurrency_max = 3
            tls_roots = '/r'
            [webhook.b]
            url_credential = 'u'
            [webhook.a]
            url = 'https://a.example/x'
            allow_private = true
            secret_file = '/s'
            signature = 'github'
            authorization_credential = 'c'
            """
        let settings = try #require(try parse(text).webhook)
        #expect(settings.client.policy == .anywhere && settings.client.secondsMax == 7.5)
        #expect(settings.concurrencyMax == 3 && settings.tlsRoots == "/r")
        var hook = HookSettings(name: "a", address: .url(try WebURL(parsing: "https://a.example/x")))
        hook.allowsPrivate = true
        hook.secret = .file("/s")
        hook.signature = .github
        hook.authorization = .credential("c")
        #expect(settings.hooks == [hook, HookSettings(name: "b", address: .kept(.credential("u")))])
    }

    @Test("a program has its documented defaults and takes its keys")
    func exec() throws {
        let one = ProgramSettings(name: "a", command: ["/bin/true"])
        #expect(one.directory == "/" && one.environment == [] && one.secondsMax == 60 && one.concurrencyMax == nil)
        let text = """
            [exec]
            concurrency_max = 5
            [exec.sms]
            command = ['/usr/local/bin/sms', '--gateway', '']
            directory = '/srv'
            env = ['LANG', 'TZ']
            seconds_max = 3
            concurrency_max = 1
            """
        let settings = try #require(try parse(text).exec)
        var program = ProgramSettings(name: "sms", command: ["/usr/local/bin/sms", "--gateway", ""])
        program.directory = "/srv"
        program.environment = ["LANG", "TZ"]
        program.secondsMax = 3
        program.concurrencyMax = 1
        #expect(settings.programs == [program] && settings.concurrencyMax == 5)
        #expect(try parse("[exec.a]\ncommand = '/bin/true'").exec?.programs[0].command == ["/bin/true"])
    }

    @Test(
        "what is wrong is told by line and key",
        arguments: [
            ("[webhook]\nallow_private = 1", 2, "webhook.allow_private", "must be true or false"),
            ("[webhook]\nallow_privat = true", 2, "webhook.allow_privat", "did you mean allow_private?"),
            ("[webhook]\nseconds_max = 0", 2, "webhook.seconds_max", "must be from 0.1 to 3600, not 0"),
            ("[webhook]\nconcurrency_max = 0", 2, "webhook.concurrency_max", "must be from 1 to 1024"),
            ("[webhook.a]\nsignature = 'github'", 1, "webhook.a.url", "is missing, and url_file and url_credential"),
            ("[webhook.a]\nurl = 'a.example'", 2, "webhook.a.url", "does not begin with https:// or http://"),
            ("[webhook.a]\nurl = 'https://a'\nurl_file = '/u'", 2, "webhook.a.url", "excludes url_file"),
            ("[webhook.a]\nurl_file = '/u'\nurl_credential = 'u'", 3, "webhook.a.url_credential", "excludes url_file"),
            (
                "[webhook.a]\nurl = 'https://a'\nsignature = 'github'", 3, "webhook.a.signature",
                "needs secret_file or secret_credential as well"
            ),
            (
                "[webhook.a]\nurl = 'https://a'\nsecret_file = '/s'\nsignature = 'md5'", 4, "webhook.a.signature",
                "must be one of standard, github"
            ),
            ("[webhook.a]\nurl = 'https://a'\nsecret = 'x'", 3, "webhook.a.secret", "use secret_file (a path)"),
            (
                "[webhook.a]\nurl = 'https://a'\nsekret_file = '/s'", 3, "webhook.a.sekret_file",
                "did you mean secret_file?"
            ),
            ("[webhook.'a b']\nurl = 'https://a'", 1, "webhook.a b", "NAME in [webhook.NAME] has 1 to 63 letters"),
            ("[exec.a]", 1, "exec.a.command", "is missing"),
            ("[exec.a]\ncommand = 'true'", 2, "exec.a.command", "must begin with an absolute path, not \"true\""),
            ("[exec.a]\ncommand = []", 2, "exec.a.command", "must not be empty"),
            ("[exec.a]\ncommand = ['/bin/true', 1]", 2, "exec.a.command", "must be a string or a list of strings"),
            ("[exec.a]\ncommand = '/x'\nenv = ['A=b']", 3, "exec.a.env", "the name of a variable, without its value"),
            ("[exec.a]\ncommand = '/x'\ndirectory = 'y'", 3, "exec.a.directory", "must be an absolute path"),
            ("[exec.a]\ncommand = '/x'\ntimeout = 3", 3, "exec.a.timeout", "is unknown"),
            ("[exec]\nsms = '/x'", 2, "exec.sms", "is unknown"),
            ("[noop]\nenabled = 'yes'", 2, "noop.enabled", "must be true or false"),
            ("enabled = true", 1, "enabled", "did you mean enabled in [noop]?"),
            ("command = 'x'", 1, "command", "did you mean command in [exec.NAME]?"),
            ("[exec.NAME.x]\ny = 1", 1, "exec.NAME.x", "is unknown"),
        ])
    func bad(text: String, line: Int, key: String, words: String) {
        let error = #expect(throws: ConfigurationError.self) { try parse(text) }
        #expect(
            error?.line == line && error?.key == key && error?.message.contains(words) == true,
            "\(error ?? .init(file: "", message: ""))")
    }

    @Test("a reload tells what changed; a kind that comes or goes waits for a restart")
    func changes() throws {
        let one = try parse("[webhook]\n[webhook.a]\nurl = 'https://a.example/x'\n[exec.b]\ncommand = '/b'")
        #expect(one.changes(from: one).changed == [])
        let other = try parse(
            "[webhook]\nseconds_max = 3\n[webhook.a]\nurl = 'https://a.example/y'\n[exec.b]\ncommand = '/c'")
        #expect(other.changes(from: one).changed == ["webhook.seconds_max", "webhook.a", "exec.b"])
        #expect(other.changes(from: one).restartNeeded == [])
        let noop = try parse("[noop]\nenabled = true")
        #expect(noop.changes(from: try parse("")).restartNeeded == ["noop.enabled"])
        let gone = try parse("").changes(from: one)
        #expect(gone.changed == [])
        #expect(gone.restartNeeded.contains("webhook.a") && gone.restartNeeded.contains("exec.b"))
    }

    @Test("a relay's tokens may come from an endpoint")
    func oauth() throws {
        let text = """
            [relay.a]
            host = 'smtp.example.net'
            user = 'app@example.net'
            oauth_token_url = 'https://id.example/t/token'
            oauth_client_id = 'c'
            oauth_refresh_token_credential = 'r'
            oauth_scope = 'a b'
            """
        let relay = try #require(try parse(text).relays.first)
        var settings = OAuthSettings(url: try WebURL(parsing: "https://id.example/t/token"), clientID: "c")
        settings.refreshToken = .credential("r")
        settings.scope = "a b"
        #expect(
            relay.login
                == LoginSettings(
                    user: "app@example.net", secret: SecretSource(kind: .token, place: .endpoint(settings))))
        let changed = try parse(text.replacing("/t/token", with: "/u/token")).changes(from: try parse(text)).changed
        #expect(changed == ["relay.a.oauth_token_url"])
        #expect(try parse("").oauthDirectory == "/var/lib/maild/oauth")
    }
}
