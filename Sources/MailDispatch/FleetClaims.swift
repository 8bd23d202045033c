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
    /// With whom the relays' limits are shared, this node among them.
    var nodes = 1
}

// On a spool that many nodes share. What is at hand is claimed in the spool itself, and so it is little: other nodes
// cannot have it meanwhile. There are neither cursors nor looks for due jobs; a claim brings whatever waits.
extension Dispatcher {
    /// Jobs at hand for each worker: what it does in the time that a claim takes, and some more.
    private static var jobsPerWorker: Int { 4 }
    private static var atHandMin: Int { 32 }

    private var atHandMax: Int {
        min(Limits.windowJobsMax, max(Self.atHandMin, pool.target * Self.jobsPerWorker))
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
        fleet.isWanted = true
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
        guard fleet.isWanted, !fleet.isClaiming, !isPaused, holdsLease, window.count <= atHandMax / 2 else { return }
        fleet.isWanted = false
        fleet.isClaiming = true
        let wish = ClaimWish(
            jobsMax: atHandMax - window.count, laneMax: atHandMax, skipping: window.lanes(atLeast: atHandMax / 4))
        let now = clock.now()
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in
                let claimed = try reading.claim(wish)
                return (claimed: claimed, next: claimed.hasMore ? nil : try reading.nextDue(after: now))
            }
            loop.execute { [self] in claimed(result, spool) }
        }
    }

    private func claimed(_ result: Result<(claimed: ClaimedJobs, next: WallTime?), SpoolError>, _ spool: Spool) {
        fleet.isClaiming = false
        switch result {
        case .success(let (claimed, next)):
            if let member = spool.fleet { rejoin(member) }
            take(claimed, spool)
            if let next { noteDue(next) }
        // Not at once: the keeper's next wake-up comes within a second or two.
        case .failure(let error): events.spoolFailed(error.message)
        }
        pump()
    }

    private func take(_ claimed: ClaimedJobs, _ spool: Spool) {
        guard claimed.session == fleet.session else { return fleet.isWanted = true }
        if claimed.hasMore { fleet.isWanted = true }
        if isPaused || isDraining { return release(claimed.jobs, spool) }
        release(window.claimed(claimed.jobs), spool)
    }

    /// Gives back what is at hand: others can have it.
    func releaseAtHand() {
        guard let spool, spool.fleet != nil else { return }
        release(window.clear(), spool)
        fleet.isWanted = true
    }

    private func release(_ jobs: [WaitingJob], _ spool: Spool) {
        guard !jobs.isEmpty else { return }
        spool.ask { [events] reading in
            do throws(SpoolError) { try reading.release(jobs) } catch { events.spoolFailed(error.message) }
        }
    }
}
