// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The kinds of events in the journal's catalog (`journalctl MESSAGE_ID=…`). An id never gets another
/// meaning.
enum EventID {
    static let accepted: StaticString = "665793de57c1c18af51428ab5be9fd0f"
    static let refused: StaticString = "991e240bf8022732886b6c97c0ac9616"
    static let spoolFailed: StaticString = "72e14041545432233d566e29a472ca56"
    static let recovered: StaticString = "b86299db3e467d333dc2c0f1822b1a81"
    static let delivered: StaticString = "92fdfcba5fc3efe055f179d7295d25ff"
    static let deferred: StaticString = "6259b1a9bf98e4fa2ed944d2c2301794"
    static let failed: StaticString = "6e033d7425d07addf0f37ae2ee9fd182"
    static let held: StaticString = "5555cf652df43bf56fcac6ec2ead000d"
    static let clientRefused: StaticString = "20baefb33cbc2bc752b57bf41f4c2630"
    static let connected: StaticString = "52c881951b9e101b185bcbdb9988c363"
    static let disconnected: StaticString = "2cf76800c623bfbb1362e7ecb60ae515"
    static let unreachable: StaticString = "ad1dc03c83660c0feb979e21a6c07e19"
    static let started: StaticString = "5cb1817c497886a45931b4770675b336"
    static let ready: StaticString = "33a97373fe654f0a4c3d69c6bd6f8739"
    static let scaled: StaticString = "3868408ec5719a8bb12a0bb516dddcd1"
    static let paused: StaticString = "e5b37893dee44147d8c8b21402e7a5ff"
    static let resumed: StaticString = "97f1ad739c0fcd2c1570e33d13a56989"
    static let reloaded: StaticString = "fd44e37faca2782414abfe8eaf27f820"
    static let reloadFailed: StaticString = "4ae567dc180b4950b4a0e1c938982daa"
    static let stopping: StaticString = "2dae2a730a6342a1d61726963fa11085"
    static let drained: StaticString = "c3365467c69a433527bda8c2b2dec0b1"
    static let expired: StaticString = "6e03ef3c862ae243db902aabc66536dd"
    static let putOff: StaticString = "a62dbeed13714b058d017f6ace82da12"
    static let breakerOpened: StaticString = "bb5554e77fb1437ca303d3c1eb44602d"
    static let breakerProbes: StaticString = "ab9d269c3dbc4cdba6e14d2b3742ce3f"
    static let breakerClosed: StaticString = "89c0f7a14784444a900276c8af5c1491"
    static let startFailed: StaticString = "0c3f6f0c8d1e4a57b6c2a4f1d9e07b35"
    static let cancelled: StaticString = "3722c7e02eb136b3509596cd4743996b"
    static let crashed: StaticString = "2ad4e1e084e8472a8ce7efa43ae08843"
}
