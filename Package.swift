// swift-tools-version: 6.2
//===----------------------------------------------------------------------===//
// This source file is part of maild, the mail-job daemon.
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

import PackageDescription

/// Every Swift target is built the same way; the arrows between the rooms stand in `targets` below
/// and are enforced by `--explicit-target-dependency-import-check error` (see the Makefile).
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = [], _ further: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings + further)
}

/// - Parameter exclude: what the tests read by themselves, beside their sources.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let tomlKit: Target.Dependency = .product(name: "TOMLKit", package: "TOMLKit")

let package = Package(
    name: "maild",
    products: [
        .executable(name: "maild", targets: ["maild"]),
        .executable(name: "mailctl", targets: ["mailctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        // Without pkgConfig: Debian's libunbound.pc asks for packages that its -dev package does not bring.
        .systemLibrary(name: "CUnbound", providers: [.apt(["libunbound-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        .target(name: "CProcess"),

        room("MailJob"),
        room("MailWire", ["MailJob"]),
        room("MailMessage", ["MailJob", crypto, cryptoExtras]),
        // No module map of libpq: the library is found while the daemon runs, by those who want it.
        room("PostgreSQL"),
        room("MailSpool", ["MailJob", "CSQLite", "PostgreSQL", nioCore]),
        room("Exposition"),
        room("Systemd", ["CSystemd"]),
        room("DNS", ["CUnbound"]),
        room("MailTelemetry", ["MailJob", "Exposition", "Systemd", "CZlib", nioCore, nioPosix, nioHTTP1]),
        room(
            "MailTransport",
            [
                "MailJob", "MailWire", "MailMessage", "MailTelemetry", "DNS", "CProcess", nioCore, nioPosix, nioHTTP1,
                nioTLS, nioSSL, crypto,
            ]),
        room("MailDispatch", ["MailJob", "MailWire", "MailSpool", "MailTransport", "MailTelemetry", nioCore]),
        room("MailIntake", ["MailJob", "MailWire", "MailSpool", "MailTelemetry", nioCore, nioPosix]),
        room(
            "MailControl",
            ["MailJob", "MailWire", "MailSpool", "MailTransport", "MailDispatch", "MailTelemetry", nioCore, nioPosix]),
        // TOMLKit brings Foundation along: without this, `text.contains("x")` would be Foundation's, and 45 MB of it
        // would have to be linked into the package for that one word.
        room(
            "MailDaemon",
            [
                "MailJob", "MailWire", "MailMessage", "MailSpool", "MailTransport", "MailDispatch", "MailIntake",
                "MailControl", "MailTelemetry", "Exposition", "Systemd", "DNS", nioCore, nioPosix, tomlKit,
            ], [.enableUpcomingFeature("MemberImportVisibility")]),
        .executableTarget(name: "maild", dependencies: ["MailDaemon", argumentParser], swiftSettings: settings),
        .executableTarget(
            name: "mailctl", dependencies: ["MailJob", "MailWire", argumentParser], swiftSettings: settings),

        .executableTarget(
            name: "exposition-echo", dependencies: ["Exposition"], path: "Tests/ExpositionEcho",
            swiftSettings: settings),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        tests("MailJobTests", ["MailJob"]),
        tests("MailWireTests", ["MailJob", "MailWire"]),
        tests(
            "MailMessageTests", ["MailJob", "MailMessage", crypto, cryptoExtras],
            exclude: ["judge.py", "report_judge.py"]),
        tests("MailSpoolTests", ["MailJob", "MailSpool", "PostgreSQL", "CSQLite", nioCore]),
        tests("ExpositionTests", ["Exposition"]),
        tests("SystemdTests", ["Systemd"]),
        tests("DNSTests", ["DNS"]),
        tests(
            "MailTelemetryTests",
            [
                "MailJob", "MailTelemetry", "Exposition", "Systemd", "CZlib", nioCore, nioPosix, nioHTTP1, nioEmbedded,
            ]),
        tests(
            "MailTransportTests",
            [
                "MailJob", "MailWire", "MailMessage", "DNS", "MailTransport", nioCore, nioPosix, nioEmbedded, nioHTTP1,
                nioSSL,
            ],
            exclude: ["Certificates", "Dialogues"]),
        tests(
            "MailDispatchTests",
            [
                "TestSupport", "MailJob", "MailWire", "MailSpool", "MailTransport", "MailTelemetry", "Systemd",
                "MailDispatch", nioCore, nioPosix,
            ]),
        tests(
            "MailIntakeTests",
            [
                "TestSupport", "MailJob", "MailWire", "MailSpool", "MailTelemetry", "Systemd", "MailIntake", nioCore,
                nioPosix,
            ]),
        tests(
            "MailControlTests",
            [
                "TestSupport", "MailJob", "MailWire", "MailSpool", "MailTransport", "MailTelemetry", "Systemd",
                "MailDispatch",
                "MailControl", nioCore, nioPosix,
            ]),
        tests("MailDaemonTests", ["MailJob", "MailTransport", "MailDaemon"]),
        tests("MailctlTests", ["mailctl", "MailWire"]),
    ]
)
