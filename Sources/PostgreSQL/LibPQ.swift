// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The functions of libpq that are used, found in the library when they are first wanted.
///
/// Loaded at run time, as systemd loads what only some of its users need: a machine without PostgreSQL needs no libpq.
/// Signatures: https://www.postgresql.org/docs/15/libpq.html; the library's name holds its binary interface, which has
/// been 5 since 2006.
final class LibPQ: Sendable {
    typealias Handle = OpaquePointer
    typealias Text = UnsafePointer<CChar>
    typealias Texts = UnsafePointer<Text?>

    let connect: @convention(c) @Sendable (Texts, Texts, CInt) -> Handle?
    let status: @convention(c) @Sendable (Handle) -> CInt
    let errorMessage: @convention(c) @Sendable (Handle?) -> Text?
    let finish: @convention(c) @Sendable (Handle?) -> Void
    let setNonBlocking: @convention(c) @Sendable (Handle, CInt) -> CInt
    let socket: @convention(c) @Sendable (Handle) -> CInt
    let flush: @convention(c) @Sendable (Handle) -> CInt
    let consumeInput: @convention(c) @Sendable (Handle) -> CInt
    let isBusy: @convention(c) @Sendable (Handle) -> CInt
    let enterPipelineMode: @convention(c) @Sendable (Handle) -> CInt
    let pipelineSync: @convention(c) @Sendable (Handle) -> CInt
    let sendPrepare: @convention(c) @Sendable (Handle, Text, Text, CInt, UnsafePointer<UInt32>?) -> CInt
    let sendPrepared:
        @convention(c) @Sendable (
            Handle, Text, CInt, Texts?, UnsafePointer<CInt>?, UnsafePointer<CInt>?, CInt
        ) -> CInt
    let notifies: @convention(c) @Sendable (Handle) -> UnsafeMutableRawPointer?
    let freeMemory: @convention(c) @Sendable (UnsafeMutableRawPointer?) -> Void
    let setNoticeProcessor:
        @convention(c) @Sendable (
            Handle, @convention(c) (UnsafeMutableRawPointer?, Text?) -> Void, UnsafeMutableRawPointer?
        ) -> UnsafeRawPointer?

    let getResult: @convention(c) @Sendable (Handle) -> Handle?
    let clear: @convention(c) @Sendable (Handle?) -> Void
    let resultStatus: @convention(c) @Sendable (Handle?) -> CInt
    let resultErrorField: @convention(c) @Sendable (Handle?, CInt) -> Text?
    let rowCount: @convention(c) @Sendable (Handle) -> CInt
    let value: @convention(c) @Sendable (Handle, CInt, CInt) -> UnsafeMutableRawPointer?
    let length: @convention(c) @Sendable (Handle, CInt, CInt) -> CInt
    let isNull: @convention(c) @Sendable (Handle, CInt, CInt) -> CInt
    let affected: @convention(c) @Sendable (Handle) -> Text?

    static let name = "libpq.so.5"
    private static let loaded: Result<LibPQ, PostgreSQLError> = Result { () throws(PostgreSQLError) in try LibPQ() }

    /// The same for all callers. It is never unloaded.
    static func load() throws(PostgreSQLError) -> LibPQ { try loaded.get() }

    private init() throws(PostgreSQLError) {
        guard let library = dlopen(Self.name, RTLD_NOW | RTLD_LOCAL) else {
            throw .library("\(Self.name): \(dlerror().map { String(cString: $0) } ?? "cannot be loaded")")
        }
        connect = try Self.find("PQconnectdbParams", library)
        status = try Self.find("PQstatus", library)
        errorMessage = try Self.find("PQerrorMessage", library)
        finish = try Self.find("PQfinish", library)
        setNonBlocking = try Self.find("PQsetnonblocking", library)
        socket = try Self.find("PQsocket", library)
        flush = try Self.find("PQflush", library)
        consumeInput = try Self.find("PQconsumeInput", library)
        isBusy = try Self.find("PQisBusy", library)
        enterPipelineMode = try Self.find("PQenterPipelineMode", library)
        pipelineSync = try Self.find("PQpipelineSync", library)
        sendPrepare = try Self.find("PQsendPrepare", library)
        sendPrepared = try Self.find("PQsendQueryPrepared", library)
        notifies = try Self.find("PQnotifies", library)
        freeMemory = try Self.find("PQfreemem", library)
        setNoticeProcessor = try Self.find("PQsetNoticeProcessor", library)
        getResult = try Self.find("PQgetResult", library)
        clear = try Self.find("PQclear", library)
        resultStatus = try Self.find("PQresultStatus", library)
        resultErrorField = try Self.find("PQresultErrorField", library)
        rowCount = try Self.find("PQntuples", library)
        value = try Self.find("PQgetvalue", library)
        length = try Self.find("PQgetlength", library)
        isNull = try Self.find("PQgetisnull", library)
        affected = try Self.find("PQcmdTuples", library)
    }

    private static func find<Function>(
        _ name: String, _ library: UnsafeMutableRawPointer
    ) throws(PostgreSQLError) -> Function {
        guard let symbol = dlsym(library, name) else {
            throw .library("\(Self.name) has no \(name): it is older than PostgreSQL 14")
        }
        return unsafeBitCast(symbol, to: Function.self)
    }
}

/// Constants of libpq-fe.h.
enum PQ {
    static let connectionOK: CInt = 0
    static let commandOK: CInt = 1
    static let tuplesOK: CInt = 2
    static let pipelineSync: CInt = 10
    static let pipelineAborted: CInt = 11
    static let binary: CInt = 1
    /// PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY of postgres_ext.h.
    static let sqlState = CInt(UInt8(ascii: "C"))
    static let primaryMessage = CInt(UInt8(ascii: "M"))
}
