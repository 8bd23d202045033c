// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The operators' interface in Varlink's own language, as GetInterfaceDescription returns it.
///
/// docs/protocol.md shows the same text; a test holds them together.
package enum ControlInterface {
    package static let name = "io.maild.Control"

    package static let description = """
        # The operators' door to maild: see the queue, steer it, change the number of workers.
        interface io.maild.Control

        # Jobs on disk by state. A scheduled job whose time has come counts as ready; running jobs are counted apart.
        type Counts (ready: int, scheduled: int, running: int, held: int, failed: int)

        # state: idle or running; seconds: how long it has been so; job and kind while running.
        type Worker (number: int, state: string, seconds: float, job: ?string, kind: ?string)

        # One next hop. connections: open now; idle: of these without work. breaker: closed while sessions come about, open
        # while none does, with the cause and the time of the next probe, half-open while one mail finds out. waiting: mails in
        # line, or put off until the relay takes them; they use up no attempt. concurrency_max: mails at a time, while a relay
        # that asked for it is spared.
        type Relay (
          name: string,
          transport: string,
          address: string,
          connections: int,
          idle: int,
          delivered: int,
          deferred: int,
          rejected: int,
          breaker: string,
          cause: ?string,
          next_probe_at: ?string,
          waiting: int,
          concurrency_max: ?float
        )

        # What became of one recipient at one attempt. verdict: delivered, deferred, rejected or unknown.
        type Fate (recipient: string, verdict: string, code: int, enhanced: string, text: string)

        # at: RFC 3339 start of the attempt.
        type Attempt (at: string, seconds: float, relay: string, peer: ?string, tls: ?string, fates: []Fate)

        # to: the recipients; of a webhook its server or hook, of an exec its program. from: of e-mail alone.
        type JobSummary (
          id: string,
          state: string,
          kind: string,
          priority: int,
          accepted_at: string,
          due_at: ?string,
          attempts: int,
          uid: int,
          bytes: int,
          from: ?string,
          to: []string,
          ref: ?string,
          last_reply: ?string
        )

        # workers: how many are wanted; running: how many have a job in hand. workers_configured: what the file says.
        method Status() -> (
          version: string,
          pid: int,
          started_at: string,
          state: string,
          paused: bool,
          workers: int,
          workers_configured: int,
          counts: Counts,
          oldest_ready_seconds: float,
          accepted_total: int,
          delivered_total: int,
          failed_total: int,
          spool_bytes: int,
          worker_list: []Worker,
          relays: []Relay
        )

        # Takes effect at once, interrupts nobody, and survives a restart. workers: 1 to 1024, or 0 for the configured number.
        method Scale(workers: int) -> (workers: int, previous: int)

        # Stops and restarts the claiming of jobs; acceptance goes on. Survives a restart.
        method Pause() -> (paused: bool, was_paused: bool)
        method Resume() -> (paused: bool, was_paused: bool)

        # Oldest first, at most limit (1 to 1000, 100 if missing) jobs with an id above after.
        # state filters by name; without it all jobs that are not finished. next is there if more follow.
        method List(state: ?string, after: ?string, limit: ?int) -> (jobs: []JobSummary, next: ?string)

        # The next hops that mail may take, as Status has them.
        method Relays() -> (relays: []Relay)

        # One step of a check: connect, greeting, hello (EHLO or LHLO), tls or login. text: what the server said, or what is
        # wrong.
        type Finding (step: string, ok: bool, text: string)

        # Connects to a relay of the configuration as mail would, encrypts and logs in, says goodbye and sends nothing. The steps
        # are told in the order in which they were taken; one that fails is the last. extensions: what the server offered at last.
        method Check(relay: string) -> (
          name: string,
          transport: string,
          address: string,
          peer: ?string,
          ok: bool,
          tls: ?string,
          extensions: []string,
          findings: []Finding
        )

        # Everything known of one job, finished ones included as long as history is kept.
        method Show(id: string) -> (job: JobSummary, expires_at: ?string, finished_at: ?string, subject: ?string, history: []Attempt)

        # Reads the configuration file again. changed: the keys that took effect; restart_needed: those that wait for a restart.
        method Reload() -> (changed: []string, restart_needed: []string)

        error NoSuchJob (id: string)
        error NoSuchRelay (relay: string)
        error ReloadFailed (message: string)
        # The spool could not answer; message says why.
        error SpoolFailed (message: string)

        """
}
