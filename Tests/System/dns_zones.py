# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A recursive name server for tests, over UDP and TCP on loopback: knows the zones a test gives it, signs them where
asked, and fails as told."""

import asyncio
import socket
import struct
import threading
from datetime import datetime, timedelta, timezone

import dns.dnssec
import dns.dnssecalgs
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
from dns.dnssectypes import Algorithm

SILENT = object()
"""In place of an answer: none."""


class Zone:
    """Names and their records below one apex, signed where `signed`."""

    def __init__(self, apex, lines, signed=False, ttl=300):
        self.apex = dns.name.from_text(apex)
        text = f"@ {ttl} IN SOA ns.{apex}. post.{apex}. 1 60 60 60 {ttl}\n@ {ttl} IN NS ns.{apex}.\n"
        text += "".join(f"{line}\n" for line in lines)
        self.zone = dns.zone.from_text(text, origin=self.apex, relativize=False, check_origin=False)
        self.key = None
        if signed:
            self.sign()

    def sign(self):
        key = dns.dnssecalgs.get_algorithm_cls(Algorithm.ED25519).generate()
        self.key = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ED25519, flags=257)
        now = datetime.now(timezone.utc)
        dns.dnssec.sign_zone(
            self.zone, keys=[(key, self.key)], inception=now - timedelta(hours=1), expiration=now + timedelta(days=1))

    def anchor(self):
        """The line that makes a resolver trust this zone."""
        return f"{self.apex} IN DS {dns.dnssec.make_ds(self.apex, self.key, 'SHA256').to_text()}\n"

    def replace(self, name, kind, text):
        """Changes a record and not its signature."""
        name = dns.name.from_text(name, self.apex)
        ttl = self.zone.find_rdataset(name, kind).ttl
        self.zone.delete_rdataset(name, kind)
        rdata = dns.rdata.from_text("IN", kind, text, origin=self.apex, relativize=False)
        self.zone.replace_rdataset(name, dns.rdataset.from_rdata(ttl, rdata))

    def rrsets(self, name, kind):
        """The records and their signatures; none where there are none."""
        found = []
        for rdtype, covers in ((kind, 0), (dns.rdatatype.RRSIG, kind)):
            rdataset = self.zone.get_rdataset(name, rdtype, covers)
            if rdataset:
                found.append(dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset)))
        return found

    def exists(self, name):
        return any(node == name or node.is_subdomain(name) for node in self.zone.nodes)

    def denial(self, name):
        """RFC 2308 §2; with RFC 4035 §3.1.3's NSEC records where the zone is signed."""
        records = self.rrsets(self.apex, dns.rdatatype.SOA)
        if not self.key:
            return records[:1]
        covering = {self.covering(name)}
        if not self.exists(name):
            above = name.parent()
            while not self.exists(above):
                above = above.parent()
            covering.add(self.covering(dns.name.Name((b"*",)) + above))
        for owner in covering:
            records += self.rrsets(owner, dns.rdatatype.NSEC)
        return records

    def covering(self, name):
        return max(node for node in self.zone.nodes if node <= name)


class NameServer:
    """Runs in a thread of its own. Names without a zone do not exist."""

    def __init__(self, port=0):
        self.port = port
        self.zones = []
        self.faults = {}
        """By name (without a dot at the end), or "*" for all: an RCODE, or SILENT."""
        self.questions = []
        """(name, type) as they came."""
        self.thread = None

    def zone(self, apex, *lines, **options):
        self.zones.append(Zone(apex, lines, **options))
        return self.zones[-1]

    @property
    def settings(self):
        """For `dns=`: this server and no DNSSEC."""
        return {"servers": [f"127.0.0.1:{self.port}"], "dnssec": "off"}

    def start(self):
        self.loop = asyncio.new_event_loop()
        udp, tcp = self.sockets()

        async def listen():
            self.udp, _ = await self.loop.create_datagram_endpoint(lambda: Datagrams(self), sock=udp)
            self.tcp = await asyncio.start_server(self.stream, sock=tcp)
            listening.set()

        def run():
            self.loop.run_until_complete(listen())
            self.loop.run_forever()

        listening = threading.Event()
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert listening.wait(10), "the name server did not start"
        return self

    def sockets(self):
        """One port for both."""
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind(("127.0.0.1", self.port))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                assert self.port == 0, f"port {self.port} is in use"
                continue
            self.port = udp.getsockname()[1]
            return udp, tcp

    def stop(self):
        if self.thread is None:
            return

        def end():
            self.udp.close()
            self.tcp.close()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)
        self.thread = None

    async def stream(self, reader, writer):
        try:
            while True:
                size = struct.unpack("!H", await reader.readexactly(2))[0]
                reply = self.reply(await reader.readexactly(size))
                if reply is not None:
                    wire = reply.to_wire()
                    writer.write(struct.pack("!H", len(wire)) + wire)
        except asyncio.IncompleteReadError:
            writer.close()

    def reply(self, wire):
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.questions.append((name, dns.rdatatype.to_text(question.rdtype)))
        fault = self.faults.get(name, self.faults.get("*"))
        if fault is SILENT:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if fault is not None:
            reply.set_rcode(dns.rcode.from_text(fault))
        else:
            self.resolve(reply, question.name, question.rdtype, bool(query.ednsflags & dns.flags.DO))
        return reply

    def resolve(self, reply, name, kind, wants_signatures):
        zone = max((zone for zone in self.zones if name.is_subdomain(zone.apex)), key=lambda zone: len(zone.apex),
                   default=None)
        if zone is None:
            reply.set_rcode(dns.rcode.NXDOMAIN if len(name) > 1 else dns.rcode.NOERROR)
            return
        answer = zone.rrsets(name, kind)
        if not answer and (alias := zone.rrsets(name, dns.rdatatype.CNAME)):
            self.add(reply.answer, alias, wants_signatures)
            return self.resolve(reply, alias[0][0].target, kind, wants_signatures)
        self.add(reply.answer, answer, wants_signatures)
        if not answer:
            if not zone.exists(name):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self.add(reply.authority, zone.denial(name), wants_signatures)

    def add(self, section, rrsets, wants_signatures):
        section += [rrset for rrset in rrsets
                    if wants_signatures or rrset.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server):
        self.server = server

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        reply = self.server.reply(data)
        if reply is None:
            return
        wire = reply.to_wire()
        if len(wire) > 1232:
            reply.flags |= dns.flags.TC
            reply.answer, reply.authority = [], []
            wire = reply.to_wire()
        self.transport.sendto(wire, peer)
