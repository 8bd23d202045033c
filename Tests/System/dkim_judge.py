# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Keys made by OpenSSL and signatures judged by dkimpy: both are nobody's of ours."""

import base64
import re
import subprocess

import dkim

FORMS = {
    "rsa": ["genrsa", "2048"],
    "rsa-pkcs1": ["genrsa", "-traditional", "2048"],
    "rsa-1024": ["genrsa", "1024"],
    "rsa-768": ["genrsa", "768"],
    "ed25519": ["genpkey", "-algorithm", "ed25519"],
    "ec": ["ecparam", "-genkey", "-name", "prime256v1"],
}


class Keys:
    """Keys in a directory, and the DNS in which their public halves stand."""

    def __init__(self, directory):
        self.directory = directory
        self.zone = {}

    def make(self, domain, selector, form="rsa"):
        """A private key's file; its public half goes into the DNS."""
        path = self.directory / f"{selector}.{domain}.pem"
        openssl = subprocess.run(["openssl", *FORMS[form]], capture_output=True, check=True)
        path.write_bytes(openssl.stdout)
        path.chmod(0o600)
        if form != "ec":
            self.zone[f"{selector}._domainkey.{domain}.".encode()] = self._record(path, form)
        return path

    @staticmethod
    def _record(path, form):
        public = subprocess.run(
            ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
        # RFC 8463 §4.2: of an Ed25519 key only the 32 octets at the end.
        kind, key = (b"ed25519", public[-32:]) if form == "ed25519" else (b"rsa", public)
        return b"v=DKIM1; k=" + kind + b"; p=" + base64.b64encode(key)

    def entry(self, domain, selector, form="rsa", **more):
        """For the configuration."""
        return {"domain": domain, "selector": selector, "key_file": self.make(domain, selector, form)} | more

    def lookup(self, name, timeout=5):
        return self.zone.get(name)

    def verdicts(self, message):
        """For each DKIM-Signature of the message, from the top, whether dkimpy takes it."""
        return [self._holds(message, index) for index in range(len(signatures(message)))]

    def _holds(self, message, index):
        try:
            return dkim.DKIM(message, minkey=2048).verify(index, dnsfunc=self.lookup)
        except dkim.DKIMException:
            return False


def signatures(message):
    """The tags of each DKIM-Signature, from the top."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    fields = re.findall(rb"^dkim-signature:((?:.*\r\n)(?:[ \t].*\r\n)*)", header, re.MULTILINE | re.IGNORECASE)
    return [dkim.parse_tag_value(field.strip()) for field in fields]


def names(signature):
    """What h= lists."""
    return [name.strip().decode().lower() for name in signature[b"h"].split(b":")]
