# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that sends everybody to the location that the path names; ends with who started it.
usage: redirector.py ADDRESS PORT LOG (run by test_webhook.py in a network of its own)"""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote


class Redirector(BaseHTTPRequestHandler):
    def do_POST(self):
        with open(sys.argv[3], "a") as log:
            print(self.path, file=log)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(307 if self.path != "/stay" else 200)
        self.send_header("Location", unquote(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for_the_end(parent):
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(0)


server = HTTPServer((sys.argv[1], int(sys.argv[2])), Redirector)
threading.Thread(target=wait_for_the_end, args=(os.getppid(),), daemon=True).start()
server.serve_forever()
