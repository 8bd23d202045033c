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
        .executable(name: "maild-feed", targets: ["maild-feed"]),
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
        .systemLibrary(name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
        .systemLibrary(name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        .target(name: "CProcess"),
        .target(name: "CTimer"),
        .target(name: "CGatheredLog", dependencies: ["CSQLite"]),

        room("MailJob"),
        room("MailWire", ["MailJob"]),
        room("MailMessage", ["MailJob", crypto, cryptoExtras]),
        // No module map of libpq: the library is found while the daemon runs, by those who want it.
        room("PostgreSQL"),
        room("MailSpool", ["MailJob", "CSQLite", "CGatheredLog", "PostgreSQL", nioCore]),
        room("Exposition"),
        room("Systemd", ["CSystemd"]),
        room("DNS", ["CUnbound"]),
        room("Secrets"),
        // TOMLKit brings Foundation along: without this, `text.contains("x")` would be Foundation's, and 45 MB of it
        // would have to be linked into the package for that one word.
        room("MailConfiguration", [tomlKit], [.enableUpcomingFeature("MemberImportVisibility")]),
        room("MailTelemetry", ["MailJob", "Exposition", "Systemd", "CZlib", nioCore, nioPosix, nioHTTP1]),
        room(
            "MailTransport",
            [
                "MailJob", "MailWire", "MailMessage", "MailTelemetry", "DNS", "Secrets", "CProcess", nioCore, nioPosix,
                nioHTTP1, nioTLS, nioSSL, crypto,
            ]),
        room("MailDispatch", ["MailJob", "MailWire", "MailSpool", "MailTransport", "MailTelemetry", nioCore]),
        room("MailIntake", ["MailJob", "MailWire", "MailSpool", "MailTelemetry", nioCore, nioPosix]),
        room(
            "MailControl",
            ["MailJob", "MailWire", "MailSpool", "MailTransport", "MailDispatch", "MailTelemetry", nioCore, nioPosix]),
        room(
            "MailDaemon",
            [
                "MailJob", "MailWire", "MailMessage", "MailSpool", "MailTransport", "MailDispatch", "MailIntake",
                "MailControl", "MailTelemetry", "Exposition", "Systemd", "DNS", "Secrets", "MailConfiguration",
                "CTimer", nioCore, nioPosix,
            ], [.enableUpcomingFeature("MemberImportVisibility")]),
        // Feeds: the core, with Redis, which needs no library. Kinds with a C library are rooms of their own, which
        // maild-feed alone links: neither maild nor mailctl depends on any broker's library.
        room(
            "MailFeed",
            [
                "MailJob", "MailWire", "MailTelemetry", "Exposition", "Systemd", "Secrets", "MailConfiguration",
                nioCore,
                nioPosix, nioHTTP1, nioSSL, crypto,
            ], [.enableUpcomingFeature("MemberImportVisibility")]),
        room(
            "FeedRabbitMQ", ["MailFeed", "MailJob", "MailWire", "MailConfiguration", "CRabbitMQ", nioCore, nioPosix],
            [.enableUpcomingFeature("MemberImportVisibility")]),
        room(
            "FeedKafka", ["MailJob", "MailWire", "MailFeed", "MailConfiguration", "CRdKafka", nioCore],
            [.enableUpcomingFeature("MemberImportVisibility")]),
        .executableTarget(
            name: "maild-feed", dependencies: ["MailFeed", "FeedRabbitMQ", "FeedKafka", "MailJob", argumentParser],
            swiftSettings: settings),
        .executableTarget(name: "maild", dependencies: ["MailDaemon", argumentParser], swiftSettings: settings),
        .executableTarget(
            name: "mailctl", dependencies: ["MailJob", "MailWire", argumentParser], swiftSettings: settings),

        .target(name: "FaultDisk", dependencies: ["CSQLite"], path: "Tests/FaultDisk"),
        .executableTarget(
            name: "exposition-echo", dependencies: ["Exposition"], path: "Tests/ExpositionEcho",
            swiftSettings: settings),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        tests("MailJobTests", ["MailJob"]),
        tests("MailWireTests", ["MailJob", "MailWire"]),
        tests(
            "MailMessageTests", ["MailJob", "MailMessage", crypto, cryptoExtras],
            exclude: ["judge.py", "report_judge.py"]),
        tests(
            "MailSpoolTests",
            ["MailJob", "MailSpool", "PostgreSQL", "CSQLite", "CGatheredLog", "FaultDisk", nioCore],
            exclude: ["Formats"]),
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
                "MailJob", "MailWire", "MailMessage", "DNS", "Secrets", "MailTransport", nioCore, nioPosix, nioEmbedded,
                nioHTTP1, nioSSL,
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
        tests("MailDaemonTests", ["MailJob", "MailTransport", "MailConfiguration", "MailDaemon"]),
        tests("MailFeedTests", ["MailJob", "MailConfiguration", "MailFeed", "FeedRabbitMQ", "MailWire"]),
        tests("FeedKafkaTests", ["FeedKafka", "MailConfiguration", "MailFeed"]),
        tests("MailctlTests", ["mailctl", "MailWire"]),
    ]
)
