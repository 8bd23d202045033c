// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The connections of the metrics server, and their bound. Belongs to the event loop.
package final class OpenConnections {
    /// Prometheus needs one, a browser six; many more are somebody's mistake.
    package static let connectionsMax = 64

    var listeners: [any Channel] = []
    /// In the order in which they came.
    private var open: [(channel: any Channel, bound: RequestBound)] = []

    package init() {}

    /// Over the bound, the connection that has been silent for longest makes room; where none is, the new one goes.
    func add(_ channel: any Channel, _ bound: RequestBound) {
        open.append((channel, bound))
        let id = ObjectIdentifier(channel)
        let loopBound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.closeFuture.whenComplete { _ in loopBound.value.remove(id) }
        guard open.count > Self.connectionsMax else { return }
        let silent = open.dropLast().filter { $0.bound.isBetweenRequests }
        let leaving = silent.min { $0.bound.lastMoved < $1.bound.lastMoved }?.channel ?? channel
        // Off the list at once, or the next one to come would find the same to close.
        remove(ObjectIdentifier(leaving))
        leaving.close(promise: nil)
    }

    func closeAll(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let channels = listeners + open.map(\.channel)
        listeners = []
        for channel in channels { channel.close(promise: nil) }
        return EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: loop)
    }

    private func remove(_ id: ObjectIdentifier) {
        open.removeAll { ObjectIdentifier($0.channel) == id }
    }
}
