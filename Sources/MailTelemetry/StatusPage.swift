// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// The page at `/`: what a Grafana dashboard would draw, for those who have none. One document without outside assets;
/// its script asks for /status.json once a second while somebody looks.
enum StatusPage {
    static func answer() -> HTTPAnswer {
        var random = SystemRandomNumberGenerator()
        let nonce = String(random.next(), radix: 36) + String(random.next(), radix: 36)
        return HTTPAnswer(
            status: .ok, type: "text/html; charset=utf-8", body: Array(html(nonce: nonce).utf8),
            extra: [
                ("Content-Security-Policy", policy(nonce: nonce)),
                ("Referrer-Policy", "no-referrer"),
            ])
    }

    /// Nothing but this page's own style and script, and its questions to where it came from.
    static func policy(nonce: String) -> String {
        """
        default-src 'none'; style-src 'nonce-\(nonce)'; script-src 'nonce-\(nonce)'; connect-src 'self'; \
        img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """
    }

    static func html(nonce: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>maild</title>
        <link rel="icon" href="data:,">
        <style nonce="\(nonce)">
        \(StatusPageStyle.css)
        </style>
        </head>
        <body>
        \(body)
        <script nonce="\(nonce)">
        \(StatusPageScript.javaScript)
        </script>
        </body>
        </html>

        """
    }

    private static let body = """
        <header>
          <h1>maild</h1>
          <p id="state" class="state">asking …</p>
          <p id="version" class="faint"></p>
        </header>
        <p id="spoken" class="unseen" role="status" aria-live="polite"></p>
        <noscript><p class="notice">This page draws itself by script. The same numbers stand under <a href="metrics">/metrics</a>.</p></noscript>
        <main>
          <section aria-labelledby="now">
            <h2 id="now">Now</h2>
            <div class="figures">
              \(figure("workers", "Workers running", "those with a job in hand, of those wanted"))
              \(figure("running", "Jobs running", "in a worker’s hands"))
              \(figure("rate", "Jobs a second", "attempts that ended, mean of the last five seconds"))
              \(figure("time", "Processing time", "mean length of the attempts of the last minute"))
              \(figure("oldest", "Oldest ready job", "how long it has waited for a worker"))
              \(figure("accepting", "Accepted a second", "mean of the last five seconds"))
            </div>
          </section>
          <section aria-labelledby="states">
            <h2 id="states">Jobs by state</h2>
            <table>
              <thead><tr><th scope="col">State</th><th scope="col" class="number">Jobs</th><th scope="col">Last two minutes</th></tr></thead>
              <tbody>
                \(["ready", "running", "scheduled", "held", "failed"].map(row).joined(separator: "\n        "))
              </tbody>
            </table>
          </section>
          <section aria-labelledby="queues" id="queue-section" hidden>
            <h2 id="queues">Queues</h2>
            <table>
              <thead><tr><th scope="col">Queue</th><th scope="col">State</th><th scope="col" class="number">Ready</th><th scope="col" class="number">Running</th><th scope="col" class="number">Scheduled</th><th scope="col" class="number">Oldest</th></tr></thead>
              <tbody id="queue-rows"></tbody>
            </table>
          </section>
          <section aria-labelledby="totals">
            <h2 id="totals">Since the start</h2>
            <dl>
              <div><dt>accepted</dt><dd id="total-accepted">–</dd></div>
              <div><dt>delivered</dt><dd id="total-delivered">–</dd></div>
              <div><dt>failed</dt><dd id="total-failed">–</dd></div>
              <div><dt>lines refused</dt><dd id="total-rejected">–</dd></div>
              <div><dt>clients now</dt><dd id="clients">–</dd></div>
              <div><dt>spool</dt><dd id="spool">–</dd></div>
            </dl>
          </section>
          <section aria-labelledby="relays" id="relay-section" hidden>
            <h2 id="relays">Relays</h2>
            <table>
              <thead><tr><th scope="col">Relay</th><th scope="col">State</th><th scope="col" class="number">Waiting</th><th scope="col" class="number">Connections</th><th scope="col" class="number">Idle</th></tr></thead>
              <tbody id="relay-rows"></tbody>
            </table>
          </section>
          <section aria-labelledby="failures" id="failure-section" hidden>
            <h2 id="failures">Latest failures</h2>
            <table>
              <thead><tr><th scope="col">Job</th><th scope="col">When</th><th scope="col">Relay</th><th scope="col">Reply</th></tr></thead>
              <tbody id="failure-rows"></tbody>
            </table>
          </section>
        </main>
        <footer class="faint"><a href="metrics">Metrics for Prometheus</a> · <span id="at">no answer yet</span></footer>
        """

    private static func figure(_ id: String, _ title: String, _ meaning: String) -> String {
        """
        <article class="figure" aria-labelledby="\(id)-title">
          <h3 id="\(id)-title" title="\(meaning)">\(title)</h3>
          <p class="value"><span id="\(id)">–</span> <small id="\(id)-target"></small></p>
          \(line(id))
        </article>
        """
    }

    private static func row(_ state: String) -> String {
        """
        <tr><th scope="row">\(state)</th><td class="number" id="jobs-\(state)">–</td>\
        <td>\(line("jobs-\(state)"))</td></tr>
        """
    }

    private static func line(_ id: String) -> String {
        """
        <svg data-line="\(id)" viewBox="0 0 120 32" preserveAspectRatio="none" aria-hidden="true"></svg>
        """
    }
}
