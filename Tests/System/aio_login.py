# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An SMTP server on 127.0.0.1 that takes mail of one user alone. usage: aio_login.py PORT USER PASSWORD"""

import signal
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult


def main(port, user, password):
    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (user.encode(), password.encode()))

    controller = Controller(
        Sink(), hostname="127.0.0.1", port=int(port), auth_required=True, auth_require_tls=False,
        authenticator=authenticate)
    controller.start()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
