import Testing
import NIOEmbedded
@Test func x() {}
