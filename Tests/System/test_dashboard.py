# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard: it is what its program writes, it lays out well, and every expression finds data in a real
Prometheus that scrapes a maild under load. So do the four expressions of the dashboard that maild grew from."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from feed import Feed
from prometheus import Prometheus
from redis_server import RedisServer
from submission import job

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/observability"
FILE = FOLDER / "grafana/dashboards/maild.json"

# What the Go program drew, word for word.
GRANDPARENT = [
    "worker_workers_running", "worker_jobs_running",
    "worker_jobs_process_time_seconds_sum / worker_jobs_process_time_seconds_count",
    "rate(worker_jobs_processed_total[1m])"]

# Exported, and drawn by no panel: why.
NOT_DRAWN = {
    "maild_build_info": "a variable's source", "maild_jobs_recovered_total": "one number at each start",
    "maild_clients_total": "connections say as much", "maild_clients_refused_total": "rejected lines say as much",
    "maild_feed_info": "what a table would show",
    "process_max_fds": "a constant", "process_virtual_memory_bytes": "means nothing"}


def dashboard():
    return json.loads(FILE.read_text())


def expressions():
    board = dashboard()
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    return found + [(annotation["name"], annotation["expr"]) for annotation in board["annotations"]["list"]]


def filled(expression, queue=".*"):
    """With what Grafana would put in place of its variables."""
    return (expression.replace("$__rate_interval", "1m").replace('instance=~"$instance"', 'instance=~".*"')
            .replace('queue=~"$queue"', f'queue=~"{queue}"'))


def names(expression):
    return set(re.findall(r"\b(?:maild|worker|process)_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))


def test_the_file_is_what_the_program_writes():
    run = subprocess.run([sys.executable, FOLDER / "dashboard.py"], capture_output=True, text=True, check=True)
    assert run.stdout == FILE.read_text(), "run examples/observability/dashboard.py --write"


def test_panels_have_ids_titles_units_and_places_of_their_own():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["w"] > 0 and place["h"] > 0
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["title"] and len(panel["description"]) > 20 and panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"] and all(target["legendFormat"] for target in panel["targets"])
    titles = [panel["title"] for panel in panels]
    assert len(set(titles)) == len(titles)


def test_the_files_for_a_fresh_grafana_and_prometheus_belong_together():
    compose = yaml.safe_load((FOLDER / "compose.yml").read_text())
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (FOLDER / source).is_dir(), volume
    provider = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/maild.yml").read_text())["providers"][0]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert source["type"] == "prometheus" and source["url"] == "http://127.0.0.1:9090"
    run = subprocess.run(
        ["promtool", "check", "config", FOLDER / "prometheus/prometheus.yml"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def watched(tmp_path_factory, module_maild, module_judge):
    """A maild that has done a bit of everything, with jobs in hand, and a Prometheus that has watched it do so."""
    def script(session, verb, argument):
        if verb == "RCPT" and "gone@" in argument:
            return "550 5.1.1 gone"
        return "451 4.3.0 later" if verb == "RCPT" and "later@" in argument else None

    server = module_judge(script=script)
    one = module_maild(workers=4, relay=server.settings(), queue={"bulk": {"weight": 2}}).start()
    redis = RedisServer(tmp_path_factory.mktemp("redis")).start()
    feed = Feed(tmp_path_factory.mktemp("feed"), one, ack="settled", outcomes={"entries_max": 1000},
                redis={"server": f"127.0.0.1:{redis.port}", "stream": "jobs"}).start()
    prometheus = Prometheus(
        tmp_path_factory.mktemp("prometheus"), [f"127.0.0.1:{one.port}", f"127.0.0.1:{feed.port}"])
    prometheus.start()
    prometheus.wait_for('min(up{job="maild"}) == 1')
    with redis.client() as client:
        for body in (json.dumps(job(queue="bulk")), "{"):
            client("XADD", "jobs", "*", "job", body)
    feed.wait_for("acknowledged_total", 2)
    with one.submission() as client:
        for _ in range(5):
            client.send(*(job() for _ in range(40)), job(to="gone@example.com"), job(to="later@example.com"), b"{\n")
            client.send(*(job(queue="bulk") for _ in range(10)))
            client.answers(53)
            before = prometheus.query("count_over_time(up[1h])")[0][1]
            prometheus.wait_for(f"count_over_time(up[1h]) >= {before + 2}")
        one.wait_for_counts(ready=0, running=0)
        server.hold = True
        client.send(*(job() for _ in range(8))).answers(8)
    server.wait_for_held(4)
    before = prometheus.query("count_over_time(up[1h])")[0][1]
    prometheus.wait_for(f"count_over_time(up[1h]) >= {before + 3}")
    yield prometheus, one, feed
    server.release()
    prometheus.stop()
    feed.clean_up()
    redis.clean_up()


# Whose answer is nothing for as long as nothing of the kind happens, which is what they are for.
SILENT = {"Workers scaled", "Started", "Reloaded"}


@pytest.mark.parametrize("title, expression", expressions())
def test_every_expression_finds_data(watched, title, expression):
    prometheus, *_ = watched
    found = prometheus.query(filled(expression))
    assert found or title in SILENT, expression


def of_queues():
    """What follows the variable `queue`."""
    return [(title, expression) for title, expression in expressions() if "$queue" in expression]


@pytest.mark.parametrize("title, expression", of_queues())
def test_the_queue_chosen_in_grafana_has_data_of_its_own(watched, title, expression):
    prometheus, *_ = watched
    for queue in ("default", "bulk"):
        found = prometheus.query(filled(expression, queue))
        assert found and {labels.get("queue", queue) for labels, _ in found} == {queue}, expression
    assert prometheus.query(filled(expression, "none of these")) == []


def test_the_variables_offer_what_there_is_to_choose(watched):
    prometheus, *_ = watched
    for variable in dashboard()["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
        values = {labels[label] for labels, _ in prometheus.query(filled(metric))}
        assert values == {"default", "bulk"} if label == "queue" else len(values) == 1


def test_queues_add_up_to_the_whole(watched):
    prometheus, *_ = watched
    for queue, number in (("default", 218), ("bulk", 51), (".*", 269)):
        assert prometheus.query(f'sum(maild_jobs_accepted_total{{queue=~"{queue}"}})')[0][1] == number


@pytest.mark.parametrize("expression", GRANDPARENT)
def test_the_dashboard_that_maild_grew_from_works_unchanged(watched, expression):
    prometheus, *_ = watched
    found = prometheus.query(expression)
    assert found and all(labels["type"] == "email" for labels, _ in found)
    values = [value for _, value in found]
    if expression in ("worker_workers_running", "worker_jobs_running"):
        assert sum(values) == 4
    else:
        assert max(values) > 0


def test_every_name_in_an_expression_is_exported_and_every_exported_name_is_drawn(watched):
    _, one, feed = watched
    texts = one.http("/metrics")[2] + feed.text()
    exported = {line.split()[2] for line in texts.splitlines() if line.startswith("# TYPE")}
    drawn = set()
    for _, expression in expressions():
        for name in names(expression):
            base = name if name in exported else re.sub(r"_(bucket|sum|count)$", "", name)
            assert base in exported, name
            drawn.add(base)
    assert exported - drawn == set(NOT_DRAWN), "draw it, or say in NOT_DRAWN why not"
