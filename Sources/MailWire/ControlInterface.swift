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

        # One queue. waiting: jobs that are ready or scheduled. weight: its share beside the other queues. concurrency_max: jobs
        # at a time; missing: as many as there are workers. bytes: of all its jobs.
        type Queue (
          name: string,
          weight: float,
          paused: bool,
          waiting: int,
          running: int,
          held: int,
          failed: int,
          bytes: int,
          oldest_ready_seconds: float,
          concurrency_max: ?int
        )

        # One next hop. connections: open now; idle: of these without work. breaker: closed while sessions come about, open
        # while none does, with the cause and the time of the next probe, half-open while one mail finds out. waiting: mails in
        # line, or put off until the relay takes them; they use up no attempt. concurrency_max: mails at a time, while a relay
        # that asked for it is spared. destinations: where mail goes to each domain's own servers, the domains that are
        # remembered; away: of these, those whose servers take no mail, the latest first, 20 at most.
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
          concurrency_max: ?float,
          destinations: ?int,
          away: ?[]AwayDestination
        )

        # next_probe_at is missing while a mail finds out.
        type AwayDestination (domain: string, cause: string, next_probe_at: ?string)

        # What became of one recipient at one attempt. verdict: delivered, deferred, rejected or unknown.
        type Fate (recipient: string, verdict: string, code: int, enhanced: string, text: string)

        # One thing that happened to a job. event: attempt, held, released, retried, cancelled, crashed (maild died with the job
        # in hand), imported, reported (a failure, to the sender, by the job report) or reports (this job tells of the failure
        # of the job failed). at: RFC 3339, of an attempt its start. seconds to fates: of attempts. by: the operator's user.
        type Entry (
          at: string,
          event: string,
          seconds: ?float,
          relay: ?string,
          peer: ?string,
          tls: ?string,
          fates: ?[]Fate,
          by: ?int,
          report: ?string,
          failed: ?string
        )

        # Jobs for which all that is given holds. states: by name; what is left out takes all that are not finished, or those
        # that the method names. uids: who submitted. accepted_since, accepted_before: RFC 3339. to, from: part of an address,
        # in any case of letters. An unknown queue or kind is an InvalidParameter.
        type JobFilter (
          states: ?[]string,
          queue: ?string,
          uids: ?[]int,
          kind: ?string,
          accepted_since: ?string,
          accepted_before: ?string,
          to: ?string,
          from: ?string,
          tag: ?string
        )

        # A job that a method left as it was, and how it stands. state is missing where there is no such job.
        type Unchanged (id: string, state: ?string)

        # damage: why its row on disk cannot be what was written; such a job is held for good.
        # to: the recipients; of a webhook its server or hook, of an exec its program. from: of e-mail alone. app: the configured
        # app whose user submitted it, or other.
        type JobSummary (
          id: string,
          state: string,
          kind: string,
          priority: int,
          accepted_at: string,
          due_at: ?string,
          attempts: int,
          uid: int,
          app: string,
          queue: string,
          tags: []string,
          bytes: int,
          from: ?string,
          to: []string,
          ref: ?string,
          last_reply: ?string,
          damage: ?string
        )

        # What the users of an app have in the spool. jobs: ready, scheduled, running or held; bytes: of these and of failed ones.
        type AppUsage (name: string, jobs: int, failed: int, bytes: int)

        # One thing that happened. event, of a job: accepted, attempted, deferred, delivered, failed, expired, cancelled, held,
        # released, retried, purged, put_off (no relay takes its mail now) or reported; of the daemon: scaled, paused, resumed,
        # draining, drain_ended, reloaded, breaker_opened, breaker_probes or breaker_closed. accepted may be told after the
        # first of a job's other events. state: where the job stands from now on. detail: why; or which queue was paused.
        type Event (
          at: string,
          event: string,
          job: ?string,
          kind: ?string,
          queue: ?string,
          state: ?string,
          attempts: ?int,
          relay: ?string,
          detail: ?string,
          fates: ?[]Fate,
          by: ?int,
          report: ?string,
          workers: ?int
        )

        # workers: how many are wanted; running: how many have a job in hand. workers_configured: what the file says.
        # read_only: why no job is taken, while it is so. damaged: jobs that are held because their rows are damaged.
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
          queues: []Queue,
          spool_free_bytes: ?int,
          damaged: int,
          read_only: ?string,
          worker_list: []Worker,
          relays: []Relay,
          apps: []AppUsage
        )

        # A node of those that share the spool. state: live; expired, where its lease has run out within the last day (it died,
        # sleeps or is cut off, and others have its jobs); or stopped. renewed_at: when it last renewed its lease, by the
        # database's clock. claimed: jobs that it has at hand or in hand. workers, running (jobs in their hands) and metrics (the
        # address, where it has one) are as it last told, and there while it lives.
        type Node (
          name: string,
          state: string,
          version: string,
          started_at: string,
          renewed_at: string,
          claimed: int,
          workers: ?int,
          running: ?int,
          metrics: ?string
        )

        # All nodes that share the spool. node: the one that answers. format: of the tables. live to running: how many nodes,
        # workers and jobs in their hands there are; waiting: jobs that are ready or scheduled.
        method Fleet() -> (
          node: string,
          format: int,
          nodes: []Node,
          live: int,
          expired: int,
          workers: int,
          running: int,
          waiting: int,
          held: int,
          failed: int
        )

        # Takes effect at once, interrupts nobody, and survives a restart. workers: 1 to 1024, or 0 for the configured number.
        method Scale(workers: int) -> (workers: int, previous: int)

        # Stops and restarts the claiming of jobs, of one queue or of all; acceptance goes on. Survives a restart. Where the spool
        # is shared, a queue is paused at every node, and all of them at this one alone.
        method Pause(queue: ?string) -> (paused: bool, was_paused: bool)
        method Resume(queue: ?string) -> (paused: bool, was_paused: bool)

        # Refuses new jobs with draining (on, the default), while what is queued is worked off; or takes jobs again. Ends with
        # the daemon.
        method Drain(on: ?bool) -> (draining: bool, was_draining: bool)

        # Oldest first, at most limit (1 to 1000, 100 if missing) jobs with an id above after. state is short for a filter of
        # that state alone. next is there if more may follow: pass it as after. A page may be short, or empty, and have it.
        method List(state: ?string, filter: ?JobFilter, after: ?string, limit: ?int) -> (jobs: []JobSummary, next: ?string)

        # The next five do something to jobs: to those of ids, or to all that were there before the call and that filter takes.
        # A job in a worker's hands is left alone. dry_run changes nothing and says what would be changed.
        # changed, unchanged: how many; ids, others: which, at most 1000 each. With more there are several replies: the numbers
        # go on, the lists of each reply are new. A caller that hangs up ends it.

        # Tries again at once, with all attempts and time to do it. A filter without states takes failed jobs.
        method Retry(ids: ?[]string, filter: ?JobFilter, dry_run: ?bool) -> (changed: int, ids: []string, unchanged: int, others: []Unchanged)
        # Ends jobs that are not finished; their history stays.
        method Cancel(ids: ?[]string, filter: ?JobFilter, dry_run: ?bool) -> (changed: int, ids: []string, unchanged: int, others: []Unchanged)
        # Sets jobs aside. A filter without states takes ready and scheduled ones.
        method Hold(ids: ?[]string, filter: ?JobFilter, dry_run: ?bool) -> (changed: int, ids: []string, unchanged: int, others: []Unchanged)
        # Takes held jobs up again.
        method Release(ids: ?[]string, filter: ?JobFilter, dry_run: ?bool) -> (changed: int, ids: []string, unchanged: int, others: []Unchanged)
        # Forgets jobs, history and all. A filter without states takes failed jobs.
        method Purge(ids: ?[]string, filter: ?JobFilter, dry_run: ?bool) -> (changed: int, ids: []string, unchanged: int, others: []Unchanged)

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

        # A whole job on its way to another spool: line is what was submitted, byte by byte, and fates what became of each
        # recipient (open, delivered or rejected; missing while all are open). history: as this spool keeps it. format is 1.
        type ExportedJob (
          format: int,
          id: string,
          state: string,
          kind: string,
          queue: string,
          priority: int,
          uid: int,
          app: string,
          due_at: ?string,
          resumes_at: ?string,
          expires_at: string,
          attempts: int,
          attempts_max: ?int,
          crashes: ?int,
          fates: ?[]string,
          history: ?[]object,
          line: string
        )

        # outcome: imported; known (it is here already, as job and state say); or refused, for this reason.
        type Imported (outcome: string, job: ?string, state: ?string, reason: ?string)

        # Whole jobs that are not finished, with an id above after, oldest first, a page at a time; next as in List. A job in
        # a worker's hands is among them, as running: pause before.
        method Export(filter: ?JobFilter, after: ?string) -> (jobs: []ExportedJob, next: ?string)

        # Takes up to 1000 jobs of another spool, under their ids; told in their order. A job that is here already, by its id
        # or its idempotency key, is left as it is. hold: they are set aside. A call may be longer than the 1 MiB of others
        # where its first member is method.
        method Import(jobs: []ExportedJob, hold: ?bool) -> (results: []Imported)

        # Everything known of one job, finished ones included as long as history is kept.
        method Show(id: string) -> (
          job: JobSummary,
          expires_at: ?string,
          finished_at: ?string,
          subject: ?string,
          idempotency_key: ?string,
          traceparent: ?string,
          history: []Entry
        )

        # Streams what happens (with more), until the caller hangs up: everything, or what happens to the jobs of ids, in a queue,
        # or so that a job then stands in one of states. Told at once, up to a commit before it is on disk. The first reply is
        # empty: nothing is missed from there on. missed: events dropped since the last reply, because the caller was slow.
        method Watch(ids: ?[]string, queue: ?string, states: ?[]string) -> (events: []Event, missed: int)

        # Reads the configuration file again. changed: the keys that took effect; restart_needed: those that wait for a restart.
        method Reload() -> (changed: []string, restart_needed: []string)

        # jobs: those that are not finished; unsummed: of these, taken by the first format and so without a checksum. problems: of the
        # file, its counts and its keys. miscounted: the next start counts anew.
        type SpoolReport (
          jobs: int,
          unsummed: int,
          finished: int,
          keys: int,
          miscounted: bool,
          problems: []string,
          damaged: [](id: string, reason: string)
        )

        # Looks at all that is on disk, while maild goes on. Without check it begins, or joins what is under way; with the number that
        # the first call returned it tells how far that is. stage: structure, jobs or keys. report is there once done is true.
        method CheckSpool(full: ?bool, check: ?int) -> (
          check: int,
          full: bool,
          done: bool,
          stage: string,
          jobs_read: int,
          jobs_total: int,
          report: ?SpoolReport
        )

        error NoSuchJob (id: string)
        error NoSuchRelay (relay: string)
        # The spool is this daemon's alone.
        error NotShared ()
        error ReloadFailed (message: string)
        error TooManyWatchers (limit: int)
        # The spool could not answer, or not keep what Scale, Pause or Resume changed (which is in effect, and tried again);
        # message says why.
        error SpoolFailed (message: string)

        """
}
