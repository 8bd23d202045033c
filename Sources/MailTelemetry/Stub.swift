import NIOHTTP1
import NIOPosix
import NIOCore
