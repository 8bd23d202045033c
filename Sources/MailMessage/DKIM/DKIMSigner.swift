// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailJob

/// One key and the mail that it signs.
package struct DKIMEntry: Sendable {
    /// In ASCII and small letters; becomes d=.
    package let domain: String
    /// Becomes s=.
    package let selector: String
    /// Mail from below the domain is signed too, where nothing nearer is configured for it.
    package let coversSubdomains: Bool
    package let key: DKIMKey

    package init(domain: String, selector: String, coversSubdomains: Bool = false, key: DKIMKey) {
        self.domain = domain
        self.selector = selector
        self.coversSubdomains = coversSubdomains
        self.key = key
    }
}

/// Knows who signs what: by the domain of the author, as a reader sees it and DMARC (RFC 7489 §3.1.1) compares it.
package struct DKIMSigner: Sendable {
    private let entries: [String: [DKIMEntry]]

    package init(_ entries: [DKIMEntry] = []) { self.entries = Dictionary(grouping: entries, by: \.domain) }

    /// What there is to sign of a finished message whose lines all end in CRLF; nil where nothing is.
    ///
    /// - Parameter time: of the job, not of the attempt: a retry sends the same octets.
    package func signing(of message: [UInt8], at time: WallTime) -> DKIMSigning? {
        guard !entries.isEmpty else { return nil }
        let header = SignedHeader(message)
        guard let domain = header.authorDomain else { return nil }
        let entries = entries(for: domain).filter { !header.isSigned(domain: $0.domain, selector: $0.selector) }
        return entries.isEmpty ? nil : DKIMSigning(header: header, entries: entries, time: time)
    }

    /// Those of the domain itself, else of the nearest domain above it that covers what is below.
    private func entries(for domain: String) -> [DKIMEntry] {
        if let exact = entries[domain] { return exact }
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            let above = entries[String(rest), default: []].filter(\.coversSubdomains)
            if !above.isEmpty { return above }
        }
        return []
    }
}

/// A message and the keys that sign it. Costs the time of a signature, half a millisecond with RSA: not for a loop.
package struct DKIMSigning: Sendable {
    fileprivate let header: SignedHeader
    fileprivate let entries: [DKIMEntry]
    fileprivate let time: WallTime

    /// The fields to be put before the message, one an entry, in the order of the entries.
    ///
    /// The body is hashed once and the header made canonical once, whatever the number of keys.
    package func fields() throws(DKIMError) -> [UInt8] {
        let bodyHash = Base64.text([UInt8](hashBody()))
        let signed = SignedFields(header)
        var headerHash = SHA256()
        signed.canonical.withUnsafeBytes { headerHash.update(bufferPointer: $0) }
        var result: [UInt8] = []
        for entry in entries {
            var field = DKIMField(entry, signed.names, bodyHash: bodyHash, time: time)
            var hash = headerHash
            field.canonical.withUnsafeBytes { hash.update(bufferPointer: $0) }
            field.append(signature: try entry.key.sign(hash.finalize()))
            result += field.bytes
        }
        return result
    }

    private func hashBody() -> SHA256.Digest {
        var hash = SHA256()
        header.bytes.withUnsafeBytes { bytes in
            let body = UnsafeRawBufferPointer(rebasing: bytes[header.bodyStart...])
            RelaxedBody.write(body) { hash.update(bufferPointer: $0) }
        }
        return hash.finalize()
    }
}
