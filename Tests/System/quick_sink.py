# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An SMTP server that keeps nothing of what it takes but its length: for mail that would fill the test's memory."""

import asyncio
import threading


class QuickSink:
    def __init__(self):
        self.lengths = []
        """Of each message, as it came over the wire."""
        self.loop = asyncio.new_event_loop()

    def settings(self, **more):
        """For `relay=`."""
        return {"sink": {"host": "127.0.0.1", "port": self.port} | more}

    def __enter__(self):
        listening = threading.Event()

        async def listen():
            self.server = await asyncio.start_server(self._session, "127.0.0.1", 0, limit=1 << 20)
            self.port = self.server.sockets[0].getsockname()[1]
            listening.set()

        def run():
            self.loop.run_until_complete(listen())
            self.loop.run_forever()
            self.loop.run_until_complete(self._end_sessions())
            self.loop.close()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert listening.wait(10), "the server did not start"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @staticmethod
    async def _end_sessions():
        """So that none is thrown away in the middle of a line, which Python would complain about at some later time."""
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _session(self, reader, writer):
        try:
            writer.write(b"220 sink\r\n")
            while line := await reader.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    writer.write(b"354 go on\r\n")
                    self.lengths.append(await self._take(reader))
                ehlo = b"250-sink\r\n250-PIPELINING\r\n250 SIZE\r\n"
                writer.write({b"EHLO": ehlo, b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))
                await writer.drain()
                if word == b"QUIT":
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()

    @staticmethod
    async def _take(reader):
        """RFC 5321 §4.1.1.4: up to CRLF . CRLF, after which a client waits for its reply."""
        count, end = 0, b""
        while not end.endswith(b"\r\n.\r\n"):
            chunk = await reader.read(1 << 18)
            if not chunk:
                raise ConnectionError("the client left in the middle of a message")
            count += len(chunk)
            end = (end + chunk)[-5:]
        return count
