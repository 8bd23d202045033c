# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on a free port, that scrapes what it is told each second."""

import json
import subprocess
import urllib.parse
import urllib.request

from waiting import free_port, until


class Prometheus:
    def __init__(self, directory, targets, rules=None):
        """`targets`: host:port of each maild; `rules`: a file of alerts."""
        self.directory = directory
        self.port = free_port()
        self.process = None
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": "maild", "static_configs": [{"targets": list(targets)}]}]}
        # JSON is YAML.
        (directory / "prometheus.yml").write_text(json.dumps(configuration))

    def start(self):
        with open(self.directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory}/prometheus.yml",
                 f"--storage.tsdb.path={self.directory}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self.is_ready, "Prometheus is ready")
        return self

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready") as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, expression):
        """The samples of an instant query: labels and value each."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}") as answer:
            data = json.load(answer)["data"]
        assert data["resultType"] == "vector", data
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def wait_for(self, expression, is_enough=bool):
        """Until the query's samples are enough; returns them."""
        return until(lambda: (found := self.query(expression)) and is_enough(found) and found, expression)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
