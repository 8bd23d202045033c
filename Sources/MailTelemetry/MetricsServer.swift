// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP side for Prometheus, probes and browsers. Lives on one event loop.
package final class MetricsServer: Sendable {
    private let loop: any EventLoop
    private let routes: any HTTPRoutes
    private let times: RequestTimes
    private let connections: NIOLoopBoundBox<OpenConnections>

    package convenience init(events: Events, gauges: some GaugeSource, on loop: any EventLoop) {
        self.init(events: events, gauges: gauges, times: RequestTimes(), on: loop)
    }

    package convenience init(
        events: Events, gauges: some GaugeSource, times: RequestTimes, on loop: any EventLoop
    ) {
        self.init(MetricsRoutes(events: events, gauges: gauges), times: times, on: loop)
    }

    package init(_ routes: any HTTPRoutes, times: RequestTimes = RequestTimes(), on loop: any EventLoop) {
        self.loop = loop
        self.times = times
        self.routes = routes
        connections = .makeBoxSendingValue(OpenConnections(), eventLoop: loop)
    }

    /// Serves a listening TCP socket that systemd opened; the descriptor is owned from here on. May be called more than
    /// once, as `bind` may.
    package func adopt(_ descriptor: CInt) -> EventLoopFuture<any Channel> {
        keep(bootstrap.withBoundSocket(descriptor))
    }

    /// `port` 0 takes any that is free; the channel's local address tells which.
    package func bind(host: String, port: Int) -> EventLoopFuture<any Channel> {
        keep(bootstrap.bind(host: host, port: port))
    }

    /// Stops listening and closes all connections, answered or not.
    package func close() -> EventLoopFuture<Void> {
        let connections = connections
        return loop.flatSubmit { [loop] in connections.value.closeAll(on: loop) }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // A client that has said all it had to say may still be reading.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [routes, times, connections] channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.furnish(channel, routes, times, connections.value)
                }
            }
    }

    private func keep(_ bound: EventLoopFuture<any Channel>) -> EventLoopFuture<any Channel> {
        bound.map { [connections] channel in
            connections.value.listeners.append(channel)
            return channel
        }
    }

    /// Puts the handlers into a new connection's channel.
    package static func furnish(
        _ channel: any Channel, _ routes: any HTTPRoutes, _ times: RequestTimes, _ connections: OpenConnections
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let bound = RequestBound(times)
        try pipeline.addHandler(bound)
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
        try pipeline.addHandler(MetricsHandler(routes, bound))
        connections.add(channel, bound)
    }
}
