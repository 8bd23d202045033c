// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Where the dispatcher stands with its claims, on a spool that it shares with other nodes.
struct FleetClaims {
    /// The session in which what is at hand was claimed.
    var session: Int64 = 0
    var isClaiming = false
    /// There may be something to claim.
    var isWanted = true
    /// It is claimed once no more than this is at hand; nil: once half of what may be has been used up.
    var threshold: Int?
    /// When lanes were last looked for of which nothing is at hand, though others have enough.
    var lookedAt = 0.0
    var judgedAt = 0.0
    /// With whom the relays' limits are shared, this node among them.
    var nodes = 1
    /// Queues that are paused for the whole fleet, as the database was last seen.
    var paused: [UInt16: String] = [:]
    var pace = Pace()

    /// There is, or may be, something new.
    mutating func want() {
        isWanted = true
        threshold = nil
    }
}

// On a spool that many nodes share. What is at hand is claimed in the spool itself, and so it is little: other nodes
// cannot have it meanwhile. There are neither cursors nor looks for due jobs; a claim brings whatever waits.
extension Dispatcher {
    /// Jobs at hand for each worker at least. Where jobs take their time, other nodes may have workers without any.
    private static var jobsPerWorker: Int { 1 }
    private static var atHandMin: Int { 4 }
    /// Of a queue that may not run as many jobs as there are workers: so many at hand for each that may run.
    private static var jobsPerRunning: Int { 4 }
    /// A lane of which nothing is at hand waits no longer than this for those that have filled the window.
    private static var lookSeconds: Double { 1 }
    /// What is at hand of queues that may begin nothing now is counted no more often.
    private static var judgeSeconds: Double { 0.02 }

    private var atHandMax: Int {
        fleet.pace.atHandMax(
            least: max(Self.atHandMin, min(Limits.windowJobsMax, pool.target * Self.jobsPerWorker)),
            most: Limits.windowJobsMax)
    }

    /// What is at hand is this node's, as far as can be known.
    var holdsLease: Bool {
        guard let member = spool?.fleet else { return true }
        return member.mayBegin && member.session == fleet.session
    }

    func join(_ member: FleetMember) {
        fleet.session = member.session
        member.whenWoken { [weak self] in
            guard let self else { return }
            loop.execute { self.woken(member) }
        }
    }

    private func woken(_ member: FleetMember) {
        rejoin(member)
        if member.nodes != fleet.nodes {
            fleet.nodes = member.nodes
            for kind in kinds { kind.shared(by: fleet.nodes) }
        }
        follow(member.pausedQueues)
        fleet.want()
        pump()
    }

    /// This node was taken for dead: what it had at hand is others' by now. What is in its workers' hands is settled if
    /// nobody else has taken it up.
    private func rejoin(_ member: FleetMember) {
        guard member.session != fleet.session else { return }
        let lost = window.clear()
        fleet.session = member.session
        events.spoolFailed("this node was taken for dead by others; \(lost.count) jobs at hand are theirs")
    }

    func claimMore(_ spool: Spool) {
        guard fleet.isWanted, !fleet.isClaiming, !isPaused, holdsLease else { return }
        let now = clock.monotonic()
        fleet.pace.look(at: now)
        guard let wish = wish(now) else { return }
        fleet.isClaiming = true
        let time = clock.now()
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in
                let claimed = try reading.claim(wish)
                return (claimed: claimed, next: claimed.hasMore ? nil : try reading.nextDue(after: time))
            }
            loop.execute { [self] in claimed(result, spool) }
        }
    }

    /// What is to be claimed now; nil for nothing yet.
    private func wish(_ now: Double) -> ClaimWish? {
        let most = atHandMax
        let threshold = fleet.threshold ?? most / 2
        var atHand = window.count
        if atHand > threshold {
            guard now - fleet.judgedAt >= Self.judgeSeconds else { return nil }
            fleet.judgedAt = now
            atHand -= window.blockedCount
        }
        if atHand > threshold { return look(now, most) }
        let rooms = window.rooms(jobsPerRunning: Self.jobsPerRunning)
        // One lane alone may have all the room. Where there are several, none is to take it from the others.
        let full = window.lanes(atLeast: max(1, most / 4))
        let skipping = window.hasOnly(full) ? [] : full
        fleet.isWanted = atHand > 0 && (!skipping.isEmpty || !rooms.isEmpty)
        // Of what is skipped there may be more: it is looked for once half of the rest is gone.
        fleet.threshold = fleet.isWanted ? atHand / 2 : nil
        return ClaimWish(jobsMax: max(1, most - atHand), laneMax: most, skipping: skipping, rooms: rooms)
    }

    /// Lanes that came later, or have a higher priority, do not wait until others are through.
    private func look(_ now: Double, _ most: Int) -> ClaimWish? {
        guard now - fleet.lookedAt >= Self.lookSeconds else { return nil }
        fleet.lookedAt = now
        let few = max(1, min(pool.target, most / 2))
        return ClaimWish(
            jobsMax: few, laneMax: few, skipping: window.lanes(atLeast: 1),
            rooms: window.rooms(jobsPerRunning: Self.jobsPerRunning))
    }

    private func claimed(_ result: Result<(claimed: ClaimedJobs, next: WallTime?), SpoolError>, _ spool: Spool) {
        fleet.isClaiming = false
        switch result {
        case .success(let (claimed, next)):
            if let member = spool.fleet { rejoin(member) }
            take(claimed, spool)
            if let next { noteDue(next) }
        // Not at once: the keeper's next wake-up comes within a second or two.
        case .failure(let error):
            fleet.isWanted = false
            events.spoolFailed(error.message)
        }
        pump()
    }

    private func take(_ claimed: ClaimedJobs, _ spool: Spool) {
        guard claimed.session == fleet.session else { return fleet.want() }
        if claimed.hasMore { fleet.want() }
        if isPaused || isDraining { return release(claimed.jobs, spool) }
        release(window.claimed(claimed.jobs), spool)
        // A queue may have been paused while the claim was under way.
        let paused = pausedQueues
        if !paused.isEmpty { release(window.clear { paused.contains($0) }, spool) }
    }

    // MARK: Pauses

    /// What was paused, or resumed, at any node since the last look.
    private func follow(_ paused: [UInt16: String]) {
        guard paused != fleet.paused else { return }
        let before = fleet.paused
        fleet.paused = paused
        for (queue, name) in before where paused[queue] == nil { obey(false, queue: queue, name: name) }
        for (queue, name) in paused where before[queue] == nil { obey(true, queue: queue, name: name) }
    }

    /// Gives back what is at hand: others can have it.
    func releaseAtHand() {
        guard let spool, spool.fleet != nil else { return }
        release(window.clear(), spool)
        fleet.want()
    }

    /// The same of one queue, which is paused.
    func releaseAtHand(queue: UInt16) {
        guard let spool, spool.fleet != nil else { return }
        release(window.clear { $0 == queue }, spool)
    }

    private func release(_ jobs: [WaitingJob], _ spool: Spool) {
        guard !jobs.isEmpty else { return }
        spool.ask { [events] reading in
            do throws(SpoolError) { try reading.release(jobs) } catch { events.spoolFailed(error.message) }
        }
    }
}
