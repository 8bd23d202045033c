# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A DNS server for programs that ask none but port 53. usage: name_server.py ADDRESS ZONE (as root, for the port)

ZONE is JSON: a name without its last dot to the text of its TXT record. Any other name does not exist. Prints a line
once it listens, and ends with its standard input.
"""

import json
import socket
import struct
import sys
import threading

TXT = 16


def question(query):
    """The name in lower case, the type, and where it ends."""
    labels, place = [], 12
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode().lower())
        place += 1 + query[place]
    return ".".join(labels), struct.unpack("!H", query[place + 1:place + 3])[0], place + 5


def answer(query, zone):
    """RFC 1035 §4.1: the query's id and question, and a TXT record where the zone has one."""
    name, kind, end = question(query)
    text = zone.get(name)
    found = text is not None and kind == TXT
    head = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if text is not None else 3), 1, int(found), 0, 0)
    if not found:
        return head + query[12:end]
    parts = [text[start:start + 255].encode() for start in range(0, len(text), 255)]
    data = b"".join(bytes([len(part)]) + part for part in parts)
    return head + query[12:end] + struct.pack("!HHHLH", 0xC00C, TXT, 1, 60, len(data)) + data


def serve_streams(listener, zone):
    """RFC 1035 §4.2.2: the same over TCP, each message behind its length."""
    while True:
        connection, _ = listener.accept()
        with connection:
            length = connection.recv(2)
            if len(length) == 2:
                reply = answer(connection.recv(struct.unpack("!H", length)[0]), zone)
                connection.sendall(struct.pack("!H", len(reply)) + reply)


def main():
    address, zone = sys.argv[1], json.loads(sys.argv[2])
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 53))
    listener.listen()
    threading.Thread(target=serve_streams, args=(listener, zone), daemon=True).start()

    def serve():
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(answer(query, zone), client)
    threading.Thread(target=serve, daemon=True).start()
    print("listening", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
