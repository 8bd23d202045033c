#!/usr/bin/env python3
# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Writes the Grafana dashboard: `dashboard.py` to standard output, `dashboard.py --write` into its file beside this.

The dashboard is made from the lists below, so that a panel is a line that says what it shows, in which unit, and why
one would look at it. Tests/System/test_dashboard.py holds the file to this program, and every expression to a real
Prometheus."""

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("grafana") / "dashboards" / "maild.json"
COLUMNS = 24

HERE = 'instance=~"$instance"'
QUEUE = 'instance=~"$instance",queue=~"$queue"'
RATE = "[$__rate_interval]"


def rate(metric, labels=HERE):
    return f"rate({metric}{{{labels}}}{RATE})"


def quantile(q, metric, labels=HERE):
    return f"histogram_quantile({q}, sum by (le) ({rate(metric + '_bucket', labels)}))"


def stat(title, description, unit, expression, steps=(), **more):
    """`steps`: values from which on the colour changes, with the colours."""
    return {"kind": "stat", "title": title, "description": description, "unit": unit, "steps": steps,
            "targets": [(expression, title)], "width": 3, "height": 4, **more}


def graph(title, description, unit, *targets, width=8, **more):
    """`targets`: expression and legend each."""
    return {"kind": "timeseries", "title": title, "description": description, "unit": unit, "targets": targets,
            "width": width, "height": 8, **more}


ROWS = [
    ("At a glance", [
        stat("Ready", "Whether maild serves; below the number of instances some of them start or stop.", "none",
             f"sum(maild_ready{{{HERE}}})", [(0, "red"), (1, "green")]),
        stat("Oldest ready job", "How long the longest-waiting ready job has waited. The first sign of a queue that "
             "stands still.", "s", f"max(maild_queue_oldest_ready_age_seconds{{{QUEUE}}})",
             [(None, "green"), (60, "yellow"), (600, "red")]),
        stat("Waiting", "Jobs that wait for a worker.", "short", f'sum(maild_jobs{{{QUEUE},state="ready"}})'),
        stat("Running", "Jobs in workers' hands.", "short", f'sum(maild_jobs{{{QUEUE},state="running"}})'),
        stat("Dead letters", "Jobs that failed for good and wait for an operator.", "short",
             f'sum(maild_jobs{{{QUEUE},state="failed"}})', [(None, "green"), (1, "yellow"), (100, "red")]),
        stat("Accepted", "Jobs put on disk and answered.", "cps", f"sum({rate('maild_jobs_accepted_total', QUEUE)})"),
        stat("Completed", "Jobs that reached their end, whatever it was.", "cps",
             f"sum({rate('maild_jobs_completed_total', QUEUE)})"),
        stat("Relays away", "Relays with which no session comes about.", "none",
             f"sum(maild_relay_breaker_open{{{HERE}}})", [(None, "green"), (1, "red")]),
    ]),
    ("Jobs", [
        graph("Accepted and completed", "What comes in, and what reaches its end by outcome. When the first "
              "stays above "
              "the rest the queue grows.", "cps",
              (f"sum({rate('maild_jobs_accepted_total', QUEUE)})", "accepted"),
              (f"sum by (outcome) ({rate('maild_jobs_completed_total', QUEUE)})", "{{outcome}}")),
        graph("Attempts by result", "An attempt that is deferred comes again by the retry schedule; an unknown one may "
              "have arrived.", "cps",
              (f"sum by (result) ({rate('maild_job_attempts_total')})", "{{result}}")),
        graph("Refused and repeated lines", "Submissions answered with an error, by its name, and those that "
              "repeated an "
              "idempotency key.", "cps",
              (f"sum by (reason) ({rate('maild_jobs_rejected_total')})", "{{reason}}"),
              (f"sum({rate('maild_jobs_deduplicated_total')})", "repeated")),
        graph("From acceptance to the end", "How long a job takes in all, waiting and retries included.", "s",
              (quantile(0.5, "maild_job_end_to_end_seconds"), "half"),
              (quantile(0.95, "maild_job_end_to_end_seconds"), "95 %"),
              (quantile(0.99, "maild_job_end_to_end_seconds"), "99 %")),
        graph("Length of an attempt", "From a worker's claim to the verdict: mostly the relay's own time.", "s",
              (quantile(0.5, "maild_job_duration_seconds"), "half"),
              (quantile(0.99, "maild_job_duration_seconds"), "99 %"),
              (f"sum({rate('worker_jobs_process_time_seconds_sum')}) / "
               f"sum({rate('worker_jobs_process_time_seconds_count')})", "mean")),
        graph("Jobs by type", "Attempts that ended, by the kind of job.", "cps",
              (f"sum by (type) ({rate('worker_jobs_processed_total')})", "{{type}}")),
    ]),
    ("Queue", [
        graph("Depth by state", "Unfinished jobs on disk. Scheduled ones wait for their time, held and failed "
              "ones for an "
              "operator.", "short", (f"sum by (state) (maild_jobs{{{QUEUE}}})", "{{state}}"), stack=True),
        graph("Ready jobs by queue", "Whose jobs wait, and how many.", "short",
              (f'sum by (queue) (maild_jobs{{{QUEUE},state="ready"}})', "{{queue}}"), stack=True),
        graph("Age of the oldest ready job", "By queue. Age tells more than count: a long queue that moves is healthy.",
              "s", (f"max by (queue) (maild_queue_oldest_ready_age_seconds{{{QUEUE}}})", "{{queue}}")),
        graph("Wait for a worker", "Time from being ready to the start of the first attempt.", "s",
              (quantile(0.5, "maild_queue_wait_seconds", QUEUE), "half"),
              (quantile(0.99, "maild_queue_wait_seconds", QUEUE), "99 %")),
        graph("Completed by queue", "Whose jobs reach their end: beside what the queues' weights would have.", "cps",
              (f"sum by (queue) ({rate('maild_jobs_completed_total', QUEUE)})", "{{queue}}")),
        graph("Put off and reported", "Jobs that no relay took, and that wait without using up an attempt; failures of "
              "which a bounce message tells the sender.", "cps",
              (f"sum by (type) ({rate('maild_jobs_put_off_total')})", "put off: {{type}}"),
              (f"sum({rate('maild_jobs_reported_total')})", "reported")),
        graph("Operators", "Jobs that operators changed, by what they did.", "cps",
              (f"sum by (verb) ({rate('maild_jobs_operated_total')})", "{{verb}}")),
        graph("Paused", "Queues in which no job is begun, by an operator's wish.", "none",
              (f"max by (queue) (maild_queue_paused{{{QUEUE}}})", "{{queue}}")),
    ]),
    ("Workers", [
        graph("Workers busy against target", "All busy for long while jobs wait: scale up, or the relay is "
              "slow. The marks "
              "are changes of the target.", "short",
              (f'sum(maild_workers{{{HERE},state="busy"}})', "busy"),
              (f"sum(maild_workers_target{{{HERE}}})", "target")),
        graph("Share of the workers' time", "1 where all of them work all the time.", "percentunit",
              (f"sum({rate('maild_workers_busy_seconds_total')}) / sum(maild_workers_target{{{HERE}}})", "busy"),
              max=1),
        graph("Running jobs by type", "As the four metrics of the design that maild grew from have it.", "short",
              (f"sum by (type) (worker_jobs_running{{{HERE}}})", "{{type}} running"),
              (f"sum by (type) (worker_workers_running{{{HERE}}})", "{{type}} workers")),
    ]),
    ("Relays", [
        graph("Breaker", "1 while no session comes about with the relay: its mail waits, and uses up no "
              "attempt.", "none",
              (f"max by (relay) (maild_relay_breaker_open{{{HERE}}})", "{{relay}}")),
        graph("Replies by class", "2: taken; 4: not now; 5: never.", "cps",
              (f"sum by (relay, class) ({rate('maild_smtp_replies_total', HERE)})", "{{relay}} {{class}}")),
        graph("Waiting for the relay", "Mails in line, or put off until it takes them.", "short",
              (f"sum by (relay) (maild_relay_waiting{{{HERE}}})", "{{relay}}")),
        graph("Connections and sessions", "Open connections, and sessions that were established.", "short",
              (f"sum by (relay) (maild_smtp_connections{{{HERE}}})", "{{relay}} open"),
              (f"sum by (relay, tls) ({rate('maild_smtp_sessions_total')})", "{{relay}} a second, TLS {{tls}}")),
        graph("Spared relays", "Mails at a time while a relay that asked for it is spared; 0 while none is.", "short",
              (f"max by (relay) (maild_relay_concurrency_max{{{HERE}}})", "{{relay}}")),
        graph("Access tokens", "Asked for at an OAuth 2 endpoint, by whether they were had.", "cps",
              (f"sum by (relay, result) ({rate('maild_relay_tokens_total')})", "{{relay}} {{result}}")),
        graph("Failed sessions", "Sessions that did not come about: no connection, no TLS, no login.", "cps",
              (f"sum by (relay) ({rate('maild_relay_unreachable_total')})", "{{relay}}")),
    ]),
    ("Spool and process", [
        graph("Commit", "Length of a transaction with its fsync: what an answer waits for.", "s",
              (quantile(0.5, "maild_store_commit_seconds"), "half"),
              (quantile(0.99, "maild_store_commit_seconds"), "99 %")),
        graph("Rows in a commit", "The batch grows by itself with the load.", "short",
              (f"sum({rate('maild_store_commit_batch_jobs_sum')}) / sum({rate('maild_store_commit_batch_jobs_count')})",
               "mean")),
        graph("Takes jobs", "1 while the spool can be written; 0 while the disk is full or refuses, and "
              "submissions are "
              "answered read_only.", "none", (f"min by (instance) (maild_store_writable{{{HERE}}})", "{{instance}}")),
        graph("Spool", "On disk, and what the unfinished jobs take of their bound.", "bytes",
              (f"sum(maild_store_bytes{{{HERE}}})", "on disk"),
              (f"sum(maild_store_jobs_bytes{{{HERE}}})", "unfinished jobs"),
              (f"sum(maild_store_jobs_bytes_max{{{HERE}}})", "their bound")),
        graph("Room on the disk", "What the spool's file system has left for maild; below spool.free_bytes_min no job "
              "is taken.", "bytes", (f"min by (instance) (maild_store_free_bytes{{{HERE}}})", "{{instance}}")),
        graph("Damage", "Jobs held because their rows are damaged, and how fast such rows are found.", "short",
              (f"sum by (instance) (maild_store_damaged_jobs{{{HERE}}})", "{{instance}} held"),
              (f"sum by (instance) ({rate('maild_store_damaged_rows_total')})", "{{instance}} found a second")),
        graph("Trouble", "Errors of the spool, log lines that were dropped, jobs in hand at a crash.", "cps",
              (f"sum({rate('maild_store_errors_total')})", "spool errors"),
              (f"sum({rate('maild_log_lines_dropped_total')})", "log lines dropped"),
              (f"sum({rate('maild_jobs_crashed_total')})", "jobs crashed")),
        graph("Processor", "Cores in use by the daemon.", "short",
              (f"sum by (instance) ({rate('process_cpu_seconds_total')})", "{{instance}}")),
        graph("Memory", "Resident memory. It does not grow with the queue.", "bytes",
              (f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})", "{{instance}}")),
        graph("Clients and descriptors", "Open connections of submitting clients, and file descriptors in "
              "all.", "short",
              (f"sum(maild_client_connections{{{HERE}}})", "clients"),
              (f"sum(process_open_fds{{{HERE}}})", "descriptors")),
        graph("Configuration and heartbeat", "Seconds since every part was seen to move, and whether the last reload "
              "failed.", "s",
              (f"max(time() - maild_heartbeat_timestamp_seconds{{{HERE}}})", "since the last heartbeat"),
              (f"max(1 - maild_config_last_reload_successful{{{HERE}}})", "reload failed")),
    ]),
    ("Fleet", [
        graph("Nodes", "Nodes that share a queue, as the one sees them that sees least; expired ones have let their "
              "lease run out within the last day.", "none",
              (f'min(maild_fleet_nodes{{{HERE},state="live"}})', "live"),
              (f'max(maild_fleet_nodes{{{HERE},state="expired"}})', "expired")),
        graph("In the fleet's hands", "Jobs that the workers of all live nodes have in hand.", "short",
              (f"max(maild_fleet_jobs_running{{{HERE}}})", "running")),
        graph("Lease", "For how long a node's lease still lasts: 12 to 15 s while all is well; at 3 s it begins no "
              "more jobs.", "s", (f"min by (instance) (maild_fleet_lease_seconds{{{HERE}}})", "{{instance}}")),
    ]),
    ("Feeds", [
        graph("Messages of feeds", "What brokers hand over, what becomes a job, and what they are told is done.",
              "cps",
              (f"sum by (feed) ({rate('maild_feed_consumed_total')})", "{{feed}} consumed"),
              (f"sum by (feed) ({rate('maild_feed_accepted_total')})", "{{feed}} accepted"),
              (f"sum by (feed) ({rate('maild_feed_acknowledged_total')})", "{{feed}} acknowledged")),
        graph("Lag of feeds", "Messages upstream that nobody was given yet, and those that wait here for maild's "
              "answer or their job's end.", "short",
              (f"sum by (feed) (maild_feed_lag_messages{{{HERE}}})", "{{feed}} lag"),
              (f"sum by (feed) (maild_feed_unanswered{{{HERE}}})", "{{feed}} unanswered"),
              (f"sum by (feed) (maild_feed_unsettled{{{HERE}}})", "{{feed}} unsettled")),
        graph("Sessions of feeds", "1 while there is a session with the broker and with maild; paused while maild "
              "takes no jobs.", "none",
              (f"min by (feed) (maild_feed_connected{{{HERE}}})", "{{feed}} broker"),
              (f"min by (feed) (maild_feed_maild_connected{{{HERE}}})", "{{feed}} maild"),
              (f"max by (feed) (maild_feed_paused{{{HERE}}})", "{{feed}} paused")),
        graph("Dead letters of feeds", "Messages that are no job, by the error, and those that are safe upstream.",
              "cps",
              (f"sum by (feed, error) ({rate('maild_feed_rejected_total')})", "{{feed}} {{error}}"),
              (f"sum by (feed) ({rate('maild_feed_dead_letters_total')})", "{{feed}} dead letters")),
        graph("Repeats and breaks of feeds", "Messages that came again, those that maild knew already, and what was "
              "the cause of it.", "cps",
              (f"sum by (feed) ({rate('maild_feed_redelivered_total')})", "{{feed}} redelivered"),
              (f"sum by (feed) ({rate('maild_feed_duplicates_total')})", "{{feed}} known already"),
              (f"sum by (feed) ({rate('maild_feed_pauses_total')})", "{{feed}} pauses"),
              (f"sum by (feed) ({rate('maild_feed_disconnects_total')})", "{{feed}} lost sessions")),
        graph("Outcomes of feeds", "Jobs of feeds whose end is known, by state, and the events that brokers have of "
              "them.", "cps",
              (f"sum by (feed, state) ({rate('maild_feed_settled_total')})", "{{feed}} {{state}}"),
              (f"sum by (feed) ({rate('maild_feed_outcomes_published_total')})", "{{feed}} published")),
    ]),
]

ANNOTATIONS = [
    ("Workers scaled", "blue", f"changes(maild_workers_target{{{HERE}}}[1m]) > 0", "Number of workers changed"),
    ("Started", "green", f"changes(process_start_time_seconds{{{HERE}}}[1m]) > 0", "maild started"),
    ("Reloaded", "purple", f"changes(maild_config_last_reload_timestamp_seconds{{{HERE}}}[1m]) > 0",
     "Configuration read"),
]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel_json(panel, number, x, y):
    custom = {}
    if panel["kind"] == "timeseries":
        custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never",
                  "stacking": {"mode": "normal" if panel.get("stack") else "none"}}
    steps = [{"value": value, "color": colour} for value, colour in panel.get("steps", ())]
    if steps:
        steps[0]["value"] = None
    defaults = {"unit": panel["unit"], "min": 0, "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps or [{"value": None, "color": "green"}]}}
    if "max" in panel:
        defaults["max"] = panel["max"]
    options = ({"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
               if panel["kind"] == "stat" else
               {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}})
    return {
        "id": number, "type": panel["kind"], "title": panel["title"], "description": panel["description"],
        "datasource": SOURCE, "gridPos": {"x": x, "y": y, "w": panel["width"], "h": panel["height"]},
        "targets": [{"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
                    for index, (expression, legend) in enumerate(panel["targets"])],
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
    }


def panels_json():
    """Rows from the top down, their panels from the left to the right."""
    panels, y = [], 0
    for title, members in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
        y += 1
        x, height = 0, 0
        for panel in members:
            if x + panel["width"] > COLUMNS:
                x, y, height = 0, y + height, 0
            panels.append(panel_json(panel, len(panels) + 1, x, y))
            x += panel["width"]
            height = max(height, panel["height"])
        y += height
    return panels


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "refresh": 2, "includeAll": True,
            "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "sort": 1,
            "query": {"query": query, "refId": name}, "definition": query}


def dashboard():
    return {
        "uid": "maild", "title": "maild", "tags": ["maild", "mail"], "schemaVersion": 39, "version": 1,
        "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "editable": True,
        "description": "What a maild does: its queue, workers, relays, spool and process.",
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
            variable("instance", "Instance", "label_values(maild_build_info, instance)"),
            variable("queue", "Queue", 'label_values(maild_jobs{instance=~"$instance"}, queue)'),
        ]},
        "annotations": {"list": [
            {"name": name, "datasource": SOURCE, "enable": True, "iconColor": colour, "expr": expression,
             "titleFormat": title, "step": "60s"} for name, colour, expression, title in ANNOTATIONS]},
        "panels": panels_json(),
    }


def text():
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text())
    elif not sys.argv[1:]:
        sys.stdout.write(text())
    else:
        sys.exit("usage: dashboard.py [--write]")
