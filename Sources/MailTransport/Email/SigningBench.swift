// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import NIOCore
import NIOPosix

/// Where messages get their DKIM signatures, and large ones are composed: on a few threads of its own, for an RSA
/// signature takes half a millisecond, in which the delivery loop has better to do. Lives on that loop; every
/// answer is given on it.
final class SigningBench {
    var signer: DKIMSigner
    private let loop: any EventLoop
    /// Made for the first message that is signed.
    private var threads: NIOThreadPool?

    init(_ signer: DKIMSigner, loop: any EventLoop) {
        self.signer = signer
        self.loop = loop
    }

    /// Gives back the message with its signatures in front; at once and as it is where nobody signs it.
    func sign(
        _ message: [UInt8], at time: WallTime, done: @escaping (Result<ByteBuffer, DKIMError>) -> Void
    ) {
        guard let signing = signer.signing(of: message, at: time) else {
            return done(.success(ByteBuffer(bytes: message)))
        }
        let threads = self.threads ?? start()
        threads.runIfActive(eventLoop: loop) { Self.signed(message, signing) }
            .assumeIsolated().whenComplete { result in
                let stopping = Result<ByteBuffer, DKIMError>.failure(DKIMError(reason: "maild is stopping"))
                done((try? result.get()) ?? stopping)
            }
    }

    /// Any work that is too long for the loop; nil where the bench is closed.
    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value, done: @escaping (Value?) -> Void) {
        let threads = self.threads ?? start()
        threads.runIfActive(eventLoop: loop, work).assumeIsolated().whenComplete { done(try? $0.get()) }
    }

    private static func signed(_ message: [UInt8], _ signing: DKIMSigning) -> Result<ByteBuffer, DKIMError> {
        Result { () throws(DKIMError) in
            let fields = try signing.fields()
            var buffer = ByteBuffer()
            buffer.reserveCapacity(fields.count + message.count)
            buffer.writeBytes(fields)
            buffer.writeBytes(message)
            return buffer
        }
    }

    private func start() -> NIOThreadPool {
        let threads = NIOThreadPool(numberOfThreads: System.coreCount)
        threads.start()
        self.threads = threads
        return threads
    }

    /// No more messages will come; what is on the bench is answered first.
    func close(done: @escaping () -> Void) {
        guard let threads else { return done() }
        let promise = loop.makePromise(of: Void.self)
        threads.shutdownGracefully { _ in promise.succeed() }
        promise.futureResult.assumeIsolated().whenComplete { _ in done() }
    }
}
