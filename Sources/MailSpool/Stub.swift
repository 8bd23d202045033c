import CSQLite
import NIOCore
