import TOMLKit
import NIOCore
